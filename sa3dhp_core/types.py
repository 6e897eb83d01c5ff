"""Values that travel between the parts: skeletons, batches, views. No behaviour beyond what is derived from fields.

Conventions (DESIGN): poses ``(..., J, 3)`` float, metres, root-relative, camera frame (x right, y down, z away);
images ``(..., 3, H, W)`` RGB in [0, 1] (stored as uint8); clips ``(B, T, 3, H, W)``; sequences ``(B, T, J, 3)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import attrs
import torch
from torch import Tensor

from sa3dhp_core.errors import DataError, RecipeError


@attrs.frozen(slots=False)
class Skeleton:
    """Named joints and how they hang together. Indices are derived, never written.

    Attributes:
        id: the card's id, for example ``h36m-17``.
        joints: joint names, in storage order.
        parents: joint name to its parent's name; the root maps to itself.
        pairs: (left, right) joint names that a mirror exchanges.
        root: name of the root joint.
        bone_lengths_m: standard length of the bone that ends at a joint, metres (the root has none).
        parts: body-part name to the joints whose bones form it (``left_arm``, ``right_leg``, ``trunk``, …).
        bend_limits_deg: joint name to the least and the greatest angle between the bone that ends at it and the bone
            before, degrees; a joint without limits is not named.
        house_names: joint name to what the house skeleton calls the same joint, where it has another name for it.
    """

    id: str
    joints: tuple[str, ...]
    parents: dict[str, str]
    pairs: tuple[tuple[str, str], ...]
    root: str
    bone_lengths_m: dict[str, float]
    parts: dict[str, tuple[str, ...]]
    bend_limits_deg: dict[str, tuple[float, float]] = attrs.field(factory=dict)
    house_names: dict[str, str] = attrs.field(factory=dict)

    def __hash__(self) -> int:
        return hash((self.id, self.joints))

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Position of a joint by name."""
        return self.joints.index(joint)

    @cached_property
    def parent_indices(self) -> tuple[int, ...]:
        """Parent of each joint by index; the root is its own parent."""
        return tuple(self.index(self.parents[joint]) for joint in self.joints)

    @cached_property
    def bones(self) -> tuple[int, ...]:
        """Joints that end a bone (all but the root), parents before children."""
        order: list[int] = []
        known = {self.index(self.root)}
        while len(known) < len(self.joints):
            ready = [j for j in range(len(self.joints)) if j not in known and self.parent_indices[j] in known]
            if not ready:
                raise ValueError(f"skeleton {self.id!r}: the parents do not form one tree rooted at {self.root!r}")
            order += ready
            known |= set(ready)
        return tuple(order)

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """Permutation that exchanges left and right joints."""
        return _exchanged(self.joints, self.pairs)


@attrs.frozen(slots=False)
class PartLabels:
    """What the numbers of a part-label image mean.

    Attributes:
        id: the card's id, for example ``body-10``.
        names: names of the labels; a label's number is its position, 0 is the background.
        pairs: (left, right) names that a mirror exchanges.
    """

    id: str
    names: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """Permutation that exchanges left and right parts."""
        return _exchanged(self.names, self.pairs)


def _exchanged(names: tuple[str, ...], pairs: tuple[tuple[str, str], ...]) -> tuple[int, ...]:
    swap = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
    return tuple(names.index(swap.get(name, name)) for name in names)


class ClipName(NamedTuple):
    """What tells a clip of one person from the others of a file; empty strings where it is unknown."""

    subject: str
    clip: str
    camera: str


class Shard(NamedTuple):
    """Which part of a global batch this process computes: items ``rank::world``."""

    rank: int = 0
    world: int = 1

    def check(self, count: int, key: str) -> None:
        """Refuse a global batch that cannot be shared out evenly: means over ranks would not be means over items.

        Raises:
            RecipeError: naming the recipe's key.
        """
        if count % self.world:
            raise RecipeError(
                "the batch does not divide among the processes",
                where=key,
                found=f"{count} among {self.world}",
                expected=f"a multiple of {self.world}",
                hint=f"{key}={-(-count // self.world) * self.world}",
            )


WHOLE = Shard()
"""All of a batch: one process."""


@attrs.frozen
class LabelledBatch:
    """Images with poses.

    Attributes:
        images: ``(B, 3, H, W)`` in [0, 1].
        poses: ``(B, J, 3)`` metres, root-relative, in the crop's virtual camera.
        parts: ``(B, H, W)`` uint8 part labels (0 is background; see `PartLabels`), where the data set has them.
        intrinsics: ``(B, 3, 3)`` of the virtual camera, pixels.
        keypoints: ``(B, J, 2)`` projected joints, pixels of the crop, where the data set has them; NaN where unseen.
    """

    images: Tensor
    poses: Tensor
    parts: Tensor | None
    intrinsics: Tensor
    keypoints: Tensor | None = None


@attrs.frozen
class ClipBatch:
    """Unlabelled clips.

    Attributes:
        images: ``(B, T, 3, H, W)`` in [0, 1].
        intrinsics: ``(B, T, 3, 3)`` of each frame's virtual camera, pixels.
        clips: ``(B,)`` index of the clip that each window comes from.
    """

    images: Tensor
    intrinsics: Tensor
    clips: Tensor


@attrs.frozen(eq=False)
class FrameFacts:
    """What a data set tells of each of N frames, in the order of their poses; None where it cannot.

    Attributes:
        subjects: name of each frame's subject.
        cameras: name of each frame's camera.
        numbers: ``(N,)`` each frame's number in its video, from 0.
        flags: name of a flag to ``(N,)`` whether each frame carries it.
    """

    subjects: Sequence[str] | None = None
    cameras: Sequence[str] | None = None
    numbers: Tensor | None = None
    flags: Mapping[str, Tensor] = attrs.field(factory=dict)

    def of(self, frames: Tensor) -> FrameFacts:
        """The facts of some frames: a mask ``(N,)``, or their places."""
        places = frames.nonzero()[:, 0] if frames.dtype == torch.bool else frames
        subjects, cameras = (
            None if names is None else [names[k] for k in places.tolist()] for names in (self.subjects, self.cameras)
        )
        numbers = None if self.numbers is None else self.numbers[places]
        return FrameFacts(subjects, cameras, numbers, {name: flag[places] for name, flag in self.flags.items()})


class Encoding(NamedTuple):
    """What an image encoder returns: the bounded embedding ``z (N, D)`` and the feature ``(N, F)`` before the head."""

    z: Tensor
    feature: Tensor


@attrs.frozen
class Spatial:
    """A drawn spatial element: M in O(3), acting on camera-frame poses and on crops.

    Attributes:
        matrix: ``(..., 3, 3)`` orthogonal; leading axes are the batch (and time where it is drawn per frame).
        condition: ``(..., P)`` what a conditioned relation network is told about it.
    """

    matrix: Tensor
    condition: Tensor


@attrs.frozen
class Temporal:
    """An index map of time: of a window of frames, which form the anchor and which the partner.

    Attributes:
        window: number of frames the window needs, at the data's rate.
        anchor: frame indices of the anchor sequence.
        partner: frame indices of the partner sequence (same length).
    """

    window: int
    anchor: tuple[int, ...]
    partner: tuple[int, ...]

    def of(self, window: Tensor) -> tuple[Tensor, Tensor]:
        """The anchor's and the partner's frames of ``(B, window, ...)``: each ``(B, T, ...)``.

        Raises:
            DataError: the window has another length.
        """
        if window.dim() < 2 or window.shape[1] != self.window:
            raise DataError(
                "a window has the wrong number of frames",
                found=tuple(window.shape),
                expected=f"(B, {self.window}, ...)",
            )
        return window[:, list(self.anchor)], window[:, list(self.partner)]
