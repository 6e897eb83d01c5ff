"""What every component must keep, whatever its noun: a table that explains itself, and quick listing."""

from __future__ import annotations

import subprocess
import sys

import attrs

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.promises import ANY, check, must
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.structuring import structure

HEAVY = ("torch", "lightning", "transformers", "scipy")
"""Libraries that listing plugins must not wait for."""


@check(ANY, "its summary is one line, and every key of its table is explained by a help text")
def explains_itself(subject: Subject, bench: Bench) -> None:
    if (component := subject.component) is None:
        return
    config = component.load_config()
    must(attrs.has(config), "the config is no attrs class", config, "a class decorated with attrs.frozen")
    silent = [field.name for field in attrs.fields(config) if field.init and not field.metadata.get("help")]
    must(not silent, "keys without a help text", silent, 'metadata={"help": "…"} on each field')
    must(component.summary.strip() and "\n" not in component.summary, "the summary is no line", component.summary)


@check(ANY, "an unknown key of its table is refused, with the key's name")
def refuses_unknown_keys(subject: Subject, bench: Bench) -> None:
    if (component := subject.component) is None:
        return
    try:
        structure(component.load_config(), {"no_such_key_anywhere": 1}, "table", "check")
    except RecipeError as error:
        must("no_such_key_anywhere" in str(error), "the unknown key is not named", error)
    else:
        must(False, "an unknown key is accepted")


@check(ANY, "its config is imported without torch or another heavy library, so that listing plugins stays quick")
def lists_without_heavy_libraries(subject: Subject, bench: Bench) -> None:
    if (component := subject.component) is not None:
        need_light(component.config.partition(":")[0], HEAVY)


def need_light(module: str, heavy: tuple[str, ...]) -> None:
    """Raise `BrokenPromise` where importing a module, in a process of its own, imports a heavy library."""
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; import {module}; print(*sorted(set(sys.modules) & set({heavy!r})))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    must(run.returncode == 0, f"{module} cannot be imported", run.stderr.strip()[-500:])
    must(not run.stdout.strip(), f"importing {module} imports a heavy library", run.stdout.strip())
