"""Folders are known by their files: every set of the table by a path that its documents name."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sa3dhp_datasets import plugin
from sa3dhp_datasets.joint_names import table
from sa3dhp_datasets.layouts import files_under, is_archive, looks_like

PATHS = {
    "amass": "CMU/01/01_01_poses.npz",
    "cmu-asf-amc": "all_asfamc/subjects/07/07_01.amc",
    "bvh": "walk.bvh",
    "lifting-npz": "data_2d_h36m_gt.npz",
    "human36m": "S9/MyPoseFeatures/D3_Positions/Directions 1.cdf",
    "human36m-h5": "processed/S9/Directions-1/annot.h5",
    "mpi-inf-3dhp": "S1/Seq2/annot.mat",
    "mpi-inf-3dhp-test": "mpi_inf_3dhp_test_set/TS3/annot_data.mat",
    "mupots-3d": "MultiPersonTestSet/TS1/occlusion.mat",
    "muco-3dhp": "augmented_set_001/chunk_00001_annot.mat",
    "3dpw": "sequenceFiles/train/courtyard_arguing_00.pkl",
    "surreal": "cmu/train/run0/01_01/01_01_c0001_info.mat",
    "lsp": "lsp_dataset/joints.mat",
    "coco-keypoints": "annotations/person_keypoints_val2017.json",
    "lsp-extended": "lspet_dataset/images/im00001.jpg",
    "mocap-npz": "motion.npz",
    "video-folder": "a.mp4",
    "image-folder": "walk/0001.jpg",
}


@pytest.mark.parametrize("layout", table("layouts.toml"))
def test_every_set_is_known_by_its_files(layout: str, tmp_path: Path) -> None:
    path = tmp_path / PATHS[layout]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    entry = table("layouts.toml")[layout]
    assert f"looks like {entry['name']}" in str(looks_like(tmp_path))
    offered = (*plugin.sa3dhp_pose_data(), *plugin.sa3dhp_image_data(), *plugin.sa3dhp_keypoint_data())
    assert entry.get("use", "bvh") in {component.id for component in offered}


def test_what_is_unknown_has_no_name_and_archives_are_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    assert looks_like(tmp_path) is None
    with zipfile.ZipFile(tmp_path / "a.bin", "w") as archive:
        archive.writestr("a", "b")
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as packed:
        packed.add(tmp_path / "notes.txt", "a")
    np.savez(tmp_path / "a.npz", a=np.zeros(1))
    assert {p.name for p in tmp_path.iterdir() if is_archive(p)} == {"a.bin", "a.tgz"}
    (tmp_path / "a.npz").unlink()
    assert looks_like(tmp_path) == "unpack a.tgz"


def test_links_in_a_ring_end(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "B.BVH").touch()
    (tmp_path / "deep" / "again").symlink_to(tmp_path)
    assert files_under(tmp_path, ".bvh") == [tmp_path / "deep" / "B.BVH"]
