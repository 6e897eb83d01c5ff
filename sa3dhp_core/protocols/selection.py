"""What is known of a run's relations, as plain numbers, and criteria that choose a set of them by it.

Component target: ``target(config) -> RelationSelection``. A criterion computes with the survey alone: it trains
nothing, draws nothing and loads no network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs
import torch

from sa3dhp_core.errors import RecipeError, nearest
from sa3dhp_core.geometry import Ambiguity, ambiguity
from sa3dhp_core.types import Skeleton

Matrix = tuple[tuple[float, ...], ...]
"""Three rows of three."""


@attrs.frozen
class ErrorsMm:
    """Mean joint distances to the poses of partners, millimetres, of three answers decoded.

    Attributes:
        network: of the relation network's answer.
        identity: of the anchor in its place.
        floor: of the partner's own embedding: what the priors lose.
    """

    network: float
    identity: float
    floor: float


@attrs.frozen
class Residuals:
    """How little relation networks T move an embedding: mean ``|T z - z|`` over relations and their elements.

    In units of the distance of random pairs. Near 0 there is a fixed point, and an encoder that always says it is
    consistent. Relations of motions see a still motion.

    Attributes:
        pose: the least that the embedding of a pose reaches.
        latent: the least anywhere in the range of the prior, where much is no pose's embedding.
        mean: of held-out poses.
    """

    pose: float
    latent: float
    mean: float


@attrs.frozen
class RelationFigures:
    """One relation on held-out motion. What could not be measured is None.

    Attributes:
        name: the recipe's name for it.
        space: ``z`` where it relates poses, ``v`` where it acts on time and relates motions.
        elements: generators of its spatial part, or None where it is not geometric (no matrix does what it does).
        alone: what it leaves open by itself; None where it is not geometric.
        distance: latent distance of anchor and partner.
        relative: the same in units of the distance of random pairs.
        errors_mm: of its network.
        residuals: of its network.
    """

    name: str
    space: str
    elements: tuple[Matrix, ...] | None
    alone: Ambiguity | None
    distance: float | None
    relative: float | None
    errors_mm: ErrorsMm | None = None
    residuals: Residuals | None = None


@attrs.frozen
class Survey:
    """All relations of a run.

    Attributes:
        split: of the held-out motion.
        skeleton: of the poses.
        relations: in the recipe's order.
        together: residuals of all networks at once.
        redundancy: ``redundancy[a][b]``, the share of the variance of what b's network changes that ridge regression
            predicts from what a's changes, on embeddings that it was not fitted to. Relations without a network are
            left out.
    """

    split: str
    skeleton: Skeleton
    relations: tuple[RelationFigures, ...]
    together: Residuals
    redundancy: Mapping[str, Mapping[str, float]]

    def of(self, name: str) -> RelationFigures:
        """One relation's figures; raises `RecipeError` with the nearest name."""
        found = next((figures for figures in self.relations if figures.name == name), None)
        if found is None:
            names = [figures.name for figures in self.relations]
            raise RecipeError("the run has no such relation", found=name, hint=nearest(name, names))
        return found

    def left_open(self, names: Sequence[str]) -> Ambiguity:
        """What these relations leave open together; those that are not geometric may close more than this says."""
        matrices = [matrix for name in names for matrix in self.of(name).elements or ()]
        return ambiguity(torch.tensor(matrices, dtype=torch.float64).reshape(-1, 3, 3), self.skeleton)


@attrs.frozen
class Choice:
    """A relation by `name`, and the `reason` why it was chosen, in words without a full stop."""

    name: str
    reason: str


class RelationSelection(Protocol):
    """A criterion; the same survey gives the same choice."""

    def __call__(self, survey: Survey, size: int) -> tuple[Choice, ...]:
        """`size` different relations, the most wanted first; 1 <= size <= the number of relations.

        Raises:
            RunError: the survey lacks figures that the criterion needs, and what to do.
        """
        ...
