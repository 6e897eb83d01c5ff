"""View planning: what a loss gets does not depend on the other losses, and nothing is encoded twice."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.engine.passes import Orbit, Sight
from sa3dhp_core.engine.views import BLOCK, SPACING, Photometric, ViewPlan
from sa3dhp_core.geometry import act_on_images, mirror_matrix, rotation_z
from sa3dhp_core.protocols.alignment import Encoded, View
from sa3dhp_core.types import WHOLE, ClipBatch, Encoding, Shard, Spatial

LONGEST = BLOCK * SPACING + 3
COUNT = 4
SIZE = 8
Request = tuple[tuple[View, ...], int]


class Turn:
    """A relation's spatial half: rotations by a random angle, mirrored or not."""

    condition = 2

    def __init__(self, mirror: bool) -> None:
        self._mirror = mirror

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Spatial:
        angle = torch.rand(shape, generator=generator)
        matrix = rotation_z(angle)
        if self._mirror:
            matrix = mirror_matrix().to(matrix) @ matrix
        return Spatial(matrix, torch.stack([angle.cos(), angle.sin()], dim=-1))

    def on_images(self, images: Tensor, spatial: Spatial, intrinsics: Tensor) -> Tensor:
        return act_on_images(spatial.matrix, images, intrinsics)


class Named(Turn):
    """Says what it does to crops, so that others may share them."""

    def __init__(self, mirror: bool) -> None:
        super().__init__(mirror)
        self.crops_name = "mirrored" if mirror else "turned"


class Still:
    """Leaves crops as they are, and says so."""

    condition, crops_name = 0, ""

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Spatial:
        return Spatial(torch.eye(3).expand(*shape, 3, 3), torch.zeros(*shape, 0))

    def on_images(self, images: Tensor, spatial: Spatial, intrinsics: Tensor) -> Tensor:
        raise AssertionError("nobody need ask it to move a crop")


def jitter(images: Tensor, generator: torch.Generator) -> Tensor:
    """Draws a data-dependent number of values, as real jitter does."""
    gain = torch.rand(len(images), 1, 1, 1, generator=generator)
    chosen = (torch.rand(len(images), generator=generator) < 0.5).nonzero().squeeze(1)
    grain = torch.randn((len(chosen), *images.shape[1:]), generator=generator)
    return (images * gain).index_add(0, chosen, 0.1 * grain)


class Gain:
    """Jitter whose numbers are drawn apart."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return self.apply(images, self.draw(len(images), [generator])[0])

    def draw(self, count: int, generators: Sequence[torch.Generator]) -> Tensor:
        return torch.stack([torch.rand(count, 2, generator=each) for each in generators])

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        return images * drawn[:, :1, None, None] + drawn[:, 1:, None, None]


RELATIONS = {
    "turn": Turn(False),
    "mirror-turn": Turn(True),
    "named": Named(False),
    "named again": Named(False),
    "named mirror": Named(True),
    "still": Still(),
}
JITTERS: dict[str, Photometric] = {"a": jitter, "b": jitter, "apart": Gain()}


MOVING = [name for name in RELATIONS if name != "still"]


@st.composite
def requests(draw: st.DrawFn, moving: Sequence[str] = MOVING) -> Request:
    """What a loss asks for: some views of a window of its own length."""
    window = draw(st.integers(1, LONGEST))
    frames = st.none() | st.lists(st.integers(0, window - 1), min_size=1, max_size=window).map(tuple)
    view = st.builds(
        View,
        spatial=st.sampled_from(["", *moving]),
        photometric=st.sampled_from(["", *JITTERS]),
        frames=frames,
        per_frame=st.booleans(),
        by=st.sampled_from(["student", "stopped", "teacher"]),
    )
    return tuple(draw(st.lists(view, min_size=1, max_size=3, unique=True))), window


def some_clips() -> ClipBatch:
    """Four windows of noise, as long as any request may need."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(COUNT, LONGEST, 3, SIZE, SIZE, generator=generator)
    intrinsics = torch.tensor([[10.0, 0, SIZE / 2], [0, 10.0, SIZE / 2], [0, 0, 1]]).expand(COUNT, LONGEST, 3, 3)
    return ClipBatch(images, intrinsics, torch.arange(COUNT))


def encode(images: Tensor, by: str) -> Encoding:
    """A frame-wise encoder ``(B, F, 3, H, W)``: the student, stopped or not, and a teacher."""
    flat = images.flatten(2)
    weight = torch.randn(flat.shape[-1], 5, generator=torch.Generator().manual_seed(int(by == "teacher")))
    features = (flat[..., None] * weight).sum(dim=-2)  # no matrix product: its blocks depend on the batch
    return Encoding(features.tanh(), features)


def answers(
    asked: Sequence[Request], seed: int, shard: Shard = WHOLE, lean: bool = False
) -> tuple[dict[View, Encoded], ...]:
    """What each request is given; lean, from the middle of the clips, where all windows have their middle."""
    plan = ViewPlan([(views, window) for views, window in asked], RELATIONS, JITTERS, lean=lean)
    clips = some_clips()
    first = LONGEST // 2 - plan.window // 2 if lean else 0
    kept = slice(first, None)
    rows = slice(shard.rank, None, shard.world)
    mine = ClipBatch(clips.images[rows, kept], clips.intrinsics[rows, kept], clips.clips[rows])
    drawn = plan.draw(plan.orbits, mine, COUNT, seed, shard)
    encoded = {one.orbit: (encode(one.images, one.orbit.by), one.spatial) for one in drawn}
    return tuple(plan.hand_out(number, encoded) for number in range(len(asked)))


def assert_same(found: Encoded, expected: Encoded, rows: slice = slice(None)) -> None:
    assert torch.equal(found.z, expected.z[rows])
    assert torch.equal(found.feature, expected.feature[rows])
    assert (found.spatial is None) == (expected.spatial is None)
    if found.spatial is not None and expected.spatial is not None:
        assert torch.equal(found.spatial.matrix, expected.spatial.matrix[rows])
        assert torch.equal(found.spatial.condition, expected.spatial.condition[rows])


@given(st.lists(requests(), min_size=1, max_size=4), st.integers(0, 2**31))
def test_a_loss_gets_what_it_would_get_alone(asked: list[Request], seed: int) -> None:
    together = answers(asked, seed)
    for request, found in zip(asked, together, strict=True):
        (alone,) = answers([request], seed)
        assert found.keys() == alone.keys() == set(request[0])
        for view in found:
            assert_same(found[view], alone[view])


@given(st.lists(requests(tuple(RELATIONS)), min_size=1, max_size=4), st.integers(0, 2**31))
def test_lean_a_loss_gets_what_it_would_get_alone(asked: list[Request], seed: int) -> None:
    """Alone its window is its own, and begins later in the clip; what it reads there is the same."""
    together = answers(asked, seed, lean=True)
    for request, found in zip(asked, together, strict=True):
        (alone,) = answers([request], seed, lean=True)
        assert found.keys() == alone.keys() == set(request[0])
        for view in found:
            assert_same(found[view], alone[view])
            assert (found[view].spatial is None) == (view.spatial == "")


@given(st.lists(requests(tuple(RELATIONS)), min_size=1, max_size=4), st.integers(0, 2**31))
@settings(max_examples=30)
def test_lean_every_view_has_the_frames_that_it_asked_for(asked: list[Request], seed: int) -> None:
    """Against the slow way: each view drawn and encoded for itself, with every frame of the clip asked."""
    for (views, window), found in zip(asked, answers(asked, seed, lean=True), strict=True):
        start = LONGEST // 2 - window // 2
        for view in views:
            frames = tuple(range(window)) if view.frames is None else view.frames
            whole = attrs.evolve(view, frames=tuple(range(LONGEST)))
            (every,) = answers([((whole,), LONGEST)], seed, lean=True)
            for place, frame in enumerate(frames):
                assert torch.equal(found[view].z[:, place], every[whole].z[:, start + frame])


def lean_key(view: View, frame: int) -> tuple[object, ...]:
    """What tells two frames apart, counted from their window's middle."""
    relation = RELATIONS.get(view.spatial)
    crops = getattr(relation, "crops_name", view.spatial and f"own {view.spatial}")
    return crops, view.photometric, view.per_frame and view.spatial != "still", view.by, frame


@given(st.lists(requests(tuple(RELATIONS)), min_size=1, max_size=4))
def test_lean_no_frame_is_encoded_twice(asked: list[Request]) -> None:
    wanted = {
        lean_key(view, frame - window // 2)
        for views, window in asked
        for view in views
        for frame in (range(window) if view.frames is None else view.frames)
    }
    seen = {(*key[:3], key[4]) for key in wanted if key[3] == "student"}
    spared = {key for key in wanted if key[3] == "stopped" and (*key[:3], key[4]) in seen}
    assert len(ViewPlan(asked, RELATIONS, JITTERS, lean=True)) == len(wanted - spared)


def test_lean_relations_that_look_alike_share_their_crops_and_say_their_own_elements() -> None:
    asked: list[Request] = [((View("named"), View("still")), 3), ((View("named again"), View()), 3)]
    plan = ViewPlan(asked, RELATIONS, JITTERS, lean=True)
    assert len(plan) == 6 and plan.turns == ((0,), (1,))
    first, second = answers(asked, 0, lean=True)
    assert_same(first[View("named")], second[View("named again")])
    still = first[View("still")]
    assert still.spatial is not None and torch.equal(still.spatial.matrix, torch.eye(3).expand(COUNT, 3, 3, 3))
    assert torch.equal(still.z, second[View()].z)


def test_lean_stopped_views_are_detached_from_the_student_that_serves_them() -> None:
    asked: list[Request] = [((View(), View(by="stopped", frames=(2, 0))), 3)]
    plan = ViewPlan(asked, RELATIONS, JITTERS, lean=True)
    (orbit,) = plan.orbits
    z = torch.rand(COUNT, 3, 5, requires_grad=True)
    handed = plan.hand_out(0, {orbit: (Encoding(z, z), None)})
    stopped = handed[View(by="stopped", frames=(2, 0))]
    assert handed[View()].z.requires_grad and not stopped.z.requires_grad and not stopped.feature.requires_grad
    assert torch.equal(stopped.z, z[:, [2, 0]])


@given(st.lists(requests(), min_size=1, max_size=4), st.integers(0, 2**31))
def test_every_view_has_the_frames_that_it_asked_for(asked: list[Request], seed: int) -> None:
    """Against the slow way: each view drawn and encoded for itself, frame by frame, with every frame asked."""
    for (views, window), found in zip(asked, answers(asked, seed), strict=True):
        for view in views:
            frames = tuple(range(window)) if view.frames is None else view.frames
            whole = View(view.spatial, view.photometric, tuple(range(LONGEST)), view.per_frame, view.by)
            (every,) = answers([((whole,), LONGEST)], seed)
            for place, frame in enumerate(frames):
                assert torch.equal(found[view].z[:, place], every[whole].z[:, frame])


@given(st.lists(requests(), min_size=1, max_size=4))
def test_each_distinct_frame_is_encoded_once(asked: list[Request]) -> None:
    plan = ViewPlan(asked, RELATIONS, JITTERS)
    wanted = {
        (view.spatial, view.photometric, view.per_frame, view.by, frame)
        for views, window in asked
        for view in views
        for frame in (range(window) if view.frames is None else view.frames)
    }
    encoded = [(*attrs.astuple(orbit.sight), frame) for orbit in plan.orbits for frame in orbit.frames]
    assert len(plan) == len(encoded) == len(set(encoded))
    assert set(encoded) == wanted


@given(st.lists(requests(), min_size=1, max_size=3), st.integers(0, 2**31), st.integers(2, 3), st.booleans())
@settings(max_examples=10)
def test_a_rank_gets_its_shard_of_the_whole(asked: list[Request], seed: int, world: int, lean: bool) -> None:
    whole = answers(asked, seed, lean=lean)
    for rank in range(world):
        part = answers(asked, seed, Shard(rank, world), lean)
        for mine, everything in zip(part, whole, strict=True):
            for view in mine:
                assert_same(mine[view], everything[view], slice(rank, None, world))


def test_seeds_and_names_make_draws_differ() -> None:
    views = (View("turn", "a", per_frame=True), View("turn", "b", per_frame=True), View("turn", "a"))
    (one,) = answers([(views, 5)], 1)
    (other,) = answers([(views, 5)], 2)
    assert not torch.equal(one[views[0]].z, other[views[0]].z)
    assert not torch.equal(one[views[0]].z, one[views[1]].z)
    matrix = one[views[0]].spatial.matrix  # type: ignore[union-attr]
    assert not torch.equal(matrix[:, 0], matrix[:, 1]), "drawn afresh for each frame"
    matrix = one[views[2]].spatial.matrix  # type: ignore[union-attr]
    assert torch.equal(matrix[:, 0], matrix[:, 4]), "drawn once for a clip"
    assert not torch.equal(matrix[0], matrix[1])


def test_the_window_is_the_longest_that_is_asked_for() -> None:
    assert ViewPlan([((View(),), 3), ((View(photometric="a"),), 9)], RELATIONS, JITTERS).window == 9
    assert ViewPlan([], RELATIONS, JITTERS).window == 1
    plan = ViewPlan([((View(),), 3), ((View(frames=(7, 5)),), 9)], RELATIONS, JITTERS)
    assert plan.orbits == (Orbit(Sight("", "", False, "student"), (0, 1, 2, 5, 7)),)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError, match="shear"):
        answers([((View("shear"),), 3)], 0)
