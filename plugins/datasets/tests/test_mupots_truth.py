"""MuPoTS-3D's truth meets its protocols: perfect predictions score 100, missed people count, invalid ones not."""

from __future__ import annotations

import pytest
import torch

from sa3dhp_core.cards import card_ids, skeleton
from sa3dhp_core.evaluation import People, evaluate_people, load_protocol
from sa3dhp_datasets.mupots import shots
from sa3dhp_datasets.mupots_config import MupotsKeypointsConfig
from sa3dhp_datasets.mupots_example import UNIVERSAL, mupots_keypoints, people_of
from sa3dhp_datasets.mupots_truth import true_people

Frames = list[tuple[str, int, People]]


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    folder = tmp_path_factory.mktemp("mupots")
    mupots_keypoints(folder)
    return list(true_people(shots(MupotsKeypointsConfig(path=str(folder), universal=True))))


def value(protocol: str, predicted: list[People], frames: Frames) -> float:
    truth, names = [people for *_, people in frames], [name for name, *_ in frames]
    return evaluate_people(load_protocol(protocol), predicted, truth, skeleton(), names).value


def test_frames_hold_all_valid_people(frames: Frames) -> None:
    assert [(name, number) for name, number, _ in frames] == [
        *(("TS1", number) for number in range(6)),
        *(("TS6", number) for number in range(12)),
    ]
    assert [len(people.poses) for *_, people in frames] == [2] * 5 + [1] + [2] * 11 + [1]
    true = torch.from_numpy(UNIVERSAL * people_of("TS1")[1][5])
    assert torch.allclose(frames[5][2].poses[0], true, atol=1e-9), "the first person is not valid there"


@pytest.mark.parametrize("protocol", [card for card in card_ids("protocols") if card.startswith("mupots-3dpck-")])
def test_protocols_score_it(frames: Frames, protocol: str) -> None:
    perfect = [people for *_, people in frames]
    assert value(protocol, perfect, frames) == 100.0
    turned = [People(people.poses.flip(0), people.keypoints.flip(0)) for people in perfect]
    assert value(protocol, turned, frames) == 100.0, "people are found by their keypoints"
    missed = [People(people.poses[:1], people.keypoints[:1]) for people in perfect]
    shares = {"all": 50 * (6 / 11 + 12 / 23), "matched": 100.0}
    assert value(protocol, missed, frames) == pytest.approx(shares[protocol.split("-")[2]])
    moved = [People(people.poses + torch.tensor([0.0, 0.0, 0.4]), people.keypoints) for people in perfect]
    assert value(protocol, moved, frames) == (100.0 if protocol.endswith("relative") else 0.0)
