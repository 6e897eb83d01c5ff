"""The engine: steps, precision, distribution, checkpoints, resume, view planning. It names no method."""

from sa3dhp_core.engine.training import Engine
from sa3dhp_core.engine.views import ViewPlan

__all__ = ["Engine", "ViewPlan"]
