"""A small Human3.6M as h36m-fetch prepares it: HDF5 files and JPEG images of the figure of `human36m_example`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from sa3dhp_core.cards import read_card, skeleton
from sa3dhp_datasets.example import picture_of
from sa3dhp_datasets.human36m_example import CAMERAS, SIDE_PX, Array, mono_mm, seen_px, world_mm, xml

RECORDINGS = {"S1": "TakingPhoto-1", "S5": "Walking-2", "S9": "WalkingDog-1"}
"""A recording for each split."""


def arrays(number: int, subject: int, cameras: Sequence[str], frames: Sequence[int]) -> dict[str, Array]:
    """The data sets of an annot.h5, one camera after another.

    Args:
        number: of the recording; another moment of the figure's sway.
        subject: for whom the cameras stand.
        cameras: their names.
        frames: numbers of the frames that are kept, from 1.
    """
    world, rows = world_mm(number), np.array(frames) - 1
    mono = [mono_mm(world, CAMERAS.index(camera), subject)[rows] for camera in cameras]
    flat = [seen_px(poses, CAMERAS.index(camera)) for poses, camera in zip(mono, cameras, strict=True)]
    fitted = {f"intrinsics/{camera}": np.array([287.0, 128.0, 287.0, 128.0]) for camera in cameras}
    return {
        "pose/2d": np.concatenate(flat).astype(np.float32),
        "pose/3d": np.concatenate(mono).astype(np.float32),
        "pose/3d-univ": np.concatenate(mono).astype(np.float32) * np.float32(0.9),
        "frame": np.tile(frames, len(cameras)),
        "camera": np.repeat([int(camera) for camera in cameras], len(frames)),
        "subject": np.full(len(cameras) * len(frames), subject),
        "action": np.full(len(cameras) * len(frames), 2),
        "subaction": np.full(len(cameras) * len(frames), 1),
        **fitted,
    }


def write_annotations(path: Path, content: Mapping[str, Array]) -> None:
    """An annot.h5."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in content.items():
            file.create_dataset(name, data=values)


def write_processed(
    folder: Path, frames: Sequence[int] = (1, 2, 3), cameras: Sequence[str] = CAMERAS[:1], images: bool = True
) -> Path:
    """metadata.xml, and of each recording its annot.h5 and its images."""
    (folder / "metadata.xml").write_text(xml(), encoding="utf-8")
    card = read_card("datasets", "human36m")
    order = [card["columns"].index(card["joints"][joint][0]) for joint in skeleton().joints]
    for number, (subject, name) in enumerate(RECORDINGS.items()):
        content = arrays(number, int(subject[1:]), cameras, frames)
        write_annotations(folder / subject / name / "annot.h5", content)
        for camera, frame, points in zip(content["camera"], content["frame"], content["pose/2d"], strict=True):
            path = folder / subject / name / "imageSequence" / str(camera) / f"img_{frame:06d}.jpg"
            if images:
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture_of(points[order], SIDE_PX, SIDE_PX)).save(path, quality=95)
    return folder


def human36m_h5(folder: Path) -> dict[str, Any]:
    """Table of image data."""
    return {"path": str(write_processed(folder)), "size": 32, "validation": ["S5"]}


def human36m_h5_poses(folder: Path) -> dict[str, Any]:
    """Table of keypoint data: two cameras, frames with a gap, without images."""
    return {"path": str(write_processed(folder, (1, 2, 3, 7, 8), CAMERAS[:2], False)), "validation": ["S5"]}
