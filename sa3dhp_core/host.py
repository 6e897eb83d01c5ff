"""The host: the one room that loads plugins. A bad plugin is reported with what to do, and everything else goes on.

It walks the entry points itself, because pluggy's loader stops at the first failing one and says nothing about
misspelt hooks. Loading and listing import no torch.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, entry_points
from typing import Any

import attrs
import pluggy

from sa3dhp_core import __version__, hookspecs
from sa3dhp_core.components import CAPABILITIES, FIGURES, NOUNS, Component
from sa3dhp_core.errors import PluginError, RecipeError, UnknownComponent, nearest
from sa3dhp_core.host_range import missed_range
from sa3dhp_core.source_folder import GROUP, SourceFolder, same_name

VARIABLE = "SA3DHP_PLUGINS"
NO_PLUGIN = "none"
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@attrs.frozen
class Offer:
    """A component and who offers it."""

    component: Component
    distribution: str
    version: str
    entry_point: str = ""


@attrs.frozen
class BrokenPlugin:
    """One thing wrong with one plugin.

    Attributes:
        distribution: the installed distribution's name.
        entry_point: its entry point in the group ``sa3dhp``.
        version: of the distribution.
        problem: what is wrong.
        hint: what to do.
    """

    distribution: str
    entry_point: str
    version: str
    problem: str
    hint: str

    def render(self) -> str:
        """One line a fact."""
        return f"{self.distribution} {self.version} ({self.entry_point}): {self.problem}\n  try: {self.hint}"


@attrs.frozen
class _Owner:
    """Whose plugin is being looked at."""

    distribution: str
    entry_point: str
    version: str

    def broken(self, problem: str, hint: str) -> BrokenPlugin:
        return BrokenPlugin(self.distribution, self.entry_point, self.version, problem, hint)

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@attrs.frozen
class Host:
    """All components that the installed plugins offer, and all that is wrong with these plugins.

    Attributes:
        offers: sorted by noun and id; no two share both.
        broken: what was left out, and why.
    """

    offers: tuple[Offer, ...]
    broken: tuple[BrokenPlugin, ...] = ()

    @classmethod
    def load(
        cls, strict: bool = False, only: Sequence[str] | None = None, folders: Sequence[SourceFolder] = ()
    ) -> Host:
        """Load the installed plugins, and those of source folders.

        Args:
            strict: refuse to go on with a broken plugin.
            only: names of entry points or distributions; no plugin if empty. If None, the variable
                ``SA3DHP_PLUGINS`` decides: names separated by commas, ``none`` for no plugin; unset or empty, all.
            folders: plugins that need not be installed; each takes the place of an installed distribution of its name,
                and comes last, so that an id which two offer is the folder's fault.

        Raises:
            PluginError: `only` names something that is not installed, or `strict` and a plugin is broken.
        """
        found = [(_owner(point), point) for point in entry_points(group=GROUP)]
        found.sort(key=lambda pair: (pair[0].distribution, pair[0].entry_point))
        own = [(_owner(point), point) for folder in folders for point in folder.entry_points]
        found = [pair for pair in found if not any(same_name(pair[0].distribution, folder.name) for folder in folders)]
        for folder in folders:
            folder.put_first()
        offers: list[Offer] = []
        broken: list[BrokenPlugin] = []
        for owner, point in [*(pair for pair in _selected([*found, *own], only) if pair not in own), *own]:
            for item in _ask(owner, point):
                if isinstance(item, BrokenPlugin):
                    broken.append(item)
                elif (rival := _rival(offers, item)) is not None:
                    broken.append(_duplicate(owner, item, rival))
                else:
                    offers.append(Offer(item, owner.distribution, owner.version, owner.entry_point))
        if strict and broken:
            listing = "\n".join(f"  {line}" for plugin in broken for line in plugin.render().splitlines())
            raise PluginError(f"{len(broken)} problem(s) with plugins\n{listing}")
        return cls(_sorted(offers), tuple(broken))

    @classmethod
    def of(cls, components: Iterable[Component]) -> Host:
        """A host of exactly these components; raises `PluginError` where two share noun and id."""
        offers: list[Offer] = []
        for component in components:
            if _rival(offers, component) is not None:
                raise PluginError(f"two components {component.id!r} ({component.noun})")
            offers.append(Offer(component, "given", __version__))
        return cls(_sorted(offers))

    def components(self, noun: str | None = None) -> tuple[Offer, ...]:
        """All offers, or those of one noun, sorted by noun and id."""
        if noun is not None:
            _known_noun(noun)
        return tuple(offer for offer in self.offers if noun in (None, offer.component.noun))

    def find(self, noun: str, id: str) -> Component:
        """The component of this noun and id.

        Raises:
            UnknownComponent: no plugin offers it; names the nearest one, and the broken plugins.
        """
        for offer in self.components(noun):
            if offer.component.id == id:
                return offer.component
        raise self._unknown(noun, id)

    def config(self, noun: str, table: Mapping[str, Any], path: str, source: str = "recipe") -> Any:
        """The component's config value from its recipe table, nested component tables checked as well.

        Args:
            noun: of the component.
            table: ``use`` and the component's own keys.
            path: of the table in the recipe (``losses[2]``), for messages.
            source: the recipe's file, for messages.

        Raises:
            RecipeError: no ``use``, or a key or value that does not fit the config class.
            UnknownComponent: nobody offers it.
        """
        return self._configured(noun, table, path, source)[1]

    def build(self, noun: str, table: Mapping[str, Any], path: str, **parts: Any) -> Any:
        """Build the component that a recipe table names: its target, called (see `call`) with its config and `parts`.

        Raises:
            RecipeError, UnknownComponent: as `config`.
            PluginError: the component's module cannot be imported.
        """
        component, config = self._configured(noun, table, path, "recipe")
        return self.call(component.load_target(), config, **parts)

    def call(self, target: Callable[..., Any], config: Any, **parts: Any) -> Any:
        """``target(config, **parts)``; one with a parameter ``host`` is handed this, to build what it nests."""
        if "host" in inspect.signature(target).parameters:
            parts = {"host": self, **parts}
        return target(config, **parts)

    def _configured(self, noun: str, table: Mapping[str, Any], path: str, source: str) -> tuple[Component, Any]:
        use = table.get("use")
        if not isinstance(use, str):
            ids = ", ".join(offer.component.id for offer in self.components(noun)) or "none is installed"
            raise RecipeError(
                "a component table needs `use`" if use is None else "wrong type",
                where=f"{source}: {path}.use",
                found=None if use is None else repr(use),
                expected=f"the id of a component of noun {noun} ({ids})",
            )
        from sa3dhp_core.structuring import structure

        try:
            component = self.find(noun, use)
        except UnknownComponent as error:
            raise self._unknown(noun, use, f"{source}: {path}.use") from error
        config = structure(
            component.load_config(), {key: value for key, value in table.items() if key != "use"}, path, source
        )
        self._check_nested(config, path, source)
        return component, config

    def _check_nested(self, config: Any, path: str, source: str) -> None:
        """Check the fields that hold component tables (metadata ``{"component": "<noun>"}``), in nested values too."""
        for field in attrs.fields(type(config)):
            value, place = getattr(config, field.name), f"{path}.{field.name}"
            noun = field.metadata.get("component")
            for item, item_place in _items(value, place):
                if noun is not None and isinstance(item, Mapping):
                    self._configured(noun, item, item_place, source)
                elif attrs.has(type(item)):
                    self._check_nested(item, item_place, source)

    def _unknown(self, noun: str, id: str, where: str | None = None) -> UnknownComponent:
        ids = [offer.component.id for offer in self.components(noun)]
        hints = [nearest(id, ids) or f"install a plugin that offers the noun {noun} ({NOUNS[noun]})"]
        if self.broken:
            names = ", ".join(sorted({plugin.distribution for plugin in self.broken}))
            hints.append(f"a broken plugin may offer it ({names}): sa3dhp plugins list")
        return UnknownComponent(f"no {noun} is called {id!r}", where=where, hint="; ".join(hints))


def _items(value: Any, path: str) -> Iterator[tuple[Any, str]]:
    if isinstance(value, (list, tuple)):
        yield from ((item, f"{path}[{index}]") for index, item in enumerate(value))
    else:
        yield value, path


def _sorted(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    return tuple(sorted(offers, key=lambda offer: (offer.component.noun, offer.component.id)))


def _known_noun(noun: str) -> None:
    if noun not in NOUNS:
        raise PluginError(f"unknown noun {noun!r}", expected=f"one of {', '.join(NOUNS)}", hint=nearest(noun, NOUNS))


def _owner(point: EntryPoint) -> _Owner:
    try:
        name, version = (point.dist.name, point.dist.version) if point.dist else ("unknown", "unknown")
    except (PackageNotFoundError, KeyError, TypeError):  # a damaged dist-info folder
        name, version = "unknown", "unknown"
    return _Owner(str(name), point.name, str(version))


def _selected(
    found: Sequence[tuple[_Owner, EntryPoint]], only: Sequence[str] | None
) -> list[tuple[_Owner, EntryPoint]]:
    if only is None:
        names = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
        if not names:
            return list(found)
        only = [] if names == [NO_PLUGIN] else names
    known = {name for owner, _ in found for name in (owner.distribution, owner.entry_point)}
    for name in only:
        if name not in known:
            raise PluginError(
                f"no installed plugin is called {name!r}",
                where=VARIABLE,
                hint=nearest(name, known) or "install one: none is installed",
            )
    return [(owner, point) for owner, point in found if {owner.distribution, owner.entry_point} & set(only)]


def _ask(owner: _Owner, point: EntryPoint) -> Iterator[Component | BrokenPlugin]:
    """Everything that one plugin offers, and everything that is wrong with it."""
    if (outdated := _out_of_range(owner, point.dist)) is not None:
        yield outdated
        return
    try:
        plugin = point.load()
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        manager.register(plugin, owner.entry_point)
    except pluggy.PluginValidationError as error:
        yield owner.broken(
            f"a hook has a wrong signature: {_first_line(error)}",
            "compare it with docs/hooks.md; hooks take no argument",
        )
        return
    except (Exception, SystemExit) as error:  # whatever a stranger's module does on import
        yield owner.broken(
            f"{point.value} cannot be loaded: {type(error).__name__}: {_first_line(error)}", _remedy(owner, point)
        )
        return
    yield from _undecorated(owner, plugin)
    for caller in manager.get_hookcallers(plugin) or ():
        if caller.has_spec():
            yield from _call(owner, caller)
        elif not any(implementation.optionalhook for implementation in caller.get_hookimpls()):
            yield owner.broken(
                f"implements an unknown hook {caller.name!r}",
                nearest(caller.name, hookspecs.HOOKS.values()) or "see docs/hooks.md",
            )


def _remedy(owner: _Owner, point: EntryPoint) -> str:
    """What to do about a module that cannot be loaded."""
    if isinstance(point.dist, SourceFolder):
        return f"mend it in {point.dist.folder}; python -c 'import {point.module}' there shows where it fails"
    return f"pip install --force-reinstall {owner.distribution}, or pip uninstall {owner.distribution}"


def _undecorated(owner: _Owner, plugin: Any) -> Iterator[BrokenPlugin]:
    for name in hookspecs.HOOKS.values():
        function = getattr(plugin, name, None)
        if callable(function) and not hasattr(function, f"{hookspecs.PROJECT}_impl"):
            yield owner.broken(f"{name} is not marked as a hook", "decorate it with sa3dhp_core.hookspecs.hookimpl")


def _call(owner: _Owner, caller: pluggy.HookCaller) -> Iterator[Component | BrokenPlugin]:
    try:
        results = caller()
    except (Exception, SystemExit) as error:
        yield owner.broken(
            f"{caller.name} raises {type(error).__name__}: {_first_line(error)}", f"report it to {owner.distribution}"
        )
        return
    if not results or not isinstance(results[0], (list, tuple)):
        kind = type(results[0]).__name__ if results else "None"
        yield owner.broken(f"{caller.name} returns {kind}", "return a list of sa3dhp_core.components.Component")
        return
    noun = next(noun for noun, hook in hookspecs.HOOKS.items() if hook == caller.name)
    for item in results[0]:
        problem = _problem(item, noun)
        if problem is None:
            yield item
        else:
            yield owner.broken(f"{caller.name}: {problem[0]}", problem[1])


def _problem(item: Any, noun: str) -> tuple[str, str] | None:
    """What is wrong with one thing that a hook returned, and what to do."""
    if not isinstance(item, Component):
        return f"offers {item!r} of type {type(item).__name__}", "return sa3dhp_core.components.Component values"
    if item.noun != noun:
        return f"offers {item.id!r} with noun {item.noun!r}", f"use noun {noun!r}, or the hook of its noun"
    if not isinstance(item.id, str) or not _ID.fullmatch(item.id):
        return f"offers the id {item.id!r}", "an id is lower-case words joined by hyphens"
    for name in ("config", "target", "example", "reference"):
        needed = name in ("config", "target") or getattr(item, name)
        if needed and not re.fullmatch(r"[\w.]+:\w+", str(getattr(item, name))):
            return f"{item.id!r} has {name} {getattr(item, name)!r}", "write it as 'package.module:name'"
    for kind, known, claimed in (
        ("capability", CAPABILITIES.get(noun, {}), item.capabilities),
        ("figure", FIGURES.get(noun, {}), dict(item.figures)),
    ):
        for name in sorted(set(claimed) - set(known)):
            return f"{item.id!r} claims an unknown {kind} {name!r}", nearest(name, known) or f"a {noun} can claim none"
    return None


def _rival(offers: Sequence[Offer], component: Component) -> Offer | None:
    key = (component.noun, component.id)
    return next((offer for offer in offers if (offer.component.noun, offer.component.id) == key), None)


def _duplicate(owner: _Owner, component: Component, rival: Offer) -> BrokenPlugin:
    return owner.broken(
        f"offers {component.noun} {component.id!r}, which {rival.distribution} {rival.version} offers already",
        f"uninstall one of {rival.distribution} and {owner.distribution}, or choose with {VARIABLE}",
    )


def _out_of_range(owner: _Owner, distribution: Distribution | None) -> BrokenPlugin | None:
    """The declared range of host versions, if this host lies outside it."""
    missed = missed_range((distribution.requires if distribution else None) or (), __version__)
    if missed is None:
        return None
    return owner.broken(
        f"needs sa3dhp{missed}, and this is {__version__}", f"pip install --upgrade sa3dhp {owner.distribution}"
    )


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else "no message"
