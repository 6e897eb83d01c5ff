"""The engine: steps, precision, distribution, checkpoints, resume, view planning. It names no method.

`Engine` is imported when it is asked for: what only predicts needs no Lightning Fabric, which takes a second.
"""

from typing import TYPE_CHECKING, Any

from sa3dhp_core.engine.views import ViewPlan

if TYPE_CHECKING:
    from sa3dhp_core.engine.training import Engine

__all__ = ["Engine", "ViewPlan"]


def __getattr__(name: str) -> Any:
    if name != "Engine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sa3dhp_core.engine.training import Engine

    return Engine
