"""What unpaired motion must keep: people in metres that stand upright, splits that share nothing, draws that repeat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.data_sets import (
    Content,
    digests,
    freshly_prepared,
    need_again_without_change,
    need_disjoint,
    need_facts,
    need_generator_alone,
    need_going_on,
    need_honest_damage,
    need_honest_input,
    need_people,
    need_refusal,
    need_shards,
    need_splits,
    prepared,
)
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.types import WHOLE, Shard, Skeleton

NOUN = "pose_data"
COUNT, TOO_LONG = 12, 1_000_000
"""Windows of a draw, and a length that no sequence has."""

HEAD, FEET = "head", ("left_ankle", "right_ankle")


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """Pose data are built from their keys alone."""
    return {}


def opened(subject: Subject, bench: Bench) -> Iterator[tuple[str, Any]]:
    """Every split, by name."""
    whole = prepared(subject, bench)
    return ((split, whole.data.sequences(whole.folder, split)) for split in whole.data.splits)


def content(data: Any, folder: Path) -> Content:
    """A digest of every frame of every split."""
    return {
        split: tuple(d for sequence in data.sequences(folder, split).sequences() for d in digests(sequence))
        for split in data.splits
    }


def whole_sequences(data: Any, folder: Path) -> Content:
    """A digest of every sequence: people who stand still look alike in single frames."""
    return {split: digests(data.sequences(folder, split).sequences()) for split in data.splits}


@check(NOUN, "names its splits, `train` among them, and each of them has motion")
def names_its_splits(subject: Subject, bench: Bench) -> None:
    need_splits(prepared(subject, bench).data.splits)
    for split, found in opened(subject, bench):
        must(any(len(sequence) for sequence in found.sequences()), f"the split {split} is empty")


@check(NOUN, "states skeleton, licence, frame rate and the motion family of every sequence")
def states_what_it_is(subject: Subject, bench: Bench) -> None:
    for split, found in opened(subject, bench):
        need_facts(found)
        must(isinstance(found.skeleton, Skeleton), f"{split} states no skeleton", repr(found.skeleton))
        families, count = found.families(), sum(1 for _ in found.sequences())
        must(isinstance(families, tuple) and len(families) == count, "families are not one a sequence", families, count)
        must("families" not in subject.capabilities or all(families), f"a sequence of {split} has no family", families)


@check(NOUN, "gives root-relative people in metres, with bones of a person's length")
def gives_people(subject: Subject, bench: Bench) -> None:
    for _, found in opened(subject, bench):
        need_people(torch.cat(list(found.sequences())), found.skeleton)


@check(NOUN, "has gravity along -z: over all frames heads are above feet")
def stands_upright(subject: Subject, bench: Bench) -> None:
    for split, found in opened(subject, bench):
        body = found.skeleton
        if {HEAD, *FEET} <= set(body.joints):
            mean = torch.cat(list(found.sequences())).mean(dim=0)[:, 2]
            head, feet = float(mean[body.index(HEAD)]), max(float(mean[body.index(foot)]) for foot in FEET)
            must(head > feet, f"people of {split} stand on their heads", f"{head:.2f} m", f"above {feet:.2f} m")


@check(NOUN, "draws windows of consecutive frames of a sequence, and refuses windows that no sequence has")
def cuts_consecutive_frames(subject: Subject, bench: Bench) -> None:
    for _, found in opened(subject, bench):
        whole = list(found.sequences())
        length = max(1, min(4, *map(len, whole), 4))
        windows = found.draw(COUNT, length, bench.generator("windows"))
        wanted = (COUNT, length, len(found.skeleton), 3)
        must(windows.shape == wanted, "windows of a wrong shape", tuple(windows.shape), wanted)
        pieces = {d for one in whole for d in digests(one.unfold(0, length, 1).movedim(-1, 1))}
        must(set(digests(windows)) <= pieces, "a window does not consist of consecutive frames of a sequence")
        generator = bench.generator("windows")
        need_refusal(partial(found.draw, 1, TOO_LONG, generator), "draws a window that no sequence has")


def _drawn(found: Any, generator: torch.Generator, shard: Shard = WHOLE) -> list[Tensor]:
    return [found.draw(COUNT, 1, generator, shard)]


@check(NOUN, "draws from the generator that it is given alone")
def draws_from_its_generator_alone(subject: Subject, bench: Bench) -> None:
    for _, found in opened(subject, bench):
        need_generator_alone(partial(_drawn, found), bench)


@check(NOUN, "shares a draw out among processes: their shards, taken in turn, are the whole draw")
def shards_make_up_the_whole(subject: Subject, bench: Bench) -> None:
    for _, found in opened(subject, bench):
        need_shards(partial(_drawn, found), bench)


@check(NOUN, "shares nothing between splits: no sequence of one is in another")
def splits_share_nothing(subject: Subject, bench: Bench) -> None:
    whole = prepared(subject, bench)
    need_disjoint(whole_sequences(whole.data, whole.folder), "sequence")


@check(NOUN, "refuses a split that it does not have, and a folder that is not prepared")
def refuses_what_it_does_not_have(subject: Subject, bench: Bench) -> None:
    whole, empty = prepared(subject, bench), bench.folder()
    need_refusal(lambda: whole.data.sequences(whole.folder, "no-such-split"), "opens a split that there is not")
    need_refusal(lambda: whole.data.sequences(empty, "train"), "opens a folder that is not prepared")


@check(NOUN, "prepares a folder that is prepared without touching it")
def prepares_again_without_change(subject: Subject, bench: Bench) -> None:
    need_again_without_change(freshly_prepared(subject, bench), content)


@check(NOUN, "goes on where preparing was interrupted, and ends with the same data")
def goes_on_after_an_interruption(subject: Subject, bench: Bench) -> None:
    need_going_on(prepared(subject, bench), bench, content)


@check(NOUN, "meets a damaged prepared file by an error of its type, or reads the same in spite of it")
def refuses_damaged_files(subject: Subject, bench: Bench) -> None:
    need_honest_damage(prepared(subject, bench), bench, content)


@check(NOUN, "meets damaged input files by errors of their type")
def refuses_damaged_input(subject: Subject, bench: Bench) -> None:
    need_honest_input(subject, bench, content)
