"""Bad keypoint files, from the files to the command line: a clear error before any training, or a mask."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from sa3dhp_core.atomic import read_json, read_tensors
from sa3dhp_core.cards import skeleton
from sa3dhp_core.cli.app import main
from sa3dhp_datasets.keypoint_example import lifting_arrays, write_lifting

BODY = skeleton()
TINY = (
    'data.keypoints.test=["S9"]',
    "settings.teacher.width=8",
    "settings.teacher.bottleneck=8",
    "settings.teacher.blocks=1",
    "settings.student.width=8",
    "settings.student.blocks=1",
    *(f"settings.{stage}.{key}" for stage in ("teaching", "learning") for key in ("steps=2", "batch=8")),
    "engine.threads=1",
    "engine.device=cpu",
)


def lift(files: Path, out: Path, *overrides: str) -> int | str | None:
    """`sa3dhp run ites` on files of the user's, at its smallest; returns the exit code."""
    words = ["run", "ites", "--out", str(out)]
    for one in (f"data.keypoints.path={files}", *TINY, *overrides):
        words += ["--set", one]
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code


class Evil:
    """What runs when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (self.place,)


def poisoned(path: Path, place: Path) -> None:
    """Put something that runs among the clips of a file."""
    with ZipFile(path) as archive:
        ((name, content),) = ((name, archive.read(name)) for name in archive.namelist())
    header = content[: content.index(b"\n") + 1]
    with ZipFile(path, "w") as archive:
        archive.writestr(name, header + pickle.dumps({"S1": {"walk_1": Evil(place)}}))


Change = Callable[[Any, Any, Any], object]
ARRAYS: dict[str, tuple[Change, str]] = {
    "a subject without cameras": (lambda flat, solid, rig: rig["extrinsic"].pop("S5"), "'S5' has no camera 0"),
    "lengths that differ": (
        lambda flat, solid, rig: solid["S5"].update(walk_2=solid["S5"]["walk_2"][1:]),
        "S5/walk_2, camera 0: keypoints and truth differ in length",
    ),
    "nobody seen": (
        lambda flat, solid, rig: [view.fill(np.nan) for s in flat.values() for c in s.values() for view in c],
        "no frame shows both 'pelvis' and 'head' apart",
    ),
    "another skeleton": (
        lambda flat, solid, rig: flat["S1"].update(walk_1=[np.zeros((6, 16, 2))]),
        "S1/walk_1, camera 0: a clip of another shape",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", ARRAYS)
def test_wrong_arrays_are_named_before_any_training(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    change, message = ARRAYS[case]
    arrays = lifting_arrays()
    change(*arrays)
    write_lifting(tmp_path, *arrays)
    assert lift(tmp_path, tmp_path / "run") == 2
    told = capfd.readouterr().err
    assert message in " ".join(told.split()) and "Traceback" not in told
    assert not list((tmp_path / "run" / "stages").glob("*/weights.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["data_2d_toy_gt.npz", "data_3d_toy.npz"])
def test_nothing_in_a_file_runs(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_lifting(tmp_path, *lifting_arrays())
    poisoned(tmp_path / name, tmp_path / "ran")
    assert lift(tmp_path, tmp_path / "run") == 2
    told = capfd.readouterr().err
    assert "it could run code" in told and name in told and not (tmp_path / "ran").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("settings.teacher.top=nose", "lacks the joint that sizes are measured to"),
        ("settings.student.top=pelvis", "lacks the joint that sizes are measured to"),
        ("data.keypoints.columns=" + repr([j for j in BODY.joints if j != "head"]), "'head' has no column"),
    ],
)
def test_a_skeleton_without_what_the_normalisation_needs_is_refused(
    override: str, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_lifting(tmp_path, *lifting_arrays())
    assert lift(tmp_path, tmp_path / "run", override) == 2
    assert message in " ".join(capfd.readouterr().err.split())


def unseen(kind: str, folder: Path) -> Path:
    """Files in which a joint here and there was not seen, as NaN or as a confidence of zero at some place."""
    flat, solid, rig = lifting_arrays()
    for subject, clips in flat.items():
        for views in clips.values():
            for number, view in enumerate(views):
                hidden = np.zeros(view.shape[:2], dtype=bool)
                hidden[1, BODY.index("left_wrist")] = hidden[2, BODY.index(BODY.root)] = True
                hidden[3] = subject == "S1"
                place = np.float32(np.nan if kind == "NaN" else 0.0 if kind == "zero" else 400.0)
                shown = np.where(hidden[..., None], place, view)
                seen = () if kind == "NaN" else ((~hidden[..., None]).astype(np.float32),)
                views[number] = np.concatenate([shown, *seen], axis=-1)
    folder.mkdir()
    return write_lifting(folder, flat, solid, rig)


@pytest.mark.slow
def test_what_was_not_seen_is_masked_wherever_the_file_puts_it(tmp_path: Path) -> None:
    figures, poses = [], []
    for kind in ("NaN", "zero", "somewhere"):
        out = tmp_path / f"run {kind}"
        assert lift(unseen(kind, tmp_path / kind), out) == 0
        figures.append(
            [(r["row"], r["protocol"], r["split"], r["value"]) for r in read_json(out / "results.json")["records"]]
        )
        poses.append(read_tensors(out / "analysis" / "lifted-train.safetensors")["poses"])
    assert figures[0] == figures[1] == figures[2]
    assert bool(poses[0].isfinite().all()) and all(bool((one == poses[0]).all()) for one in poses)
