"""chunk_%05d_annot.mat: what MuCo-3DHP's own code writes beside up to 500 pictures. Depth and cameras are not in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import root_position
from sa3dhp_datasets.expected_arrays import array_of, need_equal
from sa3dhp_datasets.lens import Array, Lens, middle_lens
from sa3dhp_datasets.mat_file import read_matlab
from sa3dhp_datasets.muco_joints import house_of, metres, need_in_front
from sa3dhp_datasets.shots import Shot
from sa3dhp_datasets.single_pictures import Labels, single

PELVIS = 14
AT_ROOT_MM = 1.0
"""How far a pelvis may lie from where all pelvises lie."""


def chunk_shots(path: Path, size_px: tuple[float, float], focal_px: float | None, fov_deg: float) -> Iterator[Shot]:
    """A shot a picture, in the file's order.

    Args:
        path: of the file; its pictures lie beside it.
        size_px: of all pictures.
        focal_px: of all pictures; people are then placed where their joints project onto their keypoints by least
            squares. None: people have keypoints only, on the plane of an assumed camera.
        fov_deg: the field of view that is then assumed, across the diagonal.

    Raises:
        DataError: the file is missing, damaged or of another form, or the focal length puts people behind the camera.
    """
    where = str(path)
    content = read_matlab(path, "img_names", "joint_loc2", "joint_loc3")
    names = _names(content["img_names"], where)
    seen, solid = (
        _by_picture(content[key], axes, f"{where}: {key}") for key, axes in (("joint_loc2", 2), ("joint_loc3", 3))
    )
    lengths = {"img_names": len(names), "joint_loc2": len(seen), "joint_loc3": len(solid)}
    need_equal(lengths, where)
    people = need_equal({"people of joint_loc2": seen.shape[1], "people of joint_loc3": solid.shape[1]}, where)
    lens = middle_lens(*size_px, focal_px, fov_deg)
    keypoints, joints = house_of(_flat(seen), where), _relative(_flat(solid), f"{where}: joint_loc3")
    labels = Labels.of(keypoints, None if focal_px is None else _placed(joints, keypoints, lens, where))
    for number, name in enumerate(names):
        rows = range(number * people, (number + 1) * people)
        if found := labels.seen_in(rows, *size_px):
            yield single(path.parent / name, path.parent.name, lens, found, where, "train")


def _names(cells: Any, where: str) -> list[str]:
    names = [name for row in cells for name in row] if isinstance(cells, list) else [cells]
    if not names or not all(isinstance(name, str) and name == Path(name).name for name in names):
        found, expected = repr(cells)[:80], "cells with names of files beside this one"
        raise DataError("no names of pictures", where=f"{where}: img_names", found=found, expected=expected)
    return names


def _by_picture(value: Any, axes: int, where: str) -> Array:
    """``(axes, K, P, n)`` to ``(n, P, K, axes)``; MATLAB leaves out last axes of length 1."""
    if isinstance(value, np.ndarray) and value.ndim < 4:
        value = value.reshape(value.shape + (1,) * (4 - value.ndim))
    return array_of(value, (axes, None, None, None), where, "joints of all people of all pictures").T


def _flat(values: Array) -> Array:
    return values.reshape(-1, *values.shape[2:])


def _relative(joints: Array, where: str) -> Array:
    """Metres in the house's order; raises `DataError` where joints are not relative to the pelvis."""
    found = metres(joints, where)
    if (apart := float(np.abs(joints[:, PELVIS]).max())) > AT_ROOT_MM:
        found_there, expected = f"a pelvis at {apart:.4g} mm", "all pelvises at 0"
        raise DataError("joints that are not relative to the pelvis", where=where, found=found_there, expected=expected)
    return found


def _placed(joints: Array, keypoints: Array, lens: Lens, where: str) -> Array:
    """Where people of these pelvis-relative joints stand, ``(N, J, 3)`` metres, so that they project best."""
    (fx, fy), (x, y) = lens.focal_px, lens.centre_px
    camera = torch.tensor([[fx, 0.0, x], [0.0, fy, y], [0.0, 0.0, 1.0]], dtype=torch.float64)
    cameras = camera.expand(len(joints), 3, 3)
    roots = root_position(torch.from_numpy(joints), torch.from_numpy(keypoints), cameras).numpy()
    placed = joints + roots[:, None]
    need_in_front(placed, where, "focal_px, or leave it out")
    return placed
