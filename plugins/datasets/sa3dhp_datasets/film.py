"""One film of the user's: its people, their crops a few at a time, and the film drawn upon. Decides no crop itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import torch
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.protocols.detection import Detector
from sa3dhp_core.protocols.people import Crops, Draw, Person
from sa3dhp_datasets.beside import companion, intrinsics_of
from sa3dhp_datasets.config import VideoFolderConfig
from sa3dhp_datasets.crops import Plan, boxes_file, cut, plan_of, tracks_of
from sa3dhp_datasets.drawn_video import write_drawn
from sa3dhp_datasets.footage import LONE_FPS, Footage, probe, shown, stills
from sa3dhp_datasets.inputs import in_order
from sa3dhp_datasets.layouts import is_archive

FILMS = "a video, a folder of images or an image"
IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@attrs.frozen(eq=False)
class VideoFilm:
    """`Film` of a video or of images: what is cropped is decided, nothing is decoded yet."""

    _footage: Footage
    _plan: Plan
    _size: int
    fill: float
    licence: str
    notes: tuple[str, ...]

    @property
    def width(self) -> int:
        """Of the pictures, pixels."""
        return self._footage.width

    @property
    def height(self) -> int:
        """Of the pictures, pixels."""
        return self._footage.height

    @property
    def intrinsics(self) -> Tensor:
        """``(3, 3)`` pixels."""
        return self._plan.camera

    @property
    def fps(self) -> float:
        """Moments a second."""
        return self._plan.fps

    @property
    def people(self) -> tuple[Person, ...]:
        """One a track; see `Person`."""
        return tuple(self._person(number) for number in range(len(self._plan.identities)))

    def crops(self, count: int) -> Iterator[Crops]:
        """See `Film.crops`; holds one picture and so many crops."""
        rows: list[int] = []
        held: list[Tensor] = []
        for some, crops in cut(self._footage, self._plan, self._size):
            rows += some
            held.append(crops)
            if len(rows) >= count:
                yield self._crops(rows, held)
                rows, held = [], []
        if rows:
            yield self._crops(rows, held)

    def redraw(self, path: Path, draw: Draw) -> None:
        """See `Film.redraw`."""
        write_drawn(path, self._footage.times_s, shown(self._footage), draw)

    def _person(self, number: int) -> Person:
        start, end = self._plan.starts[number : number + 2]
        shown = self._plan.frames[start:end]
        first = round(float(self._footage.times_s[shown[0]]) * self.fps) / self.fps
        return Person(f"track{self._plan.identities[number]}", first, torch.from_numpy(shown))

    def _crops(self, rows: list[int], held: list[Tensor]) -> Crops:
        starts, index = torch.tensor(self._plan.starts), torch.tensor(rows)
        person = torch.searchsorted(starts, index, right=True) - 1
        images = torch.cat(held).float() / 255
        plan = self._plan
        turns, cameras = plan.rotation[index].float(), plan.intrinsics[index].float()
        return Crops(images, turns, cameras, person, index - starts[person])


def open_film(source: Path, config: VideoFolderConfig, detector: Callable[[], Detector | None]) -> VideoFilm:
    """A video, a folder of images or one image, with its people; `detector` is asked for only once it can be read.

    Raises:
        DataError: none of these, one that cannot be read, or boxes that do not fit it.
    """
    footage = _footage(source, config)
    plan = plan_of(footage, config, tracks_of(footage, config, detector))
    notes = tuple(_notes(footage, config, plan))
    return VideoFilm(footage, plan, config.size, 1 / config.margin, config.licence, notes)


def _footage(source: Path, config: VideoFolderConfig) -> Footage:
    if not source.exists():
        raise DataError("no such file or folder", where=str(source), expected=FILMS)
    files = sorted(filter(_is_image, source.iterdir() if source.is_dir() else [source]), key=in_order)
    if files:
        return stills(source, files, config.fps or LONE_FPS)
    if source.is_dir():
        listed = ", ".join(sorted(path.name for path in source.iterdir())[:5])
        found = f"no image, but {listed}" if listed else "an empty folder"
        raise DataError("no film", where=str(source), found=found, expected=FILMS, hint="name one video")
    if is_archive(source):
        raise DataError("no film", where=str(source), found="an archive", expected=FILMS, hint="unpack it first")
    if source.suffix.lower() in (".npz", ".npy", ".json", ".jsonl", ".bvh"):
        hint = "a run that trained a lifter reads 2D keypoints; name the video"
        raise DataError("no film", where=str(source), found=f"a {source.suffix} file", expected=FILMS, hint=hint)
    return probe(source)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGES and not path.name.startswith(".")


def _notes(footage: Footage, config: VideoFolderConfig, plan: Plan) -> Iterator[str]:
    if boxes_file(footage.path, config.boxes) is None and config.detector is None:
        beside = companion(footage.path, "boxes.jsonl").name
        yield f"no boxes of people ({beside}, --boxes FILE) and no detector: the whole frame is taken as one person"
    source = intrinsics_of(footage, config.focal_px, config.fov_deg)[1]
    if source.startswith("assumed"):
        yield f"focal length {source}; --set focal_px=… if you know it"
    if footage.images and not config.fps:
        yield f"images taken as {LONE_FPS:g} a second; --set fps=… if you know it"
    if plan.left_out:
        yield f"{plan.left_out} tracks shorter than {config.min_frames} frames are left out"
