"""A pose as orientation, unit limb vectors in the body's frame, and bone lengths; and back. Holds nothing learned."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sa3dhp_core.errors import DataError
from sa3dhp_core.types import Skeleton


class Body(NamedTuple):
    """A pose taken apart.

    Attributes:
        orientation: ``(..., 3, 3)`` columns are the body's left, up and front in the camera frame.
        directions: ``(..., B, 3)`` unit vectors of the bones in the body's frame, in the order of `Skeleton.bones`.
        lengths: ``(..., B)`` metres.
    """

    orientation: Tensor
    directions: Tensor
    lengths: Tensor


class Anatomy:
    """What the card says about the body's frame, its bones and its sides.

    The frame comes from the root's own bones: the line between the paired ones (hips) is left-right, the unpaired
    ones (spine) point up. They are the only joints whose place the frame needs, so the limbs may do what they like.

    Raises:
        DataError: the root has too few bones to define a frame.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        self.skeleton = skeleton
        self.root = skeleton.index(skeleton.root)
        self.bones = list(skeleton.bones)
        self.parents = [skeleton.parent_indices[bone] for bone in self.bones]
        mirror = skeleton.mirror
        place = {bone: position for position, bone in enumerate(self.bones)}
        self.mirrored = [place[mirror[bone]] for bone in self.bones]
        own = [bone for bone, parent in zip(self.bones, self.parents, strict=True) if parent == self.root]
        self._paths = self._chains()
        left_joints = {left for left, _ in skeleton.pairs}
        self.left = [bone for bone in own if skeleton.joints[bone] in left_joints]
        self.right = [mirror[bone] for bone in self.left]
        self.up = [bone for bone in own if mirror[bone] == bone]
        if not self.left or not self.up:
            raise DataError(
                "the root's bones do not define a frame",
                where=f"skeleton {skeleton.id!r}",
                found=[skeleton.joints[bone] for bone in own],
                expected="a left-right pair and an unpaired joint hanging at the root",
            )

    def _chains(self) -> list[list[float]]:
        """For each joint, 1 at every bone between it and the root: forward kinematics as one matrix."""
        chains = [[0.0] * len(self.bones) for _ in range(len(self.skeleton))]
        for position, (bone, parent) in enumerate(zip(self.bones, self.parents, strict=True)):
            chains[bone] = list(chains[parent])
            chains[bone][position] = 1.0
        return chains

    @property
    def groups(self) -> list[list[int]]:
        """Bones that share a length (a bone and its mirror image), as positions among the bones."""
        return [[b, m] if b != m else [b] for b, m in enumerate(self.mirrored) if b <= m]

    def parts(self) -> dict[str, list[int]]:
        """Positions among the bones of each body part of the card."""
        place = {self.skeleton.joints[bone]: position for position, bone in enumerate(self.bones)}
        return {part: [place[joint] for joint in joints] for part, joints in self.skeleton.parts.items()}

    def orientation(self, poses: Tensor) -> Tensor:
        """``(..., J, 3)`` -> ``(..., 3, 3)``."""
        left = poses[..., self.left, :].mean(dim=-2) - poses[..., self.right, :].mean(dim=-2)
        up = poses[..., self.up, :].mean(dim=-2) - poses[..., self.root, :]
        return frame(left, up)

    def split(self, poses: Tensor) -> Body:
        """Take ``(..., J, 3)`` root-relative poses apart."""
        orientation = self.orientation(poses)
        vectors = poses[..., self.bones, :] - poses[..., self.parents, :]
        lengths = vectors.norm(dim=-1)
        return Body(orientation, functional.normalize(vectors, dim=-1) @ orientation, lengths)

    def join(self, body: Body) -> Tensor:
        """Forward kinematics: the inverse of `split`, ``(..., J, 3)`` metres, root-relative."""
        vectors = (body.directions * body.lengths[..., None]) @ body.orientation.transpose(-1, -2)
        return vectors.new_tensor(self._paths) @ vectors

    def reflect(self, poses: Tensor) -> Tensor:
        """The mirror image: x negated, left and right joints exchanged."""
        flipped = poses[..., list(self.skeleton.mirror), :]
        return flipped * flipped.new_tensor([-1.0, 1.0, 1.0])

    def card_lengths(self) -> Tensor:
        """``(B,)`` the card's standard bone lengths, metres."""
        return torch.tensor([self.skeleton.bone_lengths_m[self.skeleton.joints[bone]] for bone in self.bones])


def frame(left: Tensor, up: Tensor) -> Tensor:
    """Rotation ``(..., 3, 3)`` whose columns are left, up (orthogonalised) and their cross product.

    The continuous six-number representation of rotations of Zhou et al., CVPR 2019, eq. 15.
    """
    first = functional.normalize(left, dim=-1)
    second = functional.normalize(up - (first * up).sum(dim=-1, keepdim=True) * first, dim=-1)
    return torch.stack((first, second, torch.linalg.cross(first, second)), dim=-1)


def six_numbers(orientation: Tensor) -> Tensor:
    """The first two columns of ``(..., 3, 3)``, as ``(..., 6)``."""
    return orientation[..., :2].transpose(-1, -2).flatten(-2)


def from_six_numbers(numbers: Tensor) -> Tensor:
    """Inverse of `six_numbers`, for any ``(..., 6)`` that is not degenerate."""
    return frame(numbers[..., :3], numbers[..., 3:])
