"""When prepared data count as old, and whose licence they carry."""

from __future__ import annotations

from pathlib import Path

import pytest

from sa3dhp_core.cards import read_card
from sa3dhp_datasets.config import RecordingsConfig, ShotKeypointsConfig
from sa3dhp_datasets.dealing import fingerprint_of
from sa3dhp_datasets.shard_example import figures
from sa3dhp_datasets.shot_keypoints import ShotKeypoints


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "set" / "walk").mkdir(parents=True)
    (tmp_path / "set" / "labels.json").write_text("{}")
    (tmp_path / "set" / "walk" / "0.jpg").write_bytes(b"picture")
    return tmp_path / "set"


def test_other_files_and_other_numbers_of_pictures_are_told(folder: Path) -> None:
    def told() -> object:
        return fingerprint_of(RecordingsConfig(path=str(folder)))

    found = [told(), told()]
    (folder / "walk" / "1.jpg").write_bytes(b"picture")
    found.append(told())
    (folder / "labels.json").write_text("{} ")
    found.append(told())
    (folder.parent / "set.boxes.jsonl").write_text("beside")
    found.append(told())
    (folder / "gone.json").symlink_to(folder / "nowhere")
    assert found[0] == found[1] and found[-1] == told()
    assert len({str(one) for one in found}) == len(found) - 1


def test_a_path_that_is_a_file_tells_of_itself(folder: Path) -> None:
    table = RecordingsConfig(path=str(folder / "labels.json"))
    before = fingerprint_of(table)
    (folder / "walk" / "1.jpg").write_bytes(b"picture")
    assert before and fingerprint_of(table) == before
    (folder / "labels.json").write_text("{} ")
    assert fingerprint_of(table) != before
    assert fingerprint_of(RecordingsConfig(path=str(folder / "gone"))) == {}


@pytest.mark.parametrize("licence", ("", "mine"))
def test_a_tables_licence_goes_before_the_cards(tmp_path: Path, licence: str) -> None:
    data = ShotKeypoints(ShotKeypointsConfig(), figures, "video-folder", ("train",), licence=licence)
    data.prepare(tmp_path)
    assert data.keypoints(tmp_path, "train").licence == (licence or read_card("datasets", "video-folder")["licence"])
