"""The puppet: limbs from cards and labels, exact geometry, and images that show the poses they are labelled with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import act_on_poses, mirror_matrix, procrustes, project, root_position, smallest_circle
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.synthesis import ImageSynthesis
from sa3dhp_core.types import WHOLE, LabelledBatch
from sa3dhp_part_guided.limbs import limb_of_label, limbs_of
from sa3dhp_part_guided.puppet import fill

BONES = skeleton()
HOST = Host.load()
LIMBS = limbs_of(BONES)
SIZE = 64


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Rendered people of the world's plain look."""
    table = {"use": "world", "role": "source", "train_clips": 300, "frames": 1, "body_count": 20, "size": SIZE}
    data = HOST.build("image_data", {**table, "validation_clips": 1, "test_clips": 1}, "data.source")
    folder = tmp_path_factory.mktemp("source")
    data.prepare(folder)
    return data.labelled(folder, "train")


def puppet(source: Any, seed: int = 0, **keys: Any) -> ImageSynthesis:
    table = {"use": "puppet", "pool": 300, **keys}
    made: ImageSynthesis = HOST.build("image_synthesis", table, "synthesis", source=source, generator=random(seed))
    return made


class Without:
    """Labelled images that lack something."""

    def __init__(self, source: Any, **changes: Any) -> None:
        self.skeleton, self.licence = source.skeleton, source.licence
        self._source, self._changes = source, changes

    def __len__(self) -> int:
        return len(self._source)

    def draw(self, count: int, generator: torch.Generator, shard: Any = WHOLE) -> LabelledBatch:
        return attrs.evolve(self._source.draw(count, generator, shard), **self._changes)

    def batches(self, size: int) -> Iterator[LabelledBatch]:
        return iter(())


def test_limbs_come_from_the_card() -> None:
    assert LIMBS.names[:2] == ("pelvis-thorax", "thorax-head")
    assert set(LIMBS.names[2:]) == {
        f"{side}_{a}-{side}_{b}"
        for side in ("left", "right")
        for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
    }
    for number, name in enumerate(LIMBS.names):
        twin = LIMBS.names[LIMBS.mirrored[number]]
        swapped = name.replace("left", "*").replace("right", "left").replace("*", "right")
        assert twin == swapped and LIMBS.mirrored[LIMBS.mirrored[number]] == number


def test_labels_find_their_limbs(source: Any) -> None:
    from sa3dhp_world.strokes import LABELS

    batch = source.draw(300, random(1))
    found = limb_of_label(batch.parts, batch.keypoints, LIMBS)
    told = {"upper_arm": "shoulder-{}elbow", "forearm": "elbow-{}wrist", "thigh": "hip-{}knee", "shank": "knee-{}ankle"}
    for label, name in enumerate(LABELS[1:], start=1):
        side, _, part = name.partition("_")
        wanted = {"torso": "pelvis-thorax", "head": "thorax-head"}.get(
            name
        ) or f"{side}_{told[part].format(side + '_')}"
        assert LIMBS.names[found[label]] == wanted
    assert found[0] == -1


def test_labels_that_tell_no_limbs_apart_are_refused(source: Any) -> None:
    batch = source.draw(50, random(1))
    silhouette = (batch.parts > 0).to(torch.uint8)
    with pytest.raises(DataError, match="do not tell the limbs apart") as caught:
        limb_of_label(silhouette, batch.keypoints, LIMBS)
    assert "left_knee-left_ankle" in str(caught.value)


@pytest.mark.parametrize("missing", ["parts", "keypoints"])
def test_a_source_without_what_a_puppet_is_cut_along_is_refused(source: Any, missing: str) -> None:
    with pytest.raises(DataError, match=missing) as caught:
        puppet(Without(source, **{missing: None}))
    assert "data.source" in str(caught.value) and "world" in str(caught.value)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(3, 20), st.integers(3, 20), st.floats(0.05, 1.0))
def test_filling_keeps_what_is_known_and_invents_no_colour(seed: int, height: int, width: int, share: float) -> None:
    g = random(seed)
    images = torch.rand(2, 3, height, width, generator=g)
    known = (torch.rand(2, 1, height, width, generator=g) < share).float()
    known[..., 0, 0] = 1
    out = fill(images, known)
    assert torch.allclose(out * known, images * known, atol=1e-5)
    for image, mask, filled in zip(images, known[:, 0] > 0, out, strict=True):
        inside = image[:, mask]
        low, high = inside.amin(1)[:, None, None], inside.amax(1)[:, None, None]
        assert bool((filled >= low - 1e-4).all()) and bool((filled <= high + 1e-4).all())


def test_filling_from_nothing_is_black_and_finite() -> None:
    assert torch.equal(fill(torch.ones(1, 3, 5, 7), torch.zeros(1, 1, 5, 7)), torch.zeros(1, 3, 5, 7))


def test_labels_are_exact(source: Any) -> None:
    """The poses are those given, turned; keypoints project them; the crop holds the person as every crop does."""
    poses = source.draw(45, random(2)).poses
    batch = puppet(source)(poses, random(3))
    assert batch.keypoints is not None and batch.parts is not None
    assert (
        batch.images.shape == (45, 3, SIZE, SIZE) and 0 <= float(batch.images.min()) <= float(batch.images.max()) <= 1
    )
    assert torch.allclose(procrustes(batch.poses, poses, scale=False), poses, atol=1e-4)
    turned = (batch.poses - poses).norm(dim=-1).amax()
    assert 0 < float(turned) < 0.3  # by the few degrees from the root to the middle
    root = root_position(batch.poses.double(), batch.keypoints.double(), batch.intrinsics.double())
    again = project(batch.poses.double() + root[:, None], batch.intrinsics.double())
    assert torch.allclose(again, batch.keypoints.double(), atol=1e-3)
    middle, radius = smallest_circle(batch.keypoints)
    assert torch.allclose(middle, torch.full_like(middle, SIZE / 2), atol=1.5)
    assert torch.allclose(1.15 * radius, torch.full_like(radius, SIZE / 2), rtol=0.05)


def own_middles(batch: LabelledBatch) -> tuple[torch.Tensor, float]:
    """How often each limb's own label lies on its middle, and how often any label does."""
    assert batch.keypoints is not None and batch.parts is not None
    middles = 0.5 * (batch.keypoints[:, LIMBS.start] + batch.keypoints[:, LIMBS.end])
    column, row = middles.long().clamp(0, SIZE - 1).unbind(-1)
    at = batch.parts[torch.arange(len(middles))[:, None], row, column]
    limb = limb_of_label(batch.parts, batch.keypoints, LIMBS)[at.long()]
    return (limb == torch.arange(len(LIMBS))).float().mean(0), float((at > 0).float().mean())


def test_the_person_is_where_the_labels_say(source: Any) -> None:
    """A limb's label covers its middle about as often as in real images; nothing is drawn far from all joints."""
    batch = puppet(source, girth=0.0)(source.draw(100, random(4)).poses, random(5))
    assert batch.keypoints is not None and batch.parts is not None
    original = source.draw(300, random(1))
    (ours, covered), (theirs, _) = own_middles(batch), own_middles(original)
    assert covered > 0.99 and float(ours.mean()) > 0.65
    assert torch.allclose(ours, theirs, atol=0.2)
    y, x = (batch.parts > 0).nonzero()[:, 1:].unbind(1)
    image = (batch.parts > 0).nonzero()[:, 0]
    pixels = torch.stack([x, y], dim=-1) + 0.5
    gap = (pixels[:, None] - batch.keypoints[image]).norm(dim=-1).amin(dim=1)
    assert float(gap.max()) < 0.35 * SIZE and float((gap < 0.15 * SIZE).float().mean()) > 0.95


def test_re_posed_in_its_own_pose_a_person_looks_the_same(source: Any) -> None:
    """With the whole pool to choose from, the nearest pose is its own: its silhouette and its colours come back."""
    few = Without(source)
    original = source.draw(60, random(6))
    few.draw = lambda count, generator, shard=WHOLE: original  # type: ignore[method-assign]
    made = puppet(few, pool=60, girth=0.0, candidates=1.0)(original.poses, random(7))
    assert made.parts is not None and original.parts is not None and made.keypoints is not None
    close = (made.keypoints - original.keypoints).norm(dim=-1).amax(dim=1) < 1.5  # the distance is drawn anew
    assert int(close.sum()) > 20
    ours, theirs = (parts[close] > 0 for parts in (made.parts, original.parts))
    overlap = (ours & theirs).sum() / (ours | theirs).sum()
    assert float(overlap) > 0.8
    both = (made.parts[close] == original.parts[close]) & theirs
    assert float(both.sum() / theirs.sum()) > 0.75
    error = (made.images[close] - original.images[close]).abs().mean(1)[both].mean()
    other = (made.images[close] - original.images[close].roll(1, 0)).abs().mean(1)[both].mean()
    assert float(error) < 0.06 and float(other) > 2 * float(error)


def test_another_pose_gives_another_image_of_as_many_limbs(source: Any) -> None:
    poses = source.draw(40, random(8)).poses
    make = puppet(source)
    batch = make(poses, random(9))
    mirrored = make(act_on_poses(mirror_matrix(), poses, BONES), random(9))
    assert batch.parts is not None and mirrored.parts is not None
    same = (batch.parts > 0) & (mirrored.parts > 0)
    assert float(same.sum() / ((batch.parts > 0) | (mirrored.parts > 0)).sum()) < 0.8
    area, turned = ((made > 0).float().mean() for made in (batch.parts, mirrored.parts))
    assert float(turned) == pytest.approx(float(area), rel=0.15)


def test_everything_is_drawn_from_the_generators(source: Any) -> None:
    poses = source.draw(25, random(10)).poses
    first, again = (puppet(source, seed=1)(poses, random(11)) for _ in range(2))
    assert torch.equal(first.images, again.images) and torch.equal(first.poses, again.poses)
    assert not torch.equal(first.images, puppet(source, seed=1)(poses, random(12)).images)
    assert not torch.equal(first.images, puppet(source, seed=2)(poses, random(11)).images)


def test_thicker_people_cover_more(source: Any) -> None:
    poses = source.draw(60, random(13)).poses
    area = [float((puppet(source, girth=girth)(poses, random(14)).parts > 0).float().mean(dim=(1, 2)).std())  # type: ignore[operator]
            for girth in (0.0, 0.5)]  # fmt: skip
    assert area[1] > 1.3 * area[0]
