"""The host loads what is good, reports what is not, and never lets one plugin stop another.

Every plugin here is a real distribution with a dist-info folder on `sys.path`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from sa3dhp_core import __version__
from sa3dhp_core.components import Component
from sa3dhp_core.errors import PluginError, RecipeError, UnknownComponent
from sa3dhp_core.host import VARIABLE, Host

Distribute = Callable[..., str]

HEAD = """
from sa3dhp_core.components import Component
from sa3dhp_core.hookspecs import hookimpl

def sink(id, noun="sink", config="os:stat_result", **more):
    return Component(noun, id, "a sink", config, "os:getcwd", **more)
"""


def plugin(hook: str, body: str, decorated: bool = True, arguments: str = "") -> str:
    mark = "@hookimpl\n" if decorated else ""
    return f"{HEAD}\n{mark}def {hook}({arguments}):\n    {body}\n"


BROKEN = {
    "failing-import": ("import no_such_module_anywhere", "ModuleNotFoundError: No module named", "reinstall"),
    "exiting-import": ("import sys; sys.exit('bye')", "SystemExit: bye", "reinstall"),
    "wrong-syntax": ("def (", "SyntaxError", "reinstall"),
    "misspelt-hook": (plugin("sa3dhp_sink", "return [sink('x')]"), "unknown hook 'sa3dhp_sink'", "'sa3dhp_sinks'"),
    "strange-hook": (plugin("elsewhere", "return []"), "unknown hook 'elsewhere'", "sa3dhp_sinks"),
    "wrong-signature": (plugin("sa3dhp_sinks", "return []", arguments="host"), "wrong signature", "docs/hooks.md"),
    "undecorated": (plugin("sa3dhp_sinks", "return []", decorated=False), "not marked as a hook", "hookimpl"),
    "raising-hook": (plugin("sa3dhp_sinks", "raise ValueError('oh')"), "raises ValueError: oh", "report it"),
    "returns-none": (plugin("sa3dhp_sinks", "pass"), "returns None", "Component"),
    "returns-dict": (plugin("sa3dhp_sinks", "return {'x': 1}"), "returns dict", "Component"),
    "wrong-type": (plugin("sa3dhp_sinks", "return ['x']"), "offers 'x' of type str", "Component"),
    "wrong-noun": (plugin("sa3dhp_sinks", "return [sink('x', 'relation')]"), "noun 'relation'", "noun 'sink'"),
    "wrong-id": (plugin("sa3dhp_sinks", "return [sink('My_Sink')]"), "the id 'My_Sink'", "lower-case"),
    "wrong-reference": (
        plugin("sa3dhp_sinks", "return [sink('x', config='os')]"),
        "config 'os'",
        "package.module:name",
    ),
    "wrong-example": (
        plugin("sa3dhp_sinks", "return [sink('x', example='os')]"),
        "example 'os'",
        "package.module:name",
    ),
    "unknown-capability": (
        plugin("sa3dhp_relations", "return [sink('x', 'relation', capabilities=['acts-on-image'])]"),
        "unknown capability 'acts-on-image'",
        "'acts-on-images'",
    ),
    "capability-of-none": (
        plugin("sa3dhp_methods", "return [sink('x', 'method', capabilities=['geometric'])]"),
        "unknown capability 'geometric'",
        "a method can claim none",
    ),
    "unknown-figure": (
        plugin("sa3dhp_sinks", "return [sink('x', figures={'speed': 1.0})]"),
        "unknown figure 'speed'",
        "a sink can claim none",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_reported_and_the_others_go_on(name: str, distribute: Distribute, toy: str) -> None:
    source, problem, hint = BROKEN[name]
    distribute(name, source, version="2.5")
    host = Host.load(only=[toy, name])
    (broken,) = host.broken
    assert (broken.distribution, broken.entry_point, broken.version) == (name, name, "2.5")
    assert problem in broken.problem
    assert hint in broken.hint
    assert [offer.distribution for offer in host.components()] == [toy] * 4


@pytest.mark.parametrize("name", BROKEN)
def test_strict_refuses_a_broken_plugin_by_name(name: str, distribute: Distribute, toy: str) -> None:
    distribute(name, BROKEN[name][0])
    with pytest.raises(PluginError, match=name):
        Host.load(strict=True, only=[toy, name])


def test_strict_accepts_good_plugins(toy: str) -> None:
    assert not Host.load(strict=True, only=[toy]).broken


def test_the_good_half_of_a_plugin_is_kept(distribute: Distribute) -> None:
    source = plugin("sa3dhp_sinks", "return [sink('good'), sink('Bad'), sink('fine')]")
    source += "\n@hookimpl\ndef sa3dhp_relations():\n    raise RuntimeError('no')\n"
    host = Host.load(only=[distribute("half-good", source)])
    assert [offer.component.id for offer in host.components("sink")] == ["fine", "good"]
    assert len(host.broken) == 2


def test_a_duplicate_names_both_owners_and_keeps_the_first_by_distribution(distribute: Distribute) -> None:
    second = distribute("zebra", plugin("sa3dhp_sinks", "return [sink('x'), sink('own')]"), version="3.0")
    first = distribute("ant", plugin("sa3dhp_sinks", "return [sink('x')]"), version="1.5")
    host = Host.load(only=[first, second])
    assert [(o.component.id, o.distribution) for o in host.components("sink")] == [("own", "zebra"), ("x", "ant")]
    (broken,) = host.broken
    assert broken.distribution == "zebra"
    assert "ant 1.5" in broken.problem and "'x'" in broken.problem and "zebra" in broken.hint


def test_one_plugin_that_offers_an_id_twice(distribute: Distribute) -> None:
    host = Host.load(only=[distribute("twice", plugin("sa3dhp_sinks", "return [sink('x'), sink('x')]"))])
    assert len(host.components("sink")) == 1 and "offers already" in host.broken[0].problem


def test_an_optional_hook_of_a_newer_core_is_no_problem(distribute: Distribute) -> None:
    source = HEAD + "\n@hookimpl(optionalhook=True)\ndef sa3dhp_from_the_future():\n    return []\n"
    assert not Host.load(only=[distribute("newer", source)]).broken


@pytest.mark.parametrize(
    ("requirement", "fits"),
    [
        (f"sa3dhp>={__version__}", True),
        ("sa3dhp>=999", False),
        ("sa3dhp<0.0.1", False),
        ("sa3dhp>=999; extra == 'later'", True),
        ("numpy>=999", True),
        ("not a requirement at all", True),
    ],
)
def test_the_declared_host_range_is_held(distribute: Distribute, requirement: str, fits: bool) -> None:
    name = distribute("ranged", plugin("sa3dhp_sinks", "return [sink('x')]"), requires=[requirement])
    host = Host.load(only=[name])
    assert bool(host.components()) is fits
    if not fits:
        assert __version__ in host.broken[0].problem and "upgrade" in host.broken[0].hint


def test_the_variable_selects_and_refuses_unknown_names(
    distribute: Distribute, toy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribute("other", plugin("sa3dhp_sinks", "return [sink('x')]"))
    monkeypatch.setenv(VARIABLE, f" {toy} ,other")
    assert {offer.distribution for offer in Host.load().components()} == {toy, "other"}
    monkeypatch.setenv(VARIABLE, "other")
    assert {offer.distribution for offer in Host.load().components()} == {"other"}
    monkeypatch.setenv(VARIABLE, "othr")
    with pytest.raises(PluginError, match="did you mean 'other'"):
        Host.load()


def test_an_empty_variable_means_all_and_none_means_no_plugin(toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    everything = Host.load().offers
    assert toy in {offer.distribution for offer in everything}
    for nothing_said in ("", " , "):
        monkeypatch.setenv(VARIABLE, nothing_said)
        assert Host.load().offers == everything
    monkeypatch.setenv(VARIABLE, "none")
    assert Host.load().offers == Host.load(only=[]).offers == ()
    monkeypatch.setenv(VARIABLE, f"none,{toy}")
    with pytest.raises(PluginError, match="'none'"):
        Host.load()


def test_offers_are_sorted_and_filtered_by_noun(toy: str) -> None:
    host = Host.load(only=[toy])
    keys = [(offer.component.noun, offer.component.id) for offer in host.components()]
    assert keys == sorted(keys) and len(keys) == 4
    assert [offer.component.id for offer in host.components("backbone")] == ["toy-backbone"]
    assert host.components("lifter") == ()
    with pytest.raises(PluginError, match="did you mean 'backbone'"):
        host.components("bakbone")


def test_an_unknown_component_names_the_nearest_and_the_broken(distribute: Distribute, toy: str) -> None:
    assert "broken" not in str(find_error(Host.load(only=[toy])))
    distribute("failing", "import no_such_module_anywhere")
    error = find_error(Host.load(only=[toy, "failing"]))
    assert "did you mean 'toy-backbone'" in str(error) and "failing" in str(error.hint)


def find_error(host: Host) -> UnknownComponent:
    with pytest.raises(UnknownComponent) as caught:
        host.find("backbone", "toy-bakbone")
    return caught.value


def test_building_structures_the_config_and_hands_over_the_parts(toy: str) -> None:
    host = Host.load(only=[toy])
    table = {"use": "toy-loss", "relation": "flip", "temperature": 2}
    config, parts = host.build("alignment_loss", table, "losses[0]", extra=1)
    assert (config.relation, config.temperature, parts) == ("flip", 2.0, {"extra": 1})
    with pytest.raises(RecipeError, match=r"losses\[0\]\.temprature"):
        host.build("alignment_loss", {"use": "toy-loss", "temprature": 2}, "losses[0]")
    with pytest.raises(RecipeError, match="needs `use`"):
        host.build("alignment_loss", {}, "losses[0]")


def needs_host(config: object, *, host: Host, extra: int = 0) -> tuple[object, int]:
    """A target that builds others."""
    return host, extra


def test_a_target_that_asks_for_the_host_is_handed_it() -> None:
    here = f"{__name__}:needs_host"
    host = Host.of([Component("sink", "nesting", "builds others", "sa3dhp_core.engine_config:EngineConfig", here)])
    assert host.build("sink", {"use": "nesting"}, "sinks[0]", extra=2) == (host, 2)
    assert host.build("sink", {"use": "nesting"}, "sinks[0]", host="another") == ("another", 0)


def test_a_nested_component_table_is_checked_with_its_path(toy: str) -> None:
    host = Host.load(only=[toy])
    assert host.config("image_encoder", {"use": "toy-encoder"}, "encoder").backbone == {"use": "toy-backbone"}
    with pytest.raises(RecipeError, match=r"r\.toml: encoder\.backbone\.widhts"):
        host.config("image_encoder", {"use": "toy-encoder", "backbone": {"use": "toy-backbone", "widhts": []}},
                    "encoder", "r.toml")  # fmt: skip


def test_a_component_whose_module_is_not_there_says_so(distribute: Distribute) -> None:
    source = plugin("sa3dhp_sinks", "return [sink('lost', config='no_such_module_anywhere:Config')]")
    host = Host.load(only=[distribute("lost", source)])
    assert not host.broken
    with pytest.raises(PluginError, match="no_such_module_anywhere:Config"):
        host.build("sink", {"use": "lost"}, "sinks[0]")


def test_a_host_of_given_components() -> None:
    one = Component("sink", "one", "a sink", "os:stat_result", "os:getcwd")
    assert Host.of([one]).find("sink", "one") == one
    assert Host.of([]).components() == ()
    with pytest.raises(PluginError, match="'one'"):
        Host.of([one, one])


def test_loading_and_listing_import_no_torch() -> None:
    code = (
        "import sys; from sa3dhp_core.host import Host; import sa3dhp_core.recipe; host = Host.load(); "
        "[offer.component.load_config() for offer in host.components()]; "
        "print([name for name in ('torch', 'transformers', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
