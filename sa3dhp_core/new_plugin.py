"""New plugins: a small distribution of one component, whole or not at all. Runs nothing of what it writes.

Everything is taken from what the tests hold to work: `plugins/_template`, a whole distribution with a relation, and for
the other nouns the example of one's own on the noun's page (`docs/nouns`), in the template's frame.
"""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import shutil
from importlib import metadata
from pathlib import Path

from sa3dhp_core.cards import shipped
from sa3dhp_core.components import NOUNS
from sa3dhp_core.errors import PluginError, nearest
from sa3dhp_core.hookspecs import HOOKS
from sa3dhp_core.host import Host

KIND, ID, PACKAGE = "relation", "template-tilt", "sa3dhp_template"
"""What the template offers: noun and id; and the package that holds it."""

FRAME = ("__init__.py", "py.typed")
"""Files of the package that do not depend on the component."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SUMMARY = re.compile(r'summary="([^"]+)"')
_PAGE_ID = re.compile(r'\bid="([a-z0-9-]+)"')
_MODULE = re.compile(r"^```python\n# my_package/(\w+\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_TOML = re.compile(r"^```toml\n.*?^```", re.MULTILINE | re.DOTALL)


def write_plugin(name: str, kind: str, out: Path, host: Host) -> tuple[Path, ...]:
    """Write a distribution that offers one component; it passes its tests as it is.

    Args:
        name: of the distribution and of its component; the package's has underscores.
        kind: the component's noun.
        out: the folder; it must not exist, or be empty.
        host: whose distributions and components the new one must not be mistaken for.

    Returns:
        What was written, sorted.

    Raises:
        PluginError: the noun is unknown, the name cannot be used or is taken, or the folder cannot be written.
    """
    if kind not in NOUNS:
        raise PluginError(f"no kind of component {kind!r}", expected="a noun", hint=nearest(kind, NOUNS))
    _check_name(name, kind, host)
    texts = plugin_files(name, kind)
    try:
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            raise PluginError("the folder is there and is left as it is", where=str(out), hint="another --out")
        _write(texts, out)
    except OSError as error:
        raise PluginError(f"cannot be written: {error.strerror}", where=str(out), hint="another --out") from error
    return tuple(out / path for path in sorted(texts))


def plugin_files(name: str, kind: str) -> dict[str, str]:
    """The files of a new distribution: path to text."""
    texts = _template()
    if kind != KIND:
        texts = _with_example(texts, kind)
    package = name.replace("-", "_")
    words = {"sa3dhp-template": name, PACKAGE: package, ID: name, "\ntemplate = ": f"\n{name} = "}
    return {_replaced(path, words): _replaced(text, words) for path, text in texts.items()}


def _template() -> dict[str, str]:
    """The files of the template."""
    folder = shipped("template", "plugins/_template")
    paths = [*folder.glob("*.*"), *(folder / PACKAGE).glob("*.*"), *(folder / "tests").glob("*.py")]
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths if path.is_file()}


def _with_example(template: dict[str, str], noun: str) -> dict[str, str]:
    """The template's frame around the example of a noun's page, under the template's names."""
    page = (shipped("nouns", "docs/nouns") / f"{noun}.md").read_text(encoding="utf-8")
    modules = dict(_MODULE.findall(page))
    (own,) = _PAGE_ID.findall(modules["plugin.py"])
    summary = "".join(_SUMMARY.findall(modules["plugin.py"])[:1])
    kept = {path: text for path, text in template.items() if _in_frame(path)}
    (said,) = _SUMMARY.findall(template[f"{PACKAGE}/plugin.py"])
    tables = [block for block in _TOML.findall(page) if f'"{own}"' in block]
    words = {said: summary, f"`{KIND}`": f"`{noun}`", HOOKS[KIND]: HOOKS[noun]}
    texts = {path: _replaced(text, words) for path, text in kept.items()}
    for file, code in modules.items():
        text = f'"""{_says(file, noun)}"""\n\n{code}'
        texts[f"{PACKAGE}/{file}"] = text.replace("my_package", PACKAGE).replace(own, ID)
    readme = _TOML.sub(lambda _: "\n\n".join(tables).replace(own, ID), texts["README.md"])
    texts["README.md"] = _listing(readme, {*texts} - {"README.md"}, noun)
    return texts


def _in_frame(path: str) -> bool:
    folder, _, file = path.rpartition("/")
    return not folder or file in FRAME or file == "test_conformance.py"


def _says(file: str, noun: str) -> str:
    if file == "plugin.py":
        return "What this distribution offers, as light descriptors, and their recipe keys. Imports no torch."
    return f"A component of the noun `{noun}`; what it promises is on the noun's page in the documents of sa3dhp."


def _listing(readme: str, files: set[str], noun: str) -> str:
    """The table of files with a line for each of these."""
    lines = []
    for line in readme.splitlines():
        row = re.match(r"\| `([^`]+)` \|", line)
        if row is None or row[1] in files:
            lines.append(line)
        elif row[1] == f"{PACKAGE}/tilt.py":
            modules = sorted(file for file in files if file.endswith(".py") and file.startswith(PACKAGE))
            listed = [file for file in modules if not file.endswith(("__init__.py", "plugin.py"))]
            lines += [f"| `{file}` | the {noun} itself, imported when a recipe first uses it |" for file in listed]
    return "\n".join(lines) + "\n"


def _replaced(text: str, words: dict[str, str]) -> str:
    for word, other in words.items():
        text = text.replace(word, other)
    return text


def _check_name(name: str, kind: str, host: Host) -> None:
    """Raise `PluginError` unless a new distribution, package and component can be called so."""
    package = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(package):
        proposal = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        usable = _NAME.fullmatch(proposal) and not keyword.iskeyword(proposal)
        raise PluginError(
            f"a plugin cannot be called {name!r}",
            expected="lower-case words joined by hyphens, the first of them beginning with a letter",
            hint=repr(proposal) if usable else f"my-{proposal}" if _NAME.fullmatch(f"my-{proposal}") else None,
        )
    if taken := _taken(name, package, kind, host):
        raise PluginError(f"the name {name!r} is taken: {taken}", hint=f"another, for example 'my-{name}'")


def _taken(name: str, package: str, kind: str, host: Host) -> str | None:
    """Who has the name, in words."""
    for offer in host.components(kind):
        if offer.component.id == name:
            return f"{offer.distribution} offers a {kind} of this id"
    try:
        return f"the distribution {name} {metadata.version(name)} is installed"
    except metadata.PackageNotFoundError:
        found = importlib.util.find_spec(package)
        return f"the package {package} can be imported already" if found is not None and found.origin else None


def _write(texts: dict[str, str], out: Path) -> None:
    """Write all files, or leave nothing behind."""
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.parent / f".{out.resolve().name}.{os.getpid()}.partial"
    try:
        for path, text in texts.items():
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            (draft / path).write_text(text, encoding="utf-8")
        if out.exists():  # empty, and perhaps where the caller stands: it must stay the same folder
            for item in sorted(draft.iterdir()):
                item.rename(out / item.name)
        else:
            draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
