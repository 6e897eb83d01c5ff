"""The figures that `ites` claims of its trained lifters are the training's: without it, its example has neither."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from sa3dhp_core.components import Component
from sa3dhp_core.conformance import Bench, Subject, checks_of
from sa3dhp_core.conformance.run import KEPT, outcome
from sa3dhp_core.host import Host
from sa3dhp_ites import example

OFFERED = {(offer.component.noun, offer.component.id): offer.component for offer in Host.load().offers}
ITES = OFFERED["method", "ites"]
FIGURES = [check for check in checks_of("method") if check.needs]


def untrained(folder: Path) -> dict[str, Any]:
    """The example, but for steps so small that first weights stay."""
    table = example.recipe(folder)
    for role in ("teaching", "learning"):
        table["settings"][role] = {**table["settings"][role], "learning_rate": 1e-12, "steps": 1}
    return table


def broken(component: Component) -> list[str]:
    """What the kit finds of the figures, where they are not kept."""
    host = Host.of([*{**OFFERED, ("method", "ites"): component}.values()])
    subject, bench = Subject.offered(component), Bench(host=host)
    ends = [outcome(check, subject, bench) for check in FIGURES]
    return [end.reason for end in ends if end.status != KEPT]


def test_the_figures_are_kept_by_training_and_not_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ites_untrained", sys.modules[__name__])
    assert len(FIGURES) == len(ITES.figures) == 2 and broken(ITES) == []
    turns, shapes = broken(attrs.evolve(ITES, example="ites_untrained:untrained"))
    assert turns.startswith("poses do not turn with their people") and shapes.startswith("canonical shapes change")
