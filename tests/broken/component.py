"""Components whose descriptors or configs break what every component promises."""

from __future__ import annotations

import attrs

from sa3dhp_core.components import Component
from sa3dhp_core.conformance import Subject


@attrs.frozen
class Silent:
    """A key without a help text."""

    angle: float = 0.0


@attrs.frozen
class Greedy:
    """Has whatever key one thinks of."""

    no_such_key_anywhere: int = attrs.field(default=0, metadata={"help": "anything"})


def offered(config: str, summary: str = "a part of the tests") -> Subject:
    """A component with this config class."""
    return Subject.offered(Component("relation", "part", summary, config, "tests.broken.relation:build"))


GOOD = [offered("sa3dhp_core.engine_config:EngineConfig")]
BROKEN = {
    "explains-itself": offered("tests.broken.component:Silent"),
    "refuses-unknown-keys": offered("tests.broken.component:Greedy"),
    "lists-without-heavy-libraries": offered("sa3dhp_core.geometry:Tensor"),
}
