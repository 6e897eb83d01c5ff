"""A folder of videos as image data: each person's track becomes a clip of exact crops. Decodes one frame at a time."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sa3dhp_core.atomic import read_json, read_meta, read_tensors, write_json, write_tensors
from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError, nearest
from sa3dhp_core.geometry import crop, project, virtual_camera
from sa3dhp_core.store import ArrayClips, ArrayImages, split_file, write_frames
from sa3dhp_datasets.beside import Truth, companion, intrinsics_of, read_truth
from sa3dhp_datasets.config import VideoFolderConfig
from sa3dhp_datasets.footage import Footage, frames, probe
from sa3dhp_datasets.inputs import assign, content_of, input_files, offered
from sa3dhp_datasets.tracks import Track, join, read_boxes, sample, smooth, whole_frame

_log = logging.getLogger(__name__)


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
    camera, source = intrinsics_of(footage, config.focal_px, config.fov_deg)
    _log.info("%s: camera %s", footage.path, source)
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
    tracks = truth.tracks or identities
    if len(tracks) != len(truth.joints) or not set(identities) <= set(tracks):
        raise DataError(
            "the truth has other tracks than the boxes",
            where=truth.where,
            found=f"{len(truth.joints)} tracks",
            expected=f"{len(identities)}: {', '.join(map(str, identities))}",
        )
    order = np.repeat([tracks.index(identity) for identity in plan.identities], np.diff(plan.starts))
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


class VideoFolder:
    """`ImageData` over a folder of mp4 files."""

    def __init__(self, config: VideoFolderConfig) -> None:
        self._config = config
        self._shares = {"validation": config.validation, "test": config.test}
        self._patterns = {"validation": config.validation_videos, "test": config.test_videos}
        self.splits = offered(self._shares, self._patterns)

    def prepare(self, folder: Path) -> None:
        """Crop all videos into `folder`; finished videos of an interrupted call are kept and reused."""
        if (folder / "prepared.json").is_file() and all(split_file(folder, s).is_file() for s in self.splits):
            return
        path = Path(self._config.path).expanduser()
        if self._config.path and path.is_file():
            raise DataError(
                "the path is a file", where=str(path), expected="a folder of mp4 files", hint=str(path.parent)
            )
        videos = input_files((self._config.path,), ".mp4")
        named = [(video.stem, content_of(video.stem, self._config.content_pattern)) for video in videos]
        split_of = assign(named, self._shares, self._patterns, str(path))
        pieces = [self._piece(folder, video) for video in videos]
        facts: dict[str, Any] = {}
        for split in self.splits:
            rows = [i for i, s in enumerate(split_of) if s == split]
            self._join(folder, split, [pieces[i] for i in rows], [named[i][1] for i in rows])
            facts[split] = {videos[i].name: read_meta(pieces[i]) for i in rows}
        write_json(folder / "prepared.json", facts)
        for piece in pieces:
            piece.unlink(missing_ok=True)
            piece.with_suffix(".npy").unlink(missing_ok=True)
        if not any((folder / "pieces").iterdir()):
            (folder / "pieces").rmdir()

    def _piece(self, folder: Path, video: Path) -> Path:
        """The crops of one video: images in ``.npy``, everything else in ``.safetensors``, which is written last."""
        keys = repr(attrs.astuple(self._config)).encode()
        for path in (video, *(companion(video, end) for end in ("boxes.jsonl", "camera.json", "truth.npz"))):
            if path.is_file():
                keys += f"|{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}".encode()
        done = folder / "pieces" / f"{video.stem}.{hashlib.sha256(keys).hexdigest()[:16]}.safetensors"
        if done.is_file() and done.with_suffix(".npy").is_file():
            return done
        done.parent.mkdir(parents=True, exist_ok=True)
        footage = probe(video)
        plan = plan_of(footage, self._config)
        truth = read_truth(footage)
        tensors = {"starts": torch.tensor(plan.starts), "intrinsics": plan.intrinsics.float()}
        if truth is not None:
            identities = tuple(sorted({t.identity for t in tracks_of(footage, 0, 0.0)}))
            tensors["poses"], tensors["keypoints"] = poses_of(truth, plan, identities)
        partial = done.with_name(f".{done.stem}.{os.getpid()}.partial")
        try:
            shape = (len(plan.frames), 3, self._config.size, self._config.size)
            out = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
            decode_crops(footage, plan, self._config.size, out)
            out.flush()
            del out
            partial.replace(done.with_suffix(".npy"))
        finally:
            partial.unlink(missing_ok=True)
        source = intrinsics_of(footage, self._config.focal_px, self._config.fov_deg)[1]
        facts = {
            "clips": len(plan.identities),
            "frames": len(plan.frames),
            "left_out_short": plan.left_out,
            "camera": source,
            "truth": truth is not None,
            "tracks": list(plan.identities),
        }
        write_tensors(done, tensors, facts)
        _log.info("%s: %s", video, facts)
        return done

    def _join(self, folder: Path, split: str, pieces: list[Path], contents: list[str]) -> None:
        """Write one split from its videos' pieces."""
        parts = [read_tensors(piece) for piece in pieces]
        images = np.concatenate([np.load(piece.with_suffix(".npy"), mmap_mode="r") for piece in pieces])
        labelled = all("poses" in part for part in parts)
        lengths = torch.cat([part["starts"].diff() for part in parts])
        write_frames(
            folder,
            split,
            images=torch.from_numpy(images),
            starts=torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
            intrinsics=torch.cat([part["intrinsics"] for part in parts]),
            fps=self._config.fps,
            licence=self._config.licence,
            poses=torch.cat([part["poses"] for part in parts]) if labelled else None,
            keypoints=torch.cat([part["keypoints"] for part in parts]) if labelled else None,
            families=[c for c, part in zip(contents, parts, strict=True) for _ in range(len(part["starts"]) - 1)],
        )

    def labelled(self, folder: Path, split: str) -> ArrayImages:
        """The split with its poses; raises `DataError` naming the videos that lack a ``NAME.truth.npz``."""
        self._check(split)
        lacking = [n for n, facts in read_json(folder / "prepared.json")[split].items() if not facts["truth"]]
        if lacking:
            raise DataError(
                f"the split {split!r} has no ground truth",
                where=str(Path(self._config.path) / lacking[0]),
                found=f"{len(lacking)} videos without it: {', '.join(lacking[:5])}",
                expected=f"{Path(lacking[0]).stem}.truth.npz beside the video",
                hint="use the videos as unlabelled clips",
            )
        return ArrayImages(folder, split)

    def clips(self, folder: Path, split: str) -> ArrayClips:
        """The split without any label."""
        self._check(split)
        return ArrayClips(folder, split)

    def _check(self, split: str) -> None:
        if split not in self.splits:
            raise DataError(f"no split {split!r}", found=split, hint=nearest(split, self.splits))
