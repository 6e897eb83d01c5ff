"""Where Human3.6M's poses and videos lie, however their folders are spelt. Opens none of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.layouts import nothing_found

LAYOUT = "S1, S5, … S11, each with MyPoseFeatures/D3_Positions_mono/{Action}[ k].{camera}.cdf, beside metadata.xml"
FLAT, MONO, WORLD, VIDEOS = "d2positions", "d3positionsmono", "d3positions", "videos"
ENDINGS = {FLAT: "cdf", MONO: "cdf", WORLD: "cdf", VIDEOS: "mp4"}
UNIVERSAL = "d3positionsmonouniversal"
_FILE = re.compile(r"(?P<action>[A-Za-z]+)(?P<number> \d+)?(\.(?P<camera>\d+))?\.(?P<ending>cdf|mp4)")

_SUBJECT = re.compile(r"S\d{1,3}")

View = tuple[str, str]
"""Recording and camera; the camera is empty where a file is of all."""


@attrs.frozen(eq=False)
class Subject:
    """One subject's files.

    Attributes:
        number: 1 for S1.
        folder: of the subject.
        folders: of the poses and videos that there are.
        files: of each of those, what lies in it; may be nothing.
    """

    number: int
    folder: Path
    folders: Mapping[str, Path]
    files: Mapping[str, Mapping[View, Path]]

    @property
    def name(self) -> str:
        """As in ``S11``."""
        return f"S{self.number}"

    def views(self, cameras: Sequence[str]) -> tuple[View, ...]:
        """Recordings and cameras of all poses, in order: each recording in each of the cameras that any of them has.

        Args:
            cameras: all there may be; those of poses in the world.
        """
        if self.solid == MONO:
            cameras = sorted({camera for _, camera in self.files[MONO]})
        recordings = sorted({recording for recording, _ in self.files[self.solid]})
        return tuple((recording, camera) for recording in recordings for camera in cameras)

    @property
    def solid(self) -> str:
        """The kind of poses that is read."""
        return MONO if self.files.get(MONO) else WORLD

    @property
    def posed(self) -> bool:
        """Whether there are any."""
        return bool(self.files.get(self.solid))

    def file(self, kind: str, view: View) -> Path:
        """A file of a kind that there is; raises `DataError` where it lacks this one."""
        if (path := self.files[kind].get(view)) is None:
            found = f"{len(self.files[kind])} others"
            wanted, where = f"{'.'.join(filter(None, view))}.{ENDINGS[kind]}", str(self.folders[kind])
            raise DataError(f"the file {wanted} is missing", where=where, found=found, hint="unpack the archive again")
        return path


def subjects_of(folder: Path, known: Sequence[str], renamed: Mapping[str, str]) -> tuple[Subject, ...]:
    """The subjects with poses in a folder, by their number.

    Args:
        folder: of the data set.
        known: names of the subjects whose poses were published; they are refused without them, others left out.
        renamed: actions of several names, to the one that is used.

    Raises:
        DataError: there is none, or one without poses, or two files of one view.
    """
    numbers = {int(path.name[1:]): path for path in _folders(folder) if _SUBJECT.fullmatch(path.name)}
    found = [_subject(number, path, renamed) for number, path in sorted(numbers.items())]
    if not any(subject.folders for subject in found):
        raise _elsewhere(folder) or nothing_found(folder, LAYOUT)
    for subject in found:
        if subject.name in known and not subject.posed:
            raise _no_poses(subject)
    with_poses = tuple(subject for subject in found if subject.posed)
    if not with_poses:
        raise _no_poses(found[0])
    return with_poses


def _subject(number: int, folder: Path, renamed: Mapping[str, str]) -> Subject:
    inside = _parts(folder)
    files = {kind: _views(inside[kind], kind, renamed) for kind in ENDINGS if kind in inside}
    return Subject(number, folder, inside, files)


def _parts(subject: Path) -> dict[str, Path]:
    """The folders of poses and videos of a subject, in it or in its MyPoseFeatures."""
    places = [subject, *(path for path in _folders(subject) if path.name.lower() == "myposefeatures")]
    inside = {_kind(path): path for place in places for path in _folders(place)}
    return {kind: path for kind, path in inside.items() if kind in (*ENDINGS, UNIVERSAL)}


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _kind(path: Path) -> str:
    return path.name.lower().replace("_", "").removeprefix("poses")


def _views(folder: Path, kind: str, renamed: Mapping[str, str]) -> dict[View, Path]:
    found: dict[View, Path] = {}
    for path in sorted(folder.iterdir()):
        match = _FILE.fullmatch(path.name)
        if not match or match["ending"] != ENDINGS[kind] or (match["camera"] is None) != (kind == WORLD):
            continue
        view = (renamed.get(match["action"], match["action"]) + (match["number"] or ""), match["camera"] or "")
        if view in found:
            both = f"{found[view].name}, {path.name}"
            raise DataError("two files of one recording", where=str(folder), found=both, expected="one of them")
        found[view] = path
    return found


def _no_poses(subject: Subject) -> DataError:
    universal = "D3_Positions_mono_universal is of a standard body and is not read"
    return DataError(
        f"{subject.name} has no poses",
        where=str(subject.folder),
        found=", ".join(path.name for path in subject.folders.values()) or "no folder of poses",
        expected="MyPoseFeatures/D3_Positions_mono or MyPoseFeatures/D3_Positions with .cdf files",
        hint=universal if UNIVERSAL in subject.folders else f"unpack Poses_D3_Positions_mono_{subject.name}.tgz there",
    )


def _elsewhere(folder: Path) -> DataError | None:
    """The error for a path one above or one below the right one."""
    if _parts(folder):
        right: Path | None = folder.parent
    else:
        right = next((child for child in _folders(folder) if any(map(_parts, _folders(child)))), None)
    if right is None:
        return None
    hint = f"path = {str(right)!r}"
    return DataError("not the folder of the subjects", where=str(folder), expected=LAYOUT, hint=hint)
