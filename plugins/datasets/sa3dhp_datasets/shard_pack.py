"""Packing the crops of shots into webdataset shards: tar files, each with an index beside it. Reads no shard.

A shard holds whole recordings. In its tar a clip of one person is a sample: ``KEY.json`` (who, where, lens, licence),
``KEY.npz`` (boxes, poses, keypoints, cameras, frame numbers, flags) and ``KEY.00000.jpg``, … . Beside it lies
``NAME.index.safetensors``: where each crop begins, and the labels again, so that any window can be read at random.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sa3dhp_core.atomic import read_json, read_meta, remove_partial, write_atomic, write_json, write_tensors
from sa3dhp_core.errors import DataError
from sa3dhp_core.store import FLAG
from sa3dhp_datasets.shot_crops import SPARE, Cut, cut_crops
from sa3dhp_datasets.shot_splits import Stretch
from sa3dhp_datasets.shots import Shot

INDEX, FORMAT = "index.json", "sa3dhp-shards-1"
HEADER = 512
"""Bytes before a file's content in a tar of short names."""


Clips = tuple[tuple[Stretch, Cut], ...]
"""Clips of one shot, each with its crops."""


@attrs.frozen(eq=False)
class Shard:
    """What goes into one tar: whole shots, each with the clips that are cut from it.

    Attributes:
        name: of its files, without their endings.
        split: that it belongs to.
        shots: each with its clips.
        plan: changes with whatever decides its content.
    """

    name: str
    split: str
    shots: tuple[tuple[Shot, Clips], ...]
    plan: str

    @property
    def clips(self) -> list[tuple[Stretch, Cut]]:
        """All clips, in the order of the tar."""
        return [clip for _, clips in self.shots for clip in clips]


def shards_of(split: str, shots: Sequence[tuple[Shot, Clips]], frames: int, told: str) -> Iterator[Shard]:
    """Shots dealt to shards, in order: a shard is full once it has `frames` crops.

    Args:
        split: of the shots.
        shots: each with its clips.
        frames: of a full shard.
        told: what else decides the content.
    """
    group: list[tuple[Shot, Clips]] = []
    number = held = 0
    for place, (shot, clips) in enumerate(shots):
        group.append((shot, clips))
        held += sum(len(cut.frames) for _, cut in clips)
        if held >= frames or place == len(shots) - 1:
            yield Shard(f"{split}-{number:06d}", split, tuple(group), plan_of(group, told))
            group, held, number = [], 0, number + 1


def together(clips: Sequence[Stretch], cuts: Sequence[Cut]) -> list[tuple[Shot, Clips]]:
    """Clips, in the order of their shots, shot by shot."""
    pairs = groupby(zip(clips, cuts, strict=True), key=lambda pair: id(pair[0].shot))
    return [(some[0][0].shot, some) for some in (tuple(pair) for _, pair in pairs)]


def plan_of(shots: Sequence[tuple[Shot, Clips]], told: str) -> str:
    """A name that changes with whatever decides the crops and their labels, and with what `told` says beside."""
    digest = hashlib.sha256(f"{told}|{SPARE}|parts".encode())
    for shot, clips in shots:
        digest.update(f"{shot.where}|{shot.title}".encode())
        for clip, cut in clips:
            digest.update(json.dumps(clip_facts(clip), sort_keys=True).encode())
            for name, label in labels_of(cut).items():
                digest.update(name.encode() + label.numpy().tobytes())
    return digest.hexdigest()


def write_shards(
    folder: Path,
    shards: Sequence[Shard],
    facts: Mapping[str, Any],
    *,
    size: int,
    quality: int,
    workers: int,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Write those shards that are not there yet, then the index; the same bytes whatever the number of workers.

    Args:
        folder: where to; new, empty, or what an interrupted call left.
        shards: of all splits.
        facts: ``licence``, ``skeleton``, ``data`` (id), for the index and every shard.
        size: side of the crops, pixels.
        quality: of the JPEG files, 1 to 95.
        workers: shards written at once.
        progress: told how many crops of how many are written.

    Returns:
        The content of ``index.json``.

    Raises:
        DataError: the folder holds something else; or a picture cannot be read.
    """
    _need_ours(folder, shards)
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial(folder)
    every = {shard.name: sum(len(cut.frames) for _, cut in shard.clips) for shard in shards}
    missing = [shard for shard in shards if not _written(folder, shard)]
    done = sum(every.values()) - sum(every[shard.name] for shard in missing)
    progress(done, sum(every.values()))
    workers, before = max(1, workers), torch.get_num_threads()
    each = max(1, (os.cpu_count() or 1) // workers)
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        jobs = {pool.submit(_write, folder, shard, facts, size, quality, each): shard for shard in missing}
        try:
            for job in as_completed(jobs):
                job.result()
                done += every[jobs[job].name]
                progress(done, sum(every.values()))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            torch.set_num_threads(before)
    splits: dict[str, list[str]] = {}
    for shard in shards:
        splits.setdefault(shard.split, []).append(shard.name)
    plans = {shard.name: shard.plan for shard in shards}
    index = {"format": FORMAT, **facts, "size": size, "crops": sum(every.values()), "splits": splits, "plans": plans}
    write_json(folder / INDEX, index)
    return index


def _need_ours(folder: Path, shards: Sequence[Shard]) -> None:
    """Raise `DataError` unless a folder is new, empty, or holds nothing but shards of these names."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise DataError("there is a file of this name", where=str(folder), hint="another --out")
    ours = {INDEX, *(f"{shard.name}{end}" for shard in shards for end in (".tar", ".index.safetensors"))}
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in ours and not path.name.startswith("."))
    if foreign:
        found = ", ".join(foreign[:5])
        raise DataError("the folder holds other files", where=str(folder), found=found, hint="another --out")
    if (folder / INDEX).is_file() and read_json(folder / INDEX).get("format") != FORMAT:
        raise DataError("the folder holds another index", where=str(folder / INDEX), hint="another --out")


def _written(folder: Path, shard: Shard) -> bool:
    sidecar = folder / f"{shard.name}.index.safetensors"
    return sidecar.is_file() and (folder / f"{shard.name}.tar").is_file() and read_meta(sidecar)["plan"] == shard.plan


def _write(folder: Path, shard: Shard, facts: Mapping[str, Any], size: int, quality: int, threads: int) -> None:
    places: list[tuple[int, int]] = []

    def write(path: Path) -> None:
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for key, (clip, cut, crops) in enumerate(_crops(shard, size, quality, threads)):
                name = f"{shard.name}-{key:06d}"
                told = {**clip_facts(clip), **facts, "split": shard.split, "frames": len(crops)}
                _add(tar, f"{name}.json", json.dumps(told, sort_keys=True).encode())
                _add(tar, f"{name}.npz", _npz(labels_of(cut)))
                places.extend(_add(tar, f"{name}.{row:05d}.jpg", crop) for row, crop in enumerate(crops))

    write_atomic(folder / f"{shard.name}.tar", write)
    clips = shard.clips
    labels = [labels_of(cut) for _, cut in clips]
    shared = [key for key in labels[0] if all(key in label for label in labels)]
    tensors = {key: torch.cat([label[key] for label in labels]) for key in shared}
    tensors["offsets"], tensors["sizes"] = torch.tensor(places).unbind(1)
    tensors["starts"] = torch.tensor([0, *accumulate(len(cut.frames) for _, cut in clips)])
    names = [[clip.shot.subject, clip.shot.name, clip.shot.camera] for clip, _ in clips]
    meta = {**facts, "plan": shard.plan, "size": size, "fps": clips[0][0].fps, "names": names}
    meta["families"] = [clip.shot.family for clip, _ in clips]
    write_tensors(
        folder / f"{shard.name}.index.safetensors", {key: value.contiguous() for key, value in tensors.items()}, meta
    )


def _crops(shard: Shard, size: int, quality: int, threads: int) -> Iterator[tuple[Stretch, Cut, list[bytes]]]:
    """Clips with their crops as JPEG, shot by shot."""
    for shot, clips in shard.shots:
        if shot.pictures is None:
            raise DataError("there are no pictures to pack", where=f"{shot.where}: {shot.title}")
        found: list[dict[int, bytes]] = [{} for _ in clips]
        for number, row, crop in cut_crops(shot.pictures(), shot, [cut for _, cut in clips], size, threads):
            found[number][row] = _jpeg(crop, quality)
        for (clip, cut), crops in zip(clips, found, strict=True):
            yield clip, cut, [crops[row] for row in range(len(cut.frames))]


def _jpeg(crop: Tensor, quality: int) -> bytes:
    content = io.BytesIO()
    image = Image.merge("RGB", [Image.fromarray(plane) for plane in crop.numpy()])
    image.save(content, format="JPEG", quality=quality, subsampling=0)
    return content.getvalue()


def labels_of(cut: Cut) -> dict[str, Tensor]:
    """What belongs to a clip's crops, by its name in a split's file (see `sa3dhp_core.store.write_frames`)."""
    told: dict[str, Tensor | None] = {
        "intrinsics": cut.intrinsics.float(),
        "rotation": cut.rotation.float(),
        "boxes": cut.boxes.float(),
        "numbers": torch.from_numpy(cut.frames),
        "poses": cut.poses,
        "keypoints": cut.keypoints,
    }
    told |= {f"{FLAG}{name}": flag for name, flag in cut.flags.items()}
    return {name: value for name, value in told.items() if value is not None}


def clip_facts(clip: Stretch) -> dict[str, Any]:
    """Who a clip shows, and through which lens the camera took the pictures, for its sample."""
    shot = clip.shot
    lens = {name: value.tolist() for name, value in attrs.asdict(shot.lens).items()}
    facts = {"subject": shot.subject, "recording": shot.name, "camera": shot.camera, "family": shot.family}
    return {**facts, "lens": lens, "person": int(clip.person.identity), "fps": clip.fps}


def _npz(arrays: Mapping[str, Tensor]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for key, value in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{key}.npy"), "w") as file:
                np.lib.format.write_array(file, value.numpy(), allow_pickle=False)
    return content.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> tuple[int, int]:
    """Add a file without date or owner; returns where its content begins, and its length."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    start = tar.offset
    tar.addfile(info, io.BytesIO(content))
    return start + HEADER, len(content)
