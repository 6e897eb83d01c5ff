"""What the plugin offers: descriptors that load, recipes' tables that become configs, faces that keep their promise."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sa3dhp_core.components import Component
from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_core.protocols.data import Clips, PoseSequences
from sa3dhp_core.structuring import structure
from sa3dhp_datasets import plugin

OTHERS = ("joined", "shards")
"""What has no splits before it has parts or has read something; tested on its own."""

OFFERED = (*plugin.sa3dhp_pose_data(), *plugin.sa3dhp_image_data())
COMPONENTS = tuple(component for component in OFFERED if component.id not in OTHERS)


def test_descriptors_load_and_explain_every_key() -> None:
    ids = {component.id for component in COMPONENTS}
    expected = {"3dpw", "amass", "bvh", "cmu-asf-amc", "human36m", "mocap-npz", "mpi-inf-3dhp", "mpi-inf-3dhp-test"}
    assert {"video-folder", "mupots-3d", "muco-3dhp", "lsp", "surreal", *expected} <= ids
    for component in COMPONENTS:
        config = component.load_config()
        assert all(field.metadata["help"] for field in config.__attrs_attrs__)  # type: ignore[attr-defined]
        assert set(component.load_target()(config()).splits) <= {"train", "validation", "test"}


def test_listing_imports_no_torch() -> None:
    code = (
        "import sys, sa3dhp_datasets.plugin, sa3dhp_datasets.config; sys.exit(bool({'torch', 'av'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False)
    assert run.returncode == 0


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.id)
def test_tables_become_configs(component: Component) -> None:
    cls = component.load_config()
    tables: dict[str, dict[str, Any]] = {
        "amass": {"path": "a", "body_model": "b", "fps": 10, "rates": {"CMU/62/*": 60.0}, "test_contents": ["SFU"]},
        "bvh": {"path": "a", "fps": 10, "joints": {"spine": ["Spine", "Chest"]}, "contents": ["walk*"], "unit_m": 0.01},
        "cmu-asf-amc": {"path": "a", "file_fps": 60, "rates": {"07_*": 120.0}, "joints": {"spine": ["thorax.end"]}},
        "mocap-npz": {"paths": ["a", "b"], "joints": {"spine": "Belly"}, "test": 0.0, "stride": 3},
        "video-folder": {"path": "a", "focal_px": 900, "test_videos": ["b*"], "max_gap": 2},
    }
    shots = {"path": "a", "fps": 10, "test": ["S9"], "cameras": ["front*"], "min_frames": 3}
    table = tables.get(component.id, shots)
    config = structure(cls, table, "data.x", "recipe.toml")
    for key, value in table.items():
        found = getattr(config, key)
        assert (list(found) if isinstance(found, tuple) else found) == value or key == "joints"
    for wrong in ({"fps": -1.0}, {"test": 1.0}, {"min_frames": 0}, {"pth": "a"}, {"path": 3}):
        with pytest.raises(RecipeError, match=r"data\.x"):
            structure(cls, wrong, "data.x", "recipe.toml")


def test_faces_are_the_protocols(
    npz_file: Callable[..., Path], write_video: Callable[..., None], tmp_path: Path
) -> None:
    import numpy as np

    from sa3dhp_datasets.config import MocapNpzConfig, VideoFolderConfig
    from sa3dhp_datasets.mocap_npz import npz_motion
    from sa3dhp_datasets.video_folder import VideoFolder

    motion = npz_motion(MocapNpzConfig(path=str(npz_file()), licence="mine"))
    motion.prepare(tmp_path / "motion")
    sequences = motion.sequences(tmp_path / "motion", "train")
    assert isinstance(sequences, PoseSequences) and sequences.licence == "mine"
    first = sequences.draw(4, 5, torch.Generator().manual_seed(1))
    assert torch.equal(first, sequences.draw(4, 5, torch.Generator().manual_seed(1)))
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "a.mp4", [np.zeros((64, 64, 3), np.uint8)] * 4)
    footage = VideoFolder(VideoFolderConfig(path=str(tmp_path / "in"), validation=0.0, test=0.0, size=8))
    footage.prepare(tmp_path / "film")
    clips = footage.clips(tmp_path / "film", "train")
    assert isinstance(clips, Clips)
    with pytest.raises(DataError, match="no ground truth"):
        footage.labelled(tmp_path / "film", "train")
