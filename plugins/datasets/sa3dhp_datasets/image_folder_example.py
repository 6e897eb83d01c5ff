"""Small recordings as folders of images, from which the conformance kit and the tests build the data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from sa3dhp_datasets.example import FPS, SPLITS, video_folder
from sa3dhp_datasets.footage import frames, probe


def image_folder(folder: Path) -> dict[str, Any]:
    """Three recordings with boxes and truth beside each: the example videos, picture by picture."""
    video_folder(folder)
    for video in sorted(folder.glob("*.mp4")):
        video.with_suffix("").mkdir()
        for number, picture in frames(probe(video), range(1000)):
            Image.fromarray(picture).save(video.with_suffix("") / f"{number}.png")
        video.unlink()
    return {"path": str(folder), "size": 32, "file_fps": float(FPS), "validation": [SPLITS[1]], "test": [SPLITS[2]]}
