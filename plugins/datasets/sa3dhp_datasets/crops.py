"""Which crops are taken from a video, how they are cut, and the poses that belong to them. Writes no file."""

from __future__ import annotations

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import crop, project, virtual_camera
from sa3dhp_datasets.beside import Truth, companion, intrinsics_of
from sa3dhp_datasets.config import VideoFolderConfig
from sa3dhp_datasets.footage import Footage, frames
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
        left_out: number of clips that were too short.
    """

    frames: NDArray[np.int64]
    starts: tuple[int, ...]
    identities: tuple[int, ...]
    rotation: Tensor
    intrinsics: Tensor
    camera: Tensor
    left_out: int


def tracks_of(footage: Footage, max_gap: int, smooth_s: float) -> tuple[Track, ...]:
    """A video's gap-free tracks: from the boxes beside it, or the whole frame."""
    path, count = companion(footage.path, "boxes.jsonl"), len(footage.times_s)
    if not path.is_file():
        return whole_frame(footage.width, footage.height, count)
    tracks = join(read_boxes(path, footage.width, footage.height, count), max_gap)
    frame_s = footage.times_s[-1] / max(count - 1, 1)
    half_width = round(smooth_s / 2 / frame_s) if frame_s > 0 else 0
    return tuple(smooth(track, half_width) for track in tracks)


def plan_of(footage: Footage, config: VideoFolderConfig) -> Plan:
    """Decide all crops of a video before decoding it; see `Plan`."""
    camera, _ = intrinsics_of(footage, config.focal_px, config.fov_deg)
    chosen, boxes, identities, starts, left_out = [], [], [], [0], 0
    for track in tracks_of(footage, config.max_gap, config.smooth_s):
        index = sample(track, footage.times_s, config.fps)
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
            expected=f"{config.min_frames} frames at {config.fps:g} frames per second",
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
    return Plan(every, tuple(starts), tuple(identities), rotation, virtual, intrinsics, left_out)


def decode_crops(footage: Footage, plan: Plan, size: int, out: NDArray[np.uint8]) -> None:
    """Fill ``out (N, 3, size, size)`` with the plan's crops; holds one video frame at a time."""
    wanted: dict[int, list[int]] = {}
    for row, frame in enumerate(plan.frames.tolist()):
        wanted.setdefault(frame, []).append(row)
    camera = plan.camera.float()
    for index, picture in frames(footage, wanted):
        rows = wanted[index]
        image = torch.from_numpy(picture).permute(2, 0, 1).float().div_(255.0)
        crops = crop(
            image.expand(len(rows), *image.shape),
            camera.expand(len(rows), 3, 3),
            plan.rotation[rows].float(),
            plan.intrinsics[rows].float(),
            size,
        )
        out[rows] = crops.clamp_(0, 1).mul_(255).round_().to(torch.uint8).numpy()


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
