"""A relation that is not geometric: two limbs exchange poses. No camera does that, so images have no such action."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from sa3dhp_core.errors import RecipeError, nearest
from sa3dhp_core.types import Skeleton, Spatial, Temporal
from sa3dhp_relations.config import LimbExchange


@attrs.frozen
class LimbExchangeRelation:
    """Bone directions of one limb are given to the other and back; bone lengths stay with their bones."""

    skeleton: Skeleton
    first: tuple[str, ...]
    second: tuple[str, ...]
    name: str
    condition: int = 0
    acts_on_time: bool = False

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Spatial:
        """The camera stays: identity matrices; nothing is drawn."""
        return Spatial(torch.eye(3).expand(*shape, 3, 3), torch.zeros(*shape, 0))

    def temporal(self, frames: int) -> Temporal:
        """Time stays."""
        return Temporal(frames, tuple(range(frames)), tuple(range(frames)))

    def on_poses(self, poses: Tensor, spatial: Spatial) -> Tensor:
        """``(..., J, 3)``: the limbs' bone directions exchanged, each bone keeping its own length."""
        partner = dict(zip(self.first + self.second, self.second + self.first, strict=True))
        root = self.skeleton.index(self.skeleton.root)
        moved = {root: poses[..., root, :]}
        for joint in self.skeleton.bones:
            parent = self.skeleton.parent_indices[joint]
            other = self.skeleton.index(partner.get(self.skeleton.joints[joint], self.skeleton.joints[joint]))
            direction = poses[..., other, :] - poses[..., self.skeleton.parent_indices[other], :]
            own = poses[..., joint, :] - poses[..., parent, :]
            length = own.norm(dim=-1, keepdim=True)
            moved[joint] = moved[parent] + direction * length / direction.norm(dim=-1, keepdim=True).clamp_min(1e-9)
        return torch.stack([moved[joint] for joint in range(len(self.skeleton))], dim=-2)

    def on_images(self, images: Tensor, spatial: Spatial, intrinsics: Tensor) -> Tensor:
        """Raises `RecipeError`: no warp of an image exchanges a person's limbs."""
        raise RecipeError(
            f"relation {self.name!r} acts on poses alone; an image of exchanged limbs cannot be made from the image",
            expected="a geometric relation wherever images are moved",
            hint="use it for latent distances only, or put a relation such as 'flip' into the loss",
        )


def limb_exchange(config: LimbExchange, skeleton: Skeleton) -> LimbExchangeRelation:
    """Target of the component `limb-exchange`."""
    for part in (config.first, config.second):
        if part not in skeleton.parts:
            raise RecipeError(
                f"skeleton {skeleton.id!r} has no part {part!r}", found=part, hint=nearest(part, skeleton.parts)
            )
    first, second = skeleton.parts[config.first], skeleton.parts[config.second]
    if config.first == config.second or len(first) != len(second):
        raise RecipeError(
            "limbs that exchange their poses are two parts with equally many joints",
            found=f"{config.first} ({len(first)} joints), {config.second} ({len(second)} joints)",
        )
    name = config.name or f"limb-exchange({config.first}, {config.second})"
    return LimbExchangeRelation(skeleton, first, second, name)
