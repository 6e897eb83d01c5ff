"""What is checked: a component as a plugin offers it, or a built object, each with its claims. Judges nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from sa3dhp_core.components import CAPABILITIES, FIGURES, Component
from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.promises import room
from sa3dhp_core.errors import PluginError, nearest
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.alignment import AlignmentLoss
from sa3dhp_core.protocols.data import ImageData, PoseData
from sa3dhp_core.protocols.encoder import Backbone, ImageEncoder
from sa3dhp_core.protocols.method import Method
from sa3dhp_core.protocols.motion_prior import MotionPrior
from sa3dhp_core.protocols.pose_prior import PosePrior
from sa3dhp_core.protocols.relation import Relation, RelationNetwork
from sa3dhp_core.protocols.sink import Sink

_RECOGNISED: tuple[tuple[str, type[Any]], ...] = (
    ("relation", Relation),
    ("pose_prior", PosePrior),
    ("motion_prior", MotionPrior),
    ("backbone", Backbone),
    ("image_encoder", ImageEncoder),
    ("relation_network", RelationNetwork),
    ("alignment_loss", AlignmentLoss),
    ("image_data", ImageData),
    ("pose_data", PoseData),
    ("method", Method),
    ("sink", Sink),
)
"""Protocols that tell a noun by the attributes of an object; the first that fits counts."""


@attrs.frozen(eq=False)
class Subject:
    """Something to check.

    Attributes:
        noun: what it is to be.
        id: what it is called in reports.
        make: builds it on a bench, anew at every call; further arguments go in the place of the noun's parts.
        rebuilds: whether other parts make it another one; a built object stays what it is.
        capabilities: what it claims by name.
        figures: what it claims in numbers.
        expected_failures: checks that it is known to fail, with the reason.
        component: its descriptor, where it comes from a plugin.
    """

    noun: str
    id: str
    make: Callable[..., Any]
    capabilities: frozenset[str] = frozenset()
    figures: Mapping[str, float] = attrs.field(factory=dict)
    expected_failures: Mapping[str, str] = attrs.field(factory=dict)
    component: Component | None = None
    rebuilds: bool = True

    @property
    def claims(self) -> frozenset[str]:
        """Names of all that it claims."""
        return self.capabilities | set(self.figures)

    @property
    def name(self) -> str:
        """``relation:flip``."""
        return f"{self.noun}:{self.id}"

    @classmethod
    def offered(cls, component: Component) -> Subject:
        """The component, built as a recipe's table would: from its example's table, or from its defaults."""
        return cls(
            component.noun,
            component.id,
            lambda bench, **parts: built(component, bench, component.load_target(), parts),
            component.capabilities,
            dict(component.figures),
            dict(component.expected_failures),
            component,
        )

    @classmethod
    def given(
        cls,
        thing: Any,
        *,
        noun: str = "",
        id: str = "",
        capabilities: Iterable[str] = (),
        figures: Mapping[str, float] | None = None,
        expected_failures: Mapping[str, str] | None = None,
    ) -> Subject:
        """A built object; every check works on a copy of its own.

        Args:
            thing: the object.
            noun: what it is to be; told by its attributes if empty.
            id: what to call it; its ``name``, else its class, if empty.
            capabilities: what it claims beside its own attribute ``capabilities``, if it has one.
            figures: what it claims in numbers.
            expected_failures: checks that it is known to fail, with the reason.

        Raises:
            PluginError: the noun cannot be told, or cannot claim that.
        """
        noun = noun or recognised(thing)
        claimed = frozenset(capabilities) | frozenset(getattr(thing, "capabilities", ()))
        for known, names in ((CAPABILITIES, claimed), (FIGURES, frozenset(figures or {}))):
            for name in sorted(names - set(known.get(noun, {}))):
                hint = nearest(name, known.get(noun, {})) or "it can claim none"
                raise PluginError(f"a {noun} cannot claim {name!r}", where=repr(thing), hint=hint)
        id = id or str(getattr(thing, "name", "") or type(thing).__name__)
        make = lambda bench, **parts: copy.deepcopy(thing)  # noqa: E731
        return cls(noun, id, make, claimed, dict(figures or {}), dict(expected_failures or {}), rebuilds=False)


def built(component: Component, bench: Bench, target: Callable[..., Any], parts: Mapping[str, Any]) -> Any:
    """What `target` makes of the component's example table and the bench's parts for its noun, but for those given."""
    return built_from(component, bench, target, example_table(component, bench.folder()), parts)


def example_table(component: Component, folder: Path) -> dict[str, Any]:
    """The table that the component's example makes, with what it writes in `folder`; ``use`` alone without one."""
    example = component.load_example()
    return {"use": component.id, **(example(folder) if example is not None else {})}


def built_from(
    component: Component,
    bench: Bench,
    target: Callable[..., Any],
    table: Mapping[str, Any],
    parts: Mapping[str, Any] | None = None,
) -> Any:
    """What `target` makes of a table and the bench's parts for the component's noun, but for those given.

    A noun's room may have ``keys(table)``, the component's own part of what an example returns, where that is more.
    """
    host = Host.of([component]) if not _offers(bench.host, component) else bench.host
    place, own = room(component.noun), getattr(room(component.noun), "keys", dict)(table)
    config = host.config(
        component.noun, own, component.id, "the component's example" if component.example else "its defaults"
    )
    return host.call(target, config, **{**place.parts(bench, table), **(parts or {})})


def _offers(host: Host, component: Component) -> bool:
    return any(offer.component == component for offer in host.offers)


def recognised(thing: Any) -> str:
    """The noun of an object, by the attributes that its protocol asks for.

    Raises:
        PluginError: none fits.
    """
    for noun, protocol in _RECOGNISED:
        if isinstance(thing, protocol):
            return noun
    raise PluginError(
        f"the noun of {type(thing).__name__} cannot be told from its attributes",
        where=repr(thing),
        expected="an object with all attributes of its protocol",
        hint="name it: Subject.given(thing, noun='lifter')",
    )
