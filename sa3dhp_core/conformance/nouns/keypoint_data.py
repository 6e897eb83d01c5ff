"""What keypoint data must keep: places on the camera plane, splits, draws that repeat, and a truth that fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.errors import DataError
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


def opened(subject: Subject, bench: Bench) -> tuple[Any, Path, list[tuple[str, Any]]]:
    """The data, freshly prepared, its folder and every split by name."""
    data, folder = subject.make(bench), bench.folder()
    data.prepare(folder)
    return data, folder, [(split, data.keypoints(folder, split)) for split in data.splits]


def splits(subject: Subject, bench: Bench) -> Iterator[tuple[str, Any]]:
    """Every split by name."""
    yield from opened(subject, bench)[2]


@check(NOUN, "names its splits, `train` among them, and each of them has frames")
def names_its_splits(subject: Subject, bench: Bench) -> None:
    data, _, found = opened(subject, bench)
    fits = isinstance(data.splits, tuple) and len(set(data.splits)) == len(data.splits) and "train" in data.splits
    must(fits, "splits are no different names with train", data.splits)
    for split, keypoints in found:
        must(len(keypoints) > 0, f"the split {split} is empty")


@check(NOUN, "states skeleton, licence, frame rate, and the clip and group of every frame")
def states_what_it_is(subject: Subject, bench: Bench) -> None:
    for split, found in splits(subject, bench):
        must(isinstance(found, Keypoints), f"{split} lacks an attribute of the protocol")
        must(isinstance(found.skeleton, Skeleton), f"{split} states no skeleton", repr(found.skeleton))
        must(found.licence.strip() and found.fps > 0, f"{split} states no licence or no frame rate", found.fps)
        clips, groups = found.clip_index(), found.groups()
        must(len(clips) == len(found) and bool((clips.diff() >= 0).all()), "frames of a clip are not side by side")
        must(len(groups) == int(clips[-1]) + 1, "groups are not one a clip", len(groups), int(clips[-1]) + 1)
        must("groups" not in subject.capabilities or all(groups), f"a clip of {split} has no group", groups)


@check(NOUN, "gives places on the camera plane, NaN in both coordinates where a joint was not seen")
def gives_places_on_the_camera_plane(subject: Subject, bench: Bench) -> None:
    for split, found in splits(subject, bench):
        points = torch.cat(list(found.batches(7)))
        wanted = (len(found), len(found.skeleton), 2)
        must(points.shape == wanted, f"keypoints of {split} have a wrong shape", tuple(points.shape), wanted)
        missing = points.isnan()
        must(torch.equal(missing[..., 0], missing[..., 1]), "a joint is half missing")
        far = float(points[~missing].abs().max()) if bool((~missing).any()) else 0.0
        must(far < WIDE, f"keypoints of {split} lie beyond what a camera sees: are they pixels?", far, f"below {WIDE}")


@check(NOUN, "draws windows of consecutive frames, and refuses windows that no clip has")
def draws_windows(subject: Subject, bench: Bench) -> None:
    for _, found in splits(subject, bench):
        points, clips = torch.cat(list(found.batches(1000))), found.clip_index()
        length = 2 if len(clips) > 1 and bool((clips.diff() == 0).any()) else 1
        drawn = _drawn(found, bench, length)
        wanted = (COUNT, length, len(found.skeleton), 2)
        must(drawn.shape == wanted, "windows of a wrong shape", tuple(drawn.shape), wanted)
        starts = [k for k in range(len(points) - length + 1) if clips[k] == clips[k + length - 1]]
        known = torch.stack([points[k : k + length] for k in starts]).nan_to_num(9.0)
        alike = (drawn.nan_to_num(9.0)[:, None] == known[None]).flatten(2).all(-1).any(-1)
        must(bool(alike.all()), "a window does not consist of consecutive frames of a clip")
        try:
            found.draw(1, TOO_LONG, bench.generator("long"))
        except DataError:
            continue
        must(False, "draws a window that no clip has")


def _drawn(found: Any, bench: Bench, frames: int = 1, shard: Shard = WHOLE) -> Tensor:
    drawn: Tensor = found.draw(COUNT, frames, bench.generator("draw"), shard)
    return drawn


@check(NOUN, "draws from the generator that it is given alone, and shares a draw out among processes")
def draws_repeat_and_are_shared(subject: Subject, bench: Bench) -> None:
    for _, found in splits(subject, bench):
        state = torch.get_rng_state()
        whole, again = (_drawn(found, bench).nan_to_num(9.0) for _ in range(2))
        must(torch.equal(state, torch.get_rng_state()), "draws from the global generator")
        must(torch.equal(whole, again), "equal generators draw differently")
        for rank in range(3):
            mine = _drawn(found, bench, shard=Shard(rank, 3)).nan_to_num(9.0)
            must(torch.equal(mine, whole[rank::3]), f"shard {rank} of 3 is not every third item of the whole draw")


@check(NOUN, "refuses a split that it does not have, and a folder that is not prepared")
def refuses_what_it_does_not_have(subject: Subject, bench: Bench) -> None:
    data, folder, _ = opened(subject, bench)
    for place, split in ((folder, "no-such-split"), (bench.folder(), "train")):
        try:
            data.keypoints(place, split)
        except DataError:
            continue
        must(False, "opens what there is not", split)


@check(NOUN, "prepares a folder that is prepared without touching it")
def prepares_again_without_change(subject: Subject, bench: Bench) -> None:
    data, folder, _ = opened(subject, bench)
    before = _stamps(folder)
    data.prepare(folder)
    must(_stamps(folder) == before, "preparing again writes anew")


def _stamps(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@check(NOUN, "has a root-relative truth whose joints, at some distance, project onto the keypoints", ["truth"])
def truth_projects_onto_the_keypoints(subject: Subject, bench: Bench) -> None:
    data, folder, found = opened(subject, bench)
    for split, keypoints in found:
        found_truth, body = data.truth(folder, split), keypoints.skeleton
        must(found_truth is not None, f"{split} has no truth")
        poses = found_truth.double()
        wanted = (len(keypoints), len(body), 3)
        must(poses.shape == wanted, f"truth of {split} has a wrong shape", tuple(poses.shape), wanted)
        must(float(poses[:, body.index(body.root)].abs().max()) < 1e-5, "roots are not at the origin")
        points = torch.cat(list(keypoints.batches(1000))).double()
        whole = points.isfinite().flatten(1).all(-1)
        points, poses = points[whole], poses[whole]
        placed = poses + root_position(poses, points, torch.eye(3).double().expand(len(poses), 3, 3))[:, None]
        apart = float((placed[..., :2] / placed[..., 2:] - points).norm(dim=-1).max())
        must(apart < FITS, "true joints do not project onto the keypoints", apart, f"below {FITS} on the plane")
