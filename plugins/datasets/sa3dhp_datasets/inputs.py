"""Finding input files and splitting them by name. Opens nothing but to name what is no input."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import attrs

from sa3dhp_core.errors import DataError, RecipeError, nearest
from sa3dhp_core.protocols.data_files import DataCheck
from sa3dhp_datasets.layouts import is_archive, looks_like, neighbour

SPLITS = ("train", "validation", "test")


def input_files(paths: Iterable[str], suffix: str) -> tuple[Path, ...]:
    """Files ending in `suffix` that `paths` (files or folders) name, sorted within each folder, none twice.

    Raises:
        DataError: no path, a path that is missing or of another type, a folder without such files.
    """
    given = [Path(path).expanduser() for path in paths if path]
    if not given:
        raise DataError("no input path is given", expected=f"`path`: a {suffix} file or a folder of them")
    found: dict[Path, None] = {}
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() == suffix and p.is_file())
            if not inside:
                here = sorted(p.name for p in path.iterdir())[:5]
                raise DataError(
                    f"the folder has no {suffix} file",
                    where=str(path),
                    found=", ".join(here) or "an empty folder",
                    hint=looks_like(path, suffix),
                )
            found.update(dict.fromkeys(inside))
        elif path.is_file():
            if path.suffix.lower() != suffix:
                raise DataError(
                    "a file of another type",
                    where=str(path),
                    found=path.suffix or "no suffix",
                    expected=suffix,
                    hint="unpack it first" if is_archive(path) else None,
                )
            found[path] = None
        else:
            raise DataError("no such file or folder", where=str(path), hint=neighbour(path))
    return tuple(found)


def in_order(path: Path) -> tuple[list[tuple[str, int]], str]:
    """Key to sort files by name, numbers in names by their value: ``9.jpg`` before ``10.jpg``."""
    words = re.findall(r"([^0-9]*)([0-9]*)", path.name)
    return [(word, int(number[:99] or -1)) for word, number in words], path.name


def content_of(name: str, pattern: str) -> str:
    """The motion family in a clip's name: the pattern's group `content`, or the name without its trailing number.

    Raises:
        RecipeError: the pattern is no regular expression, or has no group `content`.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise RecipeError(f"not a regular expression: {error}", where="content_pattern", found=pattern) from error
    if "content" not in compiled.groupindex:
        raise RecipeError(
            "the pattern lacks a group", where="content_pattern", found=pattern, expected="(?P<content>…)"
        )
    match = compiled.search(name)
    return (match["content"] if match else None) or re.sub(r"[_\-. ]*\d+$", "", name) or name


def matches(name: str, content: str, patterns: Sequence[str]) -> bool:
    """Whether a clip's content or whole name fits one of the shell patterns."""
    return any(fnmatchcase(text, pattern) for pattern in patterns for text in (content, name))


def name_hash(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:7], "big") / 2**56


def offered(shares: Mapping[str, float], patterns: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The splits that a configuration asks for: train, and those with a share or patterns."""
    return tuple(s for s in SPLITS if s == "train" or patterns.get(s) or shares.get(s, 0.0) > 0.0)


def assign(
    clips: Sequence[tuple[str, str]],
    shares: Mapping[str, float],
    patterns: Mapping[str, Sequence[str]],
    where: str,
) -> list[str]:
    """The split of each (name, content), as `dealt`.

    Raises:
        DataError: a split stays empty, or patterns match nothing.
    """
    result, lacking = dealt(clips, shares, patterns, where)
    if lacking:
        raise lacking[0]
    return result


def dealt(
    clips: Sequence[tuple[str, str]],
    shares: Mapping[str, float],
    patterns: Mapping[str, Sequence[str]],
    where: str,
) -> tuple[list[str], list[DataError]]:
    """The split of each (name, content), and what there is to say of splits that are asked for and stay empty.

    Clips that fit a split's patterns are in it. The others are dealt by the hash of their names, so that a clip stays
    where it is when others come or go; a split whose share catches none takes the train clip of smallest hash.
    """
    by_hash = [s for s in ("test", "validation") if shares.get(s, 0.0) > 0.0 and not patterns.get(s)]
    if sum(shares[s] for s in by_hash) >= 1.0:
        raise RecipeError("the shares of validation and test leave nothing to train on", where=where, expected="< 1")
    result = []
    for name, content in clips:
        split = next((s for s in ("test", "validation") if matches(name, content, patterns.get(s, ()))), None)
        if split is None:
            draw, edge, split = name_hash(name), 0.0, "train"
            for candidate in reversed(by_hash):
                edge += shares[candidate]
                if draw < edge:
                    split = candidate
                    break
        result.append(split)
    for split in by_hash:
        train = [i for i, s in enumerate(result) if s == "train"]
        if split not in result and len(train) > 1:
            result[min(train, key=lambda i: name_hash(clips[i][0]))] = split
    lacking = []
    for split in offered(shares, patterns):
        if split not in result:
            wanted = patterns.get(split)
            fewer = "validation = 0.0 and test = 0.0" if split == "train" else f"{split} = 0.0 for no such split"
            error = DataError(
                f"the split {split!r} has no clip",
                where=where,
                found=f"{len(clips)} clips: {', '.join(sorted({c for _, c in clips})[:20])}",
                expected=f"a clip that fits {', '.join(wanted)}" if wanted else "more clips",
                hint=(nearest(wanted[0], {c for _, c in clips}) if wanted else fewer),
            )
            lacking.append(error)
    return result, lacking


def with_splits(
    found: DataCheck,
    clips: Sequence[tuple[str, str]],
    shares: Mapping[str, float],
    patterns: Mapping[str, Sequence[str]],
    where: str,
) -> DataCheck:
    """What was found, with the split of each (name, content); splits that would have none are problems."""
    splits, lacking = dealt(clips, shares, patterns, where)
    problems = [f"{error.what}: {error.hint}" for error in lacking]
    return attrs.evolve(found, splits=tuple(sorted(Counter(splits).items())), problems=(*found.problems, *problems))
