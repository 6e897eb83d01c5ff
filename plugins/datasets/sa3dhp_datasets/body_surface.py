"""Points regressed from the surface of a moving SMPL body, as published figures take joints. Knows no data set."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
from scipy.spatial.transform import Rotation

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.body_model import joints_in_motion, read_body_model
from sa3dhp_datasets.expected_arrays import array_of
from sa3dhp_datasets.layouts import neighbour
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.mocap_npz import read_arrays
from sa3dhp_datasets.smpl_joints import PARENTS_24

_KEYS = ("v_template", "shapedirs", "posedirs", "weights", "J_regressor")


@attrs.frozen(eq=False)
class Surface:
    """What a model says of the vertices that points are regressed from, U of them.

    Attributes:
        regressor: ``(P, U)`` share of each vertex in each point.
        template: ``(U, 3)`` metres, the mean body at rest.
        shapes: ``(U, 3, components)`` what each component of shape moves them by.
        bends: ``(U, 3, 207)`` what the turns of the joints but the root move them by.
        skin: ``(U, 24)`` how much each joint carries them.
        joints: ``(24, 3)`` metres, joints of the mean body at rest.
        joint_shapes: ``(24, 3, components)``.
        where: the model's file.
    """

    regressor: Array
    template: Array
    shapes: Array
    bends: Array
    skin: Array
    joints: Array
    joint_shapes: Array
    where: str

    def points(self, betas: Array, turns: Array, places: Array, where: str) -> Array:
        """Points ``(T, P, 3)`` of a body that moves, metres.

        Args:
            betas: ``(components,)`` of shape.
            turns: ``(T, 24, 3)`` axis times angle of each joint in its parent's frame, radians.
            places: ``(T, 3)`` what the body is moved by, metres.
            where: they are from, for messages.

        Raises:
            DataError: more components than the model has.
        """
        count = len(betas)
        if count > self.shapes.shape[-1]:
            expected = f"{count}, as {where} has"
            found = self.shapes.shape[-1]
            raise DataError(
                "the body model has too few components of shape", where=self.where, found=found, expected=expected
            )
        rest = self.joints + self.joint_shapes[..., :count] @ betas
        joints, turned = joints_in_motion(rest, turns, places, PARENTS_24)
        local = Rotation.from_rotvec(turns[:, 1:].reshape(-1, 3)).as_matrix() - np.eye(3)
        bent = np.einsum("udk,tk->tud", self.bends, local.reshape(len(turns), -1))
        skin = self.template + self.shapes[..., :count] @ betas + bent
        carried = np.zeros_like(skin)
        for joint in range(len(PARENTS_24)):
            moved = (skin - rest[joint]) @ turned[:, joint].swapaxes(-1, -2) + joints[:, None, joint]
            carried += self.skin[:, joint, None] * moved
        return self.regressor @ carried


def read_surface(model: Path, regressor: Path, points: int) -> Surface:
    """A model and a regressor together.

    Args:
        model: npz file of SMPL, 24 joints.
        regressor: npy file ``(points, vertices)``.
        points: how many it must give.

    Raises:
        DataError: either is missing, no such file, of wrong shapes, or not finite; the model is of another family.
    """
    family = read_body_model(model).family
    if family != "SMPL":
        raise DataError("a body model of another family", where=str(model), found=family, expected="SMPL, 24 joints")
    found = read_arrays(model, _KEYS)
    count = len(found["v_template"])
    shapes = ((count, 3), (count, 3, None), (count, 3, 207), (count, 24), (24, count))
    arrays = [array_of(found[key], shape, f"{model}: {key}", key) for key, shape in zip(_KEYS, shapes, strict=True)]
    template, directions, bends, skin, joints = arrays
    weights = array_of(_read_npy(regressor), (points, count), str(regressor), f"of {points} joints for {model}")
    used = np.flatnonzero(weights.any(axis=0))
    return Surface(
        weights[:, used],
        template[used],
        directions[used],
        bends[used],
        skin[used],
        joints @ template,
        np.einsum("jv,vdk->jdk", joints, directions),
        str(model),
    )


def _read_npy(path: Path) -> object:
    if not path.is_file():
        raise DataError("no such file", where=str(path), expected="an npy file", hint=neighbour(path))
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:  # ValueError, EOF, memory: all that a damaged file can cause
        raise DataError(f"not an npy file of numbers: {error}", where=str(path)) from error
