"""What keypoint data must keep: places on the camera plane, splits, draws that repeat, and a truth that fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.data_sets import (
    ROOT_M,
    Content,
    digests,
    freshly_prepared,
    need_again_without_change,
    need_disjoint,
    need_facts,
    need_generator_alone,
    need_refusal,
    need_shards,
    need_splits,
    prepared,
)
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.geometry import root_position
from sa3dhp_core.protocols.keypoints import Keypoints
from sa3dhp_core.types import WHOLE, Shard, Skeleton

NOUN = "keypoint_data"
COUNT, TOO_LONG = 12, 1_000_000
"""Windows of a draw, and a length that no clip has."""

WIDE = 4.0
"""Largest place on the plane at depth 1 that a camera sees; pixels are far beyond."""

FITS = 1e-3
"""How far from a keypoint its true joint may project, on the plane: one pixel of a usual camera."""


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """Keypoint data may be made of others that a host finds."""
    return {"host": bench.host}


def opened(subject: Subject, bench: Bench) -> Iterator[tuple[str, Any]]:
    """Every split by name."""
    whole = prepared(subject, bench)
    for split in whole.data.splits:
        yield split, whole.data.keypoints(whole.folder, split)


def content(data: Any, folder: Path) -> Content:
    """A digest of every frame."""
    return {split: digests(torch.cat(list(data.keypoints(folder, split).batches(1000)))) for split in data.splits}


def whole_clips(data: Any, folder: Path) -> Content:
    """A digest of every clip in which something was seen: people who stand still look alike in single frames."""
    found = {}
    for split in data.splits:
        opened = data.keypoints(folder, split)
        clips = torch.cat(list(opened.batches(1000))).split(opened.clip_index().bincount().tolist())
        found[split] = digests(clip for clip in clips if not bool(clip.isnan().all()))
    return found


@check(NOUN, "names its splits, `train` among them, and each of them has frames")
def names_its_splits(subject: Subject, bench: Bench) -> None:
    need_splits(prepared(subject, bench).data.splits)
    for split, keypoints in opened(subject, bench):
        must(len(keypoints) > 0, f"the split {split} is empty")


@check(NOUN, "states skeleton, licence, frame rate, and the clip and group of every frame")
def states_what_it_is(subject: Subject, bench: Bench) -> None:
    for split, found in opened(subject, bench):
        must(isinstance(found, Keypoints), f"{split} lacks an attribute of the protocol")
        must(isinstance(found.skeleton, Skeleton), f"{split} states no skeleton", repr(found.skeleton))
        need_facts(found)
        clips, groups = found.clip_index(), found.groups()
        must(len(clips) == len(found) and bool((clips.diff() >= 0).all()), "frames of a clip are not side by side")
        must(len(groups) == int(clips[-1]) + 1, "groups are not one a clip", len(groups), int(clips[-1]) + 1)
        must("groups" not in subject.capabilities or all(groups), f"a clip of {split} has no group", groups)


@check(NOUN, "gives places on the camera plane, NaN in both coordinates where a joint was not seen")
def gives_places_on_the_camera_plane(subject: Subject, bench: Bench) -> None:
    for split, found in opened(subject, bench):
        points = torch.cat(list(found.batches(7)))
        wanted = (len(found), len(found.skeleton), 2)
        must(points.shape == wanted, f"keypoints of {split} have a wrong shape", tuple(points.shape), wanted)
        missing = points.isnan()
        must(torch.equal(missing[..., 0], missing[..., 1]), "a joint is half missing")
        far = float(points[~missing].abs().max()) if bool((~missing).any()) else 0.0
        must(far < WIDE, f"keypoints of {split} lie beyond what a camera sees: are they pixels?", far, f"below {WIDE}")


@check(NOUN, "draws windows of consecutive frames, and refuses windows that no clip has")
def draws_windows(subject: Subject, bench: Bench) -> None:
    for _, found in opened(subject, bench):
        points, clips = torch.cat(list(found.batches(1000))), found.clip_index()
        length = 2 if len(clips) > 1 and bool((clips.diff() == 0).any()) else 1
        drawn = found.draw(COUNT, length, bench.generator("draw"))
        wanted = (COUNT, length, len(found.skeleton), 2)
        must(drawn.shape == wanted, "windows of a wrong shape", tuple(drawn.shape), wanted)
        starts = [k for k in range(len(points) - length + 1) if clips[k] == clips[k + length - 1]]
        known = torch.stack([points[k : k + length] for k in starts]).nan_to_num(9.0)
        alike = (drawn.nan_to_num(9.0)[:, None] == known[None]).flatten(2).all(-1).any(-1)
        must(bool(alike.all()), "a window does not consist of consecutive frames of a clip")
        need_refusal(partial(found.draw, 1, TOO_LONG, bench.generator("long")), "draws a window that no clip has")


def _drawn(found: Any, generator: torch.Generator, shard: Shard = WHOLE) -> list[Tensor]:
    """Joints that were not seen, NaN, are made a number: NaN equals nothing."""
    return [found.draw(COUNT, 1, generator, shard).nan_to_num(9.0)]


@check(NOUN, "draws from the generator that it is given alone, and shares a draw out among processes")
def draws_repeat_and_are_shared(subject: Subject, bench: Bench) -> None:
    for _, found in opened(subject, bench):
        need_generator_alone(partial(_drawn, found), bench)
        need_shards(partial(_drawn, found), bench)


@check(NOUN, "shares nothing between splits: no clip of one is in another")
def splits_share_nothing(subject: Subject, bench: Bench) -> None:
    whole = prepared(subject, bench)
    need_disjoint(whole_clips(whole.data, whole.folder), "clip")


@check(NOUN, "refuses a split that it does not have, and a folder that is not prepared")
def refuses_what_it_does_not_have(subject: Subject, bench: Bench) -> None:
    whole, empty = prepared(subject, bench), bench.folder()
    need_refusal(lambda: whole.data.keypoints(whole.folder, "no-such-split"), "opens a split that there is not")
    need_refusal(lambda: whole.data.keypoints(empty, "train"), "opens a folder that is not prepared")


@check(NOUN, "prepares a folder that is prepared without touching it")
def prepares_again_without_change(subject: Subject, bench: Bench) -> None:
    need_again_without_change(freshly_prepared(subject, bench), content)


@check(NOUN, "has a root-relative truth whose joints, at some distance, project onto the keypoints", ["truth"])
def truth_projects_onto_the_keypoints(subject: Subject, bench: Bench) -> None:
    whole = prepared(subject, bench)
    for split, keypoints in opened(subject, bench):
        found_truth, body = whole.data.truth(whole.folder, split), keypoints.skeleton
        must(found_truth is not None, f"{split} has no truth")
        poses = found_truth.double()
        wanted = (len(keypoints), len(body), 3)
        must(poses.shape == wanted, f"truth of {split} has a wrong shape", tuple(poses.shape), wanted)
        must(float(poses[:, body.index(body.root)].abs().max()) <= ROOT_M, "roots are not at the origin")
        points = torch.cat(list(keypoints.batches(1000))).double()
        seen = points.isfinite().flatten(1).all(-1)
        points, poses = points[seen], poses[seen]
        placed = poses + root_position(poses, points, torch.eye(3).double().expand(len(poses), 3, 3))[:, None]
        apart = float((placed[..., :2] / placed[..., 2:] - points).norm(dim=-1).max())
        must(apart < FITS, "true joints do not project onto the keypoints", apart, f"below {FITS} on the plane")
