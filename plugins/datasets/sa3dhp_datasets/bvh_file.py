"""Reading the BVH file format: text to a hierarchy with channel values. Knows no rig and computes no position."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.bvh import CHANNELS, END, Bvh, BvhJoint
from sa3dhp_core.errors import DataError, nearest
from sa3dhp_datasets.lines import read_text

_CHANNEL = {name.lower(): name for name in CHANNELS}


class _Tokens:
    """Words of the header with their line numbers."""

    def __init__(self, lines: list[str], where: str) -> None:
        self._words: Iterator[tuple[int, str]] = (
            (number, word) for number, line in enumerate(lines, 1) for word in line.split()
        )
        self._where = where
        self.line = 1

    def next(self, expected: str) -> str:
        """The next word; a file that ends here is truncated."""
        try:
            self.line, word = next(self._words)
        except StopIteration:
            raise self.error("the header is truncated", "the end of the file", expected) from None
        return word

    def take(self, word: str) -> None:
        """The next word must be this one."""
        found = self.next(word)
        if found.lower() != word.lower():
            raise self.error("the header is not BVH", found, word)

    def number(self, expected: str) -> float:
        """The next word as a finite number."""
        word = self.next(expected)
        try:
            value = float(word)
        except ValueError:
            raise self.error("not a number", word, expected) from None
        if not np.isfinite(value):
            raise self.error("not a finite number", word, expected)
        return value

    def count(self, expected: str) -> int:
        """The next word as a whole number from 0 to 2^31."""
        value = self.number(expected)
        if value != int(value) or not 0 <= value < 2**31:
            raise self.error("not a whole number", value, expected)
        return int(value)

    def error(self, what: str, found: object, expected: str, hint: str | None = None) -> DataError:
        """An error at the present line."""
        shown = found[:60] if isinstance(found, str) else found
        return DataError(what, where=f"{self._where}: line {self.line}", found=shown, expected=expected, hint=hint)


def read_bvh(path: Path) -> Bvh:
    """Read a file.

    Raises:
        DataError: truncated header, mislabelled channels, missing, short or long motion rows, values that are no
            finite numbers; always with the line.
    """
    return parse_bvh(read_text(path, "BVH"), str(path))


def parse_bvh(text: str, where: str) -> Bvh:
    """Parse a file's text; see `read_bvh`."""
    if not text.strip():
        raise DataError("the file is empty", where=where, expected="HIERARCHY … MOTION …")
    lines = text.splitlines()
    tokens = _Tokens(lines, where)
    joints = _hierarchy(tokens)
    tokens.take("Frames:")
    frames = tokens.count("the number of frames")
    tokens.take("Frame")
    tokens.take("Time:")
    frame_time = tokens.number("seconds a frame")
    if not 1e-4 < frame_time < 100.0:
        raise tokens.error("impossible frame time", frame_time, "seconds, for example 0.0333333")
    width = sum(len(joint.channels) for joint in joints)
    return Bvh(joints, frame_time, _motion(lines, tokens.line, frames, width, where))


def _hierarchy(tokens: _Tokens) -> tuple[BvhJoint, ...]:
    """From HIERARCHY to MOTION inclusive. Without recursion, so that deep nesting cannot exhaust the stack."""
    tokens.take("HIERARCHY")
    tokens.take("ROOT")
    joints: list[BvhJoint] = []
    name, stack = tokens.next("the root's name"), [-1]
    while True:
        stack.append(_joint(tokens, name, stack[-1], joints))
        while True:
            word = tokens.next("JOINT, End Site or }").lower()
            if word == "joint":
                name = tokens.next("a joint's name")
                break
            if word == "end":
                tokens.take("Site")
                _joint(tokens, f"{joints[stack[-1]].name}{END}", stack[-1], joints, end=True)
            elif word == "}":
                stack.pop()
                if len(stack) == 1:
                    word = tokens.next("MOTION")
                    if word.lower() == "root":
                        raise tokens.error("a second ROOT", word, "one body a file", "split it into two files")
                    if word.lower() != "motion":
                        raise tokens.error("the hierarchy is not followed by motion", word, "MOTION")
                    return tuple(joints)
            else:
                raise tokens.error("the header is not BVH", word, "JOINT, End Site or }")


def _joint(tokens: _Tokens, name: str, parent: int, joints: list[BvhJoint], end: bool = False) -> int:
    """Read ``{ OFFSET x y z [CHANNELS n …]`` (an End Site also its ``}``); append the joint, return its index."""
    tokens.take("{")
    tokens.take("OFFSET")
    offset = (tokens.number("offset x"), tokens.number("offset y"), tokens.number("offset z"))
    channels: list[str] = []
    if end:
        tokens.take("}")
    else:
        tokens.take("CHANNELS")
        count = tokens.count("the number of channels, 0 to 6")
        if count > 6:
            raise tokens.error(f"too many channels of joint {name!r}", count, "at most 6")
        for _ in range(count):
            word = tokens.next("a channel")
            channel = _CHANNEL.get(word.lower())
            if channel is None:
                hint = nearest(word, CHANNELS)
                raise tokens.error(f"unknown channel of joint {name!r}", word, ", ".join(CHANNELS), hint)
            if channel in channels:
                raise tokens.error(f"a channel of joint {name!r} is named twice", word, "each channel once")
            channels.append(channel)
    joints.append(BvhJoint(name, parent, offset, tuple(channels)))
    return len(joints) - 1


def _motion(lines: list[str], header: int, frames: int, width: int, where: str) -> NDArray[np.float64]:
    """The rows after line `header`."""
    rows = [(number, line) for number, line in enumerate(lines[header:], header + 1) if line.strip()]
    if len(rows) != frames or frames == 0 or width == 0:
        what = "the motion is truncated" if len(rows) < frames else "the motion does not fit its header"
        raise DataError(
            what,
            where=f"{where}: line {len(lines)}",
            found=f"{len(rows)} rows for {width} channels",
            expected=f"{frames} rows as 'Frames:' says" if frames else "at least one frame",
            hint="copy the file again, or correct 'Frames:'",
        )
    values = np.empty((frames, width))
    for index, (number, line) in enumerate(rows):
        words = line.split()
        if len(words) != width:
            what = "too few values in a motion row" if len(words) < width else "too many values in a motion row"
            raise DataError(what, where=f"{where}: line {number}", found=len(words), expected=f"{width} (all channels)")
        try:
            values[index] = [float(word) for word in words]
        except ValueError as error:
            raise DataError("not a number in a motion row", where=f"{where}: line {number}", found=error) from error
        if not np.isfinite(values[index]).all():
            column = int(np.argwhere(~np.isfinite(values[index]))[0, 0])
            raise DataError(
                "a motion value is not finite",
                where=f"{where}: line {number}, value {column + 1}",
                found=words[column],
                expected="a finite number",
            )
    return values
