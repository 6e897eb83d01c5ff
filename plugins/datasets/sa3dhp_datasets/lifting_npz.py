"""Keypoints in VideoPose3D's files: `positions_2d[subject][clip][camera]`, `positions_3d[subject][clip]`, cameras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sa3dhp_core.cards import skeleton as skeleton_card
from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_core.host import Host
from sa3dhp_core.keypoint_store import ArrayKeypoints, read_truth, write_keypoints
from sa3dhp_core.store import split_file
from sa3dhp_core.types import Skeleton
from sa3dhp_datasets.config import LiftingNpzConfig
from sa3dhp_datasets.dealing import known_split
from sa3dhp_datasets.expected_arrays import need_unit
from sa3dhp_datasets.inputs import SPLITS, name_hash
from sa3dhp_datasets.joint_names import Means, means, table, taken
from sa3dhp_datasets.layouts import is_archive, neighbour, nothing_found
from sa3dhp_datasets.object_npz import read_objects
from sa3dhp_datasets.rig_of_cameras import Cameras, plain_camera, read_cameras

Array = NDArray[np.float64]


@attrs.frozen(eq=False)
class Seen:
    """One clip in one camera: ``points (T, J, 2)`` on its plane, NaN where unseen; ``poses (T, J, 3)`` or None."""

    subject: str
    name: str
    camera: str
    points: Array
    poses: Array | None


@attrs.frozen
class Files:
    """Where the parts of a data set lie."""

    points: Path
    truth: Path | None
    cameras: Path | None


def find_files(config: LiftingNpzConfig) -> Files:
    """The files that a table names; raises `DataError` where one is missing or there are several to choose from."""
    if not config.path:
        raise DataError("no input path is given", expected="`path`: a data_2d_*.npz file or a folder of one")
    given = Path(config.path).expanduser()
    points = _only(given, "data_2d_*.npz") if given.is_dir() else given
    if points is None:
        raise nothing_found(given, "one data_2d_*.npz, data_3d_*.npz and cameras.json")
    if not points.is_file():
        raise DataError("no such file or folder", where=str(points), hint=neighbour(points))
    if is_archive(points):
        raise DataError("an archive where an npz file is due", where=str(points), hint="unpack it first")
    truth = _only(points.parent, "data_3d_*.npz") if not config.truth else Path(config.truth).expanduser()
    beside = points.parent / "cameras.json"
    cameras = Path(config.cameras).expanduser() if config.cameras else beside if beside.is_file() else None
    return Files(points, None if config.truth == "none" else truth, cameras)


def _only(folder: Path, pattern: str) -> Path | None:
    found = sorted(folder.glob(pattern))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(f"not exactly one {pattern}", where=str(folder), found=names, hint="name the file")
    return found[0] if found else None


class LiftingNpz:
    """`KeypointData` over VideoPose3D's files.

    Args:
        config: the table.
        host: not used.

    Raises:
        RecipeError: a subject is in two splits.
    """

    def __init__(self, config: LiftingNpzConfig, *, host: Host) -> None:
        self._config = config
        self._held = {"validation": config.validation_subjects, "test": config.test}
        asked = {
            "train": True,
            "validation": bool(config.validation_subjects or config.validation),
            "test": config.test,
        }
        self.splits = tuple(split for split in SPLITS if asked[split])
        if both := sorted(set(config.test) & set(config.validation_subjects)):
            raise RecipeError("a subject is in two splits", where="test", found=", ".join(both))

    def fingerprint(self) -> dict[str, Any]:
        """Sizes and times of the files, so that other content behind the same path is read anew."""
        if not self._config.path:
            return {}
        files = find_files(self._config)
        stated = [path.stat() for path in (files.points, files.truth, files.cameras) if path and path.is_file()]
        return {"files": [[stat.st_size, stat.st_mtime_ns] for stat in stated]}

    def prepare(self, folder: Path) -> None:
        """Undistort, split and write all clips; raises `DataError` on bad input and leaves no half-written split."""
        if all(split_file(folder, split).is_file() for split in self.splits):
            return
        clips: dict[str, list[Seen]] = {split: [] for split in self.splits}
        for clip in read_clips(self._config):
            clips[self._split(clip)].append(clip)
        for split, found in clips.items():
            if not found:
                raise DataError(
                    f"the split {split!r} has no clip", where=self._config.path, found=self._held.get(split)
                )
        for split, found in clips.items():
            self._write(folder, split, found)

    def _split(self, clip: Seen) -> str:
        for split, subjects in self._held.items():
            if clip.subject in subjects:
                return split
        held = self._config.validation and name_hash(f"{clip.subject}/{clip.name}") < self._config.validation
        return "validation" if held else "train"

    def _write(self, folder: Path, split: str, clips: Sequence[Seen]) -> None:
        poses = [clip.poses for clip in clips if clip.poses is not None]
        write_keypoints(
            folder,
            split,
            points=torch.from_numpy(np.concatenate([clip.points for clip in clips])),
            starts=torch.tensor([0, *(len(clip.points) for clip in clips)]).cumsum(0),
            fps=self._config.fps / self._config.stride,
            licence=self._config.licence,
            groups=[clip.subject for clip in clips],
            cameras=[clip.camera for clip in clips],
            names=[clip.name for clip in clips],
            stride=self._config.stride,
            poses=torch.from_numpy(np.concatenate(poses)) if poses else None,
            skeleton=self._config.skeleton,
        )

    def keypoints(self, folder: Path, split: str) -> ArrayKeypoints:
        """The split without its truth."""
        return ArrayKeypoints(folder, known_split(split, self.splits))

    def truth(self, folder: Path, split: str) -> Tensor | None:
        """The split's true poses, if the files have some."""
        return read_truth(folder, known_split(split, self.splits))


def read_clips(config: LiftingNpzConfig) -> Iterator[Seen]:
    """Every clip of the files in every camera, on the camera's plane.

    Raises:
        DataError: see `read_objects`; also another layout, a subject without cameras, lengths that differ.
    """
    files, body = find_files(config), skeleton_card(config.skeleton)
    points = _nested(read_objects(files.points, "positions_2d"), files.points)
    cameras = _cameras(files, config)
    truth = _nested(read_objects(files.truth, "positions_3d"), files.truth) if files.truth else None
    flat = means(config.columns or body.joints, body, config.joints, str(files.points))
    for subject, clips in points.items():
        for name, views in clips.items():
            solid = _solid(truth, subject, name, files, body) if truth is not None else None
            several = isinstance(views, (list, tuple)) or (isinstance(views, np.ndarray) and views.ndim == 4)
            for number, view in enumerate(views if several else [views]):
                what = f"{subject}/{name}, camera {number}"
                yield _clip(view, solid, cameras, flat, config, (subject, name, number), f"{files.points}: {what}")


def _clip(
    view: Any,
    solid: Array | None,
    cameras: Cameras,
    flat: Means,
    config: LiftingNpzConfig,
    place: tuple[str, str, int],
    where: str,
) -> Seen:
    subject, name, number = place
    pixels = _frames(view, (2, 3), len(config.columns) or len(flat), where)
    if solid is not None and len(solid) != len(pixels):
        if not config.cut:
            found = f"{len(pixels)} frames of keypoints, {len(solid)} of truth"
            raise DataError("keypoints and truth differ in length", where=where, found=found, hint="cut = true")
        shorter = min(len(solid), len(pixels))
        solid, pixels = solid[:shorter], pixels[:shorter]
    pixels, solid = pixels[:: config.stride], None if solid is None else solid[:: config.stride]
    if pixels.shape[-1] == 3:
        with np.errstate(invalid="ignore"):
            pixels = np.where(pixels[..., 2:] > config.least_confidence, pixels[..., :2], np.nan)
    pixels = np.where(np.isfinite(pixels).all(axis=-1, keepdims=True), pixels, np.nan)
    plane = taken(cameras.lens(0 if cameras.where == "focal_px" else number, where).plane(pixels), flat)
    poses = None if solid is None else solid @ cameras.turn(subject, number).T
    return Seen(subject, name, cameras.name(number), plane, poses)


def _cameras(files: Files, config: LiftingNpzConfig) -> Cameras:
    if files.cameras is not None:
        return read_cameras(files.cameras)
    if config.focal_px is None:
        hint = "a file cameras.json beside it, or focal_px and size_px"
        raise DataError("no camera is known", where=str(files.points), expected="intrinsics", hint=hint)
    return plain_camera(config.focal_px, config.size_px)


def _nested(found: Mapping[str, Any], path: Path) -> Mapping[str, Mapping[str, Any]]:
    ((key, content),) = found.items()
    fits = isinstance(content, dict) and content and all(isinstance(clips, dict) for clips in content.values())
    if not fits or not all(isinstance(name, str) for name in [*content, *(n for c in content.values() for n in c)]):
        raise DataError(
            f"{key} has another layout", where=str(path), found=type(content).__name__, expected="subject to clip"
        )
    nested: Mapping[str, Mapping[str, Any]] = content
    return nested


def _frames(values: Any, coordinates: Sequence[int], joints: int, where: str) -> Array:
    found: NDArray[Any] = values if isinstance(values, np.ndarray) else np.zeros(0)
    fits = found.ndim == 3 and found.shape[1] == joints and found.shape[2] in coordinates and found.dtype.kind in "fiu"
    if not fits or len(found) == 0:
        expected = f"(T, {joints}, {' or '.join(map(str, coordinates))}) numbers"
        raise DataError("a clip of another shape", where=where, found=f"{found.shape} {found.dtype}", expected=expected)
    return found.astype(np.float64)


def _solid(truth: Mapping[str, Mapping[str, Any]], subject: str, name: str, files: Files, body: Skeleton) -> Array:
    """A clip's true joints ``(T, J, 3)``, metres, world frame."""
    where = f"{files.truth}: {subject}/{name}"
    if name not in truth.get(subject, {}):
        raise DataError("a clip has keypoints and no truth", where=where, hint='truth = "none" reads keypoints alone')
    values = truth[subject][name]
    count = values.shape[1] if isinstance(values, np.ndarray) and values.ndim == 3 else len(body)
    columns = table("lifting_joints.toml")["by_count"].get(str(count), body.joints)
    solid = taken(_frames(values, (3,), len(columns), where), means(columns, body, {}, where))
    if not np.isfinite(solid).all():
        raise DataError("true joints are not finite", where=where, found="NaN or infinity")
    need_unit(solid, "metre", where, body)
    return solid - solid[:, [body.index(body.root)]]
