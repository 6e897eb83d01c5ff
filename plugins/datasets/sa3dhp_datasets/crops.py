"""Which crops are taken from a video, how they are cut, and the poses that belong to them. Writes no file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import crop, project, virtual_camera
from sa3dhp_core.protocols.detection import Detector
from sa3dhp_datasets.ahead import ahead
from sa3dhp_datasets.beside import Truth, companion, intrinsics_of
from sa3dhp_datasets.config import VideoFolderConfig
from sa3dhp_datasets.footage import Footage, frames
from sa3dhp_datasets.linking import link
from sa3dhp_datasets.tracks import Track, join, read_boxes, sample, smooth, whole_frame


@attrs.frozen
class Plan:
    """What is cropped from a video: for each clip its track, its video frames, and its virtual cameras.

    Attributes:
        frames: ``(N,)`` video frame of each crop, clip after clip.
        starts: ``(clips + 1,)``.
        identities: the boxes' track number of each clip.
        rotation: ``(N, 3, 3)`` from the video's camera to the crop's.
        intrinsics: ``(N, 3, 3)`` of the crop's camera.
        camera: ``(3, 3)`` of the video.
        fps: crops a second.
        left_out: number of clips that were too short.
    """

    frames: NDArray[np.int64]
    starts: tuple[int, ...]
    identities: tuple[int, ...]
    rotation: Tensor
    intrinsics: Tensor
    camera: Tensor
    fps: float
    left_out: int


def boxes_file(video: Path, boxes: str) -> Path | None:
    """Where a video's boxes are: the file `boxes`, in the folder `boxes`, or beside the video; None where nowhere.

    Raises:
        DataError: `boxes` is neither a file nor a folder.
    """
    given = Path(boxes).expanduser() if boxes else None
    if given is not None and not given.exists():
        raise DataError("no such file or folder of boxes", where=str(given), expected='JSON lines, or "" for none')
    if given is not None and given.is_file():
        return given
    path = companion(video, "boxes.jsonl")
    path = path if given is None else given / path.name
    return path if path.is_file() else None


def tracks_of(
    footage: Footage, config: VideoFolderConfig, detector: Callable[[], Detector | None] = lambda: None
) -> tuple[Track, ...]:
    """A video's gap-free tracks, as its boxes are: from the file, else detected, else the whole frame; see `calmed`.

    `detector` is asked for where there is no file.

    Raises:
        DataError: boxes that do not fit, or a detector that finds nobody.
    """
    path, count = boxes_file(footage.path, config.boxes), len(footage.times_s)
    if path is not None:
        return join(read_boxes(path, footage.width, footage.height, count), config.max_gap)
    if (detect := detector()) is None:
        return whole_frame(footage.width, footage.height, count)
    boxes = link(_detected(footage, detect), config.max_gap)
    if not boxes:
        hint = "a lower detector.least_score, or boxes of your own"
        raise DataError("the detector finds nobody", where=str(footage.path), found=f"{count} frames", hint=hint)
    return join(boxes, config.max_gap)


def _detected(footage: Footage, detector: Detector) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Boxes ``(K, 4)`` found in each video frame; coordinates as those of files of boxes."""
    for number, picture in frames(footage, range(len(footage.times_s))):
        (found,) = detector(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)
        yield number, found.boxes.double().numpy() - [0.5, 0.5, 0, 0]


def calmed(tracks: tuple[Track, ...], footage: Footage, smooth_s: float) -> tuple[Track, ...]:
    """Tracks with boxes smoothed over so many seconds."""
    half_width = round(smooth_s / 2 * footage.fps) if len(footage.times_s) > 1 else 0
    return tuple(smooth(track, half_width) for track in tracks)


def plan_of(footage: Footage, config: VideoFolderConfig, tracks: tuple[Track, ...]) -> Plan:
    """Decide all crops of a video before decoding it; see `Plan`."""
    camera, _ = intrinsics_of(footage, config.focal_px, config.fov_deg)
    fps = config.fps or footage.fps
    chosen, boxes, identities, starts, left_out = [], [], [], [0], 0
    for track in calmed(tracks, footage, config.smooth_s):
        index = sample(track, footage.times_s, fps)
        if len(index) < config.min_frames or len(index) == 0:
            left_out += 1
            continue
        chosen.append(index)
        boxes.append(track.boxes[index - track.first])
        identities.append(track.identity)
        starts.append(starts[-1] + len(index))
    if not chosen:
        raise DataError(
            "no clip of the video is long enough",
            where=str(footage.path),
            found=f"{left_out} tracks in {footage.times_s[-1]:.2f} s",
            expected=f"{config.min_frames} frames at {fps:g} frames per second",
            hint="a lower min_frames or a larger max_gap",
        )
    box = torch.from_numpy(np.concatenate(boxes))
    intrinsics = torch.from_numpy(camera)
    rotation, virtual = virtual_camera(
        box[:, :2] + box[:, 2:] / 2,
        config.box_scale * box[:, 2:].amax(-1),
        intrinsics.expand(len(box), 3, 3),
        config.size,
        config.margin,
    )
    every = np.concatenate(chosen)
    return Plan(every, tuple(starts), tuple(identities), rotation, virtual, intrinsics, fps, left_out)


def cut(footage: Footage, plan: Plan, size: int) -> Iterator[tuple[list[int], Tensor]]:
    """The plan's crops, video frame by video frame: their rows of the plan, and ``(N, 3, size, size)`` uint8."""
    wanted = RowsOfFrames(plan.frames)
    camera = plan.camera.float()
    for index, picture in ahead(frames(footage, wanted)):
        rows = wanted.of(index)
        image = torch.from_numpy(picture).permute(2, 0, 1)
        crops = crop(image, camera, plan.rotation[rows].float(), plan.intrinsics[rows].float(), size)
        yield rows, crops.clamp_(0, 1).mul_(255).round_().to(torch.uint8)


class RowsOfFrames:
    """Which rows of a plan each video frame gives; a container of the frames that give any.

    Args:
        frames: ``(N,)`` video frame of each row.
    """

    def __init__(self, frames: NDArray[np.int64]) -> None:
        self._order = np.argsort(frames, kind="stable")
        self._frames = frames[self._order]

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and bool(self.of(frame))

    def of(self, frame: int) -> list[int]:
        """Rows, rising."""
        first, end = np.searchsorted(self._frames, (frame, frame + 1)).tolist()
        rows: list[int] = self._order[first:end].tolist()
        return rows


def decode_crops(footage: Footage, plan: Plan, size: int, out: NDArray[np.uint8]) -> None:
    """Fill ``out (N, 3, size, size)`` with the plan's crops; holds one video frame at a time."""
    for rows, crops in cut(footage, plan, size):
        out[rows] = crops.numpy()


def poses_of(truth: Truth, plan: Plan, identities: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Poses ``(N, J, 3)`` root-relative in each crop's virtual camera, and keypoints ``(N, J, 2)`` pixels of the crop.

    Args:
        truth: of the whole video.
        plan: what is cropped.
        identities: the boxes' track numbers, rising; the order of the truth's tracks where it does not tell its own.

    Raises:
        DataError: other tracks than the boxes have, or a joint that is not finite or not in front of the camera.
    """
    rows = truth.rows(identities)
    order = np.repeat([rows[identity] for identity in plan.identities], np.diff(plan.starts))
    joints = torch.from_numpy(truth.joints[order, plan.frames])
    seen = joints @ plan.rotation.transpose(-1, -2)
    wrong = ~(torch.isfinite(seen).all(-1) & (seen[..., 2] > 0)).all(-1)
    if bool(wrong.any()):
        frame = int(plan.frames[int(wrong.nonzero()[0])])
        raise DataError(
            "a joint is not finite, or not in front of the camera",
            where=f"{truth.where}: frame {frame}",
            expected="metres in the camera frame, z > 0",
        )
    root = skeleton().index(skeleton().root)
    return (seen - seen[:, root : root + 1]).float(), project(seen, plan.intrinsics).float()
