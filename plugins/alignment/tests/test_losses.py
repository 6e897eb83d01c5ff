"""Alignment losses against slow references, their invariances, and where their gradients go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sa3dhp_alignment.config import (
    DistillationConfig,
    InfoNceConfig,
    PriorMatchingConfig,
    RehearsalConfig,
    RelationConfig,
)
from sa3dhp_alignment.contrastive import InfoNce, info_nce
from sa3dhp_alignment.distribution import PriorMatching, sliced_wasserstein
from sa3dhp_alignment.plugin import sa3dhp_alignment_losses
from sa3dhp_alignment.reference import slow_info_nce, slow_wasserstein
from sa3dhp_alignment.relational import MotionRelationLoss, PoseRelationLoss, build_relation_loss
from sa3dhp_alignment.supervised import Distillation, Rehearsal
from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance import Subject, parametrize_with_checks
from sa3dhp_core.engine.checkpoint import load_weights, save_weights
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.geometry import average_over_time
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.alignment import AlignmentLoss, Encoded, Labelled, LossInput, LossParts, View
from sa3dhp_core.types import Encoding, Spatial, Temporal

FRAMES, FEATURE = 6, 10
WIDTH = 3 * len(skeleton())


class Poses(nn.Module):
    """A pose prior that keeps coordinates: z is the pose, turned by a fixed orthogonal matrix, times two."""

    def __init__(self) -> None:
        super().__init__()
        self.skeleton, self.latent = skeleton(), WIDTH
        basis = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(1)))[0]
        self.basis = nn.Parameter(basis)

    def encode(self, poses: Tensor) -> Tensor:
        return 2 * poses.flatten(-2) @ self.basis.to(poses)

    def decode(self, z: Tensor) -> Tensor:
        return (0.5 * z @ self.basis.to(z).T).unflatten(-1, (-1, 3))


class Motions(nn.Module):
    """A motion prior that keeps the sum and the first frame; `decode` repeats their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.latent, self.frames = 2 * WIDTH, FRAMES
        self.gain = nn.Parameter(torch.ones(()))

    def encode(self, z: Tensor) -> Tensor:
        return self.gain * torch.cat([z.sum(dim=-2), z[..., 0, :]], dim=-1)

    def decode(self, v: Tensor) -> Tensor:
        return (v[..., :WIDTH] / FRAMES)[..., None, :].expand(*v.shape[:-1], FRAMES, WIDTH)


class Identity(nn.Module):
    """Answers with the embedding itself."""

    def forward(self, embedding: Tensor, condition: Tensor) -> Tensor:
        return embedding


@pytest.fixture(scope="module")
def relations() -> Mapping[str, Any]:
    host, found = Host.load(), {}
    for name, expression in {"flip": "flip", "same": "identity", "back": "backward", "slow": "slow(2)"}.items():
        table = {"use": "geometric", "expression": expression, "name": name}
        found[name] = host.build("relation", table, "relations", skeleton=skeleton())
    return found


def parts(relations: Mapping[str, Any], *, motion: bool = True, scale: float = 0.5) -> LossParts:
    return LossParts(
        skeleton=skeleton(),
        pose_prior=Poses().requires_grad_(False),
        motion_prior=Motions().requires_grad_(False) if motion else None,
        relations=relations,
        networks={name: Identity() for name in relations},
        scale=torch.full((WIDTH,), scale),
        motion_scale=torch.full((2 * WIDTH,), 2 * scale),
        frames=FRAMES,
        latent=WIDTH,
        motion_latent=2 * WIDTH,
        feature=FEATURE,
    )


def poses(count: int, seed: int) -> Tensor:
    drawn = 0.3 * torch.randn(count, len(skeleton()), 3, generator=torch.Generator().manual_seed(seed))
    return drawn - drawn[:, :1]


def given_for(loss: Any, encode: Any, clips: int = 3, seed: int = 0, **more: Any) -> LossInput:
    """A step's material: `encode(view, frame numbers) -> (clips, T, J, 3)` poses or z, and elements of the view."""
    views = {}
    for view in loss.views:
        frames = range(loss.window) if view.frames is None else view.frames
        z, spatial = encode(view, list(frames))
        feature = torch.randn(
            clips, len(z[0]), FEATURE, generator=torch.Generator().manual_seed(crc32(view.photometric.encode()))
        )
        views[view] = Encoded(z, feature, spatial)
    generator = torch.Generator().manual_seed(seed)
    values = {"prior_poses": poses(40, 9), "labelled": {}, **more}
    return LossInput(views=views, generator=generator, step=0, steps=1, **values)


def exact(material: LossParts, motion: Tensor) -> Any:
    """An encoder that is right about everything: z of the moved pose."""

    def encode(view: View, frames: list[int]) -> tuple[Tensor, Spatial | None]:
        shown = motion[:, frames]
        if not view.spatial:
            return material.pose_prior.encode(shown), None
        relation = material.relations[view.spatial]
        spatial = relation.draw((len(motion), len(frames)), torch.Generator().manual_seed(4))
        return material.pose_prior.encode(relation.on_poses(shown, spatial)), spatial

    return encode


def units(count: int, width: int, seed: int) -> Tensor:
    drawn = torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return nn.functional.normalize(drawn, dim=-1)


@given(seed=st.integers(0, 999), clips=st.lists(st.integers(0, 3), min_size=1, max_size=7))
@settings(max_examples=20, deadline=None)
def test_info_nce_is_what_the_definition_says(seed: int, clips: list[int]) -> None:
    first, second = units(len(clips), 4, seed), units(len(clips), 4, seed + 1)
    value = info_nce(first, second, torch.tensor(clips), 0.3)
    assert float(value) == pytest.approx(slow_info_nce(list(first), list(second), clips, 0.3), rel=1e-9, abs=1e-12)
    order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(seed))
    assert float(info_nce(first[order], second[order], torch.tensor(clips)[order], 0.3)) == pytest.approx(float(value))
    assert float(info_nce(second, first, torch.tensor(clips), 0.3)) == pytest.approx(float(value))


@pytest.mark.parametrize("level", ["frame", "motion"])
def test_contrast_trains_its_head_and_the_encoder_but_no_prior(relations: Mapping[str, Any], level: str) -> None:
    material = parts(relations)
    material.motion_prior.requires_grad_(True)
    loss = InfoNce(InfoNceConfig(level=level, widths=(8, 5), stride=2), parts=material)
    leaves = {view: torch.randn(3, FRAMES, WIDTH, requires_grad=True) for view in loss.views}
    given_ = given_for(loss, lambda view, frames: (leaves[view][:, frames], None))
    for encoded in given_.views.values():
        encoded.feature.requires_grad_(True)
    value = loss(given_)
    value.backward()
    assert float(value) > 0
    assert all(bool(p.grad.abs().sum() > 0) for p in loss.head.parameters())
    touched = [encoded.feature.grad for encoded in given_.views.values()]
    if level == "motion":
        touched = [leaf.grad for leaf in leaves.values()]
    assert all(t is not None and bool(t.abs().sum() > 0) for t in touched)
    assert not any("prior" in name or "gain" in name for name in loss.state_dict())
    assert [m.out_features for m in loss.head if isinstance(m, nn.Linear)] == [8, 5]
    assert loss.name == {"frame": "lcr", "motion": "hcr"}[level]


@pytest.mark.parametrize(("relation", "kind"), [("flip", PoseRelationLoss), ("back", MotionRelationLoss)])
def test_a_relation_acts_where_it_says(relations: Mapping[str, Any], relation: str, kind: type) -> None:
    loss = build_relation_loss(RelationConfig(relation=relation), parts=parts(relations))
    assert type(loss) is kind
    temporal: Temporal = relations[relation].temporal(FRAMES)
    anchor, partner = loss.views
    assert (anchor.frames, partner.frames, loss.window) == (temporal.anchor, temporal.partner, temporal.window)
    assert (anchor.spatial, partner.spatial, anchor.by, partner.by) == ("", relation, "stopped", "student")
    assert loss.name == f"relation:{relation}"
    for name in AlignmentLoss.__annotations__:
        assert hasattr(loss, name)


@pytest.mark.parametrize("answer", ["network", "identity", "pose"])
@pytest.mark.parametrize("space", ["latent", "pose"])
def test_equal_views_under_the_identity_cost_nothing(relations: Mapping[str, Any], answer: str, space: str) -> None:
    material = parts(relations)
    loss = build_relation_loss(RelationConfig(relation="same", answer=answer, space=space), parts=material)
    motion = poses(3 * loss.window, 2).unflatten(0, (3, -1))
    assert float(loss(given_for(loss, exact(material, motion)))) == pytest.approx(0, abs=1e-6)


def test_the_true_answer_costs_nothing_and_its_absence_does(relations: Mapping[str, Any]) -> None:
    material = parts(relations)
    motion = poses(3 * FRAMES, 2).unflatten(0, (3, -1))
    for space in ("latent", "pose"):
        right = build_relation_loss(RelationConfig(relation="flip", answer="pose", space=space), parts=material)
        wrong = build_relation_loss(RelationConfig(relation="flip", answer="identity", space=space), parts=material)
        assert float(right(given_for(right, exact(material, motion)))) == pytest.approx(0, abs=1e-5)
        assert float(wrong(given_for(wrong, exact(material, motion)))) > 0.1


def test_relation_losses_by_hand(relations: Mapping[str, Any]) -> None:
    material = parts(relations, scale=0.25)
    motion = poses(2 * FRAMES, 3).unflatten(0, (2, -1))
    z = material.pose_prior.encode(motion)
    flipped = material.pose_prior.encode(
        relations["flip"].on_poses(motion, relations["flip"].draw((2, 1), torch.Generator()))
    )
    moved = z.flip(1)
    by_hand = {
        ("flip", "l1", True): (z - flipped).abs().mean() / 0.25,
        ("flip", "l1", False): (z - flipped).abs().mean(),
        ("flip", "l2", False): (z - flipped).square().mean().sqrt(),
        ("back", "l1", True): (material.motion_prior.encode(z) - material.motion_prior.encode(moved)).abs().mean()
        / 0.5,
    }
    for (relation, norm, scaled), expected in by_hand.items():
        loss = build_relation_loss(RelationConfig(relation=relation, norm=norm, scaled=scaled), parts=material)
        assert float(loss(given_for(loss, exact(material, motion), clips=2))) == pytest.approx(
            float(expected), rel=1e-5
        )


@pytest.mark.parametrize("relation", ["flip", "back"])
def test_frozen_parts_get_no_gradient_and_the_partner_does(relations: Mapping[str, Any], relation: str) -> None:
    material = parts(relations)
    loss = build_relation_loss(RelationConfig(relation=relation), parts=material)
    motion = poses(3 * loss.window, 2).unflatten(0, (3, -1))
    given_ = given_for(loss, exact(material, motion))
    for view, encoded in given_.views.items():
        encoded.z.requires_grad_(view.by == "student")
    loss(given_).backward()
    anchor, partner = (given_.views[view].z for view in loss.views)
    assert anchor.grad is None and bool(partner.grad.abs().sum() > 0)
    assert all(p.grad is None for m in (material.pose_prior, material.motion_prior) for p in m.parameters())
    assert loss.state_dict() == {}, "frozen parts are no part of a loss's own state"


def test_a_stride_leaves_frames_out(relations: Mapping[str, Any]) -> None:
    material = parts(relations)
    loss = build_relation_loss(RelationConfig(relation="flip", stride=4, consensus=("same",)), parts=material)
    assert {view.frames for view in loss.views} == {(0, 4)} and loss.window == FRAMES
    for relation in ("", "flip"):
        (view,) = PriorMatching(PriorMatchingConfig(relation=relation, stride=4), parts=material).views
        assert view.frames == (0, 4)


def test_smoothed_anchors_see_every_frame_and_teach_some(relations: Mapping[str, Any]) -> None:
    material = parts(relations)
    config = RelationConfig(relation="same", answer="identity", smooth=3, stride=2, scaled=False)
    loss = build_relation_loss(config, parts=material)
    anchor, partner = loss.views
    assert (anchor.frames, partner.frames) == (tuple(range(FRAMES)), tuple(range(0, FRAMES, 2)))
    motion = poses(3 * FRAMES, 2).unflatten(0, (3, -1))
    z = material.pose_prior.encode(motion)
    expected = (average_over_time(z, 3) - z)[:, ::2].abs().mean()
    assert float(loss(given_for(loss, exact(material, motion)))) == pytest.approx(float(expected), rel=1e-4)


def test_denoising_pulls_towards_the_motion_prior(relations: Mapping[str, Any]) -> None:
    material = parts(relations)
    config = {"relation": "same", "answer": "identity", "scaled": False}
    motion = poses(3 * FRAMES, 2).unflatten(0, (3, -1))
    z = material.pose_prior.encode(motion)
    projected = material.motion_prior.decode(material.motion_prior.encode(z))
    for amount in (0.25, 1.0):
        loss = build_relation_loss(RelationConfig(denoise=amount, **config), parts=material)
        expected = amount * (z - projected).abs().mean()
        assert float(loss(given_for(loss, exact(material, motion)))) == pytest.approx(float(expected), rel=1e-4)


def test_a_consensus_averages_what_comes_back(relations: Mapping[str, Any]) -> None:
    material = parts(relations)
    motion = poses(3 * FRAMES, 2).unflatten(0, (3, -1))
    loss = build_relation_loss(RelationConfig(relation="same", answer="identity", consensus=("flip",)), parts=material)
    assert [(view.spatial, view.by) for view in loss.views] == [
        ("", "stopped"),
        ("flip", "stopped"),
        ("same", "student"),
    ]
    right = exact(material, motion)
    assert float(loss(given_for(loss, right))) == pytest.approx(0, abs=1e-5), "one's mirror image, mirrored, is oneself"
    error = 0.1 * poses(3 * FRAMES, 5).unflatten(0, (3, -1))

    def half_wrong(view: View, frames: list[int]) -> tuple[Tensor, Spatial | None]:
        return exact(material, motion + error)(view, frames) if view.spatial == "flip" else right(view, frames)

    expected = 0.5 * material.pose_prior.encode(error).abs().mean() / 0.5
    assert float(loss(given_for(loss, half_wrong))) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize(
    ("config", "motion", "said"),
    [
        (RelationConfig(relation="flip", consensus=("flop",)), True, "did you mean 'flip'"),
        (RelationConfig(relation="flip", consensus=("back",)), True, "single frames"),
        (RelationConfig(relation="flp"), True, "did you mean 'flip'"),
        (RelationConfig(relation="back"), False, "motion_prior"),
        (RelationConfig(relation="back", stride=2), True, "every frame"),
        (RelationConfig(relation="flip", denoise=0.5), False, "motion_prior"),
        (RelationConfig(relation="back", answer="pose"), True, "detour"),
    ],
)
def test_impossible_relations_are_refused(
    relations: Mapping[str, Any], config: RelationConfig, motion: bool, said: str
) -> None:
    with pytest.raises(RecipeError, match="relation") as caught:
        build_relation_loss(config, parts=parts(relations, motion=motion))
    assert said in str(caught.value)


def test_prior_matching_refuses_an_unknown_relation(relations: Mapping[str, Any]) -> None:
    with pytest.raises(RecipeError, match="did you mean 'flip'"):
        PriorMatching(PriorMatchingConfig(relation="flipp"), parts=parts(relations))


@given(seed=st.integers(0, 999), count=st.integers(2, 9), other=st.integers(2, 9))
@settings(max_examples=20, deadline=None)
def test_sliced_wasserstein_is_a_distance_of_samples(seed: int, count: int, other: int) -> None:
    def distance(a: Tensor, b: Tensor) -> float:
        return float(sliced_wasserstein(a, b, 12, torch.Generator().manual_seed(seed)))

    draws = torch.Generator().manual_seed(seed)
    first = torch.randn(count, 4, generator=draws, dtype=torch.float64)
    second = torch.randn(other, 4, generator=draws, dtype=torch.float64) + 1
    order = torch.randperm(count, generator=draws)
    assert distance(first, first[order]) == pytest.approx(0, abs=1e-20)
    assert distance(first, second) == pytest.approx(distance(second, first)) and distance(first, second) > 0
    same_size = second[:1].expand(count, 4) + first.flip(1)
    assert distance(first, same_size) == pytest.approx(
        slow_wasserstein(first, same_size, 12, torch.Generator().manual_seed(seed))
    )
    assert distance(first, second) == pytest.approx(
        slow_wasserstein(first, second, 12, torch.Generator().manual_seed(seed))
    )
    assert distance(first, first + 0.5) <= 0.25 * 4 + 1e-9, "no slice is longer than the shift"


def matching(relations: Mapping[str, Any], **keys: Any) -> tuple[PriorMatching, LossParts]:
    material = parts(relations)
    return PriorMatching(PriorMatchingConfig(**{"queue": 10, "projections": 16, **keys}), parts=material), material


def test_matching_falls_where_embeddings_look_like_poses(relations: Mapping[str, Any]) -> None:
    loss, material = matching(relations, queue=0)
    real = material.pose_prior.encode(poses(40, 9))
    near = real[: 3 * FRAMES].unflatten(0, (3, FRAMES)).clone().requires_grad_(True)
    far = torch.zeros(3, FRAMES, WIDTH)
    given_near = given_for(loss, lambda view, frames: (near, None))
    collapsed = loss(given_for(loss, lambda view, frames: (far, None)))
    value = loss(given_near)
    assert float(value) < 0.5 * float(collapsed)
    value.backward()
    assert bool(near.grad.abs().sum() > 0) and material.pose_prior.basis.grad is None


def test_matching_moves_the_prior_as_the_view_moves_the_target(relations: Mapping[str, Any]) -> None:
    shifted = poses(40, 9) + torch.tensor([1.0, 0, 0])
    values = {}
    for relation in ("flip", "same"):
        loss, material = matching(relations, queue=0, relation=relation)
        seen = relations["flip"].on_poses(shifted, relations["flip"].draw((40,), torch.Generator()))
        z = material.pose_prior.encode(seen[: 3 * FRAMES]).unflatten(0, (3, FRAMES))
        values[relation] = float(loss(given_for(loss, lambda view, frames, z=z: (z, None), prior_poses=shifted)))
    assert values["flip"] < 0.2 * values["same"]


def test_the_queue_holds_the_newest_without_gradient_and_is_restored(
    relations: Mapping[str, Any], tmp_path: Any
) -> None:
    loss, _ = matching(relations)
    batches = [torch.randn(1, FRAMES, WIDTH, requires_grad=True) for _ in range(3)]
    for z in batches:
        loss(given_for(loss, lambda view, frames, z=z: (z, None), clips=1))
    kept = torch.cat([batches[2][0], batches[1][0, :4]])
    assert torch.equal(loss._queue, kept.detach()) and int(loss._filled) == 10 and not loss._queue.requires_grad
    save_weights(tmp_path, {"loss": loss})
    other, _ = matching(relations)
    load_weights(tmp_path, {"loss": other})
    encode = lambda view, frames: (batches[0], None)  # noqa: E731
    assert torch.equal(other(given_for(other, encode, clips=1)), loss(given_for(loss, encode, clips=1)))


@pytest.mark.parametrize(
    ("made", "config", "images"),
    [(Rehearsal, RehearsalConfig, "source"), (Distillation, DistillationConfig, "tracks")],
)
def test_supervision_measures_the_pose_and_the_latent(
    relations: Mapping[str, Any], made: Any, config: Any, images: str
) -> None:
    material = parts(relations)
    truth, wrong = poses(5, 1), poses(5, 2)
    z = material.pose_prior.encode(wrong).requires_grad_(True)
    pose = (wrong - truth).norm(dim=-1).mean() / 0.1
    latent = (z - material.pose_prior.encode(truth)).abs().mean() / 0.5
    other = Labelled(Encoding(0 * z, z), poses(5, 3))

    def given_by(encoded: Tensor) -> LossInput:
        both = {"source": other, "tracks": other, images: Labelled(Encoding(encoded, z), truth)}
        return LossInput({}, poses(1, 0), both, torch.Generator(), 0, 1)

    for weight in (0.0, 2.0):
        loss = made(config(latent=weight), parts=material)
        assert loss.labelled == (images,) and loss.views == ()
        assert float(loss(given_by(z))) == pytest.approx(float(pose + weight * latent), rel=1e-4)
    assert float(loss(given_by(material.pose_prior.encode(truth)))) == pytest.approx(0, abs=1e-4)


LOSSES = {component.id: component for component in sa3dhp_alignment_losses()}
OTHER_TABLES = {"motion_contrast": "info-nce", "motion_relation": "relation", "moved_prior": "prior-matching"}
"""Callables of `sa3dhp_alignment.example` that no component has for its own, and the loss that they make a table of."""


@parametrize_with_checks(
    [
        Subject.offered(attrs.evolve(LOSSES[loss], example=f"sa3dhp_alignment.example:{name}"))
        for name, loss in OTHER_TABLES.items()
    ]
)
def test_other_tables_keep_the_promises(check: Any) -> None:
    check()
