"""MuCo-3DHP: pictures put together of people of MPI-INF-3DHP, in MATLAB's chunks or with community labels."""

from __future__ import annotations

from collections.abc import Iterator

from sa3dhp_core.host import Host
from sa3dhp_datasets.layouts import data_folder, files_under, nothing_found
from sa3dhp_datasets.muco_chunks import chunk_shots
from sa3dhp_datasets.muco_config import MucoImagesConfig, MucoKeypointsConfig
from sa3dhp_datasets.muco_joints import CARD
from sa3dhp_datasets.muco_json import json_shots
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shot_keypoints import ShotKeypoints
from sa3dhp_datasets.shots import Shot

LAYOUT = "MuCo-3DHP.json and its pictures, or chunk_%05d_annot.mat beside theirs"


def shots(config: MucoImagesConfig | MucoKeypointsConfig) -> Iterator[Shot]:
    """A shot a picture, in the order of the labels; see `ReadsShots`.

    Where MuCo-3DHP.json is found it alone is read: it places people, and tells the cameras.
    """
    folder = data_folder(config.path, LAYOUT)
    if listed := files_under(folder, "muco-3dhp.json"):
        yield from json_shots(listed[0])
        return
    chunks = [path for path in files_under(folder, "_annot.mat") if path.name.startswith("chunk_")]
    if not chunks:
        raise nothing_found(folder, LAYOUT)
    for path in chunks:
        yield from chunk_shots(path, config.size_px, config.focal_px, config.fov_deg)


def muco_images(config: MucoImagesConfig) -> ShotImages:
    """`ImageData` over the set's folder."""
    return ShotImages(config, shots, CARD, own=("train",))


def muco_keypoints(config: MucoKeypointsConfig, *, host: Host) -> ShotKeypoints:
    """`KeypointData` over the set's folder."""
    return ShotKeypoints(config, shots, CARD, own=("train",))
