"""``sa3dhp recipes``: list, show and copy the registry's recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sa3dhp_core.cards import card_ids
from sa3dhp_core.cli import console
from sa3dhp_core.errors import RecipeError

app = typer.Typer(no_args_is_help=True, help="List, show and copy recipes.")
Id = Annotated[str, typer.Argument(metavar="ID", help="A recipe's id or file.", show_default=False)]


@app.command("list")
def list_() -> None:
    """List the registry's recipes."""
    from sa3dhp_core.recipe import load_recipe

    rows = []
    for card_id in card_ids("recipes"):
        try:
            recipe = load_recipe(card_id)
            rows.append((card_id, recipe.method, recipe.summary))
        except RecipeError as error:
            rows.append((card_id, "", f"damaged: {error.what}"))
    console.print_table("", ("recipe", "method", "summary"), rows)


@app.command()
def show(
    recipe: Id,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value.")] = None,
) -> None:
    """Print a recipe with everything that it extends resolved."""
    from sa3dhp_core.recipe import load_recipe, to_toml

    print(to_toml(load_recipe(recipe, set_ or ())), end="")


@app.command()
def copy(
    recipe: Id,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new recipe.", show_default=False)],
) -> None:
    """Copy a recipe, comments and all, to a file of your own; its id becomes the file's name."""
    import tomlkit

    from sa3dhp_core.recipe import load_recipe, recipe_file

    if file.suffix != ".toml":
        raise RecipeError("a recipe's file ends in .toml", where=str(file), hint=str(file.with_suffix(".toml")))
    load_recipe(recipe)
    document = tomlkit.parse(recipe_file(recipe).read_text(encoding="utf-8"))
    if "id" in document:
        document["id"] = file.stem
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(tomlkit.dumps(document))
    except FileExistsError as error:
        raise RecipeError("the file exists and is left as it is", where=str(file), hint="another name") from error
    except OSError as error:
        raise RecipeError(f"cannot be written: {error.strerror}", where=str(file)) from error
    print(file)
