"""Array-backed data sets: what is drawn depends on the generator alone, and ranks share it out."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_core.errors import DataError
from sa3dhp_core.protocols.data import Clips, LabelledImages, PoseSequences
from sa3dhp_core.store import ArrayClips, ArrayImages, ArrayPoses, split_file, write_frames, write_poses
from sa3dhp_core.types import Shard

LENGTHS = (5, 1, 9)
FRAMES = sum(LENGTHS)
STARTS = torch.tensor([0, 5, 6, 15])
JOINTS = 17


def frames(folder: Path, **changes: object) -> None:
    """A split whose every frame can be told by its number."""
    number = torch.arange(FRAMES)
    values: dict[str, object] = {
        "images": (number[:, None, None, None] * torch.ones(1, 3, 2, 2)).to(torch.uint8),
        "starts": STARTS,
        "intrinsics": number[:, None, None] * torch.ones(3, 3),
        "fps": 25.0,
        "licence": "own work",
        "poses": number[:, None, None] * torch.ones(JOINTS, 3),
        "parts": (number[:, None, None] * torch.ones(2, 2)).to(torch.uint8),
        "families": ("walk", "sit", "walk"),
    }
    write_frames(folder, "train", **{**values, **changes})  # type: ignore[arg-type]


def poses(folder: Path) -> None:
    positions = torch.arange(FRAMES)[:, None, None] + torch.arange(JOINTS)[:, None] * torch.ones(3)
    write_poses(folder, "train", positions=positions.float(), starts=STARTS, fps=30.0, licence="own work")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("store")
    frames(place)
    poses(place / "poses")
    return place


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_clips_become_labelled_images_by_estimated_poses(folder: Path) -> None:
    clips, labelled = ArrayClips(folder, "train"), ArrayImages(folder, "train")
    poses = torch.randn(len(clips), 17, 3, generator=generator(3))
    seen = clips.tracked(poses)
    assert torch.equal(torch.cat([batch.poses for batch in seen.batches(7)]), poses)
    assert torch.equal(torch.cat([batch.images for batch in seen.batches(7)]), torch.cat(list(clips.batches(5))))
    assert torch.equal(seen.clip_index(), clips.clip_index()) and torch.equal(clips.clip_index(), labelled.clip_index())
    drawn = seen.draw(9, generator(4))
    index = torch.randint(len(clips), (9,), generator=generator(4))
    assert torch.equal(drawn.poses, poses[index])
    assert not torch.equal(next(labelled.batches(9)).poses, poses[:9]), "the file's own labels are not touched"
    for wrong, said in ((poses[:-1], "do not fit"), (poses[:, :5], "do not fit"), (poses * math.nan, "finite")):
        with pytest.raises(DataError, match=said):
            clips.tracked(wrong)


def test_they_are_what_the_protocols_say(folder: Path) -> None:
    images, clips, motion = (
        ArrayImages(folder, "train"),
        ArrayClips(folder, "train"),
        ArrayPoses(folder / "poses", "train"),
    )
    assert isinstance(images, LabelledImages) and isinstance(clips, Clips) and isinstance(motion, PoseSequences)
    assert (len(images), images.fps, clips.fps, motion.fps) == (FRAMES, 25.0, 25.0, 30.0)
    assert images.families() == ("walk", "sit", "walk") and motion.families() == ("", "", "")
    assert images.licence == clips.licence == motion.licence == "own work"
    assert images.clip_index().tolist() == [0] * 5 + [1] + [2] * 9
    assert images.skeleton.id == "h36m-17"


@given(st.integers(0, 999), st.integers(1, 12), st.integers(1, 4), st.integers(1, 9))
@settings(max_examples=25)
def test_shards_are_every_nth_item_of_the_whole(folder: Path, seed: int, count: int, world: int, window: int) -> None:
    images, clips, motion = (
        ArrayImages(folder, "train"),
        ArrayClips(folder, "train"),
        ArrayPoses(folder / "poses", "train"),
    )
    labelled = images.draw(count, generator(seed))
    windows = clips.draw(count, window, generator(seed))
    sequences = motion.draw(count, window, generator(seed))
    for rank in range(world):
        mine, shard = slice(rank, None, world), Shard(rank, world)
        part = images.draw(count, generator(seed), shard)
        for name in ("images", "poses", "parts", "intrinsics"):
            assert torch.equal(getattr(part, name), getattr(labelled, name)[mine])
        some = clips.draw(count, window, generator(seed), shard)
        for name in ("images", "intrinsics", "clips"):
            assert torch.equal(getattr(some, name), getattr(windows, name)[mine])
        assert torch.equal(motion.draw(count, window, generator(seed), shard), sequences[mine])


def test_a_draw_depends_on_its_generator_alone(folder: Path) -> None:
    images, clips = ArrayImages(folder, "train"), ArrayClips(folder, "train")
    forwards = [(images.draw(4, generator(s)).images, clips.draw(4, 3, generator(s)).images) for s in range(4)]
    again = ArrayImages(folder, "train"), ArrayClips(folder, "train")
    backwards = [
        (again[0].draw(4, generator(s)).images, again[1].draw(4, 3, generator(s)).images) for s in (3, 2, 1, 0)
    ]
    for one, other in zip(forwards, reversed(backwards), strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
    assert not torch.equal(forwards[0][0], forwards[1][0])


def test_items_of_a_batch_belong_together(folder: Path) -> None:
    batch = ArrayImages(folder, "train").draw(20, generator(0))
    number = (255 * batch.images[:, 0, 0, 0]).round()
    assert batch.parts is not None
    for value in (batch.poses[:, 0, 0], batch.parts[:, 0, 0].float(), batch.intrinsics[:, 0, 0]):
        assert torch.equal(value, number)


@pytest.mark.parametrize("window", [1, 4, 9])
def test_windows_stay_in_their_clip_and_all_are_drawn(folder: Path, window: int) -> None:
    batch = ArrayClips(folder, "train").draw(500, window, generator(1))
    number = (255 * batch.images[:, :, 0, 0, 0]).round().long()
    assert torch.equal(number, number[:, :1] + torch.arange(window))
    clip = ArrayImages(folder, "train").clip_index()[number]
    assert torch.equal(clip, batch.clips[:, None].expand_as(clip))
    possible = {f for s, n in zip(STARTS.tolist(), LENGTHS, strict=False) for f in range(s, s + n - window + 1)}
    assert set(number[:, 0].tolist()) == possible


def test_a_window_that_fits_nowhere_is_refused(folder: Path) -> None:
    for draw in (ArrayClips(folder, "train").draw, ArrayPoses(folder / "poses", "train").draw):
        with pytest.raises(DataError, match="at least 10 frames") as caught:
            draw(2, 10, generator(0))
        assert "longest clip: 9 frames" in str(caught.value)


@pytest.mark.parametrize("size", [1, 4, 100])
def test_batches_are_everything_once_in_order(folder: Path, size: int) -> None:
    images = torch.cat([b.images for b in ArrayImages(folder, "train").batches(size)])
    assert torch.equal((255 * images[:, 0, 0, 0]).round(), torch.arange(FRAMES).float())
    assert torch.equal(torch.cat(list(ArrayClips(folder, "train").batches(size))), images)


def test_sequences_are_whole_and_root_relative(folder: Path) -> None:
    motion = ArrayPoses(folder / "poses", "train")
    assert [len(sequence) for sequence in motion.sequences()] == list(LENGTHS)
    root = motion.skeleton.index(motion.skeleton.root)
    assert all(bool((sequence[:, root] == 0).all()) for sequence in motion.sequences())


def test_clips_read_no_label(folder: Path) -> None:
    assert set(ArrayClips(folder, "train")._tensors) == {"starts", "intrinsics"}


def test_images_without_poses_are_clips_only(tmp_path: Path) -> None:
    frames(tmp_path, poses=None)
    assert len(ArrayClips(tmp_path, "train")) == FRAMES
    with pytest.raises(DataError, match="no ground-truth poses"):
        ArrayImages(tmp_path, "train")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"poses": torch.zeros(3, JOINTS, 3)}, "poses do not fit"),
        ({"parts": torch.zeros(3, 2, 2)}, "parts do not fit"),
        ({"poses": torch.full((FRAMES, JOINTS, 3), torch.nan)}, "not finite"),
        ({"starts": torch.tensor([0, 5, 5, 15])}, "do not rise"),
        ({"starts": torch.tensor([0, 5, 14])}, "do not rise"),
    ],
)
def test_what_does_not_fit_is_not_written(tmp_path: Path, changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        frames(tmp_path, **changes)
    assert str(split_file(tmp_path, "train")) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_motion_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not finite"):
        write_poses(tmp_path, "a", positions=torch.full((2, JOINTS, 3), torch.inf), starts=STARTS, fps=1, licence="")
    with pytest.raises(DataError, match="do not rise"):
        write_poses(tmp_path, "a", positions=torch.zeros(2, JOINTS, 3), starts=STARTS, fps=1, licence="")
