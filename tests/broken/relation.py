"""Relations that each break one promise, beside some that keep all."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance import Subject
from sa3dhp_core.conformance.reference import MatrixRelation
from sa3dhp_core.geometry import act_on_images, act_on_poses, mirror_matrix, rotation_x, rotation_z
from sa3dhp_core.types import Skeleton, Spatial, Temporal

BODY = skeleton()
CLAIMS = ("geometric", "acts-on-images", "keeps-bones")


class Faulty:
    """A mirror after a turn; a subclass breaks one thing."""

    name, condition, acts_on_time = "faulty", 0, False
    matrix = mirror_matrix() @ rotation_z(math.radians(40.0))

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Spatial:
        return Spatial(self.matrix.expand(*shape, 3, 3), torch.zeros(*shape, self.condition))

    def temporal(self, frames: int) -> Temporal:
        return Temporal(frames, tuple(range(frames)), tuple(range(frames)))

    def on_poses(self, poses: Tensor, spatial: Spatial) -> Tensor:
        return act_on_poses(spatial.matrix.to(poses), poses, BODY)

    def on_images(self, images: Tensor, spatial: Spatial, intrinsics: Tensor) -> Tensor:
        return act_on_images(spatial.matrix.to(images), images, intrinsics)

    def inverse(self) -> Any:
        return MatrixRelation(self.matrix.mT, BODY)

    def __matmul__(self, first: Any) -> Any:
        return MatrixRelation(self.matrix @ first.matrix, BODY)


class Nameless(Faulty):
    name = ""


class Stretched(Faulty):
    matrix = 1.1 * Faulty.matrix


class Forgetful(Faulty):
    """Draws from the global generator."""

    condition = 1

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Spatial:
        angle = torch.rand(shape)
        return Spatial(rotation_z(angle), angle[..., None])


class Secretive(Faulty):
    """A family that tells the network nothing."""

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Spatial:
        return Spatial(rotation_z(torch.rand(shape, generator=generator)), torch.zeros(*shape, 0))


class OneSided(Faulty):
    """Mirrors without exchanging left and right."""

    def on_poses(self, poses: Tensor, spatial: Spatial) -> Tensor:
        return poses @ spatial.matrix.to(poses).mT


class Opposite(Faulty):
    """Turns the pose the other way than its matrix says."""

    def on_poses(self, poses: Tensor, spatial: Spatial) -> Tensor:
        return act_on_poses(rotation_z(-0.3).to(poses) @ spatial.matrix.to(poses), poses, BODY)


class Growing(Faulty):
    def on_poses(self, poses: Tensor, spatial: Spatial) -> Tensor:
        return 1.01 * super().on_poses(poses, spatial)


class Single(Faulty):
    """Knows one precision."""

    def on_poses(self, poses: Tensor, spatial: Spatial) -> Tensor:
        return super().on_poses(poses.float(), spatial)


class Detached(Faulty):
    def on_poses(self, poses: Tensor, spatial: Spatial) -> Tensor:
        moved = super().on_poses(poses.detach(), spatial)
        return moved + 0.5 * (poses - poses.detach())


class InPlace(Faulty):
    def on_poses(self, poses: Tensor, spatial: Spatial) -> Tensor:
        return poses.copy_(super().on_poses(poses, spatial))


class Overlong(Faulty):
    """Its partner leaves the window."""

    acts_on_time = True

    def temporal(self, frames: int) -> Temporal:
        return Temporal(frames, tuple(range(frames)), tuple(range(1, frames + 1)))


class Timeless(Faulty):
    """Reverses time and does not say so."""

    def temporal(self, frames: int) -> Temporal:
        return Temporal(frames, tuple(range(frames)), tuple(range(frames))[::-1])


class Askew(Faulty):
    """Turns crops by three degrees more than poses."""

    def on_images(self, images: Tensor, spatial: Spatial, intrinsics: Tensor) -> Tensor:
        more = rotation_z(math.radians(3.0)) @ spatial.matrix
        return act_on_images(more.to(images), images, intrinsics)


class Bright(Faulty):
    def on_images(self, images: Tensor, spatial: Spatial, intrinsics: Tensor) -> Tensor:
        return 1.2 * super().on_images(images, spatial, intrinsics)


class Tilted(Faulty):
    """Twice a tilt is a greater tilt; its inverse is itself, and its square too, or so it says."""

    matrix = rotation_x(math.radians(8.0))

    def inverse(self) -> Any:
        return self

    def __matmul__(self, first: Any) -> Any:
        return self


def faulty(kind: type[Faulty], *more: str) -> Subject:
    """A subject that claims what relations usually do, and `more`."""
    return Subject.given(kind(), noun="relation", id=kind.__name__.lower(), capabilities=(*CLAIMS, *more))


def build(config: Any, skeleton: Skeleton) -> MatrixRelation:
    """Target of components of the tests."""
    return MatrixRelation(mirror_matrix(), skeleton)


GOOD = [
    faulty(Faulty, "involution"),
    Subject.given(MatrixRelation(rotation_x(math.radians(10.0)), BODY, backward=True)),
]
BROKEN = {
    "has-the-attributes": faulty(Nameless),
    "draws-orthogonal-elements": faulty(Stretched),
    "draws-from-its-generator-alone": faulty(Forgetful),
    "tells-its-element": faulty(Secretive),
    "moves-poses-as-its-matrix": faulty(Opposite),
    "acts-alike-on-keypoints": faulty(Opposite),
    "keeps-bone-lengths": faulty(Growing),
    "exchanges-mirror-pairs": faulty(OneSided),
    "keeps-dtype-device-and-axes": faulty(Single),
    "is-differentiable": faulty(Detached),
    "leaves-its-input-alone": faulty(InPlace),
    "re-indexes-time-inside-its-window": faulty(Overlong),
    "says-whether-it-acts-on-time": faulty(Timeless),
    "commutes-with-rendering": faulty(Askew),
    "keeps-crops-in-range": faulty(Bright),
    "twice-is-the-identity": faulty(Tilted, "involution"),
    "inverse-undoes": faulty(Tilted, "invertible"),
    "composes-right-first": faulty(Tilted, "composes"),
}
