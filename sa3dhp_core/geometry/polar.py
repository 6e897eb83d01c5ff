"""The best rotation between point sets by polynomials only: no decomposition, any batch. Moves no points.

The best rotation of a product ``S = U diag(a, b, c) V^T`` (U, V rotations, c negative where S reflects) is ``U V^T``,
the rotation of its polar decomposition. The largest value of ``tr(R^T S)`` is ``t = a + b + c``, the largest root of
``(t^2 - |S|^2)^2 = 4 |cof S|^2 + 8 t det S`` (Theobald 2005, from Horn 1987). With ``q = (t^2 - |S|^2) / 2``, which is
``ab + bc + ca``, and ``d = (a + b)(b + c)(c + a) = t q - det S``,

    d U V^T = (t^2 - q) S + t cof S - S S^T S,

as one sees on the diagonal. Only where ``d`` is zero has S several best rotations. Laguerre's method reaches the root,
from above, since all four are real.
"""

from __future__ import annotations

import torch
from torch import Tensor

STEPS = 6
SETTLED = 1e-4
"""Change of the root, relative to the slope there, after which a further step would change it by nothing."""

OPEN = 1e-3
"""``d``, for a product of norm 1, below which rounding would show in the rotation: by some 1e-16 / d^2."""


def best_rotation(product: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rotation R with the largest ``tr(R^T product)``.

    Args:
        product: ``(..., 3, 3)`` float64, ``moving^T fixed``; quickest where the two last axes come first in memory.

    Returns:
        R ``(..., 3, 3)`` with ``moving @ R`` close to `fixed`; the trace ``(...)``; and a mask ``(...)``, False where
        the rotation is open or nearly so (straight point sets and some reflections), so that R may be any.
    """
    s = product.movedim((-2, -1), (0, 1))
    size = (s * s).sum((0, 1)).sqrt()
    s = s / size
    cofactors = _cofactors(s)
    determinant = (s[0] * cofactors[0]).sum(0)
    root, settled = _largest_root((cofactors * cofactors).sum((0, 1)), determinant)
    square = root * root
    apart = 0.5 * root * (square - 1.0) - determinant
    rotation = (0.5 * (square + 1.0) / apart) * s
    rotation.addcmul_(root / apart, cofactors).addcdiv_(_cube(s), apart, value=-1.0)
    return rotation.movedim((0, 1), (-2, -1)), root * size, settled & (apart > OPEN)


def _cofactors(s: Tensor) -> Tensor:
    """``(3, 3, ...)`` of the same."""
    wrapped = torch.cat([s, s[:2]])
    wrapped = torch.cat([wrapped, wrapped[:, :2]], dim=1)
    return wrapped[1:4, 1:4] * wrapped[2:, 2:] - wrapped[1:4, 2:] * wrapped[2:, 1:4]


def _cube(s: Tensor) -> Tensor:
    """``S S^T S`` of ``(3, 3, ...)``."""
    gram = s[0, :, None] * s[0]
    gram.addcmul_(s[1, :, None], s[1]).addcmul_(s[2, :, None], s[2])
    cube = s[:, 0, None] * gram[0]
    return cube.addcmul_(s[:, 1, None], gram[1]).addcmul_(s[:, 2, None], gram[2])


def _largest_root(minors: Tensor, determinant: Tensor) -> tuple[Tensor, Tensor]:
    """The largest t with ``(t^2 - 1)^2 = 4 minors + 8 t determinant``, and a mask, False where it was not reached.

    The first guess is no less: ``t^2 - 1`` is twice the sum of three numbers whose squares sum to `minors`.
    """
    root = (1.0 + 12.0**0.5 * minors.sqrt()).sqrt()
    once, twice, settled = -2.0 * determinant, -8.0 * determinant, torch.zeros_like(root, dtype=torch.bool)
    for _ in range(STEPS):
        inner = root * root - 1.0
        value = torch.addcmul(-4.0 * minors, inner, inner).addcmul_(twice, root)
        slope = torch.addcmul(once, inner, root)
        bend = torch.addcmul(slope * slope, value, inner + 2.0 / 3.0, value=-1.0).clamp_min_(0.0).sqrt_()
        change = value / torch.add(slope, bend, alpha=3.0)
        root, settled = root - change, change.abs() < SETTLED * slope
        if bool(settled.all()):
            break
    return root, settled
