"""Writes the generated parts of the documents, and the registry's cards of plugins: what repeats what the code says.

A part stands between ``<!-- generated: NAME [ARGUMENT] -->`` and ``<!-- /generated -->``; `PARTS` holds the names.

    python docs/generate.py                                 writes all anew; a test fails where something differs
    python docs/generate.py --table quickstart RUN [RUN …]  puts the table of these runs into README.md
    python docs/generate.py --output demo FILE              puts what a command printed into README.md

Figures are never generated: a table stands between ``<!-- table:NAME -->`` and ``<!-- /table -->``, printed text
between ``<!-- output:NAME -->`` and ``<!-- /output -->``, and they change only by the latter calls. Nothing here trains
or downloads.
"""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer

from sa3dhp_core import hookspecs, protocols
from sa3dhp_core.cards import card_ids, read_toml
from sa3dhp_core.cli import make_app
from sa3dhp_core.components import CAPABILITIES, FIGURES, NOUNS
from sa3dhp_core.config_keys import keys_of
from sa3dhp_core.conformance import checks_of, strategies
from sa3dhp_core.engine_config import EngineConfig, EvaluationConfig
from sa3dhp_core.evaluation import Protocol, load_protocol
from sa3dhp_core.host import Host, Offer
from sa3dhp_core.plugin_cards import ComponentCard, PluginCard, card_file, card_of, card_text
from sa3dhp_core.recipe import load_recipe
from sa3dhp_core.source_folder import SourceFolder

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
HOOKS_PAGE = DOCS / "hooks.md"
_PART = re.compile(r"(<!-- generated: ([\w-]+)(?: ([\w-]+))? -->\n)(.*?)(<!-- /generated -->)", re.DOTALL)

CHOICES = {
    "single": "",
    "best-of-depth-mirror": "; the better of a pose and its depth mirror",
    "one-depth-mirror": "; the better of all poses and all depth mirrors",
}
"""How protocols choose among hypotheses, as a table says it."""

NOT_SHIPPED: dict[str, str] = {}
"""Nouns that no plugin of this repository offers, and why."""

NOT_LISTED = ("help", "install_completion", "show_completion")
"""Options that every command has by its library."""


@cache
def first_party() -> tuple[str, ...]:
    """Names of the distributions in `plugins/`."""
    pages = (path for path in ROOT.glob("plugins/*/pyproject.toml") if not path.parent.name.startswith("_"))
    return tuple(sorted(tomllib.loads(page.read_text(encoding="utf-8"))["project"]["name"] for page in pages))


@cache
def host() -> Host:
    """The plugins of this repository, and no others that may be installed."""
    return Host.load(only=first_party())


def signature(hook: str) -> str:
    """The hook as it is written: ``sa3dhp_sinks() -> Sequence[Component]``."""
    return f"{hook}{inspect.signature(getattr(hookspecs, hook))}".replace("'", "")


def targets() -> dict[str, tuple[str, str]]:
    """Noun to its target's signature and the protocol's file, as the protocols' docstrings state them."""
    found = {}
    for path in sorted(Path(protocols.__file__).parent.glob("*.py")):
        for match in re.finditer(r"``(target\([^`]*\) -> (\w+))``", path.read_text(encoding="utf-8")):
            noun = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", match[2]).lower()
            found[noun] = (" ".join(match[1].split()), path.name)
    return found


def slug(heading: str) -> str:
    """The anchor that renderers of Markdown give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def keys_table(config: type[Any]) -> str:
    """The keys of a config class as a table, or that there are none."""
    rows = [[f"`{k.key}`", k.type, _shown(k.default), k.help] for k in keys_of(config)]
    return table(["key", "type", "default", "meaning"], rows) if rows else "No keys."


def _shown(default: str) -> str:
    return default if default in ("", "required", "computed") else f"`{default}`"


def hooks_part(_: str) -> str:
    """All hooks, with what is built by whom."""
    parts = []
    for noun, hook in hookspecs.HOOKS.items():
        lines = [f"## `{signature(hook)}`", "", inspect.getdoc(getattr(hookspecs, hook)) or "", ""]
        lines.append(f"- Noun: [`{noun}`](nouns/{noun}.md), {NOUNS[noun]}.")
        if noun in targets():
            target, file = targets()[noun]
            lines.append(f"- Built by: `{target}`, see [`protocols/{file}`](../sa3dhp_core/protocols/{file}).")
        shipped = sorted({offer.distribution for offer in host().components(noun)})
        names = f"Shipped by: {', '.join(f'`{name}`' for name in shipped)}" if shipped else ""
        lines.append(f"- {names or f'Not shipped: {NOT_SHIPPED[noun]}'}.")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def components_part(noun: str) -> str:
    """Hook, target and shipped components of one noun, each with its keys."""
    heading = signature(hookspecs.HOOKS[noun])
    lines = [f"- Hook: [`{heading}`](../hooks.md#{slug(heading)})"]
    if noun in targets():
        target, file = targets()[noun]
        lines.append(f"- Target: `{target}`")
        lines.append(f"- Protocol: [`sa3dhp_core/protocols/{file}`](../../sa3dhp_core/protocols/{file})")
    offers = host().components(noun)
    if not offers:
        return "\n".join([*lines, "", f"No component is shipped: {NOT_SHIPPED[noun]}."])
    rows = [[f"[`{o.component.id}`](#{o.component.id})", f"`{o.distribution}`", o.component.summary] for o in offers]
    lines += ["", table(["component", "distribution", "what it is"], rows)]
    for offer in offers:
        lines += ["", *component_lines(offer)]
    return "\n".join(lines)


def component_lines(offer: Offer) -> Iterator[str]:
    """Heading, promises and keys of a component; of a method, its rows' keys too."""
    component, config = offer.component, offer.component.load_config()
    yield f"### `{component.id}`"
    yield ""
    claimed = [f"`{name}`" for name in sorted(component.capabilities)]
    claimed += [f"`{name}` {value:g}" for name, value in component.figures]
    if claimed:
        yield f"Claims: {', '.join(claimed)}."
        yield ""
    for name, reason in component.expected_failures:
        yield f"Known to fail the check `{name}`: {reason}."
        yield ""
    yield keys_table(config)
    if (rows := getattr(config, "row_config", None)) is not None:
        yield f"\nKeys of `[[rows]]` with the method `{component.id}`:\n"
        yield keys_table(rows)


def checks_part(noun: str) -> str:
    """What the conformance kit checks of a noun's components, and what they may claim."""
    own = [check for check in checks_of(noun) if check.noun == noun]
    rows = [[f"`{c.name}`", c.promise, ", ".join(f"`{need}`" for need in sorted(c.needs))] for c in own]
    lines = [table(["check", "promise", "if it claims"], rows)]
    if claimed := claim_rows(noun):
        lines += ["", table(["it may claim", "as a", "which says"], claimed)]
    return "\n".join(lines)


def claim_rows(noun: str) -> list[list[str]]:
    """What components of a noun can claim: name, kind and meaning."""
    kinds = (("capability", CAPABILITIES), ("figure", FIGURES))
    return [[f"`{name}`", kind, meaning] for kind, known in kinds for name, meaning in known.get(noun, {}).items()]


def recipes_part(_: str) -> str:
    """The registry's recipes."""
    recipes = [load_recipe(card) for card in card_ids("recipes")]
    return table(["recipe", "method", "what it does"], [[f"`{r.id}`", f"`{r.method}`", r.summary] for r in recipes])


def protocols_part(_: str) -> str:
    """The cards of evaluation protocols."""
    rows = []
    for card in card_ids("protocols"):
        p = load_protocol(card)
        fit = {"none": "none", "scale": "size", "procrustes": "rotation, translation, size"}[p.alignment]
        fit = ("bone lengths" if fit == "none" else f"bone lengths, then {fit}") if p.bones == "true" else fit
        told = ", ".join(p.oracle_inputs) or "nothing"
        joints = f"{len(p.joints)} of `{p.skeleton}`" if p.joints else "all"
        cells = [f"`{p.id}`", p.name, p.unit, joints, p.root, fit + CHOICES[p.hypotheses], frames_of(p), told, p.source]
        rows.append(cells)
    heads = ["id", "name", "unit", "joints", "root", "fitted to the truth", "frames", "enters from the truth", "source"]
    return table(heads, rows)


def frames_of(protocol: Protocol) -> str:
    """Which frames a protocol counts, in words."""
    frames = protocol.frames
    words = [", ".join(frames.subjects)] if frames.subjects else []
    words += [f"camera {', '.join(frames.cameras)}"] if frames.cameras else []
    words += [f"one in {frames.stride}"] if frames.stride > 1 else []
    words += [f"flag `{frames.valid}`"] if frames.valid else []
    words += [f"{protocol.people.count} people"] if protocol.people else []
    return "; ".join(words) or "all"


def command_tree() -> Any:
    """The whole command line as one command of the click library, commands of plugins mounted whole."""
    tree: Any = typer.main.get_command(make_app(host()))
    for offer in host().components("command"):
        tree.commands[offer.component.id] = typer.main.get_command(offer.component.load_target())
    return tree


def claims_part(_: str) -> str:
    """What components of each noun can claim."""
    rows = [[f"[`{noun}`](nouns/{noun}.md)", *row] for noun in NOUNS for row in claim_rows(noun)]
    return table(["noun", "claim", "kind", "what it says"], rows)


def strategies_part(_: str) -> str:
    """The public strategies: name, arguments, and the first line of what they say."""
    rows = []
    for name, value in vars(strategies).items():
        if callable(value) and getattr(value, "__module__", "") == strategies.__name__ and not name.startswith("_"):
            given = [str(given) for given in inspect.signature(value).parameters.values()]
            parameters = [text.split(":")[0] for text in given if not text.startswith("draw")]
            rows.append([f"`{name}({', '.join(parameters)})`", (inspect.getdoc(value) or "").splitlines()[0]])
    return table(["strategy", "what it draws"], rows)


def cli_part(_: str) -> str:
    """Every command with its arguments and options."""
    return "\n\n".join(command_parts("sa3dhp", command_tree()))


def command_parts(path: str, command: Any) -> Iterator[str]:
    """Sections of a command and of those below it."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name not in NOT_LISTED]
    children = dict(sorted(getattr(command, "commands", {}).items()))
    words = [p.metavar or p.name.upper() for p in arguments]
    words += [f"{p.opts[0]} {_value(p)}" for p in options if p.required]
    words += ["[options]"] if any(not p.required for p in options) else []
    words += ["COMMAND"] if children else []
    lines = [f"## `{path}`", "", (command.help or "").strip(), "", f"Usage: `{' '.join([path, *words])}`"]
    rows = [[f"`{p.metavar or p.name.upper()}`", "required" if p.required else "", p.help or ""] for p in arguments]
    rows += [[f"`{f'{p.opts[0]} {_value(p)}'.strip()}`", _default(p), p.help or ""] for p in options]
    if rows:
        lines += ["", table(["argument", "default", "meaning"], rows)]
    yield "\n".join(lines)
    for name, child in children.items():
        yield from command_parts(f"{path} {name}", child)


def _value(option: Any) -> str:
    """What stands for an option's value in its usage; nothing for a flag."""
    if getattr(option, "is_flag", False):
        return ""
    return str(option.metavar or option.opts[0].removeprefix("--").upper())


def _default(option: Any) -> str:
    if option.required:
        return "required"
    nothing = option.default is None or option.default is False or option.default == ()
    return "" if nothing else f"`{option.default}`"


def cards() -> Iterator[tuple[Path, str]]:
    """File and text of the card of every distribution in `plugins/`; gaps written by hand are kept."""
    for page in sorted(ROOT.glob("plugins/[!_]*/pyproject.toml")):
        folder = SourceFolder(page.parent)
        own = [offer.component for offer in host().offers if offer.distribution == folder.name]
        file = card_file(ROOT / "registry", folder.name)
        written = read_toml(file) if file.is_file() else None
        yield file, card_text(card_of(folder, own, f"plugins/{page.parent.name}", written))


PARTS: dict[str, Callable[[str], str]] = {
    "hooks": hooks_part,
    "components": components_part,
    "checks": checks_part,
    "engine": lambda _: keys_table(EngineConfig),
    "evaluation": lambda _: keys_table(EvaluationConfig),
    "recipes": recipes_part,
    "protocols": protocols_part,
    "cli": cli_part,
    "plugin-card": lambda _: keys_table(PluginCard),
    "component-card": lambda _: keys_table(ComponentCard),
    "claims": claims_part,
    "strategies": strategies_part,
}
"""Name of a part to what writes it, given the marker's argument."""


def pages() -> list[Path]:
    """Documents of this repository that have generated parts."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    return [path for path in sorted(found) if _PART.search(path.read_text(encoding="utf-8"))]


def regenerated(text: str) -> str:
    """The page with all its parts written anew."""
    return _PART.sub(lambda match: f"{match[1]}{PARTS[match[2]](match[3] or '').strip()}\n{match[5]}", text)


def filled(text: str, kind: str, name: str, content: str) -> str:
    """The page with `content` as its ``table`` or ``output`` `name`; raises `ValueError` where it has no such part."""
    pattern = re.compile(rf"(<!-- {kind}:{re.escape(name)} -->\n).*?(<!-- /{kind} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no part <!-- {kind}:{name} --> … <!-- /{kind} -->")
    return pattern.sub(lambda match: f"{match[1]}{content.strip()}\n{match[2]}", text)


def main(arguments: list[str], page: Path = ROOT / "README.md") -> None:
    """Write the generated parts of all pages and the cards of plugins, or one table or output of `page`."""
    if not arguments:
        for path in pages():
            path.write_text(regenerated(path.read_text(encoding="utf-8")), encoding="utf-8")
        for path, text in cards():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return
    option, name, *files = arguments
    if option == "--table":
        from sa3dhp_core.results import read_results
        from sa3dhp_core.tables import markdown_table

        content = markdown_table([record for run in files for record in read_results(Path(run))["records"]])
    elif option == "--output":
        content = "```\n" + "".join(Path(file).read_text(encoding="utf-8") for file in files).strip() + "\n```"
    else:
        sys.exit(f"unknown option {option!r}; one of --table, --output")
    page.write_text(filled(page.read_text(encoding="utf-8"), option[2:], name, content), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
