"""A folder of videos as image data: prepares splits, video by video, and opens them. Cuts no crop itself."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch

from sa3dhp_core.atomic import read_json, read_meta, read_tensors, write_json, write_tensors
from sa3dhp_core.errors import DataError, PluginError
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.data_files import DataCheck
from sa3dhp_core.protocols.detection import Detector
from sa3dhp_core.store import ArrayClips, ArrayImages, split_file, starts_of, write_frames
from sa3dhp_datasets.beside import companion, intrinsics_of, read_truth
from sa3dhp_datasets.config import VideoFolderConfig
from sa3dhp_datasets.crops import boxes_file, decode_crops, plan_of, poses_of, tracks_of
from sa3dhp_datasets.dealing import known_split, one_rate
from sa3dhp_datasets.film import VideoFilm, open_film
from sa3dhp_datasets.footage import probe
from sa3dhp_datasets.inputs import assign, content_of, input_files, offered, with_splits
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.video_shots import shots_of

_log = logging.getLogger(__name__)


class VideoFolder:
    """`ImageData` over a folder of mp4 files."""

    def __init__(self, config: VideoFolderConfig, host: Host | None = None) -> None:
        self._config, self._host = config, host
        self._shares = {"validation": config.validation, "test": config.test}
        self._patterns = {"validation": config.validation_videos, "test": config.test_videos}
        self.splits = offered(self._shares, self._patterns)

    def prepare(self, folder: Path) -> None:
        """Crop all videos into `folder`; finished videos of an interrupted call are kept and reused."""
        if (folder / "prepared.json").is_file() and all(split_file(folder, s).is_file() for s in self.splits):
            return
        videos = self._videos()
        pieces = [self._piece(folder, video) for video, _, _ in videos]
        facts: dict[str, Any] = {}
        for split in self.splits:
            rows = [i for i, (_, _, own) in enumerate(videos) if own == split]
            self._join(folder, split, [pieces[i] for i in rows], [videos[i][1] for i in rows])
            facts[split] = {videos[i][0].name: read_meta(pieces[i]) for i in rows}
        write_json(folder / "prepared.json", facts)
        for piece in pieces:
            piece.unlink(missing_ok=True)
            piece.with_suffix(".npy").unlink(missing_ok=True)
        if not any((folder / "pieces").iterdir()):
            (folder / "pieces").rmdir()

    def check(self) -> DataCheck:
        """What the videos hold and what is wrong with it; raises `DataError` for what cannot be read at all."""
        videos = self._named()
        named = [(video.stem, family) for video, family in videos]
        found = self._shots([(*video, "train") for video in videos]).check()
        return with_splits(found, named, self._shares, self._patterns, self._config.path)

    def write_sheet(self, path: Path, seed: int) -> Sequence[str]:
        """Draw a few crops; see `shot_sheet.write_sheet`."""
        return self._shots([(*video, "train") for video in self._named()]).write_sheet(path, seed)

    def pack(
        self, out: Path, *, workers: int, frames: int, quality: int, progress: Callable[[int, int], None]
    ) -> Mapping[str, object]:
        """Write the crops as shards; see `PacksShards`."""
        return self._shots(self._videos()).pack(out, workers=workers, frames=frames, quality=quality, progress=progress)

    def _shots(self, videos: Sequence[tuple[Path, str, str]]) -> ShotImages:
        return shots_of(videos, self._config, lambda: self._detector)

    def _videos(self) -> list[tuple[Path, str, str]]:
        """Path, motion family and split of each video; raises `DataError` where there is none, or a split has none."""
        videos = self._named()
        named = [(video.stem, family) for video, family in videos]
        splits = assign(named, self._shares, self._patterns, str(Path(self._config.path).expanduser()))
        return [(*video, split) for video, split in zip(videos, splits, strict=True)]

    def _named(self) -> list[tuple[Path, str]]:
        """Path and motion family of each video; raises `DataError` where there is none."""
        path = Path(self._config.path).expanduser()
        if self._config.path and path.is_file():
            raise DataError(
                "the path is a file", where=str(path), expected="a folder of mp4 files", hint=str(path.parent)
            )
        videos = input_files((self._config.path,), ".mp4")
        return [(video, content_of(video.stem, self._config.content_pattern)) for video in videos]

    def _piece(self, folder: Path, video: Path) -> Path:
        """The crops of one video: images in ``.npy``, everything else in ``.safetensors``, which is written last."""
        keys = repr(attrs.astuple(self._config)).encode()
        beside = (companion(video, end) for end in ("camera.json", "truth.npz"))
        for path in (video, boxes_file(video, self._config.boxes), *beside):
            if path is not None and path.is_file():
                keys += f"|{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}".encode()
        done = folder / "pieces" / f"{video.stem}.{hashlib.sha256(keys).hexdigest()[:16]}.safetensors"
        if done.is_file() and done.with_suffix(".npy").is_file():
            return done
        done.parent.mkdir(parents=True, exist_ok=True)
        footage = probe(video)
        tracks = tracks_of(footage, self._config, lambda: self._detector)
        plan = plan_of(footage, self._config, tracks)
        truth = read_truth(footage)
        tensors = {"starts": torch.tensor(plan.starts), "intrinsics": plan.intrinsics.float()}
        if truth is not None:
            identities = tuple(sorted({t.identity for t in tracks}))
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
            "fps": plan.fps,
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
            starts=starts_of(lengths),
            intrinsics=torch.cat([part["intrinsics"] for part in parts]),
            fps=one_rate((read_meta(piece)["fps"] for piece in pieces), self._config.path),
            licence=self._config.licence,
            poses=torch.cat([part["poses"] for part in parts]) if labelled else None,
            keypoints=torch.cat([part["keypoints"] for part in parts]) if labelled else None,
            families=[c for c, part in zip(contents, parts, strict=True) for _ in range(len(part["starts"]) - 1)],
        )

    def labelled(self, folder: Path, split: str) -> ArrayImages:
        """The split with its poses; raises `DataError` naming the videos that lack a ``NAME.truth.npz``."""
        known_split(split, self.splits)
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
        known_split(split, self.splits)
        return ArrayClips(folder, split)

    def people(self, source: Path) -> VideoFilm:
        """The people in one video, whatever `path` and the splits say.

        Raises:
            DataError: no video, one that cannot be read, or boxes that do not fit it.
        """
        return open_film(source, self._config, lambda: self._detector)

    @cached_property
    def _detector(self) -> Detector | None:
        """What finds people where there are no boxes, if the table names it."""
        if self._config.detector is None:
            return None
        if self._host is None:
            raise PluginError("a detector needs the host that finds it", where="detector", expected="host.build")
        detector: Detector = self._host.build("detector", self._config.detector, "detector")
        return detector
