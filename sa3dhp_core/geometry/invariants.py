"""What a set of elements of O(3) cannot pin down: poses that all of them fix, and maps that commute with all of them.

An element acts on root-relative poses as ``y_j -> M y_j``, left and right exchanged where ``det M < 0``. Everything is
linear algebra in double precision; a few generic elements of a family stand for the group that it generates. A still
motion of a fixed pose is fixed by every index map of time, so time needs no part here. Holds no relation.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from sa3dhp_core.geometry.orthogonal import act_on_poses
from sa3dhp_core.types import Skeleton

TOLERANCE = 1e-4
"""Differences up to this are rounding: elements come in single precision, and no relation turns by so few radians."""

KINDS = ("none", "needles", "flat", "any")
"""What fixed poses are like, by the rank of a generic one: the root alone, joints on a line, in a plane, in space."""

ISOLATED = {
    "identity": (1.0, 1.0, 1.0),
    "point reflection": (-1.0, -1.0, -1.0),
    "depth reversal": (1.0, 1.0, -1.0),
    "mirror": (-1.0, 1.0, 1.0),
    "upside down": (1.0, -1.0, 1.0),
    "half turn about x": (1.0, -1.0, -1.0),
    "half turn about y": (-1.0, 1.0, -1.0),
    "half turn about the optical axis": (-1.0, -1.0, 1.0),
}
"""Diagonals of maps that have a name."""

TURNS = {"every turn about x": (1, 2), "every turn about y": (2, 0), "every turn about the optical axis": (0, 1)}
"""Axes of the planes in which the named families turn."""


@attrs.frozen
class Ambiguity:
    """What consistency under a set of relations leaves open, however small its loss.

    Attributes:
        fixed_dimension: of the poses that every element fixes; an encoder that always says one of them is consistent.
        fixed_kind: what they are like, one of `KINDS`; from ``flat`` on there are fixed poses that are no needle.
        turning: dimension of the continuous family of invisible maps, 0 to 3.
        count: how many invisible maps O(3) holds, or None where there is a continuous family.
        invisible: those that have a name; the identity and the point reflection always commute.
    """

    fixed_dimension: int
    fixed_kind: str
    turning: int
    count: int | None
    invisible: tuple[str, ...]


def ambiguity(matrices: Tensor, skeleton: Skeleton) -> Ambiguity:
    """What the elements ``(N, 3, 3)`` leave open, N >= 0; adding an element never adds to it."""
    fixed, commuting = fixed_poses(matrices, skeleton), commutant(matrices)
    turning = len(_null_space((commuting + commuting.mT).flatten(1).T))
    return Ambiguity(
        fixed_dimension=len(fixed),
        fixed_kind=KINDS[_generic_rank(fixed)],
        turning=turning,
        count=None if turning else 2 ** len(commuting),
        invisible=tuple(name for name, one in named_maps().items() if commutes(one, matrices)),
    )


def fixed_poses(matrices: Tensor, skeleton: Skeleton) -> Tensor:
    """Orthonormal basis ``(K, J, 3)``, double, of the root-relative poses that every element ``(N, 3, 3)`` fixes."""
    joints, root = len(skeleton), skeleton.index(skeleton.root)
    free = torch.eye(3 * joints, dtype=torch.float64).unflatten(-1, (joints, 3))
    free = free[free[:, root].abs().sum(-1) == 0]  # the root stays at the origin
    moved = act_on_poses(matrices.double(), free.expand(len(matrices), *free.shape), skeleton) - free
    weights = _null_space(moved.flatten(2).mT.flatten(0, 1))
    return torch.einsum("kf,fji->kji", weights, free)


def commutant(matrices: Tensor) -> Tensor:
    """Orthonormal basis ``(K, 3, 3)``, double, of the matrices that commute with every element ``(N, 3, 3)``."""
    units = torch.eye(9, dtype=torch.float64).unflatten(-1, (3, 3))
    elements = matrices.double()[:, None]
    return _null_space((units @ elements - elements @ units).flatten(2).mT.flatten(0, 1)).unflatten(-1, (3, 3))


def named_maps() -> dict[str, Tensor]:
    """Maps of O(3) with a name, as ``(3, 3)`` double; of a family of turns, the generator."""
    found = {name: torch.diag(torch.tensor(signs, dtype=torch.float64)) for name, signs in ISOLATED.items()}
    for name, (first, second) in TURNS.items():
        found[name] = torch.zeros(3, 3, dtype=torch.float64)
        found[name][first, second], found[name][second, first] = -1.0, 1.0
    return found


def commutes(one: Tensor, matrices: Tensor) -> bool:
    """Whether ``(3, 3)`` commutes with every element ``(N, 3, 3)``."""
    elements = matrices.double()
    return bool(((one @ elements - elements @ one).abs() < TOLERANCE).all())


def generators(matrices: Tensor, skeleton: Skeleton) -> Tensor:
    """Some of the elements ``(N, 3, 3)``, in order, that leave as little open as all of them: ``(n, 3, 3)``."""
    kept = matrices[:1]
    for element in matrices[1:]:
        more = torch.cat((kept, element[None]))
        if _sizes(more, skeleton) != _sizes(kept, skeleton):
            kept = more
    return kept


def _sizes(matrices: Tensor, skeleton: Skeleton) -> tuple[int, int]:
    return len(fixed_poses(matrices, skeleton)), len(commutant(matrices))


def _null_space(rows: Tensor) -> Tensor:
    """Orthonormal basis ``(K, n)`` of what ``(m, n)`` sends to zero; all of it where m is 0."""
    gram = torch.linalg.eigh(rows.T @ rows)
    return gram.eigenvectors.T[gram.eigenvalues < TOLERANCE**2]


def _generic_rank(basis: Tensor) -> int:
    """Rank of a generic combination of poses ``(K, J, 3)``, 0 to 3."""
    weights = torch.randn(len(basis), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = torch.linalg.svdvals(torch.einsum("k,kji->ji", weights, basis))
    return int((values > TOLERANCE).sum())
