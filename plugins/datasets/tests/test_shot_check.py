"""What is said of a data set before it is used: counts, projection errors, bones, problems, and the contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from PIL import Image

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.config import ShotImagesConfig, ShotKeypointsConfig
from sa3dhp_datasets.lens import Lens
from sa3dhp_datasets.shot_check import checked
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shot_keypoints import ShotKeypoints
from sa3dhp_datasets.shots import Person, Shot, person_of, projected

LENS = Lens(np.array([200.0, 200.0]), np.array([160.0, 120.0]), np.array([-0.1, 0.0, 0.0]))
FRAMES = 6


def standing() -> np.ndarray[Any, np.dtype[np.float64]]:
    """``(T, J, 3)`` a person of usual bones, each joint straight on from its parent, 4 m away."""
    body = skeleton()
    place = {body.root: np.zeros(3)}
    for end in body.bones:
        joint = body.joints[end]
        side = 1.0 if joint.startswith("left") else -1.0 if joint.startswith("right") else 0.0
        down = 1.0 if any(part in joint for part in ("knee", "ankle")) else 0.0
        if not side:
            down = -1.0
        step = np.array([side * (not down), down, 0.1])
        place[joint] = place[body.parents[joint]] + step / np.linalg.norm(step) * body.bone_lengths_m[joint]
    figure = np.stack([place[joint] for joint in body.joints])
    return figure + np.array([[[0.05 * k, 0.0, 4.0]] for k in range(FRAMES)])


class Grey:
    width, height = 320, 240

    def __len__(self) -> int:
        return FRAMES

    def frames(self, wanted: Any) -> Iterator[tuple[int, Any]]:
        yield from ((k, np.full((240, 320, 3), 90, np.uint8)) for k in range(FRAMES) if k in wanted)


def shot(change: Callable[[Person], Person] = lambda person: person, **facts: Any) -> Shot:
    solid = standing()
    person = person_of(0, np.arange(FRAMES), LENS, joints=solid, keypoints=projected(solid, LENS))
    assert person is not None
    told: dict[str, Any] = {"name": "walk", "subject": "S1", "camera": "c0", "family": "", "fps": 50.0}
    told |= {"lens": LENS, "where": "walk.txt", "pictures": Grey}
    return Shot(**{**told, "people": (change(person),), **facts})


def test_a_sound_set_has_no_problem() -> None:
    found = checked([("train", shot()), ("train", shot(name="run")), ("test", shot(subject="S9", camera="c1"))])
    assert found.problems == ()
    assert found.subjects == (("S1", 2 * FRAMES), ("S9", FRAMES)) and found.splits == (("test", 1), ("train", 2))
    first, second = found.cameras
    assert (first.camera, first.recordings, first.people, first.frames, first.fps) == ("c0", 2, 2, 2 * FRAMES, (50.0,))
    assert first.median_px is not None and first.worst_px is not None and first.worst_px < 1e-6
    assert second.frames == FRAMES
    assert {bone.joint for bone in found.bones} == set(skeleton().joints) - {skeleton().root}
    for bone in found.bones:
        assert bone.median_m == pytest.approx(skeleton().bone_lengths_m[bone.joint]) and bone.varies < 1e-6


def test_2d_beside_3d_is_told_with_its_camera() -> None:
    found = checked([("train", shot(lambda person: attrs.evolve(person, keypoints=_beside(person))))])
    assert found.cameras[0].median_px == pytest.approx(3.0)
    assert found.problems == ("camera c0: 3D joints project 3.0 px away from the 2D joints",)


def _beside(person: Person) -> Any:
    assert person.keypoints is not None
    return person.keypoints + [3.0, 0.0]


def test_a_set_may_promise_less_and_have_bones_of_its_own() -> None:
    """Detections lie beside projections; another body's hips are elsewhere."""
    shots = [("train", shot(lambda person: attrs.evolve(person, keypoints=_beside(person))))]
    assert checked(shots, far_px=5.0).problems == ()
    assert len(checked(shots, far_px=2.0, bones_m={"left_hip": 0.05, "right_hip": 0.05}).problems) == 3


def test_keypoints_that_were_projected_prove_nothing() -> None:
    person = person_of(0, np.arange(FRAMES), LENS, joints=standing())
    assert person is not None
    found = checked([("train", shot(people=(person,)))])
    assert found.cameras[0].median_px is None and found.problems == ()


@pytest.mark.parametrize(
    ("change", "problem"),
    (
        (lambda joints: joints / 10, "long; "),
        (lambda joints: joints * 25.4, "long; "),
        (lambda joints: _longer(joints, "left_knee", 1.4), "the bones to left_knee and right_knee are"),
    ),
)
def test_bones_that_nobody_has_are_told(change: Any, problem: str) -> None:
    made = shot(lambda person: attrs.evolve(person, joints=change(person.joints), told=False))
    assert any(problem in line for line in checked([("train", made)]).problems)


def _longer(joints: Any, joint: str, times: float) -> Any:
    body, joints = skeleton(), joints.copy()
    parent = joints[:, body.index(body.parents[joint])]
    step = (joints[:, body.index(joint)] - parent) * (times - 1)
    for name in (joint, "left_ankle"):
        joints[:, body.index(name)] += step
    return joints


def test_a_bone_that_changes_within_a_subject_shows() -> None:
    solid = standing()
    solid[3:] = solid[3:, :1] + (solid[3:] - solid[3:, :1]) * 1.2
    made = shot(lambda person: attrs.evolve(person, joints=solid, told=False))
    assert all(bone.varies > 0.1 for bone in checked([("train", made)]).bones)


def test_recordings_without_pictures_are_counted() -> None:
    found = checked([("train", shot()), ("train", shot(name="run", pictures=None))])
    assert found.problems == ("1 of 2 recordings have no pictures (S1/run/c0)",)


def test_a_set_without_joints_has_no_bones() -> None:
    person = person_of(0, np.arange(FRAMES), LENS, keypoints=projected(standing(), LENS))
    assert person is not None
    assert checked([("train", shot(people=(person,)))]).bones == ()


def test_the_sheet_shows_skeletons_of_every_camera(tmp_path: Path) -> None:
    shots = [shot(), shot(camera="c1"), shot(camera="c2", pictures=None)]
    data = ShotImages(ShotImagesConfig(path="set"), lambda config: iter(shots), "video-folder")
    titles = data.write_sheet(tmp_path / "sheet.png", 0)
    assert len(titles) == 24 and {title.split("/")[-1][:2] for title in titles} == {"c0", "c1"}
    again = data.write_sheet(tmp_path / "again.png", 0)
    assert titles == again and (tmp_path / "sheet.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    assert data.write_sheet(tmp_path / "other.png", 1) != titles
    pixels = np.asarray(Image.open(tmp_path / "sheet.png")).reshape(-1, 3)
    colours = {tuple(pixel) for pixel in np.unique(pixels, axis=0).tolist()}
    assert {(255, 120, 60), (60, 160, 255), (120, 230, 120), (90, 90, 90)} <= colours
    blind = ShotImages(ShotImagesConfig(path="set"), lambda config: iter(shots[2:]), "video-folder")
    with pytest.raises(DataError, match="no pictures to draw"):
        blind.write_sheet(tmp_path / "none.png", 0)
    assert not (tmp_path / "none.png").exists()


def test_check_honours_the_table() -> None:
    made = [shot(), shot(subject="S9")]
    data = ShotKeypoints(ShotKeypointsConfig(path="set", subjects=("S9",)), lambda config: iter(made), "video-folder")
    assert data.check().subjects == (("S9", FRAMES),)
