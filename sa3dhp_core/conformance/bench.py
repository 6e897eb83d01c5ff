"""The bench that components are checked on: standard parts, seeded draws, a profile. Checks nothing itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Hashable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.motion import BenchMotion, motion_of
from sa3dhp_core.conformance.strategies import random_poses
from sa3dhp_core.engine.devices import accelerator
from sa3dhp_core.errors import PluginError, nearest
from sa3dhp_core.host import Host
from sa3dhp_core.types import Skeleton


@attrs.frozen
class Profile:
    """How hard the checks look.

    Attributes:
        name: ``quick`` or ``thorough``.
        examples: of each property.
        steps: training steps that a component's own task may take, where a check trains it; None for its own number.
    """

    name: str
    examples: int
    steps: int | None


PROFILES = {
    "quick": Profile("quick", examples=8, steps=60),
    "thorough": Profile("thorough", examples=80, steps=None),
}


def profile(name: str) -> Profile:
    """A profile by name; raises `PluginError` with the nearest if there is none."""
    if name not in PROFILES:
        raise PluginError(
            f"no profile {name!r}", expected=f"one of {', '.join(PROFILES)}", hint=nearest(name, PROFILES)
        )
    return PROFILES[name]


@attrs.define(slots=False)
class Bench:
    """Standard parts and draws.

    Attributes:
        profile: how hard to look.
        host: where components that others are made of are found; an empty one if the kit checks objects alone.
        seed: of all draws.
        motion_table: of a `pose_data` component whose motion components learn from; see `motion.motion_of` for None.
    """

    profile: Profile = PROFILES["quick"]
    host: Host = attrs.field(factory=lambda: Host(()))
    seed: int = 0
    motion_table: Mapping[str, Any] | None = None
    _kept: dict[Hashable, Any] = attrs.field(factory=dict, init=False, repr=False)

    @cached_property
    def skeleton(self) -> Skeleton:
        """The house skeleton."""
        return skeleton()

    @cached_property
    def devices(self) -> tuple[torch.device, ...]:
        """The CPU, and the accelerator where there is one."""
        other = accelerator()
        return (torch.device("cpu"), *([other] if other is not None else []))

    def generator(self, *words: object) -> torch.Generator:
        """A CPU generator that depends on the seed and the words alone."""
        return generator_for(self.seed, "conformance", *map(str, words))

    def poses(self, *shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
        """``(*shape, J, 3)`` metres, root-relative: the card's bone lengths, a tenth more or less, any which way."""
        return random_poses(self.skeleton, seed, *shape, dtype=dtype)

    @cached_property
    def motion(self) -> BenchMotion:
        """What components learn from."""
        return motion_of(self.host, self.motion_table, self.skeleton, self.folder())

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` returned at the first call with this key: for what takes long, such as training."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def folder(self) -> Path:
        """A new empty folder, removed with the bench."""
        return Path(tempfile.mkdtemp(dir=self._room.name))

    @cached_property
    def _room(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="sa3dhp-conformance-")

    def for_all(self, **strategies: Any) -> Callable[[Callable[..., None]], None]:
        """Decorate a property: it is tried at once on values drawn from the strategies, the same ones every time.

        Hypothesis shrinks what fails, and adds the example to the error.
        """
        from hypothesis import HealthCheck, given, settings

        wanted = settings(
            max_examples=self.profile.examples,
            deadline=None,
            derandomize=True,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )

        def attempt(law: Callable[..., None]) -> None:
            wanted(given(**strategies)(law))()

        return attempt
