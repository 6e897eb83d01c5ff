"""Damaged input for readers: bytes and folders spoilt by a seed, and what a reader does with hundreds of them."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from sa3dhp_core.conformance.promises import must
from sa3dhp_core.errors import DataError

_MOST_EDITS = 4
_NUMBERS = (b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff")


def mutated(data: bytes, seed: int) -> bytes:
    """The bytes with one to four edits, each a cut, flip, insertion, zeroed or repeated range; the same for a seed.

    Never the bytes themselves, unless they are empty.
    """
    draw, content = random.Random(seed), data
    while content == data and data:
        for _ in range(draw.randint(1, _MOST_EDITS)):
            content = draw.choice((_cut, _flipped, _flipped, _exchanged, _exchanged, _inserted, _zeroed, _doubled))(
                content, draw
            )
    return content


def _span(data: bytes, draw: random.Random) -> tuple[int, int]:
    """A range that is often short, and as often near the start, where headers are."""
    start = draw.randrange(len(data) + 1) if draw.random() < 0.5 else draw.randrange(min(len(data), 512) + 1)
    return start, start + draw.choice((1, 2, 4, 8, 64, draw.randint(1, len(data) + 1)))


def _cut(data: bytes, draw: random.Random) -> bytes:
    start, end = _span(data, draw)
    return data[:start] if draw.random() < 0.5 else data[:start] + data[end:]


def _flipped(data: bytes, draw: random.Random) -> bytes:
    start, _ = _span(data, draw)
    return data[:start] + bytes(byte ^ 1 << draw.randrange(8) for byte in data[start : start + 1]) + data[start + 1 :]


def _exchanged(data: bytes, draw: random.Random) -> bytes:
    start, _ = _span(data, draw)
    new = draw.choice((*_NUMBERS, draw.randbytes(1), draw.randbytes(4)))
    return data[:start] + new + data[start + len(new) :]


def _inserted(data: bytes, draw: random.Random) -> bytes:
    start, _ = _span(data, draw)
    return data[:start] + draw.randbytes(draw.choice((1, 4, 64))) + data[start:]


def _zeroed(data: bytes, draw: random.Random) -> bytes:
    start, end = _span(data, draw)
    return data[:start] + bytes(len(data[start:end])) + data[end:]


def _doubled(data: bytes, draw: random.Random) -> bytes:
    start, end = _span(data, draw)
    return data[:end] + data[start : min(end, start + 4096)] + data[end:]


def mutated_folder(fixture: Path, folder: Path, seed: int, pattern: str = "*") -> str:
    """Copy a folder with one of its files mutated, or now and then removed, emptied or exchanged with another.

    Args:
        fixture: a folder of whole files.
        folder: where the copy goes; what is there is removed.
        seed: says which file and what happens to it.
        pattern: of the names of files that may be spoilt.

    Returns:
        What was done, for messages: ``seed 7: a/b.mat removed``.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(fixture, folder)
    draw = random.Random(f"folder {seed}")
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    path = draw.choice(files)
    what = draw.choices(("mutated", "removed", "emptied", "exchanged"), (20, 1, 1, 2))[0]
    if what == "removed":
        path.unlink()
    elif what == "emptied":
        path.write_bytes(b"")
    elif what == "exchanged":
        others = [other for other in sorted(folder.rglob("*")) if other.is_file() and other != path]
        path.write_bytes(draw.choice(others).read_bytes() if others else b"another file")
    else:
        path.write_bytes(mutated(path.read_bytes(), seed))
    return f"seed {seed}: {path.relative_to(folder)} {what}"


def outcomes(
    attempt: Callable[[Path], object],
    fixture: Path,
    folder: Path,
    seeds: Iterable[int] = range(200),
    pattern: str = "*",
    seconds: float = 10.0,
) -> Counter[str]:
    """How often a reader reads and refuses spoilt copies of a folder.

    Args:
        attempt: reads everything of the folder that it is given.
        fixture: a folder of whole files; links in it are copied as what they lead to.
        folder: for the copies, one at a time; messages of errors must name it or something in it.
        seeds: one a copy.
        pattern: of the names of files that may be spoilt.
        seconds: of this process's computing time that an attempt may take.

    Returns:
        ``{"read": …, "refused": …}``.

    Raises:
        BrokenPromise: an attempt raised anything but a `DataError` that names the place, or took too long.
    """
    found: Counter[str] = Counter()
    for seed in seeds:
        done = mutated_folder(fixture, folder, seed, pattern)
        start = time.process_time()
        try:
            attempt(folder)
            found["read"] += 1
        except DataError as error:
            must(str(folder) in str(error), f"{done}: the error does not name the file: {error}")
            found["refused"] += 1
        except Exception as error:
            must(False, f"{done}: {type(error).__name__}: {error}")
        took = time.process_time() - start
        must(took <= seconds, f"{done}: it took {took:.1f} s")
    return found
