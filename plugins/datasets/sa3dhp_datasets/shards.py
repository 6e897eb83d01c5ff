"""Packed shards as image data: labels are read at once, crops as they are drawn, from disk or a web server."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from sa3dhp_core.atomic import read_meta, read_tensors, write_tensors
from sa3dhp_core.errors import DataError
from sa3dhp_core.store import ArrayClips, ArrayImages, split_file, starts_of
from sa3dhp_datasets.config import ShardsConfig
from sa3dhp_datasets.dealing import known_split, one_rate
from sa3dhp_datasets.inputs import SPLITS
from sa3dhp_datasets.shard_pack import FORMAT, INDEX
from sa3dhp_datasets.shard_source import Source, source_of

FETCHED = "fetched"
"""Folder, inside the prepared one, of what came from a web server."""

NEEDED = ("intrinsics", "offsets", "sizes")
UNREAD = ("starts", "boxes", "rotation")
"""What is in a shard's labels and not, or not as it is, in a split's: no recipe reads it."""


class Shards:
    """`ImageData` over shards. Reads the index when it is first asked for anything, and a crop when it is drawn."""

    def __init__(self, config: ShardsConfig) -> None:
        self._config = config
        self._read: Mapping[str, Any] | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """Those that were packed; raises `DataError` where there is no index of shards."""
        return tuple(split for split in SPLITS if split in self._index()["splits"])

    def fingerprint(self) -> dict[str, Any]:
        """The shards' plans, so that other shards behind the same path are read anew."""
        return {"plans": dict(self._index()["plans"])}

    def prepare(self, folder: Path) -> None:
        """Gather the labels of each split; no crop is read."""
        source = source_of(self._config.path, folder / FETCHED)
        for split in self.splits:
            if not split_file(folder, split).is_file():
                _gather(source, self._index()["splits"][split], split_file(folder, split))

    def labelled(self, folder: Path, split: str) -> ArrayImages:
        """The split with its poses; raises `DataError` where the set has none."""
        return ArrayImages(folder, known_split(split, self.splits), pixels=self._pixels(folder, split))

    def clips(self, folder: Path, split: str) -> ArrayClips:
        """The split without any label."""
        return ArrayClips(folder, known_split(split, self.splits), pixels=self._pixels(folder, split))

    def _pixels(self, folder: Path, split: str) -> ShardPixels:
        source, tensors = source_of(self._config.path, folder / FETCHED), read_tensors(split_file(folder, split))
        names = self._index()["splits"][split]
        return ShardPixels(
            source, names, tensors["shards"], tensors["offsets"], tensors["sizes"], self._index()["size"]
        )

    def _index(self) -> Mapping[str, Any]:
        if self._read is None:
            self._read = read_index(self._config.path)
        return self._read


def read_index(path: str) -> Mapping[str, Any]:
    """The index of a folder of shards, or of an address.

    Raises:
        DataError: there is none, or it is no such index.
    """
    source = source_of(path, Path())
    try:
        found = source.index(INDEX)
    except DataError as error:
        hint = "sa3dhp data pack FOLDER --as ID --out SHARDS writes it, last of all"
        raise DataError(f"no index of shards: {error.what}", where=error.where, found=error.found, hint=hint) from error
    keys = ("splits", "plans", "size", "licence", "skeleton")
    if not isinstance(found, dict) or found.get("format") != FORMAT or any(key not in found for key in keys):
        raise DataError("not an index of shards", where=f"{path}/{INDEX}", expected=f'{{"format": "{FORMAT}", …}}')
    return found


def _gather(source: Source, names: Sequence[str], target: Path) -> None:
    """One file of a split's labels, out of those beside its shards; see `sa3dhp_core.store` for what is in it.

    One shard's labels are read at a time and go straight to disk, so the split may have any size.
    """
    files = [source.fetch(f"{name}.index.safetensors") for name in names]
    metas, lengths, forms = [], [], []
    for file in files:
        part = _checked(read_tensors(file), file)
        metas.append(read_meta(file))
        lengths.append(part["starts"].diff())
        forms.append({key: (value.dtype, value.shape[1:]) for key, value in part.items() if key not in UNREAD})
    every = torch.cat(lengths)
    count = int(every.sum())
    room = target.with_name(f".{target.stem}.gathering")
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(parents=True)
    shared = {key: form for key, form in forms[0].items() if all(key in other for other in forms)}
    for file, form in zip(files, forms, strict=True):
        if odd := next((key for key in shared if form[key] != shared[key]), None):
            raise DataError(f"{odd} of another form", where=str(file), found=form[odd], expected=shared[odd])
    kinds = {**shared, "shards": (torch.int64, torch.Size())}
    paths = {key: room / str(number) for number, key in enumerate(kinds)}  # a shard's names are not trusted
    with ExitStack() as opened:
        raw = {key: opened.enter_context(path.open("wb")) for key, path in paths.items()}
        for number, file in enumerate(files):
            part = read_tensors(file)
            part["shards"] = torch.full((int(part["starts"][-1]),), number)
            for key in kinds:
                part[key].flatten().view(torch.uint8).numpy().tofile(raw[key])
    tensors = {"starts": starts_of(every)}
    for key, (dtype, shape) in kinds.items():
        mapped = torch.from_file(str(paths[key]), shared=False, size=count * shape.numel(), dtype=dtype)
        tensors[key] = mapped.reshape(count, *shape)
    meta = {key: metas[0][key] for key in ("licence", "skeleton")}
    meta["fps"] = one_rate((meta["fps"] for meta in metas), str(files[0].parent))
    meta |= {key: [item for part in metas for item in part[key]] for key in ("families", "names")}
    write_tensors(target, tensors, meta)
    shutil.rmtree(room)


def _checked(labels: dict[str, Tensor], file: Path) -> dict[str, Tensor]:
    """A shard's labels; raises `DataError` where they are not as many as its crops."""
    starts = labels.get("starts", torch.zeros(0))
    if starts.dtype != torch.int64 or starts.dim() != 1 or len(starts) < 2:
        found, expected = (starts.dtype, starts.shape), "numbers of frames, in one row"
        raise DataError("no clip starts", where=str(file), found=found, expected=expected)
    if int(starts[0]) != 0 or bool((starts.diff() <= 0).any()):
        raise DataError("clip starts do not rise", where=str(file), found=starts.tolist()[:3], expected="0, …")
    if lacking := [key for key in NEEDED if key not in labels]:
        raise DataError("labels are missing", where=str(file), found=sorted(labels), expected=", ".join(lacking))
    for key, value in labels.items():
        if key != "starts" and (value.dim() == 0 or len(value) != int(starts[-1])):
            raise DataError(f"{key} do not fit the crops", where=str(file), found=value.shape, expected=int(starts[-1]))
    return labels


@attrs.frozen(eq=False)
class ShardPixels:
    """The crops of a split, read as they are asked for: what a tensor ``(N, 3, H, W)`` uint8 would hold.

    Attributes:
        source: where the shards lie.
        names: of the shards.
        shards: ``(N,)`` number of each crop's shard.
        offsets: ``(N,)`` its first byte.
        sizes: ``(N,)`` its bytes.
        side: of a crop, pixels.
    """

    source: Source
    names: Sequence[str]
    shards: Tensor
    offsets: Tensor
    sizes: Tensor
    side: int

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """Crops ``(*index.shape, 3, H, W)`` uint8; crops that lie side by side in a tar are read at once.

        Raises:
            DataError: a shard that is missing, truncated or damaged.
        """
        rows = torch.arange(*index.indices(len(self))) if isinstance(index, slice) else index
        flat = rows.flatten()
        crops = torch.empty((len(flat), 3, self.side, self.side), dtype=torch.uint8)
        order = flat.argsort(stable=True)
        for run in self._runs(flat[order]):
            places = order[run]
            for place, crop in zip(places.tolist(), self._read(flat[places]), strict=True):
                crops[place] = crop
        return crops.unflatten(0, rows.shape) if rows.ndim != 1 else crops

    def _runs(self, rows: Tensor) -> list[Tensor]:
        """Places in rising `rows` that one read serves: neighbours in one shard."""
        apart = (rows.diff() > 1) | (self.shards[rows].diff() != 0)
        cuts = (apart.nonzero()[:, 0] + 1).tolist()
        return list(torch.arange(len(rows)).tensor_split(cuts)) if len(rows) else []

    def _read(self, rows: Tensor) -> list[Tensor]:
        first, last = int(rows[0]), int(rows[-1])
        start, end = int(self.offsets[first]), int(self.offsets[last] + self.sizes[last])
        name = f"{self.names[int(self.shards[first])]}.tar"
        content = self.source.part(name, start, end - start)
        found = []
        for row in rows.tolist():
            begin, length = int(self.offsets[row]) - start, int(self.sizes[row])
            found.append(
                self._decoded(content[begin : begin + length], f"{self.source.place(name)}: byte {start + begin}")
            )
        return found

    def _decoded(self, content: bytes, where: str) -> Tensor:
        try:
            pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=np.uint8)
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            raise DataError("a damaged crop", where=where, found=str(error), hint="copy the shard again") from error
        if pixels.shape != (self.side, self.side, 3):
            expected = (self.side, self.side, 3)
            raise DataError("a crop of another size", where=where, found=pixels.shape, expected=expected)
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1)
