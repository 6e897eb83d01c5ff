"""A camera found from points whose places are known twice, before it and in its pictures. Opens no file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.lens import Array, Lens

ROUNDS = 30
FAR_OFF = 2.5
"""Points that a fit misses by more than this many medians are left out of the next one."""

LARGEST_PX = 10.0
"""Median distance of points from where the camera shows them, above which there is no such camera."""

NARROW = 1e-3
"""Points over a smaller part of the plane at depth 1 tell no focal length."""


def pinhole_of(joints: Array, keypoints: Array, where: str) -> Lens:
    """The camera without distortion and skew that shows points where they were seen, by least squares.

    Some annotations are not where their points project; so the fit is repeated without the points that it misses by
    more than `FAR_OFF` medians, until these no longer change.

    Args:
        joints: ``(N, 3)`` in the camera's frame, in front of it, any unit.
        keypoints: ``(N, 2)`` pixels.
        where: for messages.

    Raises:
        DataError: too few points, all in one direction, or no camera shows them where they were seen.
    """
    with np.errstate(all="ignore"):
        plane = joints[:, :2] / joints[:, 2:]
        kept = np.isfinite(plane).all(1) & np.isfinite(keypoints).all(1)
        plane, seen = plane[kept], keypoints[kept]
        _need_spread(plane, where)
        chosen = np.ones(len(plane), dtype=bool)
        for _ in range(ROUNDS):
            lens = _least_squares(plane[chosen], seen[chosen], where)
            apart = np.linalg.norm(lens.pixels(plane) - seen, axis=1)
            before, chosen = chosen, apart <= FAR_OFF * np.median(apart)
            if (before == chosen).all():
                break
    return _checked(lens, apart, where)


def _need_spread(plane: Array, where: str) -> None:
    if len(plane) < 3 or (np.ptp(plane, axis=0) < NARROW).any():
        expected = "joints that are apart, in frames that are marked as valid"
        raise DataError(
            "too little to find the camera by", where=where, found=f"{len(plane)} joints", expected=expected
        )


def _least_squares(plane: Array, seen: Array, where: str) -> Lens:
    try:
        lines = [
            np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1), u, rcond=None)[0]
            for x, u in zip(plane.T, seen.T, strict=True)
        ]
    except np.linalg.LinAlgError as error:
        raise DataError(f"the camera cannot be found: {error}", where=where) from error
    focal, centre = np.array(lines).T
    return Lens(focal, centre)


def _checked(lens: Lens, apart: NDArray[np.float64], where: str) -> Lens:
    typical = float(np.median(apart))
    if not typical <= LARGEST_PX or not (lens.focal_px > 0).all():
        raise DataError(
            "no camera shows the joints where they were seen",
            where=where,
            found=f"{typical:.1f} px between them by the best, of focal lengths {lens.focal_px.round(1).tolist()}",
            expected=f"at most {LARGEST_PX:g} px",
        )
    return lens
