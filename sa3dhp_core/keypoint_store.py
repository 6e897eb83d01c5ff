"""Array-backed keypoint data: the file that a split is prepared into, and the protocol face over it.

Knows no data set and no camera: keypoints come in as places on the camera plane.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from sa3dhp_core.atomic import read_meta, read_tensors, write_tensors
from sa3dhp_core.cards import skeleton as skeleton_card
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry.shapes import need_poses
from sa3dhp_core.store import FLAG, Windows, split_file
from sa3dhp_core.types import WHOLE, ClipName, FrameFacts, Shard


def write_keypoints(
    folder: Path,
    split: str,
    *,
    points: Tensor,
    starts: Tensor,
    fps: float,
    licence: str,
    groups: Sequence[str] = (),
    cameras: Sequence[str] = (),
    names: Sequence[str] = (),
    stride: int = 0,
    numbers: Tensor | None = None,
    flags: Mapping[str, Tensor] | None = None,
    poses: Tensor | None = None,
    skeleton: str = "h36m-17",
) -> None:
    """Write one split of keypoints, atomically.

    Args:
        folder: of the prepared data set.
        split: its name.
        points: ``(N, J, 2)`` on the camera plane at depth 1; NaN where a joint was not seen.
        starts: ``(C + 1,)`` first frame of each clip, and N.
        fps: frames per second.
        licence: of the keypoints.
        groups: name of each clip's group (subject).
        cameras: name of each clip's camera.
        names: of each clip; clips of one subject that several cameras saw at once share one.
        stride: each clip has one in so many frames of its video, from its first; 0 where that is not known.
        numbers: ``(N,)`` each frame's number in its video, where `stride` does not tell.
        flags: name of a flag to ``(N,)`` whether each frame carries it.
        poses: ``(N, J, 3)`` metres in the camera frame, made root-relative here; None where there is no truth.
        skeleton: card id.

    Raises:
        DataError: lengths or shapes do not fit, a place is infinite or half missing, or a pose is not finite.
    """
    where, body = str(split_file(folder, split)), skeleton_card(skeleton)
    need_poses(points, body, "keypoints", 2)
    if int(starts[-1]) != len(points) or bool((starts.diff() <= 0).any()):
        raise DataError("clip starts do not rise to the number of frames", where=where, found=starts.tolist()[-3:])
    missing = points.isnan()
    if bool(points.isinf().any()) or bool((missing[..., 0] != missing[..., 1]).any()):
        raise DataError("keypoints are infinite or half missing", where=where, expected="both numbers, or both NaN")
    tensors = {"points": points.float(), "starts": starts.to(torch.int64)}
    told = {f"{FLAG}{name}": flag for name, flag in (flags or {}).items()}
    told |= {} if numbers is None else {"numbers": numbers}
    for name, value in told.items():
        if len(value) != len(points):
            raise DataError(f"{name} do not fit the keypoints", where=where, found=len(value), expected=len(points))
    tensors |= told
    if poses is not None:
        need_poses(poses, body)
        if len(poses) != len(points) or not bool(poses.isfinite().all()):
            raise DataError("true poses do not fit the keypoints", where=where, found=len(poses), expected=len(points))
        root = body.index(body.root)
        tensors["poses"] = (poses - poses[:, root : root + 1]).float()
    meta = {"fps": fps, "licence": licence, "groups": list(groups), "skeleton": skeleton}
    meta |= {"cameras": list(cameras), "names": list(names), "stride": stride}
    write_tensors(split_file(folder, split), tensors, meta)


class ArrayKeypoints:
    """`Keypoints` over a prepared split; holds no truth."""

    def __init__(self, folder: Path, split: str) -> None:
        path = split_file(folder, split)
        tensors, meta = read_tensors(path), read_meta(path)
        try:
            self._points, self._starts = tensors["points"], tensors["starts"]
            self._numbers = tensors.get("numbers")
            self._flags = {key.removeprefix(FLAG): flag for key, flag in tensors.items() if key.startswith(FLAG)}
            self.fps, self.licence = float(meta["fps"]), str(meta["licence"])
            self.skeleton = skeleton_card(meta["skeleton"])
            self._cameras, self._stride = tuple(meta.get("cameras", ())), int(meta.get("stride", 0))
            self._names = tuple(meta.get("names", ()))
            self._groups = tuple(meta["groups"]) or ("",) * (len(self._starts) - 1)
        except KeyError as error:
            raise DataError("not a prepared split of keypoints", where=str(path), found=f"no {error}") from error
        self._windows = Windows(self._starts, str(path))

    def __len__(self) -> int:
        return len(self._points)

    def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
        """``(B, T, J, 2)`` windows drawn uniformly over all that fit; this rank's shard."""
        first, _ = self._windows.draw(count, frames, generator, shard)
        return self._points[first[:, None] + torch.arange(frames)]

    def batches(self, size: int) -> Iterator[Tensor]:
        """Every frame once, in order."""
        yield from self._points.split(size)

    def clip_index(self) -> Tensor:
        """``(N,)`` clip of each frame."""
        return torch.repeat_interleave(torch.arange(len(self._starts) - 1), self._starts.diff())

    def groups(self) -> tuple[str, ...]:
        """Group (subject) of each clip."""
        return self._groups

    def clip_names(self) -> tuple[ClipName, ...]:
        """Subject, name and camera of each clip, where they were written."""
        blank = ("",) * len(self._groups)
        return tuple(map(ClipName, self._groups, self._names or blank, self._cameras or blank))

    def frame_facts(self) -> FrameFacts:
        """Subject, camera, number and flags of each frame, where they were written."""
        clips = self.clip_index()
        subjects, cameras = (
            [names[clip] for clip in clips.tolist()] if any(names) else None for names in (self._groups, self._cameras)
        )
        counted = (torch.arange(len(self)) - self._starts[clips]) * self._stride if self._stride else None
        return FrameFacts(subjects, cameras, self._numbers if self._numbers is not None else counted, self._flags)


def read_truth(folder: Path, split: str) -> Tensor | None:
    """``(N, J, 3)`` true poses of a prepared split, or None where it has none."""
    return read_tensors(split_file(folder, split)).get("poses")
