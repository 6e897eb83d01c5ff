"""Writes the generated parts of the documents: tables and listings that repeat what the code says.

A part stands between ``<!-- generated: NAME [ARGUMENT] -->`` and ``<!-- /generated -->``; `PARTS` holds the names.

    python docs/generate.py                                 writes all parts anew; a test fails where one differs
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
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import typer

from sa3dhp_core import hookspecs, protocols
from sa3dhp_core.cards import card_ids
from sa3dhp_core.cli import make_app
from sa3dhp_core.components import CAPABILITIES, FIGURES, NOUNS
from sa3dhp_core.conformance import strategies
from sa3dhp_core.engine_config import EngineConfig, EvaluationConfig
from sa3dhp_core.host import Host, Offer
from sa3dhp_core.recipe import load_recipe
from sa3dhp_core.structuring import expectation

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


def toml(value: Any) -> str:
    """A default as one would write it in a recipe; what is None is left out there."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    return repr(value)


def key_rows(config: type[Any], above: str = "", instance: Any = None) -> Iterator[list[str]]:
    """Key, type, default and meaning of each field; the fields of a nested class follow it as ``outer.inner``.

    Args:
        config: an attrs class.
        above: path of the table that it describes.
        instance: a value whose fields are the defaults, where the class's own are not.
    """
    for field in attrs.fields(attrs.resolve_types(config)):
        if not field.init:
            continue
        default = field.default
        if instance is not None:
            default = getattr(instance, field.name)
        elif isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            default = default.factory()
        nested = attrs.has(type(default))
        shown = "required" if default is attrs.NOTHING else "" if nested else f"`{toml(default)}`"
        words = "a table" if nested else expectation(field.type)
        yield [f"`{above}{field.name}`", words, shown, str(field.metadata.get("help", ""))]
        if nested:
            yield from key_rows(type(default), f"{above}{field.name}.", default)


def keys_table(config: type[Any]) -> str:
    """The keys of a config class as a table, or that there are none."""
    rows = list(key_rows(config))
    return table(["key", "type", "default", "meaning"], rows) if rows else "No keys."


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


def recipes_part(_: str) -> str:
    """The registry's recipes."""
    recipes = [load_recipe(card) for card in card_ids("recipes")]
    return table(["recipe", "method", "what it does"], [[f"`{r.id}`", f"`{r.method}`", r.summary] for r in recipes])


def protocols_part(_: str) -> str:
    """The cards of evaluation protocols."""
    from sa3dhp_core.evaluation import load_protocol

    rows = []
    for card in card_ids("protocols"):
        p = load_protocol(card)
        fit = {"none": "none", "scale": "size", "procrustes": "rotation, translation, size"}[p.alignment]
        told = ", ".join(p.oracle_inputs) or "nothing"
        hypotheses = CHOICES[p.hypotheses]
        rows.append([f"`{p.id}`", p.name, p.unit, p.root, fit + hypotheses, told, p.source])
    return table(["id", "name", "unit", "root", "fitted to the truth", "enters from the truth", "source"], rows)


def command_tree() -> Any:
    """The whole command line as one command of the click library, commands of plugins mounted whole."""
    tree: Any = typer.main.get_command(make_app(host()))
    for offer in host().components("command"):
        tree.commands[offer.component.id] = typer.main.get_command(offer.component.load_target())
    return tree


def claims_part(_: str) -> str:
    """What components of each noun can claim."""
    rows = [
        [f"[`{noun}`](nouns/{noun}.md)", f"`{name}`", kind, meaning]
        for noun in NOUNS
        for kind, vocabulary in (("capability", CAPABILITIES), ("figure", FIGURES))
        for name, meaning in vocabulary.get(noun, {}).items()
    ]
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


PARTS: dict[str, Callable[[str], str]] = {
    "hooks": hooks_part,
    "components": components_part,
    "engine": lambda _: keys_table(EngineConfig),
    "evaluation": lambda _: keys_table(EvaluationConfig),
    "recipes": recipes_part,
    "protocols": protocols_part,
    "cli": cli_part,
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
    """Write the generated parts of all pages, or one table or output of `page`."""
    if not arguments:
        for path in pages():
            path.write_text(regenerated(path.read_text(encoding="utf-8")), encoding="utf-8")
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
