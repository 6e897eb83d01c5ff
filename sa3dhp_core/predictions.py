"""A folder of predicted poses: npz, JSON and BVH of each clip, the film drawn upon, an index. Predicts nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs

from sa3dhp_core.atomic import write_json, write_text
from sa3dhp_core.bvh_of_poses import check_poses
from sa3dhp_core.clip_forms import DIGITS, FORMS
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import OneEuro
from sa3dhp_core.overlay import painter
from sa3dhp_core.pose_spool import Spool, SpooledClip
from sa3dhp_core.poses_page import poses_page
from sa3dhp_core.protocols.prediction import PosedClip
from sa3dhp_core.types import ClipName

INDEX = "index.json"
OVERLAY = "overlay.mp4"
PAGE = "index.html"
LONGEST_STEM = 50


def write_predictions(
    folder: Path, clips: Iterable[PosedClip], made_by: Mapping[str, object], pictures: bool = True
) -> dict[str, Any]:
    """Write each clip once it is whole, then the index, which is there once all is written.

    Poses wait on disk, so memory does not grow with them. A folder in which nothing was written is not left behind.

    Args:
        folder: where to; it must not exist, or be empty.
        clips: of any number and length, in parts or whole; parts of clips are written when all have come.
        made_by: plain data for the index: of which run and input.
        pictures: for clips of a film, write it with skeletons drawn upon, and a page that shows it.

    Returns:
        The content of ``index.json``.

    Raises:
        DataError: the folder holds something, there is no clip, or a pose that is none.
    """
    need_empty(folder)
    with _folder(folder), Spool(folder) as spool:
        home = _Home(folder, spool)
        for clip in clips:
            home.take(clip)
        home.finish()
        if not home.listed:
            raise DataError("there is no clip to predict poses of", found=dict(made_by))
        film = home.filmed[0].facts.filmed.film if home.filmed and home.filmed[0].facts.filmed else None
        notes = film.notes if film else ()
        index = {**made_by, "unit": "m", "frame": "camera", "notes": list(notes), "clips": home.listed}
        if film and pictures:
            film.redraw(folder / OVERLAY, painter(home.filmed))
            page = poses_page(home.filmed, OVERLAY, f"Poses of {home.filmed[0].facts.name.clip}", notes)
            write_text(folder / PAGE, page)
            index |= {"overlay": OVERLAY, "page": PAGE}
        write_json(folder / INDEX, index)
    return index


def smoothed(clips: Iterable[PosedClip], cutoff_hz: float) -> Iterator[PosedClip]:
    """The clips with poses, and places in a film, smoothed over time; see `sa3dhp_core.geometry.OneEuro`.

    Raises:
        DataError: the cutoff is not above 0.
    """
    filters: dict[int, tuple[OneEuro, OneEuro]] = {}
    for clip in clips:
        new = OneEuro(clip.fps, cutoff_hz), OneEuro(clip.fps, cutoff_hz)
        of_poses, of_roots = filters.setdefault(clip.part.clip, new) if clip.part else new
        filmed = clip.filmed
        if filmed is not None:
            filmed = attrs.evolve(filmed, roots=of_roots(filmed.roots[:, None]).squeeze(1))
        yield attrs.evolve(clip, poses=of_poses(clip.poses), filmed=filmed)


def need_empty(folder: Path) -> None:
    """Raise `DataError` unless a folder is empty or absent."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        what = "the folder holds files and is left as it is" if folder.is_dir() else "there is a file of this name"
        raise DataError(what, where=str(folder), hint="another --out")


class _Home:
    """What was taken home so far: clips in parts that wait, and what the index says of those written.

    Args:
        folder: where files go.
        spool: where poses wait.
    """

    def __init__(self, folder: Path, spool: Spool) -> None:
        self._folder, self._spool = folder, spool
        self._stems = {Path(INDEX).stem, Path(OVERLAY).stem}
        self._parts: dict[int, SpooledClip] = {}
        self.listed: list[dict[str, object]] = []
        self.filmed: list[SpooledClip] = []

    def take(self, clip: PosedClip) -> None:
        """Keep a part until all have come; write a whole clip."""
        with _named(clip.name):
            check_poses(clip.poses, clip.part.first if clip.part else 0)
        whole = SpooledClip.begin(self._spool, clip)
        whole = self._parts.setdefault(clip.part.clip, whole) if clip.part else whole
        whole.add(clip)
        if clip.part is None:
            self._write(whole)

    def finish(self) -> None:
        """Write the clips that came in parts."""
        for number in sorted(self._parts):
            self._write(self._parts.pop(number))

    def _write(self, clip: SpooledClip) -> None:
        """A clip's three files; BVH first, which is the one that can refuse poses."""
        told = clip.facts
        stem = _stem(told.name, self._stems)
        self._stems.add(stem.casefold())
        files = {kind: f"{stem}.{kind}" for kind in FORMS}
        for kind in reversed(FORMS):
            with _named(told.name):
                FORMS[kind](self._folder / files[kind], clip)
        said: dict[str, object] = {**told.name._asdict(), "fps": told.fps, "frames": clip.length}
        said |= {"start_s": round(told.start_s, DIGITS)} if told.filmed else {}
        said |= {"model": told.model} if told.model else {}
        self.listed.append({**said, "unseen_joints": clip.unseen, "files": files})
        self.filmed += [clip] if told.filmed else []


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """A folder that is there; removed again, as its new parents are, where nothing is in it after an error."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for path in new:
                path.rmdir()
        raise


@contextmanager
def _named(name: ClipName) -> Iterator[None]:
    """Errors say which clip it was."""
    try:
        yield
    except DataError as error:
        where = ", ".join(filter(None, ("/".join(name), error.where)))
        raise DataError(error.what, where=where, found=error.found, expected=error.expected) from error


def _stem(name: ClipName, taken: set[str]) -> str:
    """A file name that all systems take, and no other clip has in any case of letters."""
    plain = "_".join(filter(None, (re.sub(r"[^\w.-]+", "_", part).strip("._") for part in name)))
    plain = plain[:LONGEST_STEM] or "clip"
    stem, number = plain, 1
    while stem.casefold() in taken:
        number += 1
        stem = f"{plain}-{number}"
    return stem
