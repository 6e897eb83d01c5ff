"""What any importer's shots become: crops through the lens, keypoints, motion; made-up shots stand for a set."""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_core.geometry import crop, project
from sa3dhp_core.protocols.data import facts_of
from sa3dhp_datasets.config import ShotImagesConfig, ShotKeypointsConfig, ShotMotionConfig
from sa3dhp_datasets.lens import Lens
from sa3dhp_datasets.shot_crops import Framing, _bent_crop, cut_of, view_through
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shot_keypoints import ShotKeypoints
from sa3dhp_datasets.shot_motion import ShotMotion
from sa3dhp_datasets.shot_rows import EVEN, rows_of
from sa3dhp_datasets.shots import Person, Shot, boxes_of, person_of, projected

WIDTH, HEIGHT, FRAMES = 320, 240, 8
CARD = "video-folder"
BENT = Lens(np.array([300.0, 305.0]), np.array([150.0, 125.0]), np.array([-0.25, 0.1, 0.0]), np.array([0.004, -0.006]))
PLAIN = Lens(np.array([300.0, 300.0]), np.array([160.0, 120.0]))
Y_UP_TO_Z_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Camera axes (x right, y down, z away) to a world with z up, for a camera that looks straight ahead."""

FIGURE = np.random.default_rng(0).uniform(-0.5, 0.5, (len(skeleton().joints), 3)) * [1.0, 1.6, 0.4]
"""A house figure without any symmetry, metres."""


def joints(phase: float = 0.0, frames: int = FRAMES) -> NDArray[np.float64]:
    """``(T, J, 3)`` camera frame: the figure walks past."""
    away = np.stack([np.array([0.15 * k - 0.5 + phase, 0.1, 3.0 + 0.1 * k]) for k in range(frames)])
    return FIGURE[None] + away[:, None]


class Discs:
    """Pictures with a disc at each keypoint of the first person; counts how often they are read."""

    def __init__(self, points: NDArray[np.float64], joint: int = 0) -> None:
        self.width, self.height, self.points, self.joint, self.read = WIDTH, HEIGHT, points, joint, 0

    def __len__(self) -> int:
        return len(self.points)

    def frames(self, wanted: Container[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
        for number, points in enumerate(self.points):
            if number in wanted:
                self.read += 1
                picture = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
                u, v = points[self.joint]
                picture[(x - u) ** 2 + (y - v) ** 2 < 16] = 255
                yield number, picture


def shot(lens: Lens = PLAIN, phase: float = 0.0, **changes: Any) -> Shot:
    solid = joints(phase)
    person = person_of(1, np.arange(FRAMES), lens, joints=solid, flags={"valid": np.arange(FRAMES) % 2 == 0})
    assert person is not None and person.keypoints is not None
    pictures = Discs(person.keypoints)
    facts: dict[str, Any] = {"name": "walk", "subject": "S1", "camera": "c0", "family": "walk", "fps": 50.0}
    facts |= {"pictures": lambda: pictures, "upright": Y_UP_TO_Z_UP}
    return Shot(lens=lens, people=(person,), where="walk.txt", **{**facts, **changes})


def config(**keys: Any) -> ShotImagesConfig:
    return ShotImagesConfig(path="set", size=32, **keys)


@pytest.mark.parametrize("lens", (PLAIN, BENT), ids=("plain", "bent"))
@pytest.mark.parametrize("joint", (0, 10, 16))
def test_a_crop_shows_each_joint_where_its_keypoint_says(lens: Lens, joint: int) -> None:
    made = shot(lens)
    person = made.people[0]
    assert person.keypoints is not None
    cut = cut_of(made, person, np.arange(FRAMES), Framing(96, 0.5, 1.3))
    assert cut.keypoints is not None and cut.poses is not None
    for frame, picture in Discs(person.keypoints, joint).frames(range(FRAMES)):
        view = view_through(lens, cut.rotation.float(), cut.intrinsics.float(), 96, (HEIGHT, WIDTH))
        image = view([picture], [0], [frame])[0, 0]
        y, x = torch.meshgrid(torch.arange(96) + 0.5, torch.arange(96) + 0.5, indexing="ij")
        centre = torch.stack([(image * x).sum(), (image * y).sum()]) / image.sum()
        assert torch.dist(centre, cut.keypoints[frame, joint]) < 0.6, frame


def test_a_crops_pose_projects_onto_its_keypoints() -> None:
    made = shot(BENT)
    cut = cut_of(made, made.people[0], np.arange(FRAMES), Framing(64, 0.5, 1.15))
    assert cut.poses is not None and cut.keypoints is not None
    root = torch.from_numpy(joints())[:, :1] @ cut.rotation.transpose(-1, -2)
    seen = project(cut.poses.double() + root, cut.intrinsics)
    assert torch.allclose(seen.float(), cut.keypoints, atol=2e-3)
    assert bool((cut.keypoints > 0).all() and (cut.keypoints < 64).all())


def test_a_lens_that_hardly_bends_gives_the_plain_crop() -> None:
    made = shot()
    cut = cut_of(made, made.people[0], np.arange(1), Framing(96, 0.5, 1.15))
    picture = np.random.default_rng(1).integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3)).astype(np.uint8)
    picture = picture.repeat(8, 0).repeat(8, 1)
    image, camera = torch.from_numpy(picture).permute(2, 0, 1), (cut.rotation[0].float(), cut.intrinsics[0].float())
    ideal = torch.tensor([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])
    assert torch.allclose(_bent_crop(image / 255, PLAIN, *camera, 96), crop(image, ideal, *camera, 96), atol=0.02)


def of_frames(frames: list[int]) -> Person:
    return Person(0, np.array(frames, dtype=np.int64), np.zeros((len(frames), 4)))


FRAME_LISTS = st.lists(st.integers(0, 60), unique=True, max_size=40).map(sorted)


@given(frames=FRAME_LISTS, stride=st.integers(1, 5), shortest=st.integers(1, 4))
def test_clips_are_whole_runs_of_every_nth_frame(frames: list[int], stride: int, shortest: int) -> None:
    person = of_frames(frames)
    found = [person.frames[rows].tolist() for rows in rows_of(shot(), person, 50.0 / stride, shortest)]
    every = [frame for piece in found for frame in piece]
    assert every == sorted(set(every)) and all(frame % stride == 0 for frame in every)
    for piece in found:
        assert len(piece) >= shortest and set(np.diff(piece).tolist()) <= {stride}
        assert piece[0] - stride not in frames and piece[-1] + stride not in frames
    runs = [f for f in frames if f % stride == 0 and f - stride not in frames]
    assert len(found) <= len(runs) and (shortest > 1 or len(found) == len(runs))


def uneven(fps: float) -> bool:
    """Whether no multiple of a rate is the shot's: else every n-th frame is kept, and those between may be missing."""
    multiple = 50.0 / fps
    return abs(multiple - round(multiple)) > EVEN * multiple


@given(frames=FRAME_LISTS, fps=st.floats(3.0, 49.0).filter(uneven))
def test_uneven_rates_take_the_nearest_frame_in_time(frames: list[int], fps: float) -> None:
    person = of_frames(frames)
    for rows in rows_of(shot(), person, fps, 1):
        numbers = person.frames[rows]
        assert set(np.arange(numbers[0], numbers[-1] + 1).tolist()) <= set(frames), "no clip bridges a gap"
        ticks = np.round(numbers / 50.0 * fps)
        assert (np.diff(ticks) == 1).all(), "one frame a tick"
        late = np.abs(numbers / 50.0 - ticks / fps)
        inner = (numbers > numbers[0]) & (numbers < numbers[-1])
        assert (late[inner] <= 0.5 / 50.0 + 1e-3).all()


def test_no_frame_is_made_up() -> None:
    assert [len(rows) for rows in rows_of(shot(), of_frames(list(range(100))), None, 1)] == [100]
    assert [len(rows) for rows in rows_of(shot(), of_frames(list(range(100))), 30.0, 1)] == [60]
    with pytest.raises(RecipeError, match=r"more frames per second than there are(.|\n)*50"):
        list(rows_of(shot(), of_frames([0, 1]), 60.0, 1))


def test_people_are_completed_from_what_a_set_tells() -> None:
    points = projected(joints(), PLAIN)
    points[2] = np.nan
    points[3, :5] = np.nan
    person = person_of(7, np.arange(FRAMES), PLAIN, keypoints=points)
    assert person is not None and person.frames.tolist() == [0, 1, 3, 4, 5, 6, 7]
    low, high = np.nanmin(points[3], axis=0), np.nanmax(points[3], axis=0)
    assert np.allclose(person.boxes[2], [*low, *(high - low)])
    assert person_of(7, np.arange(1), PLAIN, keypoints=points[2:3]) is None
    assert np.isnan(boxes_of(points)[2]).all()
    behind = joints() * [1, 1, -1]
    assert np.isnan(projected(behind, PLAIN)).all()


def reader(*shots: Shot) -> Any:
    return lambda config: iter(shots)


def test_images_carry_poses_facts_and_families(tmp_path: Path) -> None:
    other = shot(phase=0.2, subject="S9", camera="c1", family="")
    data = ShotImages(config(fps=25.0, test=("S9",)), reader(shot(BENT), other), CARD)
    assert data.splits == ("train", "test")
    data.prepare(tmp_path)
    train = data.labelled(tmp_path, "train")
    facts = facts_of(train)
    assert facts is not None and facts.subjects == ["S1"] * 4 and facts.cameras == ["c0"] * 4
    assert facts.numbers is not None and facts.numbers.tolist() == [0, 2, 4, 6]
    assert facts.flags["valid"].tolist() == [True] * 4
    assert train.fps == 25.0 and train.families() == ("walk",) and len(train) == 4
    clips = data.clips(tmp_path, "test")
    other_facts = facts_of(clips)
    assert other_facts is not None and other_facts.subjects == ["S9"] * 4 and clips.families() == ("",)
    assert next(train.batches(4)).images.amax() > 0.9
    assert not list(tmp_path.glob(".*")), "nothing unfinished is left"


def test_an_interrupted_preparation_goes_on_where_it_was(tmp_path: Path) -> None:
    def broken() -> Any:
        raise DataError("the disk is gone", where="here")

    first, second = shot(), shot(phase=0.2, subject="S2")
    halfway = ShotImages(config(), reader(first, attrs.evolve(second, pictures=broken)), CARD)
    with pytest.raises(DataError, match="disk is gone"):
        halfway.prepare(tmp_path / "a")
    whole = ShotImages(config(), reader(first, second), CARD)
    assert first.pictures is not None
    before = first.pictures().read  # type: ignore[attr-defined]
    whole.prepare(tmp_path / "a")
    assert first.pictures().read == before, "the first shot is not cut twice"  # type: ignore[attr-defined]
    whole.prepare(tmp_path / "b")
    one, two = (next(whole.labelled(tmp_path / name, "train").batches(99)) for name in "ab")
    assert torch.equal(one.images, two.images) and torch.equal(one.poses, two.poses)
    assert float(one.images[FRAMES:].amax()) > 0.9


def test_another_framing_begins_anew(tmp_path: Path) -> None:
    def broken() -> Any:
        raise DataError("the disk is gone", where="here")

    shots = (shot(), shot(phase=0.2, subject="S2"))
    halfway = ShotImages(config(margin=2.0), reader(shots[0], attrs.evolve(shots[1], pictures=broken)), CARD)
    with pytest.raises(DataError, match="disk is gone"):
        halfway.prepare(tmp_path / "a")
    data = ShotImages(config(), reader(*shots), CARD)
    data.prepare(tmp_path / "a")
    data.prepare(tmp_path / "b")
    one, two = (next(data.labelled(tmp_path / name, "train").batches(99)).images for name in "ab")
    assert torch.equal(one, two)


def test_keypoints_have_the_lens_undone(tmp_path: Path) -> None:
    data = ShotKeypoints(ShotKeypointsConfig(path="set"), reader(shot(BENT)), CARD)
    data.prepare(tmp_path)
    points = data.keypoints(tmp_path, "train")
    solid = torch.from_numpy(joints())
    assert torch.allclose(next(points.batches(99)), (solid[..., :2] / solid[..., 2:]).float(), atol=1e-5)
    truth = data.truth(tmp_path, "train")
    assert truth is not None and torch.allclose(truth, (solid - solid[:, :1]).float(), atol=1e-6)
    facts = facts_of(points)
    assert facts is not None and facts.numbers is not None and facts.numbers.tolist() == list(range(FRAMES))
    assert facts.flags["valid"].tolist() == [True, False] * 4 and points.groups() == ("S1",)


def test_motion_is_upright_and_each_recording_stands_once(tmp_path: Path) -> None:
    data = ShotMotion(ShotMotionConfig(path="set"), reader(shot(), shot(camera="c1"), shot(subject="S2")), CARD)
    data.prepare(tmp_path)
    found = data.sequences(tmp_path, "train")
    clips = list(found.sequences())
    assert len(clips) == 2
    solid = torch.from_numpy(joints())
    relative = solid - solid[:, :1]
    assert torch.allclose(clips[0][..., 2], -relative[..., 1].float(), atol=1e-6), "up is up"
    with pytest.raises(DataError, match="how the camera stands is not known"):
        ShotMotion(ShotMotionConfig(path="set"), reader(shot(upright=None)), CARD).prepare(tmp_path / "b")


def test_own_splits_stand_unless_the_table_deals_otherwise(tmp_path: Path) -> None:
    shots = [shot(subject=name, split=split) for name, split in (("S1", "train"), ("S8", "train"), ("S9", "test"))]
    data = ShotKeypoints(ShotKeypointsConfig(path="set", validation=("S8",)), reader(*shots), CARD, ("train", "test"))
    assert data.splits == ("train", "validation", "test")
    data.prepare(tmp_path)
    assert [data.keypoints(tmp_path, split).groups() for split in data.splits] == [("S1",), ("S8",), ("S9",)]
    only = ShotKeypoints(ShotKeypointsConfig(path="set", splits=("test",)), reader(*shots), CARD, ("train", "test"))
    only.prepare(tmp_path / "only")
    assert only.splits == ("test",) and only.keypoints(tmp_path / "only", "test").groups() == ("S9",)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no recording fits(.|\n)*S1/walk/c0"):
        ShotImages(config(subjects=("S7",)), reader(shot()), CARD).prepare(tmp_path)
    with pytest.raises(DataError, match=r"no clip is long enough"):
        ShotImages(config(min_frames=99), reader(shot()), CARD).prepare(tmp_path)
    with pytest.raises(DataError, match=r"no pictures(.|\n)*keypoint or pose data"):
        ShotImages(config(), reader(shot(pictures=None)), CARD).prepare(tmp_path)
    with pytest.raises(DataError, match=r"several frame rates(.|\n)*25, 50(.|\n)*fps = 25"):
        ShotImages(config(), reader(shot(), shot(fps=25.0)), CARD).prepare(tmp_path)
    short = Discs(projected(joints(frames=5), PLAIN))
    with pytest.raises(DataError, match=r"more pictures than there are(.|\n)*5"):
        ShotImages(config(), reader(shot(pictures=lambda: short)), CARD).prepare(tmp_path)
    data = ShotImages(config(test=("S9",)), reader(shot()), CARD)
    data.prepare(tmp_path / "good")
    with pytest.raises(DataError, match="'test' has no recording"):
        data.clips(tmp_path / "good", "test")
    with pytest.raises(DataError, match="no split 'tset'"):
        data.clips(tmp_path / "good", "tset")


def test_poses_behind_the_camera_are_refused(tmp_path: Path) -> None:
    made = shot()
    person = attrs.evolve(made.people[0], joints=joints() - [0, 0, 3.3])
    with pytest.raises(DataError, match=r"walk.txt: S1/walk/c0, frame 0: (.|\n)*in front of the camera"):
        ShotImages(config(), reader(attrs.evolve(made, people=(person,))), CARD).prepare(tmp_path)
