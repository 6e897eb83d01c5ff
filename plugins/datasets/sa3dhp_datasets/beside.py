"""What may lie beside a video or a folder of images: ``NAME.camera.json`` and its truth, ``NAME.truth.npz``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.atomic import read_json
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.joint_names import columns
from sa3dhp_datasets.lens import middle_lens
from sa3dhp_datasets.mocap_npz import array_names, read_arrays


class Recorded(Protocol):
    """A video or a folder of images: where it is, its size in pixels, and when each frame is shown, in seconds."""

    @property
    def path(self) -> Path:
        """The file or folder."""
        ...

    @property
    def width(self) -> int:
        """Pixels."""
        ...

    @property
    def height(self) -> int:
        """Pixels."""
        ...

    @property
    def times_s(self) -> NDArray[np.float64]:
        """``(frames,)``, rising from 0."""
        ...


@attrs.frozen
class Truth:
    """Ground truth of a video: ``joints (tracks, frames, J, 3)`` metres, camera frame, house order.

    `tracks` are the boxes' track numbers in the order of `joints`, where the file tells them.
    """

    joints: NDArray[np.float64]
    tracks: tuple[int, ...] | None
    where: str

    def rows(self, identities: Sequence[int]) -> dict[int, int]:
        """Where in `joints` each of the boxes' tracks is.

        Args:
            identities: the boxes' track numbers, rising; the order of `joints` where the file does not tell its own.

        Raises:
            DataError: other tracks than the boxes have.
        """
        tracks = self.tracks or tuple(identities)
        if len(tracks) != len(self.joints) or not set(identities) <= set(tracks):
            raise DataError(
                "the truth has other tracks than the boxes",
                where=self.where,
                found=f"{len(self.joints)} tracks",
                expected=f"{len(identities)}: {', '.join(map(str, identities))}",
            )
        return {identity: tracks.index(identity) for identity in identities}


def companion(video: Path, ending: str) -> Path:
    """The path of ``NAME.ending`` beside ``NAME.mp4``, or beside the folder ``NAME``."""
    return video.with_name(f"{video.name if video.is_dir() else video.stem}.{ending}")


def read_truth(footage: Recorded) -> Truth | None:
    """The ground truth beside a video, or None where there is none.

    Raises:
        DataError: damaged, of wrong shape, with unknown joints, or of another length than the video.
    """
    path = companion(footage.path, "truth.npz")
    if not path.is_file():
        return None
    arrays = read_arrays(path, ("joints_camera_m", "joints"))
    joints, names = arrays["joints_camera_m"], arrays["joints"]
    if joints.dtype.kind != "f" or joints.ndim not in (3, 4) or joints.shape[-1] != 3 or names.dtype.kind != "U":
        raise DataError(
            "joints_camera_m has a wrong shape or type",
            where=str(path),
            found=f"{joints.shape} {joints.dtype}",
            expected="(T, J, 3) or (tracks, T, J, 3) float, and the names of the joints",
        )
    joints = joints[None] if joints.ndim == 3 else joints
    if names.shape != joints.shape[2:3]:
        raise DataError("names do not fit the joints", where=str(path), found=names.shape, expected=joints.shape[2:3])
    if joints.shape[1] != len(footage.times_s):
        raise DataError(
            "the truth is of another length than the video",
            where=str(path),
            found=f"{joints.shape[1]} frames",
            expected=len(footage.times_s),
        )
    tracks = None
    if "tracks" in array_names(path):
        numbers = read_arrays(path, ("tracks",))["tracks"]
        if numbers.shape != joints.shape[:1] or numbers.dtype.kind not in "iu":
            found = f"{numbers.shape} {numbers.dtype}"
            raise DataError(
                "tracks do not fit the joints", where=str(path), found=found, expected=f"{len(joints)} integers"
            )
        tracks = tuple(int(number) for number in numbers)
    order = columns([str(name) for name in names], {}, str(path))
    return Truth(joints[:, :, order].astype(np.float64), tracks, str(path))


def intrinsics_of(footage: Recorded, focal_px: float | None, fov_deg: float) -> tuple[NDArray[np.float64], str]:
    """``(3, 3)`` pixels, and where they come from: a file beside the video, `focal_px`, or the assumed field of view.

    The field of view is diagonal; the principal point is then the frame's centre, width / 2 and height / 2.

    Raises:
        DataError: a file beside the video holds no pinhole camera.
    """
    camera, truth = companion(footage.path, "camera.json"), companion(footage.path, "truth.npz")
    if camera.is_file():
        record = read_json(camera)
        if not isinstance(record, dict) or "intrinsics" not in record:
            raise DataError(
                "no intrinsics", where=str(camera), expected='{"intrinsics": [[f, 0, x], [0, f, y], [0, 0, 1]]}'
            )
        return _pinhole(record["intrinsics"], str(camera)), str(camera)
    if truth.is_file():
        return _pinhole(read_arrays(truth, ("intrinsics",))["intrinsics"], str(truth)), str(truth)
    lens = middle_lens(footage.width, footage.height, focal_px, fov_deg)
    source = "focal_px" if focal_px else f"assumed: {fov_deg:g} degrees across the diagonal"
    (focal, _), (x, y) = lens.focal_px, lens.centre_px
    return np.asarray([[focal, 0, x], [0, focal, y], [0, 0, 1]], dtype=np.float64), source


def _pinhole(value: object, where: str) -> NDArray[np.float64]:
    try:
        matrix = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError("intrinsics are no numbers", where=where, found=repr(value)[:80], expected="3 x 3") from error
    fits = matrix.shape == (3, 3) and bool(np.isfinite(matrix).all()) and matrix[0, 0] > 0 and matrix[1, 1] > 0
    if not fits or not np.allclose(matrix[2], (0, 0, 1)):
        raise DataError("intrinsics are no pinhole camera", where=where, found=matrix.tolist(), expected="3 x 3, f > 0")
    return matrix
