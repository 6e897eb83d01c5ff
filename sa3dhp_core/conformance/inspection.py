"""What the kit has to do for some plugins: every component they offer, and what the host refused. Runs no check."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import attrs

from sa3dhp_core.conformance.promises import Check
from sa3dhp_core.conformance.run import BROKEN, Outcome, checks_for
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.errors import PluginError, nearest
from sa3dhp_core.host import BrokenPlugin, Host, Offer

LOADS = "is-accepted"
LOADING = "the host loads the plugin, and accepts all that it offers and claims"


@attrs.frozen
class Inspection:
    """The checks to run, and the outcomes that are known without.

    Attributes:
        cases: every check that concerns a component, component by component.
        refused: one broken promise for each thing that the host, or the kit itself, refused.
    """

    cases: tuple[tuple[Check, Subject], ...]
    refused: tuple[Outcome, ...]


def inspection(host: Host, names: Collection[str] | None = None) -> Inspection:
    """What is to be done for the plugins of these names.

    Args:
        host: that loaded them.
        names: of distributions or entry points; None for all of the host.

    Raises:
        PluginError: a name belongs to no plugin of the host, or nothing at all is installed.
    """
    offers = [offer for offer in host.offers if _named(offer, names)]
    broken = [plugin for plugin in host.broken if _named(plugin, names)]
    plugins: tuple[Offer | BrokenPlugin, ...] = (*host.offers, *host.broken)
    known = {name for plugin in plugins for name in (plugin.distribution, plugin.entry_point)}
    for name in sorted(set(names or ()) - known):
        raise PluginError(f"no plugin {name!r} is installed, or it offers nothing", hint=nearest(name, known))
    if not offers and not broken:
        raise PluginError("no plugin is installed", hint='pip install "sa3dhp[all]", or name a source folder')
    refused = [
        _refused(f"plugin:{plugin.distribution}", f"{plugin.problem}\n  try: {plugin.hint}") for plugin in broken
    ]
    cases: list[tuple[Check, Subject]] = []
    for subject in (Subject.offered(offer.component) for offer in offers):
        try:
            cases += [(check, subject) for check in checks_for(subject)]
        except PluginError as error:
            refused.append(_refused(subject.name, error.render()))
    return Inspection(tuple(cases), tuple(refused))


def _named(plugin: Offer | BrokenPlugin, names: Collection[str] | None) -> bool:
    return names is None or bool({plugin.distribution, plugin.entry_point} & set(names))


def _refused(subject: str, reason: str) -> Outcome:
    return Outcome(subject, LOADS, LOADING, BROKEN, reason, 0.0)


@attrs.frozen
class Tally:
    """How the checks of one subject ended.

    Attributes:
        subject: ``noun:id``, or ``plugin:distribution`` for what the host refused.
        kept: number of checks.
        known: broken as expected.
        broken: broken, or kept against expectation.
        seconds: all together.
    """

    subject: str
    kept: int
    known: int
    broken: int
    seconds: float


def tallies(outcomes: Sequence[Outcome]) -> Iterator[Tally]:
    """One line a subject, in the order of the outcomes."""
    for subject in dict.fromkeys(outcome.subject for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.subject == subject]
        failed = sum(outcome.failed for outcome in own)
        known = sum(outcome.status == "known" for outcome in own)
        yield Tally(subject, len(own) - failed - known, known, failed, sum(outcome.seconds for outcome in own))
