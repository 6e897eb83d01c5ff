"""``sa3dhp plugins``: what is installed, what is broken, and the keys of every component."""

from __future__ import annotations

from typing import Annotated, Any

import attrs
import typer

from sa3dhp_core.cli import console
from sa3dhp_core.cli.session import session
from sa3dhp_core.components import CAPABILITIES, FIGURES, NOUNS, Component
from sa3dhp_core.errors import UnknownComponent, nearest
from sa3dhp_core.host import Host, Offer

app = typer.Typer(no_args_is_help=True, help="List plugins and show what they offer.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(
    context: typer.Context,
    json: Json = False,
    strict_plugins: Annotated[bool, typer.Option("--strict-plugins", help="Fail if a plugin is broken.")] = False,
) -> None:
    """List all components by noun, and the plugins that are broken."""
    host = session(context).host
    if strict_plugins:
        session(context).settle(False, True)
    if json:
        components = [_summary(offer) for offer in host.components()]
        console.print_json({"components": components, "broken": [attrs.asdict(plugin) for plugin in host.broken]})
        return
    rows = [
        (o.component.noun, o.component.id, f"{o.distribution} {o.version}", o.component.summary)
        for o in host.components()
    ]
    if rows:
        console.print_table("", ("noun", "id", "offered by", "summary"), rows)
    else:
        print('no plugin is installed; try: pip install "sa3dhp[all]"')
    if host.broken:
        broken = [(p.distribution, p.version, p.entry_point, p.problem, p.hint) for p in host.broken]
        print()
        console.print_table("BROKEN", ("distribution", "version", "entry point", "problem", "try"), broken)


@app.command()
def show(
    context: typer.Context,
    component: Annotated[str, typer.Argument(metavar="ID", help="A component's id.", show_default=False)],
    json: Json = False,
) -> None:
    """Show a component and the keys of its table: type, default and meaning."""
    host = session(context).host
    offers = find_offers(host, component)
    if json:
        console.print_json([{**_summary(offer), "keys": keys(offer)} for offer in offers])
        return
    for offer in offers:
        show_offer(offer)


def find_offers(host: Host, id: str, nouns: tuple[str, ...] = tuple(NOUNS)) -> list[Offer]:
    """All components of these nouns with this id; raises `UnknownComponent` if there is none."""
    offers = [offer for offer in host.components() if offer.component.noun in nouns]
    found = [offer for offer in offers if offer.component.id == id]
    if not found:
        hint = nearest(id, {offer.component.id for offer in offers}) or 'pip install "sa3dhp[all]"'
        raise UnknownComponent(f"no component is called {id!r}", hint=hint)
    return found


def show_offer(offer: Offer) -> None:
    """Print one component and its keys."""
    component = offer.component
    print(f"{component.id} ({component.noun}), {offer.distribution} {offer.version}\n  {component.summary}")
    for claim, meaning in claims(component):
        print(f"  claims {claim}: {meaning}")
    rows = [(key["key"], key["type"], key["default"], key["help"]) for key in keys(offer)]
    if rows:
        console.print_table("", ("key", "type", "default", "meaning"), rows)
    else:
        print("  no keys")


def keys(offer: Offer) -> list[dict[str, str]]:
    """The keys of a component's table, as words."""
    from sa3dhp_core.structuring import expectation

    config = offer.component.load_config()
    return [
        {
            "key": field.name,
            "type": expectation(field.type),
            "default": _default(field.default),
            "help": str(field.metadata.get("help", "")),
        }
        for field in attrs.fields(attrs.resolve_types(config))
        if field.init
    ]


def _default(default: Any) -> str:
    if default is attrs.NOTHING:
        return "required"
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return "computed" if default.takes_self else repr(default.factory())
    return repr(default)


def _summary(offer: Offer) -> dict[str, Any]:
    component = offer.component
    return {
        "noun": component.noun,
        "id": component.id,
        "summary": component.summary,
        "distribution": offer.distribution,
        "version": offer.version,
        "capabilities": sorted(component.capabilities),
        "figures": dict(component.figures),
        "expected_failures": dict(component.expected_failures),
    }


def claims(component: Component) -> list[tuple[str, str]]:
    """What the component claims, each with its meaning: capabilities, figures, and checks that it is known to fail."""
    named = CAPABILITIES.get(component.noun, {})
    measured = FIGURES.get(component.noun, {})
    return [
        *((name, named[name]) for name in sorted(component.capabilities)),
        *((f"{name} {value:g}", measured[name]) for name, value in component.figures),
        *((f"no {name}", f"expected to fail: {reason}") for name, reason in component.expected_failures),
    ]
