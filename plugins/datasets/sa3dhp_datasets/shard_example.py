"""A small packed data set, from which the conformance kit builds `shards`: three recordings of a swaying figure."""

from __future__ import annotations

from collections.abc import Container, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_datasets.config import RecordingsConfig, ShotImagesConfig
from sa3dhp_datasets.example import AWAY_M, FOCAL_PX, FPS, HEIGHT, WIDTH, picture_of, standing, video_folder
from sa3dhp_datasets.lens import Lens
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shots import Shot, person_of

LENS = Lens(np.full(2, FOCAL_PX), np.array([WIDTH / 2, HEIGHT / 2]))
TURN = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""A camera's axes to a world with z up."""


@attrs.frozen(eq=False)
class Drawn:
    """Pictures with a disc at each keypoint ``(T, J, 2)``."""

    points: NDArray[np.float64]
    width: int = WIDTH
    height: int = HEIGHT

    def __len__(self) -> int:
        return len(self.points)

    def frames(self, wanted: Container[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """See `Pictures`."""
        yield from ((number, picture_of(row)) for number, row in enumerate(self.points) if number in wanted)


def figures(config: RecordingsConfig) -> Iterator[Shot]:
    """One recording of each of three subjects, who are the splits."""
    for number, split in enumerate(("train", "validation", "test")):
        joints = standing(number) @ TURN
        joints = joints - joints.mean(axis=(0, 1)) + [0.1 * number, 0.1, AWAY_M]
        person = person_of(0, np.arange(len(joints)), LENS, joints=joints)
        assert person is not None and person.keypoints is not None
        facts: dict[str, Any] = {"name": "walk", "subject": f"S{number}", "camera": "front", "family": "walk"}
        facts |= {"fps": float(FPS), "lens": LENS, "people": (person,), "where": "drawn", "split": split}
        yield Shot(**facts, pictures=partial(Drawn, person.keypoints), upright=TURN)


def shards(folder: Path) -> dict[str, Any]:
    """Three splits, in shards of a few crops."""
    data = ShotImages(ShotImagesConfig(size=32), figures, "video-folder", ("train", "validation", "test"))
    data.pack(folder / "shards", workers=1, frames=8, quality=95, progress=lambda done, every: None)
    return {"path": str(folder / "shards")}


def joined(folder: Path) -> dict[str, Any]:
    """Packed shards and a folder of videos, of one size."""
    videos = folder / "videos"
    videos.mkdir()
    first, second = shards(folder), video_folder(videos)
    return {"parts": [{"use": "shards", **first}, {"use": "video-folder", **second, "fps": float(FPS)}]}
