"""A small Human3.6M in its real formats: CDF files as MATLAB lays them out, metadata.xml, videos of a figure of discs.

Keypoints are written by the formula of the home page's ProjectPointRadial.m, written out here once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cdflib.cdfwrite import CDF
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sa3dhp_core.cards import read_card, skeleton
from sa3dhp_datasets.example import picture_of, standing, write_video

Array = NDArray[np.float64]
CAMERAS = ("54138969", "55011271", "58860488", "60457274")
WRITTEN = (CAMERAS[0], CAMERAS[3])
"""Cameras of all that there are whose files are written."""

CORNERS_MM = (
    (1841.1, 4955.3, 1563.4),
    (1761.3, -5078.0, 1606.0),
    (-1846.8, 5215.0, 1492.0),
    (-1794.8, -3722.7, 1575.0),
)
INNER = (
    (286.2, 285.9, 128.1, 128.9, -0.2070989, 0.2477752, -0.0030751, -0.0009757, -0.0014245),
    (287.2, 287.0, 127.2, 126.9, -0.1942137, 0.2404081, 0.0068199, -0.0016190, -0.0027409),
    (287.3, 287.1, 129.9, 125.4, -0.2083381, 0.2548836, -0.0024604, 0.0014844, -0.0007600),
    (286.4, 286.4, 127.9, 125.5, -0.1983834, 0.2183216, -0.0089478, -0.0005872, -0.0018133),
)
"""fx fy cx cy k1 k2 k3 p1 p2 of each camera, of a quarter of the real pictures' size."""

SIDE_PX, FPS, FRAMES = 250, 50, 10
KINDS = ("D3_Positions", "D3_Positions_mono", "D2_Positions", "Videos")
RECORDINGS = {"S1": ("Directions 1", "TakingPhoto"), "S5": ("Walking",), "S9": ("WalkDog",), "S11": ("Directions",)}
"""Of each subject, in the spelling of its files; S11's is the excluded one."""

SPLITS = {"S1": ("TakingPhoto",), "S5": ("Walking",), "S9": ("WalkDog",)}
"""A recording for each split."""


def outer(camera: int, subject: int) -> tuple[float, ...]:
    """The numbers a b c tx ty tz of a camera as it stood for a subject: radians and millimetres."""
    place = np.array(CORNERS_MM[camera]) + 10.0 * subject
    away = np.array([0.0, 0.0, 900.0]) - place
    away = away / np.linalg.norm(away)
    right = np.cross(away, [0.0, 0.0, 1.0])
    right = right / np.linalg.norm(right)
    angles = Rotation.from_matrix(np.stack([right, np.cross(away, right), away]).T).as_euler("XYZ")
    return (*angles.tolist(), *place.tolist())


def xml(cameras: tuple[str, ...] = CAMERAS) -> str:
    """metadata.xml, with the parts that name cameras and recordings."""
    numbers = [number for camera in range(4) for subject in range(1, 12) for number in outer(camera, subject)]
    numbers += [number for camera in INNER for number in camera]
    head = "".join(f"<td>{name}</td>" for name in ("", "", *RECORDINGS))
    items = "".join(f"<item>{camera}</item>" for camera in cameras)
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<metadata>\n<mapping><tr>{head}</tr></mapping>\n'
        "<actionnames><item>_ALL</item><item>Directions</item></actionnames>\n"
        f"<dbcameras><index2id>{items}</index2id></dbcameras>\n"
        f"<w0>[{' '.join(f'{number:.10g}' for number in numbers)}]</w0>\n</metadata>\n"
    )


def world_mm(number: int) -> Array:
    """``(FRAMES, 32, 3)``: someone who sways, another moment for each number; columns that no joint needs are near."""
    body, columns = skeleton(), read_card("datasets", "human36m")["columns"]
    named = {name: joint for joint, (name,) in read_card("datasets", "human36m")["joints"].items()}
    positions = standing(number)[:FRAMES] * 1000
    positions = positions - positions[:1, body.index("pelvis") : body.index("pelvis") + 1] * [1, 1, 0]
    found, last = [], "Hips"
    for column in columns:
        last = column if column in named else last
        found.append(positions[:, body.index(named[last])] + (0 if column in named else 30))
    return np.stack(found, axis=1)


def mono_mm(world: Array, camera: int, subject: int) -> Array:
    """The same in a camera's frame."""
    numbers = outer(camera, subject)
    turn = Rotation.from_euler("XYZ", numbers[:3]).as_matrix().T
    return np.asarray((world - numbers[3:]) @ turn.T)


def seen_px(mono: Array, camera: int) -> Array:
    """Where a lens shows places in its camera's frame."""
    fx, fy, cx, cy, k1, k2, k3, p1, p2 = INNER[camera]
    x, y = mono[..., 0] / mono[..., 2], mono[..., 1] / mono[..., 2]
    r2 = x * x + y * y
    bent = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + p1 * y + p2 * x
    return np.stack([fx * (x * bent + p2 * r2) + cx, fy * (y * bent + p1 * r2) + cy], axis=-1)


def write_cdf(path: Path, pose: Array) -> None:
    """A CDF file of one variable `Pose`, ``(1, T, numbers)`` of 4 bytes, columns first."""
    rows = pose.reshape(len(pose), -1).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = CDF(path, cdf_spec={"Majority": "column_major", "Encoding": CDF.IBMPC_ENCODING}, delete=True)
    spec = {"Variable": "Pose", "Data_Type": CDF.CDF_FLOAT, "Num_Elements": 1, "Rec_Vary": True}
    file.write_var({**spec, "Dim_Sizes": list(rows.shape)}, var_data=rows.ravel(order="F").reshape(1, *rows.shape))
    file.close()


def write_subjects(
    folder: Path,
    recordings: Mapping[str, Sequence[str]] = RECORDINGS,
    cameras: Sequence[str] = WRITTEN,
    kinds: Sequence[str] = KINDS,
) -> Path:
    """metadata.xml, and of each recording in each camera the kinds of files that are asked for."""
    (folder / "metadata.xml").write_text(xml(), encoding="utf-8")
    listed = [(subject, name) for subject, names in recordings.items() for name in names]
    for number, (subject, name) in enumerate(listed):
        world, poses = world_mm(number), folder / subject / "MyPoseFeatures"
        if "D3_Positions" in kinds:
            write_cdf(poses / "D3_Positions" / f"{name}.cdf", world)
        for camera in cameras:
            mono = mono_mm(world, CAMERAS.index(camera), int(subject[1:]))
            flat = seen_px(mono, CAMERAS.index(camera))
            if "D3_Positions_mono" in kinds:
                write_cdf(poses / "D3_Positions_mono" / f"{name}.{camera}.cdf", mono)
            if "D2_Positions" in kinds:
                write_cdf(poses / "D2_Positions" / f"{name}.{camera}.cdf", flat)
            if "Videos" in kinds:
                _write_video(folder / subject / "Videos" / f"{name}.{camera}.mp4", flat)
    return folder


def _write_video(path: Path, flat: Array) -> None:
    """Two pictures more than there are poses, as some of the real ones have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    card = read_card("datasets", "human36m")
    order = [card["columns"].index(card["joints"][joint][0]) for joint in skeleton().joints]
    pictures = [picture_of(row[order], SIDE_PX, SIDE_PX) for row in flat]
    write_video(path, [*pictures, *pictures[-2:]], FPS)


def human36m(folder: Path) -> dict[str, Any]:
    """Table of image data: one camera."""
    write_subjects(folder, SPLITS, CAMERAS[:1], ("D3_Positions_mono", "D2_Positions", "Videos"))
    return {"path": str(folder), "size": 32, "validation": ["S5"]}


def human36m_poses(folder: Path) -> dict[str, Any]:
    """Table of keypoint data and of motion: two cameras, without videos."""
    write_subjects(folder, SPLITS, WRITTEN, ("D3_Positions_mono", "D2_Positions"))
    return {"path": str(folder), "validation": ["S5"]}
