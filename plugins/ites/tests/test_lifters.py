"""Lifters: units, the graph's convolution and attention against slow ones, and any trunk with either head."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import attrs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.strategies import random_poses
from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_core.geometry import turn_between
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.lifter import Lifter
from sa3dhp_core.types import Skeleton
from sa3dhp_ites import plugin
from sa3dhp_ites.graph import PartAttention, SemanticConvolution, groups
from sa3dhp_ites.lifter import lift_all
from sa3dhp_ites.perceptron import folded
from sa3dhp_ites.units import DISTANCE, Normaliser

BODY = skeleton()
ROOT, TOP = BODY.index(BODY.root), BODY.index("head")
HOST = Host.of([*plugin.sa3dhp_lifters(), *plugin.sa3dhp_methods()])
SMALL: dict[str, dict[str, Any]] = {
    "ites-mlp": {"width": 32, "bottleneck": 16, "blocks": 1},
    "ites-graph": {"width": 8, "blocks": 1},
}


def lifter(use: str, body: Skeleton = BODY, **keys: Any) -> Any:
    """A small lifter of the plugin, the same at every call."""
    torch.manual_seed(0)
    return HOST.build("lifter", {"use": use, **SMALL[use], **keys}, "lifter", skeleton=body)


def keypoints(*lead: int, seed: int = 0) -> Tensor:
    """Places on the camera plane of people about 4 m away."""
    return 0.1 * torch.randn(*lead, len(BODY), 2, generator=torch.Generator().manual_seed(seed)) + 0.05


def chain(*joints: str) -> Skeleton:
    """A skeleton of one chain, whose part is all of it but the root."""
    parents = {child: parent for parent, child in pairwise(joints)} | {joints[0]: joints[0]}
    lengths = dict.fromkeys(joints[1:], 0.5)
    return Skeleton("chain", joints, parents, (), joints[0], lengths, {"chain": joints[1:]})


@pytest.mark.parametrize("use", SMALL)
@given(seed=st.integers(0, 100), count=st.integers(1, 9), size=st.integers(1, 5))
def test_lifting_many_at_once_with_folded_norms_gives_the_same_poses(
    use: str, seed: int, count: int, size: int
) -> None:
    made = lifter(use, head="dictionary").double().eval()
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in made.named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.1)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    points = keypoints(count, seed=seed).double()
    torch.testing.assert_close(lift_all(made, points, size), made(points).detach(), atol=1e-10, rtol=1e-8)
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


def test_folding_leaves_no_norm_behind_a_linear_map() -> None:
    quick = folded(lifter("ites-mlp"))
    assert not quick.training and not [part for part in quick.modules() if isinstance(part, torch.nn.BatchNorm1d)]


@pytest.mark.parametrize("use", SMALL)
@pytest.mark.parametrize("head", ["dictionary", "depth"])
def test_any_trunk_goes_with_either_head(use: str, head: str) -> None:
    made = lifter(use, head=head).eval()
    assert isinstance(made, Lifter) and made.canonical == (head == "dictionary")
    poses = made(keypoints(2, 3))
    assert poses.shape == (2, 3, len(BODY), 3) and float(poses[..., ROOT, :].detach().abs().max()) == 0
    assert torch.allclose(made(keypoints(2, 3)[1, 2]), poses[1, 2], atol=1e-5)
    assert made(keypoints(0)).shape == (0, len(BODY), 3)
    points = made.units(keypoints(4))
    lifted = made.lift(points)
    place = lifted.points[..., :2] / (lifted.points[..., 2:] + DISTANCE).clamp_min(1.0)
    assert torch.allclose(place, points, atol=1e-6)
    if head == "dictionary":
        shapes, moved = lifted.canonical, lifted.modelled
        assert torch.allclose(torch.cdist(shapes, shapes), torch.cdist(moved, moved), atol=1e-4)
        assert torch.equal(lifted.points[..., 2], moved[..., 2])


def test_a_joint_that_was_not_seen_is_where_the_dictionary_puts_it() -> None:
    made, holed = lifter("ites-mlp").eval(), keypoints(3)
    holed[1, 4] = torch.nan
    made.units.fit(keypoints(50))
    points = made.units(holed)
    lifted, poses = made.lift(points), made(holed)
    root = lifted.points[1, ROOT]
    assert torch.allclose(poses[1, 4], (lifted.modelled[1, 4] - root) * made.units.unit_m)
    assert torch.allclose(poses[1, 5], (lifted.points[1, 5] - root) * made.units.unit_m)
    assert not torch.allclose(lifted.modelled[1, 4], lifted.points[1, 4], atol=1e-3)


@pytest.mark.parametrize("use", SMALL)
def test_every_weight_learns(use: str) -> None:
    for head in ("dictionary", "depth"):
        made = lifter(use, head=head).train()
        (made(keypoints(8)) * torch.randn(8, len(BODY), 3)).sum().backward()
        assert [name for name, p in made.named_parameters() if p.grad is None or not bool((p.grad != 0).any())] == []


@pytest.mark.parametrize("use", SMALL)
def test_a_lifter_is_built_for_any_skeleton(use: str) -> None:
    body = chain("root", "belly", "brow")
    made = lifter(use, body, top="brow").eval()
    assert made(torch.randn(4, 3, 2)).shape == (4, 3, 3) and made.units.unit_m == pytest.approx(1.0)
    with pytest.raises(RecipeError, match="sizes are measured"):
        lifter(use, body)


def test_units_are_those_of_the_frames_that_they_are_fitted_to() -> None:
    points, units = keypoints(50), Normaliser(BODY, "head")
    units.fit(points)
    scaled = units(points)
    assert float(scaled[:, ROOT].abs().max()) == 0
    assert float(scaled[:, TOP].norm(dim=-1).mean()) == pytest.approx(1 / DISTANCE, rel=1e-5)
    assert torch.allclose(units(3 * points + 1), 3 * scaled, atol=1e-5)
    assert units.unit_m == pytest.approx(0.23 + 0.25 + 0.11 + 0.115)


@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_centred_units_see_everyone_from_a_camera_that_looks_at_the_root(across: float, down: float) -> None:
    """Where someone stands in the image changes nothing but the direction that the pose is turned back to."""
    pose = random_poses(BODY, 3, 1).float()[0]
    ray = torch.nn.functional.normalize(torch.tensor([across, down, 1.0]), dim=0)
    turn = turn_between(ray, torch.tensor([0.0, 0.0, 1.0]))
    beside = (pose + torch.tensor([0.0, 0.0, 4.0])) @ turn  # the same person, in a camera turned away
    straight, aside = (at[:, :2] / at[:, 2:] for at in (pose + torch.tensor([0.0, 0.0, 4.0]), beside))
    units = Normaliser(BODY, "head", centred=True)
    assert torch.allclose(units(aside), units(straight), atol=1e-5)
    made = lifter("ites-mlp", centred=True).eval()
    assert torch.allclose(made(aside), made(straight) @ turn, atol=1e-4)
    holed = aside.clone()
    holed[ROOT] = torch.nan
    assert bool(made(holed).isfinite().all())


def test_unseen_joints_get_their_usual_places() -> None:
    points, units = keypoints(50), Normaliser(BODY, "head")
    units.fit(points)
    holed = points.clone()
    holed[3, 5] = torch.nan
    again = units(holed)
    assert torch.equal(again[:3], units(points)[:3]) and bool(again.isfinite().all())
    seen = [joint for joint in range(len(BODY)) if joint != 5]
    assert torch.allclose(again[3, seen], units(points)[3, seen])
    middle = (units(points)[3] - units.usual)[seen].mean(dim=0)
    assert torch.allclose(again[3, 5], units.usual[5] + middle, atol=1e-6)
    holed[4] = torch.nan
    assert torch.allclose(units(holed)[4], units.usual, atol=1e-6)
    holed[4, 1], holed[4, 2] = points[4, 1], points[4, 2]
    assert bool(units(holed)[4].isfinite().all())


def test_units_cannot_be_fitted_where_nothing_shows_a_size() -> None:
    points = keypoints(5)
    points[:, TOP] = torch.nan
    with pytest.raises(DataError, match="no frame shows both"):
        Normaliser(BODY, "head").fit(points)
    with pytest.raises(DataError, match="no frame shows both"):
        Normaliser(BODY, "head").fit(torch.zeros(3, len(BODY), 2))
    with pytest.raises(DataError, match="keypoints do not fit"):
        Normaliser(BODY, "head")(torch.zeros(3, 4, 2))


def swapped(layer: torch.nn.Module, values: Tensor) -> Tensor:
    """A layer whose first axis are joints, called with ``(N, J, C)``."""
    found: Tensor = layer(values.transpose(0, 1)).transpose(0, 1)
    return found


def slow_convolution(layer: SemanticConvolution, values: Tensor, body: Skeleton) -> Tensor:
    """Joint by joint, channel by channel, by the definition."""
    out = torch.zeros(*values.shape[:-1], layer.own.out_features)
    pairs = [tuple(pair) for pair in layer.edge_index.T.tolist()] + [(j, j) for j in range(len(body))]
    for joint in range(len(body)):
        heard = [(k, start) for k, (start, end) in enumerate(pairs) if end == joint]
        weights = torch.stack([layer.logits[k] for k, _ in heard]).softmax(dim=0)
        for weight, (_, start) in zip(weights, heard, strict=True):
            said = (layer.own if start == joint else layer.other)(values[:, start])
            out[:, joint] = out[:, joint] + weight * said
    return out


@given(st.integers(0, 1000))
def test_the_convolution_is_a_weighted_mean_over_neighbours(seed: int) -> None:
    torch.manual_seed(seed)
    layer, values = SemanticConvolution(3, 5, BODY), torch.randn(4, len(BODY), 3)
    neighbours = {(s, e) for s, e in layer.edge_index.T.tolist()}
    bones = {(BODY.parent_indices[end], end) for end in BODY.bones}
    assert neighbours == bones | {pair[::-1] for pair in bones}
    assert torch.allclose(swapped(layer, values), slow_convolution(layer, values, BODY), atol=1e-5)


def test_the_gradient_of_the_convolution_is_right() -> None:
    torch.manual_seed(0)
    layer = SemanticConvolution(2, 3, BODY).double()
    values = torch.randn(2, len(BODY), 2, dtype=torch.float64, requires_grad=True)

    def run(values: Tensor, logits: Tensor) -> Tensor:
        layer.logits = torch.nn.Parameter(logits) if not logits.requires_grad else layer.logits
        found = swapped(layer, values)
        return found

    assert torch.autograd.gradcheck(lambda x: run(x, layer.logits), (values,))
    swapped(layer, values).square().sum().backward()
    assert layer.logits.grad is not None
    slow = torch.autograd.grad(slow_convolution(layer, values.detach(), BODY).square().sum(), layer.logits)[0]
    assert torch.allclose(layer.logits.grad, slow)


def comb(joints: int) -> Skeleton:
    """A chain whose parts are every second joint: no part's joints stand in a row."""
    names = [f"joint {number}" for number in range(joints)]
    return attrs.evolve(chain(*names), parts={"even": tuple(names[2::2]), "odd": tuple(names[1::2])})


@pytest.mark.parametrize("body", [BODY, comb(6)], ids=["house", "comb"])
def test_attention_is_over_the_greatest_of_each_part(body: Skeleton) -> None:
    torch.manual_seed(1)
    layer, values = PartAttention(6, body).eval(), torch.randn(2, len(body), 6)
    torch.nn.init.normal_(layer.leave.weight)
    told = layer.tell(values)
    rows = []
    for frame in range(2):
        for joint in range(len(body)):
            parts = torch.stack([told[frame, list(part)].max(dim=0).values for part in groups(body)])
            weight = (parts[:, :3] @ layer.ask(values[frame, joint]) / 3**0.5).softmax(dim=0)
            rows.append(values[frame, joint] + layer.norm(layer.leave(weight @ parts[:, 3:])[None])[0])
    assert torch.allclose(swapped(layer, values), torch.stack(rows).view_as(values), atol=1e-5)
    assert sorted(joint for part in groups(body) for joint in part) == list(range(len(body)))


def test_descriptors_load_and_are_published_by_default() -> None:
    published = {"ites-mlp": (1024, 6), "ites-graph": (128, 4)}
    for component in plugin.sa3dhp_lifters():
        config = component.load_config()()
        assert (config.width, config.blocks) == published[component.id]
        assert all(field.metadata["help"] for field in attrs.fields(component.load_config()))
