"""Human3.6M as h36m-fetch extracts it: geometry, numbered images with gaps, and files that are wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sa3dhp_core.cli import main
from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError
from sa3dhp_core.host import Host
from sa3dhp_datasets import reading_process
from sa3dhp_datasets.config import RecordingsConfig, ShotImagesConfig, ShotKeypointsConfig
from sa3dhp_datasets.human36m_example import CAMERAS, mono_mm, world_mm
from sa3dhp_datasets.human36m_h5 import human36m_h5_images, human36m_h5_keypoints, shots
from sa3dhp_datasets.human36m_h5_example import arrays, write_annotations, write_processed
from sa3dhp_datasets.shots import Shot, projected

FRAMES, KEPT = (1, 2, 3, 7, 8), [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
FIRST = "S1/TakingPhoto-1/annot.h5"


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All recordings without images; nobody writes into it."""
    return write_processed(tmp_path_factory.mktemp("processed"), FRAMES, CAMERAS[:2], images=False)


@pytest.fixture
def copy(processed: Path, tmp_path: Path) -> Path:
    """The same, to be spoilt."""
    return Path(shutil.copytree(processed, tmp_path / "set"))


def read(folder: Path) -> list[Shot]:
    return list(shots(RecordingsConfig(path=str(folder))))


def test_joints_are_where_the_cameras_of_metadata_xml_see_them(processed: Path) -> None:
    found = read(processed)
    titles = [f"{name}/{camera}" for name in ("S1/Photo-1", "S5/Walking-2", "S9/WalkDog-1") for camera in CAMERAS[:2]]
    assert [shot.title for shot in found] == titles
    assert [shot.split for shot in found] == ["train"] * 4 + ["test"] * 2
    for shot in found:
        (person,) = shot.people
        assert person.frames.tolist() == [0, 1, 2, 6, 7] and person.joints is not None
        assert np.abs(projected(person.joints, shot.lens) - person.keypoints).max() < 1e-3
    mono = mono_mm(world_mm(1), 1, 5)[np.array(FRAMES) - 1]
    np.testing.assert_allclose(found[3].people[0].joints, mono[:, KEPT] / 1000, atol=1e-6)


def test_frames_keep_their_numbers_and_gaps_part_clips(processed: Path, tmp_path: Path) -> None:
    data = human36m_h5_keypoints(ShotKeypointsConfig(path=str(processed)), host=Host(()))
    data.prepare(tmp_path)
    found = data.keypoints(tmp_path, "test")
    facts = found.frame_facts()
    assert facts.numbers is not None and facts.numbers.tolist() == [0, 1, 2, 6, 7] * 2
    assert found.clip_index().tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]
    assert set(facts.cameras or ()) == set(CAMERAS[:2]) and set(facts.subjects or ()) == {"S9"}


def test_images_are_found_by_their_frames(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_processed(tmp_path / "in", (2, 6))
    data = human36m_h5_images(ShotImagesConfig(path=str(tmp_path / "in"), size=64))
    data.prepare(tmp_path / "out")
    (batch,) = data.labelled(tmp_path / "out", "test").batches(10)
    assert batch.keypoints is not None
    for image, points in zip(batch.images, batch.keypoints.round().long().clamp(0, 63), strict=True):
        shown = image[0, points[:, 1], points[:, 0]] > 0.2
        assert float(shown.float().mean()) > 0.9, "discs are brighter than the ground at 0.16"
    missing = tmp_path / "in" / "S9" / "WalkingDog-1" / "imageSequence" / CAMERAS[0] / "img_000006.jpg"
    missing.unlink()
    with pytest.raises(DataError, match=r"img_000006.jpg: the image cannot be read[\s\S]*no such file"):
        human36m_h5_images(ShotImagesConfig(path=str(tmp_path / "in"), size=48)).prepare(tmp_path / "other")


Change = Callable[[dict[str, Any]], object]
WRONG: dict[str, tuple[Change, str]] = {
    "no joints": (lambda content: content.pop("pose/3d"), "the variable '3d' is missing"),
    "17 joints": (lambda content: content.update({"pose/3d": content["pose/3d"][:, KEPT]}), r"\(10, 17, 3\)"),
    "metres": (lambda content: content.update({"pose/3d": content["pose/3d"] / 1000}), "looks like metres"),
    "NaN": (lambda content: content["pose/2d"].__setitem__((3, 4, 1), np.nan), "not finite"),
    "lengths": (lambda content: content.update(frame=content["frame"][:-1]), "lengths that differ"),
    "another camera": (lambda content: content.update(camera=content["camera"] + 1), "no such camera"),
    "frames from 0": (lambda content: content.update(frame=content["frame"] - 1), "do not rise from 1"),
    "frames twice": (lambda content: content.update(frame=content["frame"] // 2 + 1), "do not rise from 1"),
    "frames between": (lambda content: content.update(frame=content["frame"] + 0.5), "not a whole number"),
    "no rows": (lambda content: content.update({key: values[:0] for key, values in content.items()}), "no bone"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_named(case: str, copy: Path) -> None:
    change, message = WRONG[case]
    content: dict[str, Any] = dict(arrays(0, 1, CAMERAS[:2], FRAMES))
    change(content)
    write_annotations(copy / FIRST, content)
    with pytest.raises(DataError, match=message) as caught:
        read(copy)
    assert str(copy) in str(caught.value)


def test_missing_cut_and_other_files_are_named(copy: Path, tmp_path: Path) -> None:
    whole = (copy / FIRST).read_bytes()
    for data, message in ((whole[: len(whole) // 2], "annot.h5"), (b"PK\x03\x04" * 200, "another format")):
        (copy / FIRST).write_bytes(data)
        with pytest.raises(DataError, match=message):
            read(copy)
    (copy / "metadata.xml").unlink()
    with pytest.raises(DataError, match="file of cameras is missing"):
        read(copy)
    (tmp_path / "raw" / "S1" / "MyPoseFeatures" / "D3_Positions").mkdir(parents=True)
    (tmp_path / "raw" / "S1" / "MyPoseFeatures" / "D3_Positions" / "Eating.cdf").touch()
    with pytest.raises(DataError, match=r'looks like Human3.6M; use = "human36m" reads it'):
        read(tmp_path / "raw")
    (tmp_path / "set.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(DataError, match="an archive where a folder is due"):
        read(tmp_path / "set.zip")


def test_its_mapping_is_shown_by_the_card_that_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["data", "show", "human36m-h5"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0 and 'left_wrist = ["LeftHand"]' in shown and "human36m-h5 (image_data)" in shown


def test_spoilt_files_are_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_process, "SECONDS", 1)
    (tmp_path / "whole").mkdir()
    write_processed(tmp_path / "whole", (1, 2), images=False)
    found = outcomes(read, tmp_path / "whole", tmp_path / "spoilt", range(220))
    assert found["refused"] > 60 and found["read"] > 5
