"""Videos of a folder as shots, to be checked and packed as any data set of shots is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sa3dhp_core.protocols.detection import Detector
from sa3dhp_datasets.beside import read_truth
from sa3dhp_datasets.config import ShotImagesConfig, VideoFolderConfig
from sa3dhp_datasets.crops import calmed, tracks_of
from sa3dhp_datasets.footage import Footage, probe
from sa3dhp_datasets.inputs import SPLITS
from sa3dhp_datasets.recorded_people import recorded_lens, recorded_people
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shots import Shot

CARD = "video-folder"


def _shot(
    video: Path, family: str, split: str, config: VideoFolderConfig, detector: Callable[[], Detector | None]
) -> Shot:
    """One video with the people in it; see `tracks_of` for where their boxes come from, and for errors."""
    footage = probe(video)
    lens = recorded_lens(footage, config.focal_px, config.fov_deg)
    truth = read_truth(footage)
    tracks = calmed(tracks_of(footage, config, detector), footage, config.smooth_s)
    return Shot(
        name=video.stem,
        subject=video.stem,
        camera="",
        family=family,
        fps=footage.fps,
        lens=lens,
        people=tuple(recorded_people(lens, tracks, truth)),
        where=str(video),
        split=split,
        pictures=partial(_itself, footage),
    )


def _itself(footage: Footage) -> Footage:
    """A footage is its pictures; other processes can be sent a function of a module."""
    return footage


def shots_of(
    videos: Sequence[tuple[Path, str, str]], config: VideoFolderConfig, detector: Callable[[], Detector | None]
) -> ShotImages:
    """Videos as a data set of shots.

    Args:
        videos: path, motion family and split of each.
        config: the table of their folder.
        detector: asked for where a video has no boxes.
    """
    keys = {key: getattr(config, key) for key in ("path", "size", "box_scale", "margin", "min_frames")}
    table = ShotImagesConfig(fps=config.fps or None, **keys)
    splits = tuple(split for split in SPLITS if split in {split for _, _, split in videos})
    return ShotImages(
        table,
        lambda _: (_shot(video, family, split, config, detector) for video, family, split in videos),
        CARD,
        splits,
        licence=config.licence,
    )
