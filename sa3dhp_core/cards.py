"""The registry: facts as TOML cards, structured into frozen attrs values. Reads cards, never interprets them."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sa3dhp_core.errors import RecipeError, nearest

if TYPE_CHECKING:  # `types` imports torch, and most cards are read where torch has no place
    from sa3dhp_core.types import PartLabels, Skeleton


def registry_folder() -> Path:
    """The registry: beside the package in a checkout, inside it in a wheel."""
    return shipped("registry", "registry")


def shipped(inside: str, beside: str) -> Path:
    """A folder of data: `inside` the package in a wheel, `beside` the package in a checkout."""
    package = Path(__file__).resolve().parent
    folder = package / inside
    return folder if folder.is_dir() else package.parent / beside


def card_ids(kind: str) -> tuple[str, ...]:
    """Ids of all cards of a kind (a folder of the registry), sorted."""
    return tuple(sorted(path.stem for path in (registry_folder() / kind).glob("*.toml")))


def read_card(kind: str, card_id: str) -> dict[str, Any]:
    """The card's plain data; raises `RecipeError` with the nearest id if there is none."""
    path = registry_folder() / kind / f"{card_id}.toml"
    if not path.is_file():
        raise RecipeError(f"no card {card_id!r} among the {kind}", hint=nearest(card_id, card_ids(kind)))
    return read_toml(path)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; raises `RecipeError` naming the file where it is missing or damaged."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError("the file is missing", where=str(path)) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"not readable as TOML: {error}", where=str(path)) from error
    except OSError as error:
        raise RecipeError(f"not readable: {error.strerror}", where=str(path)) from error


@cache
def skeleton(card_id: str = "h36m-17") -> Skeleton:
    """A skeleton by its card's id."""
    from sa3dhp_core.types import Skeleton

    card = read_card("skeletons", card_id)
    return Skeleton(
        id=card["id"],
        joints=tuple(card["joints"]),
        parents=dict(card["parents"]),
        pairs=tuple((a, b) for a, b in card["pairs"]),
        root=card["root"],
        bone_lengths_m={k: float(v) for k, v in card["bone_lengths_m"].items()},
        parts={k: tuple(v) for k, v in card["parts"].items()},
        bend_limits_deg={k: (float(low), float(high)) for k, (low, high) in card.get("bend_limits_deg", {}).items()},
        house_names=dict(card.get("house_names", {})),
    )


@cache
def part_labels(card_id: str = "body-10") -> PartLabels:
    """What part labels mean, by their card's id."""
    from sa3dhp_core.types import PartLabels

    card = read_card("part_labels", card_id)
    return PartLabels(card["id"], tuple(card["names"]), tuple((a, b) for a, b in card["pairs"]))
