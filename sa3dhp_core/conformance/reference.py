"""Plain relations that need no plugin: what strategies draw, and what relation networks learn on the bench."""

from __future__ import annotations

import math

import attrs
import torch
from torch import Tensor

from sa3dhp_core.geometry import act_on_images, act_on_poses, rotation_z
from sa3dhp_core.types import Skeleton, Spatial, Temporal


@attrs.frozen(eq=False)
class MatrixRelation:
    """One matrix of O(3), forward or backward in time; implements `sa3dhp_core.protocols.relation.Relation`.

    Attributes:
        matrix: ``(3, 3)`` orthogonal.
        skeleton: of the poses that it acts on.
        backward: whether time is reversed.
        name: what losses call it.
    """

    matrix: Tensor
    skeleton: Skeleton
    backward: bool = False
    name: str = "matrix"
    condition: int = 0
    capabilities: frozenset[str] = frozenset({"geometric", "acts-on-images", "keeps-bones"})

    @property
    def acts_on_time(self) -> bool:
        """Whether anchor and partner differ in time."""
        return self.backward

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Spatial:
        """The matrix, repeated."""
        dtype = torch.get_default_dtype()
        return Spatial(self.matrix.to(dtype).expand(*shape, 3, 3), torch.zeros(*shape, 0))

    def temporal(self, frames: int) -> Temporal:
        """The same frames, in reverse if backward."""
        order = tuple(range(frames))
        return Temporal(frames, order, order[::-1] if self.backward else order)

    def on_poses(self, poses: Tensor, spatial: Spatial) -> Tensor:
        """``(..., J, 3)`` -> ``(..., J, 3)``."""
        return act_on_poses(spatial.matrix.to(poses), poses, self.skeleton)

    def on_images(self, images: Tensor, spatial: Spatial, intrinsics: Tensor) -> Tensor:
        """``(..., 3, H, W)`` -> ``(..., 3, H, W)``."""
        return act_on_images(spatial.matrix.to(images), images, intrinsics)


@attrs.frozen(eq=False)
class Turning:
    """In-plane turns by up to 60 degrees either way, drawn; implements `sa3dhp_core.protocols.relation.Relation`.

    A network is told the whole matrix.

    Attributes:
        skeleton: of the poses that it acts on.
        name: what losses call it.
    """

    skeleton: Skeleton
    name: str = "turning"
    condition: int = 9
    acts_on_time: bool = False
    capabilities: frozenset[str] = frozenset({"geometric", "acts-on-images", "keeps-bones"})

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Spatial:
        """Uniform angles."""
        matrix = rotation_z(math.radians(60.0) * (2 * torch.rand(shape, generator=generator) - 1))
        return Spatial(matrix, matrix.flatten(-2))

    def temporal(self, frames: int) -> Temporal:
        """The same frames."""
        order = tuple(range(frames))
        return Temporal(frames, order, order)

    def on_poses(self, poses: Tensor, spatial: Spatial) -> Tensor:
        """``(..., J, 3)`` -> ``(..., J, 3)``."""
        matrix = spatial.matrix.to(poses)
        return act_on_poses(matrix, poses, self.skeleton)

    def on_images(self, images: Tensor, spatial: Spatial, intrinsics: Tensor) -> Tensor:
        """``(..., 3, H, W)`` -> ``(..., 3, H, W)``."""
        return act_on_images(spatial.matrix.to(images), images, intrinsics)
