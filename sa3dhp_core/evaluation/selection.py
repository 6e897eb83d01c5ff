"""Which frames count, by what the protocol's card selects and the data tells of its frames. Knows no data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from sa3dhp_core.errors import DataError, nearest
from sa3dhp_core.evaluation.protocol import Protocol
from sa3dhp_core.types import FrameFacts

Facts = TypeVar("Facts", Sequence[str], Tensor)


def chosen(protocol: Protocol, facts: FrameFacts | None, count: int) -> Tensor | None:
    """``(count,)`` which frames the protocol counts, or None where it counts all.

    Raises:
        DataError: it selects by what the data does not tell, or the data tells it of another number of frames.
    """
    masks = list(_masks(protocol, facts or FrameFacts(), count))
    return torch.stack(masks).all(dim=0) if masks else None


def counts_any(protocol: Protocol, facts: FrameFacts | None, count: int) -> bool:
    """Whether the protocol counts any of so many frames; raises `DataError` as `chosen` does."""
    mask = chosen(protocol, facts, count)
    return count > 0 if mask is None else bool(mask.any())


def is_told(protocol: Protocol, facts: FrameFacts | None) -> bool:
    """Whether the data tells all by which the protocol selects its frames."""
    frames, told = protocol.frames, facts or FrameFacts()
    return (
        (not frames.subjects or told.subjects is not None)
        and (not frames.cameras or told.cameras is not None)
        and (frames.stride == 1 or told.numbers is not None)
        and (not frames.valid or frames.valid in told.flags)
    )


def _masks(protocol: Protocol, facts: FrameFacts, count: int) -> Iterator[Tensor]:
    frames = protocol.frames
    for key, wanted, told in (
        ("subjects", frames.subjects, facts.subjects),
        ("cameras", frames.cameras, facts.cameras),
    ):
        if wanted:
            yield torch.tensor([name in wanted for name in _told(protocol, key, told, wanted, count)], dtype=torch.bool)
    if frames.stride > 1:
        yield _told(protocol, "stride", facts.numbers, frames.stride, count).cpu() % frames.stride == 0
    if frames.valid:
        flag = facts.flags.get(frames.valid)
        yield _told(protocol, "valid", flag, frames.valid, count, nearest(frames.valid, facts.flags)).cpu().bool()


def _told(
    protocol: Protocol, key: str, told: Facts | None, wanted: object, count: int, hint: str | None = None
) -> Facts:
    """What the data tells; refused where it tells nothing, or of another number of frames."""
    if told is None:
        raise DataError(
            f"protocol {protocol.id!r} counts only some frames, and the data does not tell which those are",
            where=f"protocols/{protocol.id}.toml: frames.{key}",
            found="data that does not tell its frames apart by it",
            expected=wanted,
            hint=hint or "data that tells it, or a protocol that counts all frames",
        )
    if len(told) != count:
        raise DataError(f"frames and what is told of them differ in number: {key}", found=len(told), expected=count)
    return told
