"""Joint angles and bone lengths to joint positions in the world frame (z up; the body's x right, y forward)."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from sa3dhp_core.cards import skeleton
from sa3dhp_world.anatomy import ANGLES

CLAVICLE_DROP = 0.32
"""Shoulders lie this much (tangent) below the thorax joint at rest."""
NECK_FORWARD = 0.12
"""The neck joint (skull base to nose height) lies this much (tangent) in front of the thorax."""


def _rotation(axis: int, angle: Tensor) -> Tensor:
    """Right-handed rotations ``(..., 3, 3)`` about a coordinate axis."""
    cos, sin = angle.cos(), angle.sin()
    out = torch.zeros(*angle.shape, 3, 3, dtype=angle.dtype, device=angle.device)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out[..., axis, axis] = 1
    out[..., i, i] = out[..., j, j] = cos
    out[..., j, i], out[..., i, j] = sin, -sin
    return out


@cache
def _columns() -> dict[str, int]:
    return {name: i for i, name in enumerate(ANGLES)}


def pose_body(angles: Tensor, yaw: Tensor, lengths_m: Tensor) -> Tensor:
    """Forward kinematics.

    Args:
        angles: ``(..., D)`` radians, in the order of `ANGLES`.
        yaw: ``(...)`` heading, radians; 0 faces +y.
        lengths_m: ``(..., J)`` bone lengths.

    Returns:
        ``(..., J, 3)`` metres, root at the origin, world frame.
    """
    column, bones = _columns(), skeleton()
    turn = lambda axis, name, scale=1.0: _rotation(axis, scale * angles[..., column[name]])  # noqa: E731

    def spine(first: str, second: str, third: str, share: float) -> Tensor:
        return turn(2, third, share) @ turn(0, first, -share) @ turn(1, second, share)

    pelvis = _rotation(2, yaw) @ turn(0, "lean", -1.0) @ turn(1, "roll")
    lower = pelvis @ spine("bend", "side", "twist", 0.5)
    upper = lower @ spine("bend", "side", "twist", 0.5)
    neck = upper @ spine("nod", "tilt", "turn", 0.5)
    head = neck @ spine("nod", "tilt", "turn", 0.5)

    up = torch.tensor([0.0, 0.0, 1.0], dtype=angles.dtype, device=angles.device)
    throat = torch.nn.functional.normalize(up + up.new_tensor([0.0, NECK_FORWARD, 0.0]), dim=0)
    ends: dict[str, Tensor] = {"spine": lower @ up, "thorax": upper @ up, "neck": neck @ throat, "head": head @ up}
    for side, short, sign in (("left", "l", -1.0), ("right", "r", 1.0)):
        outward = up.new_tensor([sign, 0.0, 0.0])
        raised = angles[..., column[f"{short}_clavicle"]]
        girdle = torch.nn.functional.normalize(outward - CLAVICLE_DROP * up, dim=0)
        shoulder = upper @ _rotation(1, -sign * raised)
        limb = lambda frame, joint: (  # noqa: E731
            frame
            @ turn(0, f"{short}_{joint}_flex")  # noqa: B023
            @ turn(1, f"{short}_{joint}_abd", -sign)  # noqa: B023
            @ turn(2, f"{short}_{joint}_twist", -sign)  # noqa: B023
        )
        arm, leg = limb(upper, "arm"), limb(pelvis, "hip")
        ends |= {
            f"{side}_shoulder": shoulder @ girdle,
            f"{side}_elbow": arm @ -up,
            f"{side}_wrist": arm @ turn(0, f"{short}_elbow") @ -up,
            f"{side}_hip": pelvis @ outward,
            f"{side}_knee": leg @ -up,
            f"{side}_ankle": leg @ turn(0, f"{short}_knee", -1.0) @ -up,
        }
    joints: list[Tensor] = [torch.zeros_like(ends["spine"])] * len(bones)
    for bone in bones.bones:
        offset = ends[bones.joints[bone]] * lengths_m[..., bone, None]
        joints[bone] = joints[bones.parent_indices[bone]] + offset
    return torch.stack(joints, dim=-2)
