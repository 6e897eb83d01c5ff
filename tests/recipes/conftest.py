"""What the recipes' tests share: the plugins, a small recording, rendered footage, one store of stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sa3dhp_core import runner
from sa3dhp_core.cards import skeleton
from sa3dhp_core.cli.app import main
from sa3dhp_core.host import Host
from tests.recipes.shrinking import shrunk

MOCAP = Path(__file__).resolve().parents[3] / "shared" / "data" / "mocap"
"""Real motion capture, beside the repository where there is some."""


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sa3dhp(capfd: pytest.CaptureFixture[str]) -> Call:
    """``sa3dhp("COMMAND", …)`` returns exit code, standard output and standard error of the command line."""

    def call(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*map(str, words)])
        printed = capfd.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture(scope="session")
def host() -> Host:
    """All installed plugins."""
    return Host.load()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stages by key, shared by the runs of this session: recipes with the same data render it once."""
    return tmp_path_factory.mktemp("stages")


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos of two seconds with boxes and ground truth, as `sa3dhp world render` writes them."""
    folder = tmp_path_factory.mktemp("footage")
    size = ("--size", "320x240", "--seconds", "2")
    with pytest.raises(SystemExit) as ended:
        main(["world", "render", "--look", "mild", "--clips", "3", *size, "--out", str(folder)])
    assert ended.value.code in (0, None)
    return folder


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory, host: Host) -> Path:
    """A motion-capture file of the documented layout, filled with generated motion."""
    folder = tmp_path_factory.mktemp("recording")
    table = {"use": "world-motion", "train_sequences": 12, "validation_sequences": 1, "test_sequences": 1}
    data = host.build("pose_data", table, "data.poses")
    data.prepare(folder)
    train = data.sequences(folder, "train")
    sequences = [sequence.numpy() for sequence in train.sequences()]
    names = [f"made_{family}_{number:03d}" for number, family in enumerate(train.families())]
    standing = np.concatenate(sequences) + np.array([0, 0, 0.9], dtype=np.float32)
    np.savez(
        folder / "made.npz",
        positions=standing,
        clip_start=np.cumsum([0, *map(len, sequences)]),
        clip_names=np.array(names),
        fps=np.int64(30),
        joints=np.array(skeleton().joints),
    )
    return folder / "made.npz"


@pytest.fixture(scope="session")
def lifting(tmp_path_factory: pytest.TempPathFactory, host: Host) -> Path:
    """A run of `ites-world`, two steps each."""
    out = tmp_path_factory.mktemp("lifting") / "ites-world"
    runner.run(shrunk("ites-world", host), host, out, only=["student"])
    return out
