"""Writes `docs/hooks.md` from the hook specifications, the protocols and the plugins of this repository.

``python docs/generate_hooks.py`` writes the page; a test fails where the page and the code differ.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

from sa3dhp_core import hookspecs, protocols
from sa3dhp_core.components import NOUNS
from sa3dhp_core.host import Host

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "hooks.md"

NOT_SHIPPED = {
    "lifter": "the methods of this repository go from images to poses directly; the hook is there for methods that "
    "start from 2D keypoints",
}
"""Nouns that no plugin of this repository offers, and why."""

INTRODUCTION = """\
# Hooks

<!-- Written by `python docs/generate_hooks.py`; a test compares. -->

A plugin is a distribution with an entry point in the group `sa3dhp` that names a module. The module decorates
functions with `sa3dhp_core.hookspecs.hookimpl`; each is named after one of the hooks below, takes no argument and
returns a list of `sa3dhp_core.components.Component`: descriptors that say which config class and which target to
import when the component is first used. The module itself imports no torch.

```toml
# pyproject.toml of a plugin
[project.entry-points.sa3dhp]
my-plugin = "my_package.plugin"
```

```python
# my_package/plugin.py
from sa3dhp_core.components import Component
from sa3dhp_core.hookspecs import hookimpl


@hookimpl
def sa3dhp_backbones():
    return [
        Component(
            noun="backbone",
            id="my-backbone",
            summary="one sentence",
            config="my_package.config:MyBackboneConfig",
            target="my_package.network:MyBackbone",
        )
    ]
```

The host sorts what it gets by noun and id. A plugin that fails to load, misspells a hook, has a wrong signature or
offers an id that another one offers already is left out with a line in `sa3dhp plugins list` that says what to do;
all others go on. `SA3DHP_PLUGINS=only,these` chooses plugins by name, `--strict-plugins` refuses broken ones. A hook
that only a newer core knows can be marked with `hookimpl(optionalhook=True)`.

A field of a config class that holds another component's table is a `Mapping[str, Any]` with the metadata
`{"component": "<noun>"}`; it is checked with the rest of the recipe before any work begins. `{"help": "..."}` is what
`sa3dhp plugins show` prints.
"""


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


def first_party() -> tuple[str, ...]:
    """Names of the distributions in `plugins/`."""
    pages = (path for path in ROOT.glob("plugins/*/pyproject.toml") if not path.parent.name.startswith("_"))
    return tuple(sorted(tomllib.loads(page.read_text(encoding="utf-8"))["project"]["name"] for page in pages))


def page() -> str:
    """The whole page."""
    offers = Host.load(only=first_party()).components()
    built = targets()
    parts = [INTRODUCTION]
    for noun, hook in hookspecs.HOOKS.items():
        shipped = sorted({offer.distribution for offer in offers if offer.component.noun == noun})
        lines = [f"## `{signature(hook)}`", "", inspect.getdoc(getattr(hookspecs, hook)) or "", ""]
        lines.append(f"- Noun: `{noun}`, {NOUNS[noun]}.")
        if noun in built:
            target, file = built[noun]
            lines.append(f"- Built by: `{target}`, see [`protocols/{file}`](../sa3dhp_core/protocols/{file}).")
        if shipped:
            lines.append(f"- Shipped by: {', '.join(f'`{name}`' for name in shipped)}.")
        else:
            lines.append(f"- Not shipped: {NOT_SHIPPED[noun]}.")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
