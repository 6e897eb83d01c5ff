"""Cards of plugins: their schema, and how they are made."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sa3dhp_core.components import Component
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.host import Host
from sa3dhp_core.new_plugin import write_plugin
from sa3dhp_core.plugin_cards import card_file, card_of, card_text, load_plugin_card, plugin_card_from
from sa3dhp_core.source_folder import SourceFolder

FLIP = Component("relation", "flip", "the mirror", "a:B", "a:c", capabilities=("geometric",))
SLOW = Component("relation", "slow", "slower", "a:B", "a:c", expected_failures={"is-differentiable": "it counts"})
LOSS = Component("alignment_loss", "zeal", "a loss", "a:B", "a:c")


@pytest.fixture
def folder(tmp_path: Path) -> SourceFolder:
    """A distribution with metadata."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "toys"\nversion = "1"\ndescription = "toys"\nlicense = "MIT"\n'
        'dependencies = ["attrs>=23", "sa3dhp>=0.1,<2"]\nurls.Source = "https://example.org/toys"\n'
        'entry-points.sa3dhp.toys = "toys"\n',
        encoding="utf-8",
    )
    return SourceFolder(tmp_path)


def test_a_card_says_what_the_distribution_says(folder: SourceFolder) -> None:
    card = card_of(folder, [SLOW, FLIP, LOSS])
    assert (card.id, card.summary, card.licence, card.host) == ("toys", "toys", "MIT", "<2,>=0.1")
    assert card.home == "https://example.org/toys" and card_of(folder, [FLIP], "plugins/toys").home == "plugins/toys"
    assert card.nouns == ("alignment_loss", "relation")
    assert [component.id for component in card.components] == ["zeal", "flip", "slow"]
    assert card.components[1].capabilities == ("geometric",)
    assert card.components[2].expected_failures == {"is-differentiable": "it counts"}


def test_its_text_is_the_card_again(folder: SourceFolder) -> None:
    card = card_of(folder, [SLOW, FLIP])
    assert plugin_card_from(tomllib.loads(card_text(card)), "text") == card
    assert "known_gaps" not in card_text(card) and "figures" not in card_text(card)


def test_what_was_written_by_hand_is_kept_and_nothing_else(folder: SourceFolder) -> None:
    written = tomllib.loads(card_text(card_of(folder, [SLOW, FLIP])))
    written |= {"known_gaps": ["no sound"], "summary": "old"}
    written["components"][0] |= {"known_gaps": ["no glass"], "capabilities": ["no-such-thing"]}
    written["components"][1]["id"] = "gone"
    card = card_of(folder, [SLOW, FLIP], written=written)
    assert card.known_gaps == ("no sound",) and card.summary == "toys"
    assert [(c.id, c.known_gaps) for c in card.components] == [("flip", ("no glass",)), ("slow", ())]
    assert card.components[0].capabilities == ("geometric",)


def part(**more: Any) -> dict[str, Any]:
    """A component's table."""
    return {"id": "flip", "noun": "relation", "summary": "the mirror", **more}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"licence": 3}, "licence"),
        ({"licnece": "MIT"}, "did you mean 'licence'"),
        ({"nouns": ["sink"]}, "not those of the components"),
        ({"components": [part(noun="relatoin")]}, "relatoin"),
        ({"components": [part(capabilities=["geometrik"])]}, "'geometric'"),
        ({"components": [part(figures={"speed": 1.0})]}, "speed"),
        ({"components": [part(), part()]}, "stands twice"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(folder: SourceFolder, change: dict[str, Any], words: str) -> None:
    data = tomllib.loads(card_text(card_of(folder, [FLIP])))
    with pytest.raises(RecipeError, match=words) as caught:
        plugin_card_from({**data, **change}, "toys.toml")
    assert "toys.toml" in str(caught.value)


def test_cards_of_the_registry_are_found_by_id() -> None:
    assert "relation" in load_plugin_card("sa3dhp-relations").nouns
    with pytest.raises(RecipeError, match="did you mean 'sa3dhp-relations'"):
        load_plugin_card("sa3dhp-relation")
    assert card_file(Path("registry"), "toys") == Path("registry/plugins/toys.toml")


def test_the_command_prints_a_card_of_a_folder_or_an_installed_plugin(
    call: Callable[..., Any], toy: str, site: Path
) -> None:
    write_plugin("brand-new", "relation", site / "mine", Host(()))
    printed = call("plugins", "card", "./mine").stdout
    card = plugin_card_from(tomllib.loads(printed), "printed")
    assert (card.id, card.licence, card.host) == ("brand-new", "Apache-2.0", ">=0.1")
    (site / "old.toml").write_text(printed.replace("[[comp", 'known_gaps = ["none"]\n[[comp'), encoding="utf-8")
    assert 'known_gaps = ["none"]' in call("plugins", "card", "./mine", "--keep", "old.toml").stdout
    assert "toy-loss" in call("plugins", "card", toy, only=toy).stdout
    unknown = call("plugins", "card", "toy-plugn", only=toy)
    assert unknown.returncode == 2 and "did you mean 'toy-plugin'" in unknown.stderr
