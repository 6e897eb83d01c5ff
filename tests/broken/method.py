"""Methods that each break one promise, beside one that keeps all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from sa3dhp_core.cards import skeleton
from sa3dhp_core.components import Component
from sa3dhp_core.conformance import Subject
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.lifter import TrainedLifter
from sa3dhp_core.protocols.method import Stage
from sa3dhp_core.recipe import Recipe
from sa3dhp_core.runner import write_records
from tests.broken.keypoint_data import Seen
from tests.broken.lifter import Pole, Shaped, Shifting

PLACE = "tests.broken.method"


class Reach:
    """Prepares unpaired poses and measures how far joints reach; a subclass breaks one thing."""

    split = "poses"

    def __init__(self, config: Any, *, recipe: Recipe, host: Host) -> None:
        self.recipe, self.table = recipe, recipe.data["poses"]
        self.data = host.build("pose_data", self.table, "data.poses")

    def stages(self) -> tuple[Stage, ...]:
        prepare = Stage("data", self.data_key(), (), lambda context: self.data.prepare(context.folder))
        return prepare, Stage("reach", self.reach_key(), ("data",), self.measure)

    def data_key(self) -> dict[str, Any]:
        return {"data": self.table}

    def reach_key(self) -> dict[str, Any]:
        return {"split": "train"}

    def measure(self, context: Any) -> None:
        sequences = self.data.sequences(context.of("data"), "train").sequences()
        value = self.value(torch.cat(list(sequences)).norm(dim=-1), context)
        write_records(
            context.folder,
            [{"row": "reach", "protocol": "reach", "split": self.split, "value": value, "unit": "mm"}],
        )

    def value(self, distances_m: torch.Tensor, context: Any) -> float:
        return 1000 * float(distances_m.mean())


class Slashed(Reach):
    """A stage's name is a path."""

    def stages(self) -> tuple[Stage, ...]:
        return Stage("data/poses", {}, (), lambda context: None), *super().stages()


class Circular(Reach):
    def stages(self) -> tuple[Stage, ...]:
        first, second = super().stages()
        return Stage("data", first.key, ("reach",), first.run), second


class Opaque(Reach):
    """A key that JSON does not know."""

    def reach_key(self) -> dict[str, Any]:
        return {"split": Path("train")}


class Dated(Reach):
    """Its key is another at every build."""

    def reach_key(self) -> dict[str, Any]:
        return {"built": float(torch.rand(()))}


class Greedy(Reach):
    """Every stage is keyed by the whole recipe."""

    def reach_key(self) -> dict[str, Any]:
        return {"data": self.table}


class Anonymous(Reach):
    """Does not say on what it measured."""

    split = ""


class Adding(Reach):
    """Adds to what an earlier call left."""

    def value(self, distances_m: torch.Tensor, context: Any) -> float:
        calls = context.folder / "calls.json"
        before = json.loads(calls.read_text(encoding="utf-8")) if calls.is_file() else 0
        calls.write_text(json.dumps(before + 1), encoding="utf-8")
        return super().value(distances_m, context) + before


class Meddling(Reach):
    """Writes into the folder of a stage that it requires."""

    def value(self, distances_m: torch.Tensor, context: Any) -> float:
        (context.of("data") / "seen").write_text("yes", encoding="utf-8")
        return super().value(distances_m, context)


def told(of: Callable[[torch.Tensor], torch.Tensor], keypoints: torch.Tensor) -> torch.Tensor:
    """What a lifter that knows no NaN tells of keypoints, without a gradient."""
    return of(keypoints.nan_to_num()).detach()


@cache
def prepared() -> TemporaryDirectory[str]:
    """Keypoints in a place of their own, which is gone when Python ends."""
    room = TemporaryDirectory(prefix="sa3dhp-broken-")
    Seen().prepare(Path(room.name))
    return room


class Lifting(Reach):
    """Has a lifter that turns exactly, on keypoints of its own; a subclass breaks one thing."""

    lifter: type[Shaped] = Pole
    shape: type[Shaped] | None = Shaped

    def trained_lifter(self, folders: Mapping[str, Path], engine: Any) -> TrainedLifter:
        seen, room = Seen(), Path(prepared().name)
        lift, shape = self.lifter(), self.shape() if self.shape is not None else None
        return TrainedLifter(
            partial(told, lift),
            skeleton(),
            seen.splits,
            partial(seen.keypoints, room),
            {},
            partial(told, shape.canonical_shape) if shape is not None else None,
        )


class Idle(Lifting):
    """Its lifter is flat, as one that learned nothing."""

    lifter = Shaped


class Drifting(Lifting):
    shape = Shifting


class Shapeless(Lifting):
    shape = None


def recipe(folder: Path) -> dict[str, Any]:
    """A recipe of the test's own motion."""
    return {"data": {"poses": {"use": "still", "frames": 5}}, "engine": {"device": "cpu"}}


STILL = Component(
    "pose_data", "still", "a part of the tests", "tests.broken.keys:FrameKeys", "tests.broken.pose_data:Motion"
)


TURNING, STAYING = {"trained-turn-equivariant-mm": 0.05}, {"trained-shape-invariant-mm": 0.05}


def offered(kind: type[Reach], figures: Mapping[str, float] | None = None) -> Subject:
    """A component with this target."""
    name = kind.__name__
    return Subject.offered(
        Component(
            "method",
            name.lower(),
            "a part of the tests",
            "tests.broken.keys:Keys",
            f"{PLACE}:{name}",
            figures=figures or {},
            example=f"{PLACE}:recipe",
        )
    )


GOOD = [offered(Reach), offered(Lifting, {**TURNING, **STAYING})]
BROKEN = {
    "names-its-stages": offered(Slashed),
    "requires-stages-that-there-are": offered(Circular),
    "keys-are-plain-data": offered(Opaque),
    "plans-alike": offered(Dated),
    "keys-tell-what-changes": offered(Greedy),
    "reports-numbers": offered(Anonymous),
    "ends-alike-after-interruptions": offered(Adding),
    "writes-in-its-own-folder-alone": offered(Meddling),
    "trains-a-lifter-that-turns": offered(Idle, TURNING),
    "learns-canonical-shapes-that-stay": offered(Drifting, STAYING),
}
MORE = [
    ("trains-a-lifter-that-turns", offered(Reach, TURNING)),
    ("learns-canonical-shapes-that-stay", offered(Shapeless, STAYING)),
]
KINDS = [s.component for s in (*GOOD, *BROKEN.values(), *(s for _, s in MORE)) if s.component is not None]
HOST = Host.of([STILL, *{component.id: component for component in KINDS}.values()])
"""The methods and what their recipes name; a bench of these tests needs it."""
