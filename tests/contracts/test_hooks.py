"""Every hook has a noun, a heading with its exact signature in the docs, and a shipped plugin or a stated reason."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import attrs
import pytest

from sa3dhp_core import hookspecs
from sa3dhp_core.components import NOUNS, Component
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.host import Host, Offer

ROOT = Path(__file__).resolve().parents[2]


def generator() -> ModuleType:
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("sa3dhp_docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DOCS = generator()
HOST: Host = DOCS.host()
HOOKS = list(hookspecs.HOOKS.items())


def ids(offers: Sequence[Offer]) -> list[str]:
    return [f"{offer.component.noun}:{offer.component.id}" for offer in offers]


def test_nouns_and_hooks_are_one_to_one_and_all_hooks_are_listed() -> None:
    assert set(hookspecs.HOOKS) == set(NOUNS)
    specified = {name for name in vars(hookspecs) if hasattr(getattr(hookspecs, name), f"{hookspecs.PROJECT}_spec")}
    assert specified == set(hookspecs.HOOKS.values()) and len(HOOKS) == len(specified)


@pytest.mark.parametrize(("noun", "hook"), HOOKS)
def test_a_hook_has_a_heading_with_its_exact_signature(noun: str, hook: str) -> None:
    headings = re.findall(r"^## `(.+)`$", DOCS.HOOKS_PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings.count(f"{hook}() -> Sequence[Component]") == 1
    assert inspect.signature(getattr(hookspecs, hook)).parameters == {}
    assert inspect.getdoc(getattr(hookspecs, hook))


@pytest.mark.parametrize(("noun", "hook"), HOOKS)
def test_a_hook_has_a_shipped_component_or_a_reason_why_not(noun: str, hook: str) -> None:
    assert bool(HOST.components(noun)) != (noun in DOCS.NOT_SHIPPED)


@pytest.mark.parametrize("noun", [noun for noun in NOUNS if noun != "command"])
def test_a_noun_has_a_protocol_that_states_its_target(noun: str) -> None:
    assert noun in DOCS.targets()


def test_no_shipped_plugin_is_broken() -> None:
    assert [plugin.render() for plugin in HOST.broken] == []


@pytest.mark.parametrize("offer", HOST.components(), ids=ids(HOST.components()))
def test_a_shipped_component_explains_every_key(offer: Offer) -> None:
    config = offer.component.load_config()
    assert attrs.has(config)
    assert [field.name for field in attrs.fields(config) if field.init and not field.metadata.get("help")] == []
    assert len(offer.component.summary) > 3
    nested = {field.metadata["component"] for field in attrs.fields(config) if "component" in field.metadata}
    assert nested <= set(NOUNS)


@pytest.mark.parametrize("offer", HOST.components(), ids=ids(HOST.components()))
def test_a_shipped_components_defaults_pass_its_own_check(offer: Offer) -> None:
    component: Component = offer.component
    config = component.load_config()
    required = [field.name for field in attrs.fields(config) if field.default is attrs.NOTHING]
    if not required:
        assert HOST.config(component.noun, {"use": component.id}, "x") == config()
    else:
        with pytest.raises(RecipeError, match="missing key"):
            HOST.config(component.noun, {"use": component.id}, "x")
