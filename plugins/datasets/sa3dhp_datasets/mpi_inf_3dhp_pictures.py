"""Where the pictures of MPI-INF-3DHP's training set lie: videos as they come, or pictures extracted from them."""

from __future__ import annotations

from pathlib import Path

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.footage import probe
from sa3dhp_datasets.pictures import ImageFiles, numbered
from sa3dhp_datasets.shots import Pictures
from sa3dhp_datasets.skeletool_file import StudioCamera

_FOLDERS = ("imageSequence", "imageFrames")
_EXPECTED = "imageSequence/video_{0}.avi, imageSequence/img_{0}_000001.jpg, or pictures in imageSequence/video_{0}"


def has_pictures(place: Path) -> bool:
    """Whether a recording's folder has any folder of pictures."""
    return any((place / name).is_dir() for name in _FOLDERS)


def open_pictures(place: Path, camera: str, studio: StudioCamera) -> Pictures:
    """The pictures of one camera: its video if it is there, else extracted ones, whose numbers start at 0 or 1.

    Args:
        place: of the recording.
        camera: its number.
        studio: the same, calibrated; tells the pictures' size.

    Raises:
        DataError: none of this camera, none that can be read, or of another size than the camera's.
    """
    pictures, where = _found(place, camera)
    if (pictures.width, pictures.height) != (studio.width, studio.height):
        raise DataError(
            "pictures of another size than the camera's",
            where=str(where),
            found=f"{pictures.width} x {pictures.height}",
            expected=f"{studio.width} x {studio.height}, as camera.calibration says",
            hint="extract them in full size",
        )
    return pictures


def _found(place: Path, camera: str) -> tuple[Pictures, Path]:
    video = place / "imageSequence" / f"video_{camera}.avi"
    if video.is_file():
        return probe(video), video
    folders = [
        (place / "imageSequence", f"img_{camera}_"),
        *((place / name / f"video_{camera}", "") for name in _FOLDERS),
    ]
    for folder, prefix in folders:
        if files := numbered(folder, prefix):
            return ImageFiles.open(files), folder
    packed = sorted((place / "imageSequence").glob("*.zip"))
    raise DataError(
        f"no pictures of camera {camera}",
        where=str(place),
        expected=_EXPECTED.format(camera),
        hint=f"unpack {packed[0].name}" if packed else 'another camera_set, or `cameras = ["0"]`',
    )
