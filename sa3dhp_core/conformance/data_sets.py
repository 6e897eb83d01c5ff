"""What checks of data sets share: prepared folders, interrupted and damaged ones, shards, content."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.promises import BrokenPromise, must
from sa3dhp_core.conformance.subject import Subject, built_from, example_table
from sa3dhp_core.errors import DataError, Sa3dhpError
from sa3dhp_core.geometry import bone_lengths
from sa3dhp_core.types import Shard, Skeleton

LENGTHS = (0.25, 4.0)
"""Range of a bone's usual length over that of the skeleton's card: wider than people differ, narrower than units do."""

ROOT_M = 1e-5
"""How far from the origin a root may lie."""

Content = Mapping[str, tuple[str, ...]]
"""Split to a digest of each frame."""


@attrs.frozen
class Prepared:
    """A data set and the folder that it was prepared in."""

    data: Any
    folder: Path


def prepared(subject: Subject, bench: Bench) -> Prepared:
    """The subject's data set, prepared once on a bench; nobody may change the folder."""
    found: Prepared = bench.once(("prepared", subject), lambda: freshly_prepared(subject, bench))
    return found


def freshly_prepared(subject: Subject, bench: Bench) -> Prepared:
    """The subject's data set, prepared anew in a folder that may be changed."""
    found = Prepared(subject.make(bench), bench.folder())
    found.data.prepare(found.folder)
    return found


def digests(frames: Iterable[Tensor]) -> tuple[str, ...]:
    """A digest of each frame."""
    return tuple(hashlib.sha256(frame.contiguous().numpy().tobytes()).hexdigest() for frame in frames)


def need_splits(splits: Any) -> None:
    """Raise `BrokenPromise` unless these are names of splits, ``train`` among them."""
    fits = isinstance(splits, tuple) and all(isinstance(s, str) and s for s in splits)
    must(fits and len(set(splits)) == len(splits), "splits are no tuple of different names", splits)
    must("train" in splits, "there is no split to learn from", splits, "train, …")


def need_disjoint(content: Content, what: str = "frame") -> None:
    """Raise `BrokenPromise` where a frame (or `what` the digests are of) of one split is in another."""
    owner: dict[str, str] = {}
    for split, pieces in content.items():
        for number, digest in enumerate(pieces):
            other = owner.setdefault(digest, split)
            must(other == split, f"{what} {number} of {split} is in {other} too")


def need_refusal(attempt: Callable[[], object], what: str) -> None:
    """Raise `BrokenPromise` unless the attempt ends in a `DataError`."""
    try:
        attempt()
    except DataError:
        return
    except Exception as error:
        raise BrokenPromise(what, f"{type(error).__name__}: {error}", "a DataError") from error
    raise BrokenPromise(what, "no error", "a DataError")


def need_again_without_change(whole: Prepared, content: Callable[[Any, Path], Content]) -> None:
    """Raise `BrokenPromise` where preparing a second time changes a file or what is read."""
    before, stamps = content(whole.data, whole.folder), _stamps(whole.folder)
    whole.data.prepare(whole.folder)
    must(_stamps(whole.folder) == stamps, "preparing again writes anew", "other files or times", "nothing to do")
    must(content(whole.data, whole.folder) == before, "preparing again changes what is read")


def _stamps(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def need_going_on(whole: Prepared, bench: Bench, content: Callable[[Any, Path], Content]) -> None:
    """Raise `BrokenPromise` where a folder that holds what was written first, and no more, is not completed alike."""
    stamps = _stamps(whole.folder)
    order = sorted(stamps, key=lambda name: stamps[name])
    wanted = content(whole.data, whole.folder)
    for count in range(len(order)):
        folder = bench.folder()
        for name in order[:count]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(whole.folder / name, folder / name)
        (folder / ".left.1.partial").write_bytes(b"cut short")
        whole.data.prepare(folder)
        found = content(whole.data, folder)
        must(found == wanted, f"an interruption after {count} of {len(order)} files ends in other data")


def need_honest_damage(whole: Prepared, bench: Bench, content: Callable[[Any, Path], Content]) -> None:
    """Raise `BrokenPromise` where a damaged prepared file is neither refused by a `Sa3dhpError` nor harmless."""
    wanted = content(whole.data, whole.folder)
    for name in _stamps(whole.folder):
        for damage, change in DAMAGES.items():
            folder = bench.folder()
            shutil.copytree(whole.folder, folder, dirs_exist_ok=True)
            change(folder / name)
            found = _read(partial(content, whole.data, folder), f"{name}, {damage},")
            must(found in (None, wanted), f"{name}, {damage}, is read as other data")


def need_honest_input(subject: Subject, bench: Bench, content: Callable[[Any, Path], Content]) -> None:
    """Raise `BrokenPromise` where a damaged input file of the component's example makes more than a `Sa3dhpError`."""
    component = subject.component
    if component is None or not component.example:
        return
    inputs = bench.folder()
    table = example_table(component, inputs)
    for path in sorted(path for path in inputs.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for damage, change in DAMAGES.items():
            change(path)

            def attempt() -> Content:
                data, folder = built_from(component, bench, component.load_target(), table), bench.folder()
                data.prepare(folder)
                return content(data, folder)

            _read(attempt, f"{path.name}, {damage},")
            path.write_bytes(whole)


def _read(attempt: Callable[[], Content], what: str) -> Content | None:
    try:
        return attempt()
    except Sa3dhpError:
        return None
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
        raise BrokenPromise(f"{what} is met by an error that explains nothing", found, "a Sa3dhpError") from error


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut in half": _cut,
    "emptied": lambda path: path.write_bytes(b""),
    "overwritten": lambda path: path.write_bytes(b"\x00\xffnot what it was\n" * 40),
    "removed": lambda path: path.unlink(),
}
"""What may happen to a file."""


def need_shards(draw: Callable[[torch.Generator, Shard], list[Tensor]], bench: Bench) -> None:
    """Raise `BrokenPromise` unless the shards of a draw, taken in turn, are the whole draw.

    Args:
        draw: a batch of 12 as tensors, from a generator and a shard.
        bench: gives the generators.
    """
    whole = draw(bench.generator("shards"), Shard())
    for world in (2, 3):
        for rank in range(world):
            mine = draw(bench.generator("shards"), Shard(rank, world))
            alike = [torch.equal(part, full[rank::world]) for part, full in zip(mine, whole, strict=True)]
            must(all(alike), f"shard {rank} of {world} is not every {world}th item of the whole draw")


def need_generator_alone(draw: Callable[[torch.Generator], list[Tensor]], bench: Bench) -> None:
    """Raise `BrokenPromise` unless equal generators draw alike, and the global one is left alone."""
    state = torch.get_rng_state()
    first, second = (draw(bench.generator("draw")) for _ in range(2))
    must(torch.equal(state, torch.get_rng_state()), "draws from the global generator")
    must(all(torch.equal(a, b) for a, b in zip(first, second, strict=True)), "equal generators draw differently")


def need_people(poses: Tensor, body: Skeleton) -> None:
    """Raise `BrokenPromise` unless ``poses (N, J, 3)`` are root-relative people in metres."""
    must(poses.shape[1:] == (len(body), 3), "poses of a wrong shape", tuple(poses.shape), (len(poses), len(body), 3))
    must(poses.is_floating_point() and bool(poses.isfinite().all()), "poses are not finite floats", poses.dtype)
    root = float(poses[:, body.index(body.root)].abs().max())
    must(root <= ROOT_M, "roots are not at the origin", f"{root:.3g} m")
    usual = bone_lengths(poses, body).median(dim=0).values
    for joint, length in zip(body.joints, usual.tolist(), strict=True):
        if joint == body.root:
            continue
        card = body.bone_lengths_m[joint]
        fits = LENGTHS[0] <= length / card <= LENGTHS[1]
        must(fits, f"the bone to {joint} is no person's", f"{length:.3g} m", f"about {card} m")


def need_facts(opened: Any) -> None:
    """Raise `BrokenPromise` unless a split states its licence and, where it has a rate, a possible one."""
    must(isinstance(opened.licence, str) and opened.licence.strip(), "states no licence", repr(opened.licence))
    if hasattr(opened, "fps"):
        must(isinstance(opened.fps, float) and 0 < opened.fps < 10_000, "no frame rate", opened.fps, "a float, 1/s")
