"""Poses lifted by a run: turned upright by the cameras' elevations, keyed by the weights, refused where none lifts."""

from __future__ import annotations

import math
import sys
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch

from sa3dhp_core import runner
from sa3dhp_core.atomic import generator_for, read_tensors, write_tensors
from sa3dhp_core.cards import skeleton
from sa3dhp_core.components import Component
from sa3dhp_core.conformance.motion import Swinging
from sa3dhp_core.errors import DataError, RecipeError, RunError
from sa3dhp_core.geometry import viewpoint
from sa3dhp_core.host import Host
from sa3dhp_core.keypoint_store import ArrayKeypoints, write_keypoints
from sa3dhp_ites.lifted import LiftedPoses, looks_down, upright
from sa3dhp_ites.lifted_config import LiftedPosesConfig
from sa3dhp_ites.lifted_example import CLIPS, FRAMES, lifted

BODY, HOST = skeleton(), Host.load()
WORLD = Swinging(BODY)(4, 6, generator_for("upright")).flatten(0, 1)
LENGTHS = torch.full((4,), 6)
MIRROR = torch.tensor([1.0, 1.0, -1.0])


def seen(*elevations_deg: float) -> torch.Tensor:
    """The four sequences, each by the camera of its turn, which looks down so far."""
    turns = viewpoint(0.0, torch.tensor([math.radians(e) for e in elevations_deg]).repeat(4 // len(elevations_deg)))
    return WORLD @ turns.repeat_interleave(LENGTHS, dim=0).mT


def data(table: dict[str, Any], **keys: Any) -> LiftedPoses:
    """The component, built as a recipe's table is."""
    found: LiftedPoses = HOST.build("pose_data", {"use": "lifted-poses", **table, **keys}, "data.poses")
    return found


@pytest.mark.parametrize("elevations", [(0.0,), (20.0,), (5.0, 15.0), (-10.0, 0.0, 10.0, 30.0)])
def test_known_elevations_are_undone(elevations: tuple[float, ...]) -> None:
    found = upright(seen(*elevations), LENGTHS, LiftedPosesConfig(elevations_deg=elevations))
    assert torch.allclose(found, WORLD, atol=1e-6)


@pytest.mark.parametrize("elevation", [-25.0, 0.0, 10.0, 40.0])
def test_an_unknown_elevation_is_the_one_under_which_people_stand(elevation: float) -> None:
    still = math.degrees(looks_down(seen(0.0)))
    assert abs(still) < 5
    assert math.degrees(looks_down(seen(elevation))) == pytest.approx(elevation + still, abs=1e-3)
    found = upright(seen(elevation), LENGTHS, LiftedPosesConfig())
    assert math.degrees(looks_down(found @ viewpoint(0.0, 0.0).mT)) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("elevations", [(12.0,), (5.0, 15.0), (-20.0,)])
def test_elevations_tell_poses_from_their_mirror_images(elevations: tuple[float, ...]) -> None:
    config = LiftedPosesConfig(elevations_deg=elevations, mirror="upright")
    for poses in (seen(*elevations), seen(*elevations) * MIRROR):
        assert torch.allclose(upright(poses, LENGTHS, config), WORLD, atol=1e-6)
    always = LiftedPosesConfig(elevations_deg=elevations, mirror="yes")
    assert torch.allclose(upright(seen(*elevations) * MIRROR, LENGTHS, always), WORLD, atol=1e-6)


def test_a_mirror_without_elevations_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"data\.poses(.|\n)*needs elevations_deg"):
        data({}, mirror="upright")


def test_sequences_are_the_clips_that_the_run_lifts(tmp_path: Path) -> None:
    poses = data(lifted(tmp_path))
    poses.prepare(tmp_path / "out")
    found = poses.sequences(tmp_path / "out", "train")
    assert poses.splits == ("train", "validation", "test") and found.families() == ("swing",) * CLIPS
    trained = runner.trained_lifter(tmp_path / "run", HOST)
    keypoints = trained.keypoints("train")
    world = torch.cat(list(found.sequences())).unflatten(0, (CLIPS, FRAMES))
    expected = trained.lift(torch.cat(list(keypoints.batches(5)))).unflatten(0, (CLIPS, FRAMES))
    turned = world @ viewpoint(0.0, math.radians(10.0)).mT
    assert torch.allclose(turned, expected, atol=1e-5)
    assert found.fps == keypoints.fps and found.licence == "own work"


def test_other_keypoints_are_lifted_by_the_same_run(tmp_path: Path) -> None:
    motion = {"use": "world-motion", "train_sequences": 2, "validation_sequences": 1, "test_sequences": 1, "frames": 6}
    keypoints = {"use": "projected-poses", "azimuths_deg": [0.0, 90.0], "poses": motion}
    poses = data(lifted(tmp_path), keypoints=keypoints)
    poses.prepare(tmp_path / "out")
    assert [len(one) for one in poses.sequences(tmp_path / "out", "train").sequences()] == [6] * 4
    with pytest.raises(RecipeError, match=r"data\.poses\.keypoints\.azimuths"):
        data({}, keypoints={**keypoints, "azimuths": [1]})


def test_the_fingerprint_changes_with_the_weights(tmp_path: Path) -> None:
    table = lifted(tmp_path)
    before = data(table).fingerprint()
    assert data(table).fingerprint() == before
    path = tmp_path / "run" / "stages" / "student" / "weights.safetensors"
    weights = read_tensors(path)
    write_tensors(path, {**weights, "lifter.units.scale": 1.01 * weights["lifter.units.scale"]})
    assert data(table).fingerprint()["lifter"]["weights"] != before["lifter"]["weights"]


def test_a_missing_run_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    lost = data({"run": "runs/gone"})
    for use in (lost.fingerprint, lambda: lost.splits, partial(lost.prepare, tmp_path / "out")):
        with pytest.raises(RunError, match="no run to lift with(.|\n)*sa3dhp run ites-world --out runs/gone"):
            use()
    table = lifted(tmp_path)
    (tmp_path / "run" / "stages" / "student" / runner.DONE).unlink()
    with pytest.raises(RunError, match=f"stage 'student' is not done(.|\n)*sa3dhp resume {tmp_path / 'run'}"):
        data(table).prepare(tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Other:
    """`KeypointData` of a skeleton that no card knows."""

    splits = ("train",)

    def __init__(self, config: Any, *, host: Host) -> None:
        self.config = config

    def prepare(self, folder: Path) -> None:
        points = torch.zeros(2, len(BODY), 2)
        write_keypoints(folder, "train", points=points, starts=torch.tensor([0, 2]), fps=1.0, licence="own work")

    def keypoints(self, folder: Path, split: str) -> ArrayKeypoints:
        found = ArrayKeypoints(folder, split)
        found.skeleton = attrs.evolve(BODY, id="other")
        return found

    def truth(self, folder: Path, split: str) -> torch.Tensor | None:
        return None


def test_keypoints_of_another_skeleton_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lifted_toys", sys.modules[__name__])
    config = "sa3dhp_core.engine_config:EngineConfig"
    other = Component("keypoint_data", "other", "another skeleton", config, "lifted_toys:Other")
    host = Host.of([other, *(offer.component for offer in HOST.offers)])
    table = {"use": "lifted-poses", **lifted(tmp_path), "keypoints": {"use": "other"}}
    with pytest.raises(DataError, match=r"another skeleton(.|\n)*found: other(.|\n)*expected: h36m-17"):
        host.build("pose_data", table, "data.poses").prepare(tmp_path / "out")
