"""What both sets of MPI-INF-3DHP share: the world's axes, and the promise that annot3 projects onto annot2."""

from __future__ import annotations

import numpy as np

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.lens import Array, Lens
from sa3dhp_datasets.shots import projected

MM = 1000.0
"""Millimetres in a metre."""

Y_UP_TO_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""From the publishers' world, y up, into the house's, z up."""

NEAR_PX = 0.5
"""Median distance of joints from where the camera shows them, above which the annotations do not belong together."""


def need_fit(lens: Lens, joints: Array, points: Array, where: str) -> None:
    """Raise `DataError` where joints ``(F, J, 3)`` do not project onto points ``(F, J, 2)``; nothing for no frame."""
    if not len(joints):
        return
    with np.errstate(over="ignore"):
        apart = np.linalg.norm(projected(joints, lens) - points, axis=-1)
    typical = float(np.median(np.nan_to_num(apart, nan=np.inf)))
    if typical > NEAR_PX:
        what, expected = "annot3 does not project onto annot2", f"at most {NEAR_PX:g} px of the median joint"
        raise DataError(what, where=where, found=f"{typical:.1f} px apart", expected=expected)
