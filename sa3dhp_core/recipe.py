"""Recipes: TOML to one frozen value, with ``extends`` and ``--set`` resolved, checked before any work is done.

Component tables (``use = "<id>"`` and the component's own keys) stay plain data here, because their config class
belongs to a plugin; `check` structures every one of them up front. Nothing here imports torch or builds a component.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import tomlkit

from sa3dhp_core.cards import card_ids, read_toml, registry_folder
from sa3dhp_core.engine_config import EngineConfig, EvaluationConfig
from sa3dhp_core.errors import RecipeError, UnknownComponent, nearest
from sa3dhp_core.overrides import merge, override
from sa3dhp_core.structuring import structure

if TYPE_CHECKING:
    from sa3dhp_core.host import Host

__all__ = ["Recipe", "check", "load_recipe", "recipe_file", "recipe_from", "structure", "to_plain", "to_toml"]

Table = Mapping[str, Any]
"""A TOML table: plain data, not to be changed."""


@attrs.frozen
class Recipe:
    """What a run does. Tables that name components are plain data, not to be changed; see `check`.

    Attributes:
        id: the recipe's name; a run directory belongs to it.
        method: id of a `method` component; ``settings`` is its table.
        summary: one sentence for `sa3dhp recipes list`.
        seed: of everything random.
        data: role (``source``, ``target``, ``poses``, ``keypoints``) to a component table.
        encoder, pose_prior, motion_prior, relation_network: component tables, where the method wants them.
        relations, losses, sinks: lists of component tables.
        rows: rows of the result table, in the method's own terms (its config class may name their class as
            ``row_config``).
        engine: how to compute.
        evaluation: what to measure.
        settings: keys of the method's config.
        source: name of the file, for messages; no part of the digest.
    """

    id: str
    method: str
    summary: str = ""
    seed: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    data: dict[str, Table] = attrs.field(factory=dict)
    encoder: Table | None = None
    pose_prior: Table | None = None
    motion_prior: Table | None = None
    relation_network: Table | None = None
    relations: tuple[Table, ...] = ()
    losses: tuple[Table, ...] = ()
    rows: tuple[Table, ...] = ()
    engine: EngineConfig = attrs.field(factory=EngineConfig)
    evaluation: EvaluationConfig = attrs.field(factory=EvaluationConfig)
    sinks: tuple[Table, ...] = ()
    settings: Table = attrs.field(factory=dict)
    source: str = attrs.field(default="recipe", eq=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the resolved recipe; the same for the same content, however it was written."""
        return hashlib.sha256(json.dumps(to_plain(self), sort_keys=True, default=str).encode()).hexdigest()


KEYS = tuple(field.name for field in attrs.fields(Recipe) if field.name != "source")
"""Top-level keys of a resolved recipe."""

COMPONENTS = {
    "encoder": "image_encoder",
    "pose_prior": "pose_prior",
    "motion_prior": "motion_prior",
    "relation_network": "relation_network",
}
"""Top-level tables that name one component, with its noun."""

COMPONENT_LISTS = {"relations": "relation", "losses": "alignment_loss", "sinks": "sink"}
"""Top-level arrays of tables that name one component each, with its noun."""


DATA_NOUNS = {"poses": "pose_data", "keypoints": "keypoint_data"}
"""How a data role that holds no images begins, with its noun."""


def data_noun(role: str) -> str:
    """Noun of ``[data.<role>]``: by the role's first word ``poses`` or ``keypoints``; all others hold images."""
    return next((noun for word, noun in DATA_NOUNS.items() if role.startswith(word)), "image_data")


def load_recipe(id_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by its id in the registry or by path, resolve ``extends`` and apply overrides.

    Args:
        id_or_path: a registry id, or a path (anything with a ``/`` or ending in ``.toml``).
        overrides: ``a.b.0.c=value`` each; the value is TOML, and a bare word is a string.

    Raises:
        RecipeError: no such recipe, not TOML, an unknown top-level key, an override of nothing, a wrong type.
    """
    path = recipe_file(id_or_path)
    data = _resolved(path, ())
    data.setdefault("id", path.stem)
    for assignment in overrides:
        data = override(data, assignment, KEYS)
    source = str(id_or_path) if Path(id_or_path).suffix == ".toml" else path.name
    return recipe_from(data, " ".join([source, *(f"--set {assignment}" for assignment in overrides)]))


def recipe_from(data: Mapping[str, Any], source: str = "recipe") -> Recipe:
    """A recipe from plain data; raises `RecipeError` as `load_recipe` does."""
    if "source" in data:
        raise RecipeError("unknown key", where=f"{source}: source", expected=f"one of {', '.join(KEYS)}")
    return attrs.evolve(structure(Recipe, data, "", source), source=source)


def recipe_file(id_or_path: str | Path) -> Path:
    """The recipe's file; raises `RecipeError` with the nearest id where there is none."""
    text = str(id_or_path)
    if text.endswith(".toml") or "/" in text:
        path = Path(text)
        if path.is_file():
            return path
        raise RecipeError("no such recipe file", where=text, hint=nearest(path.stem, card_ids("recipes")))
    path = registry_folder() / "recipes" / f"{text}.toml"
    if not path.is_file():
        raise RecipeError(f"no recipe {text!r}", hint=nearest(text, card_ids("recipes")))
    return path


def to_plain(recipe: Recipe) -> dict[str, Any]:
    """The resolved recipe as plain data (no ``source``, nothing that is None)."""
    return _without_none({key: attrs.asdict(recipe)[key] for key in KEYS})


def to_toml(recipe: Recipe) -> str:
    """The resolved recipe as TOML; reading it gives an equal recipe."""
    return tomlkit.dumps(to_plain(recipe))


def check(recipe: Recipe, host: Host) -> None:
    """Structure every component table of the recipe, so that errors come before any work.

    Raises:
        RecipeError: naming the file and the path of each wrong key or value.
        UnknownComponent: a ``use`` or ``method`` that no plugin offers.
    """
    source = recipe.source
    try:
        host.find("method", recipe.method)
    except UnknownComponent as error:
        raise UnknownComponent(error.what, where=f"{source}: method", hint=error.hint) from error
    if "use" in recipe.settings:
        raise RecipeError("unknown key", where=f"{source}: settings.use", hint="name the method as `method`")
    method = host.config("method", {"use": recipe.method, **recipe.settings}, "settings", source)
    for role, table in recipe.data.items():
        host.config(data_noun(role), table, f"data.{role}", source)
    for key, noun in COMPONENTS.items():
        if (table := getattr(recipe, key)) is not None:
            host.config(noun, table, key, source)
    for key, noun in COMPONENT_LISTS.items():
        for index, table in enumerate(getattr(recipe, key)):
            host.config(noun, table, f"{key}[{index}]", source)
    if (row_config := getattr(type(method), "row_config", None)) is not None:
        for index, table in enumerate(recipe.rows):
            structure(row_config, table, f"rows[{index}]", source)


def _resolved(path: Path, children: tuple[Path, ...]) -> dict[str, Any]:
    data = read_toml(path)
    base = data.pop("extends", None)
    if unknown := next((key for key in data if key not in KEYS), None):
        raise RecipeError(
            "unknown key",
            where=f"{path.name}: {unknown}",
            found=unknown,
            expected=f"one of {', '.join((*KEYS, 'extends'))}",
            hint=nearest(unknown, (*KEYS, "extends")),
        )
    if base is None:
        return data
    if not isinstance(base, str):
        raise RecipeError("wrong type", where=f"{path.name}: extends", found=repr(base), expected="a recipe's id")
    parent = path.parent / base if base.endswith(".toml") else recipe_file(base)
    if parent.resolve() in {child.resolve() for child in (*children, path)}:
        raise RecipeError("recipes extend one another in a circle", where=f"{path.name}: extends", found=base)
    inherited = _resolved(parent, (*children, path))
    inherited.pop("id", None)
    return merge(inherited, data)


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value]
    return value
