"""sa3dhp: the research platform for self-adaptive 3D human pose estimation.

The core holds promises (protocols, hooks), values and mathematics, and the machinery that turns a recipe into a run.
It names no data set, network or paper, imports no plugin, and works with none installed.
"""

__version__ = "0.1.0"
