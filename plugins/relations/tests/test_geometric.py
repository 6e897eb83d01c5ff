"""Geometric relations act alike on poses, keypoints and images, and compose as their matrices do."""

from __future__ import annotations

import math

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError, RecipeError, Sa3dhpError
from sa3dhp_core.geometry import act_on_keypoints, bone_lengths, project
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.relation import NamesItsCrops, Relation
from sa3dhp_core.types import Spatial
from sa3dhp_relations import build, config
from sa3dhp_relations.geometric import described, geometric, matrices_from
from sa3dhp_relations.limb_exchange import limb_exchange

BODY = skeleton()
FAMILIES = ["flip?", "rotate(-63..63)", "flip? @ rotate(-63..63)", "pan(-15..15)", "tilt(-5..5) @ rotate(10)"]
SINGLES = ["identity", "flip", "rotate(50)", "tilt(10)", "pan(-7.5)", "flip @ rotate(50)", "rotate(90) @ pan(20)"]
everything = st.sampled_from(FAMILIES + SINGLES)
seeds = st.integers(0, 2**31)
quick = settings(max_examples=20, deadline=None)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def poses_of(seed: int, *shape: int) -> torch.Tensor:
    poses = 0.4 * torch.randn(*shape, len(BODY), 3, generator=generator(seed), dtype=torch.float64)
    return poses - poses[..., BODY.index(BODY.root), None, :]


def camera(size: int = 32) -> torch.Tensor:
    return torch.tensor([[40.0, 0, size / 2], [0, 40.0, size / 2], [0, 0, 1]], dtype=torch.float64)


@quick
@given(everything, seeds)
def test_draws_are_orthogonal_and_repeat(expression: str, seed: int) -> None:
    relation = geometric(expression, BODY)
    assert isinstance(relation, Relation)
    one, two = (relation.draw((3, 2), generator(seed)) for _ in range(2))
    assert torch.equal(one.matrix, two.matrix)
    assert torch.equal(one.condition, two.condition)
    assert one.matrix.shape == (3, 2, 3, 3)
    assert one.condition.shape == (3, 2, relation.condition)
    torch.testing.assert_close(one.matrix @ one.matrix.mT, torch.eye(3).expand(3, 2, 3, 3), atol=1e-5, rtol=0)


TIMES = ["", " @ backward", " @ slow(2) @ backward"]


@quick
@given(everything, everything, st.sampled_from(TIMES), st.sampled_from(TIMES), seeds)
def test_relations_whose_crops_have_one_name_do_the_same_to_crops(
    first: str, second: str, sooner: str, later: str, seed: int
) -> None:
    one, two = geometric(first + sooner, BODY, "mine"), geometric(second + later, BODY, "yours")
    assert isinstance(one, NamesItsCrops)
    assert (one.crops_name == two.crops_name) == (first == second), "time and alias do not count, the element does"
    assert (one.crops_name == "") == (first == "identity")
    drawn = one.draw((2,), generator(seed))
    if first == second:
        assert torch.equal(drawn.matrix, two.draw((2,), generator(seed)).matrix)
    if first == "identity":
        crops = torch.rand(2, 3, 8, 8, generator=generator(seed), dtype=torch.float64)
        torch.testing.assert_close(one.on_images(crops, drawn, camera(8).expand(2, 3, 3)), crops)


@pytest.mark.parametrize(("expression", "width"), [("flip", 0), ("flip?", 3), ("rotate(-9..9)", 3), ("pan(-9..9)", 9)])
def test_condition_width(expression: str, width: int) -> None:
    assert geometric(expression, BODY).condition == width


@quick
@given(st.sampled_from(FAMILIES), seeds)
def test_condition_describes_the_element(expression: str, seed: int) -> None:
    spatial = geometric(expression, BODY).draw((5,), generator(seed))
    torch.testing.assert_close(matrices_from(spatial.condition), spatial.matrix, atol=1e-5, rtol=0)
    assert torch.equal(described(spatial.matrix, spatial.condition.shape[-1]), spatial.condition)


def test_families_cover_their_range() -> None:
    matrix = geometric("flip? @ rotate(-63..63)", BODY).draw((4000,), generator(1)).matrix
    angles = torch.rad2deg(torch.atan2(matrix[:, 1, 0], matrix[:, 1, 1]))
    assert angles.abs().max() <= 63.01
    assert abs(float(angles.mean())) < 2
    assert abs(float(angles.std()) - 63 / math.sqrt(3)) < 1
    assert 0.46 < float((torch.linalg.det(matrix) < 0).float().mean()) < 0.54


@quick
@given(st.sampled_from(SINGLES), st.sampled_from(SINGLES), seeds)
def test_composition_acts_right_factor_first(second: str, first: str, seed: int) -> None:
    a, b = geometric(second, BODY), geometric(first, BODY)
    poses, draw = poses_of(seed, 4), lambda r: r.draw((4,), generator(seed))
    stepwise = a.on_poses(b.on_poses(poses, draw(b)), draw(a))
    torch.testing.assert_close((a @ b).on_poses(poses, draw(a @ b)), stepwise, atol=1e-5, rtol=0)
    torch.testing.assert_close(draw(a @ b).matrix, draw(a).matrix @ draw(b).matrix, atol=1e-5, rtol=0)


@quick
@given(st.sampled_from(SINGLES), seeds)
def test_inverse_undoes_the_action(expression: str, seed: int) -> None:
    relation, poses = geometric(expression, BODY), poses_of(seed, 2, 3)
    there = relation.on_poses(poses, relation.draw((2, 3), generator(0)))
    inverse = relation.inverse()
    back = inverse.on_poses(there, inverse.draw((2, 3), generator(0)))
    torch.testing.assert_close(back, poses, atol=1e-5, rtol=0)


@quick
@given(everything, seeds)
def test_bone_lengths_are_kept_and_exchanged_with_the_sides(expression: str, seed: int) -> None:
    relation, poses = geometric(expression, BODY), poses_of(seed, 6)
    spatial = relation.draw((6,), generator(seed))
    moved = relation.on_poses(poses, spatial)
    assert moved.dtype == torch.float64
    lengths = bone_lengths(poses, BODY)
    mirrored = bone_lengths(poses[..., list(BODY.mirror), :], BODY)
    expected = torch.where(torch.linalg.det(spatial.matrix)[:, None] < 0, mirrored, lengths)
    torch.testing.assert_close(bone_lengths(moved, BODY), expected, atol=1e-5, rtol=0)


@quick
@given(everything, seeds)
def test_poses_and_keypoints_commute_with_projection(expression: str, seed: int) -> None:
    relation = geometric(expression, BODY)
    spatial = relation.draw((6,), generator(seed))
    root = torch.tensor([0.0, 0.0, 5.0], dtype=torch.float64)
    keypoints = project(poses_of(seed, 6) + root, camera())
    moved_root = (spatial.matrix.double() @ root)[:, None]
    moved = project(relation.on_poses(poses_of(seed, 6), spatial) + moved_root, camera())
    by_image = act_on_keypoints(spatial.matrix.double(), keypoints, camera(), BODY)
    torch.testing.assert_close(by_image, moved, atol=1e-3, rtol=0)


def test_one_element_a_clip_moves_every_frame() -> None:
    relation, poses = geometric("flip? @ rotate(-63..63)", BODY), poses_of(0, 3, 5)
    spatial = relation.draw((3,), generator(0))
    each = torch.stack(
        [relation.on_poses(p, Spatial(m, c)) for p, m, c in zip(poses, spatial.matrix, spatial.condition, strict=True)]
    )
    torch.testing.assert_close(relation.on_poses(poses, spatial), each)
    with pytest.raises(DataError, match="leading axes"):
        relation.on_poses(poses, relation.draw((4,), generator(0)))


def test_images_mirror_and_quarter_turn_exactly() -> None:
    images = torch.rand(2, 3, 3, 32, 32, generator=generator(0), dtype=torch.float64)
    intrinsics = camera().expand(2, 3, 3, 3)
    flip, quarter = geometric("flip", BODY), geometric("rotate(90)", BODY)
    mirrored = flip.on_images(images, flip.draw((2,), generator(0)), intrinsics)
    torch.testing.assert_close(mirrored, images.flip(-1), atol=1e-5, rtol=0)
    turned = quarter.on_images(images, quarter.draw((2, 3), generator(0)), intrinsics)
    # x right and y down: a positive turn about z takes the right edge to the bottom, which rot90 calls k = -1
    torch.testing.assert_close(turned, torch.rot90(images, -1, (-2, -1)), atol=1e-4, rtol=0)


def test_images_follow_keypoints() -> None:
    """A dot painted at a point lands where `act_on_keypoints` says that the point goes."""
    relation = geometric("flip @ rotate(35) @ pan(8)", BODY)
    spatial = relation.draw((1,), generator(0))
    grid = torch.arange(64, dtype=torch.float64) + 0.5  # centres of pixels
    at = torch.tensor([40.0, 22.0], dtype=torch.float64)
    dot = torch.exp(-((grid[None, :] - at[0]) ** 2 + (grid[:, None] - at[1]) ** 2) / 8)
    moved = relation.on_images(dot.expand(1, 3, 64, 64), spatial, camera(64)[None])[0, 0]
    points = at.expand(1, len(BODY), 2)
    expected = act_on_keypoints(spatial.matrix.double(), points, camera(64)[None], BODY)[0, 0]
    found = torch.stack(((moved * grid).sum(), (moved * grid[:, None]).sum())) / moved.sum()
    torch.testing.assert_close(found, expected, atol=0.3, rtol=0)


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (build.geometric(config.Geometric("rotate(50)@flip"), BODY), "flip @ rotate(-50)"),
        (build.flip(config.Flip(), BODY), "flip"),
        (build.flip(config.Flip(random=True), BODY), "flip?"),
        (build.in_plane_rotation(config.InPlaneRotation(), BODY), "rotate(50)"),
        (build.in_plane_rotation(config.InPlaneRotation(range=(-63.5, 63.5)), BODY), "rotate(-63.5..63.5)"),
        (build.flip_rotation(config.FlipRotation(), BODY), "flip @ rotate(50)"),
        (build.backward(config.Backward(), BODY), "backward"),
        (build.flip_backward(config.FlipBackward(), BODY), "flip @ backward"),
        (build.flip_backward(config.FlipBackward(angle=50), BODY), "flip @ rotate(50) @ backward"),
        (build.slow_motion(config.Slow(), BODY), "slow(2)"),
        (build.slow_backward(config.SlowBackward(factor=3), BODY), "slow(3) @ backward"),
    ],
)
def test_components_by_name(made: Relation, name: str) -> None:
    assert made.name == name
    assert made == geometric(name, BODY)
    assert made.acts_on_time == any(word in name for word in ("backward", "slow"))
    temporal = made.temporal(30)
    assert len(temporal.anchor) == len(temporal.partner) == 30


def test_alias_is_the_name_and_no_part_of_equality() -> None:
    named = build.flip(config.Flip(name="mirror"), BODY)
    assert named.name == "mirror"
    assert named == geometric("flip", BODY)
    assert attrs.evolve(named, alias="").name == "flip"


@pytest.mark.parametrize(
    "make",
    [
        lambda: config.InPlaneRotation(angle=float("nan")),
        lambda: config.FlipRotation(angle=361),
        lambda: config.InPlaneRotation(range=(5.0, -5.0)),
        lambda: config.InPlaneRotation(range=(5.0,)),
        lambda: config.Slow(factor=1),
    ],
)
def test_values_out_of_range_are_refused(make) -> None:  # noqa: ANN001
    with pytest.raises(ValueError, match="must"):
        make()


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ({"expression": "flip @ rotat(3)"}, ["expression: unknown factor 'rotat' at position 8", "mean 'rotate'?"]),
        ({"expression": "flip rotate(3)"}, ["expression: unexpected 'r' at position 6", "'@' between factors"]),
        ({"expression": "slow(0)"}, ["expression: 'slow' needs a positive factor at position 6"]),
        ({"expression": ""}, ["expression: a factor is missing at position 1", "one of: identity, flip"]),
        ({"expression": 3}, ["expression: wrong type", "a string"]),
        ({"expresion": "flip"}, ["expresion: unknown key", "mean 'expression'?"]),
        ({"use": "flip-rotation", "angle": 400}, ["angle: not allowed", "400", "between -360 and 360 degrees"]),
        ({"use": "in-plane-rotation", "range": [9, -9]}, ["range: not allowed", "low <= high"]),
        ({"use": "slow", "factor": 1}, ["factor: not allowed"]),
        ({"use": "geometrc"}, ["mean 'geometric'?"]),
    ],
)
def test_a_recipes_mistakes_are_placed_and_explained(table: dict[str, object], parts: list[str]) -> None:
    host = Host.load(only=("sa3dhp-relations",))
    with pytest.raises(Sa3dhpError) as caught:
        host.build("relation", {"use": "geometric", **table}, "relations[2]", skeleton=BODY)
    assert "relations[2]" in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_limb_exchange_is_no_geometric_relation() -> None:
    relation = limb_exchange(config.LimbExchange(), BODY)
    assert isinstance(relation, Relation)
    poses = poses_of(3, 4)
    spatial = relation.draw((4,), generator(0))
    moved = relation.on_poses(poses, spatial)
    torch.testing.assert_close(bone_lengths(moved, BODY), bone_lengths(poses, BODY))
    torch.testing.assert_close(relation.on_poses(moved, spatial), poses)
    wrist, elbow = BODY.index("left_wrist"), BODY.index("left_elbow")
    other_wrist, other_elbow = BODY.index("right_wrist"), BODY.index("right_elbow")
    bone, other = moved[:, wrist] - moved[:, elbow], poses[:, other_wrist] - poses[:, other_elbow]
    torch.testing.assert_close(torch.cosine_similarity(bone, other, dim=-1), torch.ones(4, dtype=torch.float64))
    with pytest.raises(RecipeError, match="acts on poses alone"):
        relation.on_images(torch.zeros(4, 3, 8, 8), spatial, camera(8))
    with pytest.raises(RecipeError, match="did you mean 'left_arm'"):
        limb_exchange(config.LimbExchange(first="left_arn"), BODY)
    with pytest.raises(RecipeError, match="equally many"):
        limb_exchange(config.LimbExchange(first="trunk"), BODY)
