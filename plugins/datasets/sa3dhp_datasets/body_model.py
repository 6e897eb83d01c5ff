"""SMPL-like body models in npz files: the joints of a body at rest, and in motion. Knows no motion data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sa3dhp_core.errors import DataError, nearest
from sa3dhp_datasets.mocap_npz import read_arrays

Array = NDArray[np.float64]
JOINTS = (
    *("Pelvis", "L_Hip", "R_Hip", "Spine1", "L_Knee", "R_Knee", "Spine2", "L_Ankle", "R_Ankle", "Spine3", "L_Foot"),
    *("R_Foot", "Neck", "L_Collar", "R_Collar", "Head", "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow", "L_Wrist"),
    "R_Wrist",
)
"""The body's joints, which SMPL, SMPL-H and SMPL-X share; hands and faces come after them."""

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
FAMILIES = {24: "SMPL", 52: "SMPL-H", 55: "SMPL-X"}
"""Joints of a model to the family that it is of."""

GENDERS = ("male", "female", "neutral")
_KEYS = ("J_regressor", "v_template", "shapedirs", "kintree_table")


@attrs.frozen(eq=False)
class BodyModel:
    """What a model file says of the body's joints.

    Attributes:
        family: of `FAMILIES`.
        template: ``(22, 3)`` metres, joints of the mean body at rest, y up.
        shapes: ``(22, 3, components)`` what each component of shape moves them by.
        where: the file, for messages.
    """

    family: str
    template: Array
    shapes: Array
    where: str

    def rest(self, betas: Array, where: str) -> Array:
        """Joints ``(22, 3)`` of a body at rest; raises `DataError` where `betas` are more than the components."""
        if len(betas) > self.shapes.shape[-1]:
            raise DataError(
                "the body model has too few components of shape",
                where=self.where,
                found=self.shapes.shape[-1],
                expected=f"{len(betas)}, as {where} has",
                hint="the extended model, with 16 components",
            )
        return self.template + self.shapes[..., : len(betas)] @ betas


def read_body_model(path: Path) -> BodyModel:
    """The joints of a model file.

    Raises:
        DataError: a pickle, no npz file, an array that is missing, of a wrong shape, not finite or of Python objects,
            or a tree of joints that is not SMPL's.
    """
    where = str(path)
    if path.suffix.lower() in (".pkl", ".pickle", ".pt", ".pth"):
        hint = "download the npz form of the same model"
        raise DataError("a pickled body model is refused; it could run code", where=where, expected=".npz", hint=hint)
    arrays = read_arrays(path, _KEYS)
    regressor, template, shapes, tree = (arrays[key] for key in _KEYS)
    joints, vertices = (regressor.shape if regressor.ndim == 2 else (0, 0))[:2]
    fits = {
        "J_regressor": (regressor.ndim == 2 and joints in FAMILIES, f"(J, V), J one of {sorted(FAMILIES)}"),
        "v_template": (template.shape == (vertices, 3), f"({vertices}, 3)"),
        "shapedirs": (shapes.ndim == 3 and shapes.shape[:2] == (vertices, 3), f"({vertices}, 3, components)"),
        "kintree_table": (tree.shape == (2, joints) and tree.dtype.kind in "iu", f"(2, {joints}) integers"),
    }
    for key, (right, expected) in fits.items():
        if not right or arrays[key].dtype.kind not in "fiu":
            found = f"{arrays[key].shape} {arrays[key].dtype}"
            raise DataError(f"the array {key!r} has a wrong shape or type", where=where, found=found, expected=expected)
    parents = tree[0].astype(np.int64)[1 : len(JOINTS)].tolist()
    if tuple(parents) != PARENTS[1:]:
        raise DataError("another tree of joints", where=f"{where}: kintree_table", found=parents, expected=PARENTS[1:])
    body = regressor[: len(JOINTS)].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        rest = body @ template.astype(np.float64)
        moved = np.einsum("jv,vdk->jdk", body, shapes.astype(np.float64))
    if not (np.isfinite(rest).all() and np.isfinite(moved).all()):
        raise DataError("the body model has numbers that are not finite", where=where, expected="metres")
    return BodyModel(FAMILIES[joints], rest, moved, where)


def model_file(given: Path, gender: str) -> Path:
    """The model of a gender: the file itself, or in a folder ``{gender}/model.npz`` or the one npz so named.

    Raises:
        DataError: there is none, or there are several.
    """
    if not given.is_dir():
        if not given.exists():
            raise DataError("no such body model", where=str(given), expected="an npz file or a folder of them")
        return given
    named = re.compile(rf"(?<![a-z]){gender}(?![a-z])", re.IGNORECASE)
    inside = sorted(path.relative_to(given) for path in given.rglob("*.npz"))
    found = [path for path in inside if named.search(path.as_posix())]
    if len(found) != 1:
        raise DataError(
            f"{len(found) or 'no'} body models for {gender!r}",
            where=str(given),
            found=", ".join(map(str, found or inside[:8])) or "no npz file",
            expected=f"{gender}/model.npz, or one file that has {gender} in its name",
            hint="name one file for all genders with body_model = FILE" if inside else nearest(gender, GENDERS),
        )
    return given / found[0]


def joints_in_motion(rest: Array, turns: Array, places: Array, parents: Sequence[int] = PARENTS) -> tuple[Array, Array]:
    """Joints ``(T, J, 3)`` of a body that moves, in metres, and how they are turned, ``(T, J, 3, 3)``.

    Args:
        rest: ``(J, 3)`` at rest.
        turns: ``(T, J, 3)`` axis times angle of each joint in its parent's frame, radians.
        places: ``(T, 3)`` what the whole body is moved by, metres.
        parents: before their children; -1 for the root.
    """
    local = Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(*turns.shape, 3)
    joints, world = np.empty(turns.shape), np.empty_like(local)
    for index, parent in enumerate(parents):
        if parent < 0:
            joints[:, index], world[:, index] = rest[index] + places, local[:, index]
        else:
            joints[:, index] = joints[:, parent] + world[:, parent] @ (rest[index] - rest[parent])
            world[:, index] = world[:, parent] @ local[:, index]
    return joints, world
