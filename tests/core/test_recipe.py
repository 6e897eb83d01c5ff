"""Recipes: reading, resolving, checking, writing."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_core.errors import RecipeError, UnknownComponent
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import Recipe, check, load_recipe, recipe_from, to_plain, to_toml


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recipe_is_read_and_its_defaults_filled_in(recipe_path: Path) -> None:
    recipe = load_recipe(recipe_path)
    assert (recipe.id, recipe.method, recipe.seed) == ("toy", "toy-method", 3)
    assert recipe.encoder == {"use": "toy-encoder", "backbone": {"use": "toy-backbone", "widths": [2, 3]}}
    assert [table["relation"] for table in recipe.losses] == ["flip", "slow"]
    assert recipe.engine.precision == "32-true" and recipe.evaluation.protocols == ("mpjpe-root", "pa-mpjpe")
    assert recipe.settings == {"steps": 5}


def test_the_id_is_the_file_name_where_none_is_given(tmp_path: Path) -> None:
    assert load_recipe(write(tmp_path, "mine", 'method = "m"')).id == "mine"


def test_overrides_are_applied_in_order(recipe_path: Path) -> None:
    recipe = load_recipe(recipe_path, ["losses.0.temperature=0.5", "engine.device=cuda", "seed=1", "seed=7"])
    assert recipe.losses[0]["temperature"] == 0.5
    assert (recipe.engine.device, recipe.seed) == ("cuda", 7)


def test_a_correct_recipe_passes_the_check(recipe_path: Path, toy: str) -> None:
    check(load_recipe(recipe_path), Host.load(only=[toy]))


@pytest.mark.parametrize(
    ("assignment", "where", "words"),
    [
        ("losses.1.temprature=2", "losses[1].temprature", "did you mean 'temperature'"),
        ("losses.1.temperature=0", "losses[1].temperature", "must be > 0"),
        ("losses.1.temperature=true", "losses[1].temperature", "a number"),
        ("losses.1.kind=sofd", "losses[1].kind", "did you mean 'soft'"),
        ("encoder.latent=1.5", "encoder.latent", "an integer"),
        ("encoder.backbone.widths=[1, true]", "encoder.backbone.widths[1]", "an integer"),
        ("encoder.backbone.width=1", "encoder.backbone.width", "did you mean 'widths'"),
        ("encoder.backbone={}", "encoder.backbone.use", "toy-backbone"),
        ("encoder.backbone=3", "encoder.backbone", "a table"),
        ("settings.step=1", "settings.step", "did you mean 'steps'"),
        ("settings.use=toy-method", "settings.use", "name the method as `method`"),
        ("rows.0.nam=x", "rows[0].nam", "did you mean 'name'"),
    ],
)
def test_the_check_names_file_path_and_what_to_try(
    recipe_path: Path, toy: str, assignment: str, where: str, words: str
) -> None:
    recipe = load_recipe(recipe_path, [assignment])
    with pytest.raises(RecipeError, match=words) as caught:
        check(recipe, Host.load(only=[toy]))
    assert str(caught.value.where).startswith(str(recipe_path)) and str(caught.value.where).endswith(f": {where}")


@pytest.mark.parametrize(
    ("assignment", "where", "words"),
    [
        ("losses.0.use=toy-los", "losses[0].use", "did you mean 'toy-loss'"),
        ("encoder.backbone.use=toy-bakbone", "encoder.backbone.use", "did you mean 'toy-backbone'"),
        ("method=toy-methd", "method", "did you mean 'toy-method'"),
        ("data.source={use='world'}", "data.source.use", "install a plugin"),
    ],
)
def test_an_unknown_component_names_the_nearest(
    recipe_path: Path, toy: str, assignment: str, where: str, words: str
) -> None:
    recipe = load_recipe(recipe_path, [assignment])
    with pytest.raises(UnknownComponent, match=words) as caught:
        check(recipe, Host.load(only=[toy]))
    assert str(caught.value.where).endswith(f": {where}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('method = "m"\nlosss = []', "did you mean 'losses'"),
        ("seed = 1", "method: missing key"),
        ('method = "m"\nseed = -1', "seed: not allowed"),
        ('method = "m"\n[losses]\nuse = "x"', "losses: wrong type"),
        ('method = "m"\n[engine]\nprecision = "32"', "engine.precision: not one of"),
        ('method = "m"\n[engine]\ndevices = 0', "engine.devices: not allowed"),
        ('method = "m"\nsource = "x"', "source: unknown key"),
        ('method = "m"\nextends = 3', "extends: wrong type"),
        ('method = "m"\nextends = "no-such-recipe"', "no recipe 'no-such-recipe'"),
        ("method = ", "not readable as TOML"),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load_recipe(write(tmp_path, "wrong", text))


def test_a_recipe_that_is_not_there() -> None:
    with pytest.raises(RecipeError, match="no recipe 'no-such-recipe'"):
        load_recipe("no-such-recipe")
    with pytest.raises(RecipeError, match="no such recipe file"):
        load_recipe("nowhere/x.toml")


def test_extends_merges_tables_and_replaces_arrays(tmp_path: Path, recipe_path: Path) -> None:
    child = write(
        tmp_path,
        "child",
        'extends = "toy.toml"\n[encoder.backbone]\nwidths = [9]\n[[losses]]\nuse = "toy-loss"\nrelation = "x"\n',
    )
    recipe, parent = load_recipe(child), load_recipe(recipe_path)
    assert recipe.id == "child" and recipe.seed == parent.seed
    assert recipe.encoder == {"use": "toy-encoder", "backbone": {"use": "toy-backbone", "widths": [9]}}
    assert [table["relation"] for table in recipe.losses] == ["x"]


def test_recipes_that_extend_one_another_in_a_circle(tmp_path: Path) -> None:
    write(tmp_path, "a", 'extends = "b.toml"')
    write(tmp_path, "b", 'extends = "a.toml"')
    with pytest.raises(RecipeError, match="circle"):
        load_recipe(tmp_path / "a.toml")


def test_the_digest_depends_on_content_alone(tmp_path: Path, recipe_path: Path) -> None:
    recipe = load_recipe(recipe_path)
    shuffled = write(tmp_path, "other", to_toml(recipe) + "# a comment\n")
    assert load_recipe(shuffled).digest == recipe.digest
    assert load_recipe(recipe_path, ["seed=3"]).digest == recipe.digest
    assert load_recipe(recipe_path, ["seed=4"]).digest != recipe.digest
    assert load_recipe(recipe_path, ["engine.log_every=11"]).digest != recipe.digest


def test_written_and_read_again_it_is_equal(tmp_path: Path, recipe_path: Path) -> None:
    recipe = load_recipe(recipe_path, ["engine.threads=2"])
    assert load_recipe(write(tmp_path, "again", to_toml(recipe))) == recipe


scalars = st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=5)
settings_tables = st.dictionaries(
    st.text(min_size=1, max_size=4),
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(settings_tables, st.lists(settings_tables, max_size=2))
def test_any_plain_content_survives_writing(table: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    recipe = recipe_from({"id": "x", "method": "m", "settings": table, "rows": rows})
    read = recipe_from(tomllib.loads(to_toml(recipe)))
    assert to_plain(read) == to_plain(recipe)
    assert read.digest == recipe.digest


def test_plain_form_has_every_key_but_the_source() -> None:
    plain = to_plain(Recipe(id="x", method="m", source="somewhere"))
    assert "source" not in plain and plain["engine"]["checkpoint_every"] == 100
