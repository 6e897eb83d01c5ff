"""Non-local relation distillation (METHOD 1.2, L^z_r and L^v_r), as published or in the form that does not collapse.

As published both sides keep their gradient and nothing is scaled; then every fixed point of the relation, a constant
encoder included, satisfies the energy. Stopping the anchor's gradient and dividing by the latent scale is what pays.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor, nn

from sa3dhp_alignment.config import RelationConfig
from sa3dhp_core.errors import RecipeError, nearest
from sa3dhp_core.geometry import average_over_time
from sa3dhp_core.protocols.alignment import Encoded, LossInput, LossParts, View
from sa3dhp_core.types import Spatial

POSE_SCALE_M = 0.1


def _compare(prediction: Tensor, target: Tensor, norm: str, scale: float | Tensor) -> Tensor:
    difference = (prediction - target) / scale
    return difference.abs().mean() if norm == "l1" else difference.square().mean().sqrt()


class _Energy(nn.Module):
    """What both energies share: names, views, the anchor's denoising by the motion prior."""

    labelled: tuple[str, ...] = ()

    def __init__(self, config: RelationConfig, parts: LossParts) -> None:
        super().__init__()
        self.config, self._parts = config, parts
        self.weight = config.weight
        self.name = config.name or f"relation:{config.relation}"
        self._relation = parts.relations[config.relation]
        temporal = self._relation.temporal(parts.frames)
        partners, whole = temporal.partner[:: config.stride], config.smooth or config.denoise
        anchors = temporal.anchor if whole else temporal.anchor[:: config.stride]
        self._kept = slice(None, None, config.stride if whole else 1)
        self.window = temporal.window
        self._anchor = View(photometric=config.anchor_photometric, frames=anchors, by=config.anchor)
        self._partner = View(
            spatial=config.relation,
            photometric=config.partner_photometric,
            frames=partners,
            per_frame=config.per_frame,
            by=config.partner,
        )
        self._around = tuple(attrs.evolve(self._anchor, spatial=name) for name in config.consensus)
        self.views = (self._anchor, *self._around, self._partner)

    def _sides(self, given: LossInput) -> tuple[Tensor, Encoded]:
        """The anchor's embeddings, averaged and denoised as configured, and the partner."""
        z = self._denoised(average_over_time(self._agreed(given), self.config.smooth))
        return z[:, self._kept], given.views[self._partner]

    def _agreed(self, given: LossInput) -> Tensor:
        """Mean of the anchor's embedding and those of its transformed views, each moved back through the decoder."""
        found = [given.views[self._anchor].z]
        for view in self._around:
            seen, poses = given.views[view], self._parts.pose_prior
            assert seen.spatial is not None
            back = Spatial(seen.spatial.matrix.mT, seen.spatial.condition)
            found.append(poses.encode(self._parts.relations[view.spatial].on_poses(poses.decode(seen.z), back)))
        return torch.stack(found).mean(dim=0) if self._around else found[0]

    def _denoised(self, z: Tensor) -> Tensor:
        if not self.config.denoise:
            return z
        motion = self._parts.motion_prior
        return z.lerp(motion.decode(motion.encode(z)), self.config.denoise)


class PoseRelationLoss(_Energy):
    """``mean |T^z(G(x)) - G(T^x(x))|``; frames are independent, so the relation's order in time is only indexed."""

    def forward(self, given: LossInput) -> Tensor:
        """The scalar energy."""
        z, partner = self._sides(given)
        assert partner.spatial is not None
        poses = self._parts.pose_prior
        if self.config.answer == "network":
            answer = self._parts.networks[self.config.relation](z, partner.spatial.condition)
        elif self.config.answer == "identity":
            answer = z
        elif self.config.space == "pose":
            moved = self._relation.on_poses(poses.decode(z), partner.spatial)
            return _compare(poses.decode(partner.z), moved, self.config.norm, self._pose_scale())
        else:
            answer = poses.encode(self._relation.on_poses(poses.decode(z), partner.spatial))
        if self.config.space == "pose":
            return _compare(poses.decode(partner.z), poses.decode(answer), self.config.norm, self._pose_scale())
        return _compare(partner.z, answer, self.config.norm, self._parts.scale if self.config.scaled else 1.0)

    def _pose_scale(self) -> float:
        return POSE_SCALE_M if self.config.scaled else 1.0


class MotionRelationLoss(_Energy):
    """``mean |T^v(E_m(G(X))) - E_m(G(T^X(X)))|`` for relations that act on time."""

    def forward(self, given: LossInput) -> Tensor:
        """The scalar energy."""
        anchor, partner = self._sides(given)
        v, moved = self._parts.motion_prior.encode(torch.stack([anchor, partner.z]))
        if self.config.answer == "identity":
            answer = v
        else:
            condition = v[..., :0] if partner.spatial is None else partner.spatial.condition[:, 0]
            answer = self._parts.networks[self.config.relation](v, condition)
        scale = self._parts.motion_scale if self.config.scaled else 1.0
        return _compare(moved, answer, self.config.norm, scale)


def build_relation_loss(config: RelationConfig, *, parts: LossParts) -> _Energy:
    """The energy in pose space or in motion space, as the relation acts.

    Raises:
        RecipeError: the relation is unknown, or acts on time while the recipe has no motion prior.
    """
    where = f"losses: relation = {config.relation!r}"
    if config.relation not in parts.relations:
        raise RecipeError(
            "the loss names an unknown relation", where=where, hint=nearest(config.relation, parts.relations)
        )
    for name in config.consensus:
        if name not in parts.relations or parts.relations[name].acts_on_time:
            raise RecipeError(
                "a consensus needs relations of single frames",
                where=f"{where}, consensus",
                found=name,
                hint=nearest(name, [n for n, r in parts.relations.items() if not r.acts_on_time]),
            )
    on_time = parts.relations[config.relation].acts_on_time
    if (on_time or config.denoise) and parts.motion_prior is None:
        raise RecipeError("the loss needs a motion prior", where=where, hint="add a table [motion_prior]")
    if config.stride > 1 and on_time:
        raise RecipeError("the motion prior needs every frame", where=f"{where}, stride", found=config.stride)
    if on_time and config.answer == "pose":
        raise RecipeError("a relation of motions has no detour through the pose decoder", where=where)
    return MotionRelationLoss(config, parts) if on_time else PoseRelationLoss(config, parts)
