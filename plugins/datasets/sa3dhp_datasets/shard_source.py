"""Where shards lie: a folder or a web address. Gives files and parts of files; knows nothing of what is in them."""

from __future__ import annotations

import shutil
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import attrs

from sa3dhp_core.atomic import read_json, write_atomic
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.layouts import is_archive, neighbour

TIMEOUT_S = 60.0
_FETCHING = threading.Lock()


class Source(Protocol):
    """Files by name."""

    def place(self, name: str) -> str:
        """Where a file is, for messages."""
        ...

    def fetch(self, name: str) -> Path:
        """A whole file, on this machine; raises `DataError` where there is none."""
        ...

    def part(self, name: str, start: int, length: int) -> bytes:
        """Bytes of a file; raises `DataError` where it has fewer."""
        ...

    def index(self, name: str) -> Any:
        """A JSON file as it is now; raises `DataError` where there is none or it is damaged."""
        ...


def source_of(path: str, cache: Path) -> Source:
    """The source that a path names: ``http(s)://…``, else a folder.

    Args:
        path: as the recipe says it.
        cache: folder for what is fetched from an address.

    Raises:
        DataError: no path, or nothing there.
    """
    if not path:
        raise DataError("no input path is given", expected="`path`: a folder of shards, or its address")
    if urlsplit(path).scheme in ("http", "https"):
        return Address(path.rstrip("/"), cache)
    folder = Path(path).expanduser()
    if not folder.is_dir():
        found = "an archive" if folder.is_file() and is_archive(folder) else "a file" if folder.exists() else None
        raise DataError("no such folder of shards", where=path, found=found, hint=neighbour(folder))
    return Folder(folder)


@attrs.frozen
class Folder:
    """Shards on disk."""

    folder: Path

    def place(self, name: str) -> str:
        """Its path."""
        return str(self.folder / name)

    def fetch(self, name: str) -> Path:
        """The file itself."""
        path = self.folder / name
        if not path.is_file():
            raise DataError("the file is missing", where=str(path), hint="pack the data set again; it goes on")
        return path

    def part(self, name: str, start: int, length: int) -> bytes:
        """Read a part of a file."""
        return _part(self.fetch(name), start, length)

    def index(self, name: str) -> Any:
        """Read it."""
        return read_json(self.folder / name)


@attrs.frozen
class Address:
    """Shards on a web server, read in parts; whole files only where the server knows no parts (RFC 9110, ranges)."""

    url: str
    cache: Path

    def fetch(self, name: str) -> Path:
        """The file, fetched once."""
        path = self.cache / name
        with _FETCHING:  # batches are drawn in several threads
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(path, lambda target: self._download(name, target))
        return path

    def part(self, name: str, start: int, length: int) -> bytes:
        """Ask for a part; from the fetched file where there is one, or the server answers with the whole."""
        if (self.cache / name).is_file():
            return _part(self.cache / name, start, length)
        request = urllib.request.Request(self.place(name), headers={"Range": f"bytes={start}-{start + length - 1}"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                if answer.status == 206:
                    found: bytes = answer.read(length)
                    return _whole(found, length, self.place(name))
        except (urllib.error.URLError, OSError) as error:
            raise self._failed(name, error) from error
        return _part(self.fetch(name), start, length)

    def index(self, name: str) -> Any:
        """Fetch and read it, without keeping it."""
        with tempfile.TemporaryDirectory() as folder:
            self._download(name, Path(folder) / name)
            return read_json(Path(folder) / name)

    def place(self, name: str) -> str:
        """Its address."""
        return f"{self.url}/{name}"

    def _download(self, name: str, target: Path) -> None:
        try:
            with urllib.request.urlopen(self.place(name), timeout=TIMEOUT_S) as answer, target.open("wb") as file:
                shutil.copyfileobj(answer, file)
                promised = answer.headers.get("Content-Length")
        except (urllib.error.URLError, OSError) as error:
            raise self._failed(name, error) from error
        if promised is not None and target.stat().st_size != int(promised):
            raise DataError(
                "the answer ended early", where=self.place(name), found=target.stat().st_size, expected=promised
            )

    def _failed(self, name: str, error: Exception) -> DataError:
        return DataError("the file cannot be fetched", where=self.place(name), found=str(error))


def _part(path: Path, start: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return _whole(file.read(length), length, str(path))


def _whole(found: bytes, length: int, where: str) -> bytes:
    if len(found) != length:
        raise DataError("the shard is truncated", where=where, found=f"{len(found)} bytes", expected=length)
    return found
