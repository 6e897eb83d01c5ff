"""The best rotation between point sets by Horn's quaternion, with polynomials only: no decomposition, any batch.

Horn 1987: the quaternion is the eigenvector of the largest eigenvalue of a symmetric 4 x 4 matrix. Theobald 2005: that
eigenvalue is the largest root of a quartic, which Newton's method reaches from above; the eigenvector is a column of
the adjugate.
"""

from __future__ import annotations

import torch
from torch import Tensor

STEPS = 30
SETTLED = 1e-15
"""Change of the eigenvalue, relative to the largest it could be, at which Newton's method has arrived."""

FLAT = 1e-9
"""Slope of the quartic below which its largest root is a double one, and reached as nearly as it can be."""

OPEN = 1e-6
"""Size of the adjugate, relative to the largest it could be, below which two eigenvalues are too close to trust it."""


def best_rotation(product: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rotation R with the largest ``tr(R^T product)``.

    Args:
        product: ``(..., 3, 3)`` float64, ``moving^T fixed``.

    Returns:
        R ``(..., 3, 3)`` with ``moving @ R`` close to `fixed`; the trace ``(...)``; and a mask ``(...)``, False where
        the rotation is open (flat or straight point sets among others), so that R may be any.
    """
    size = product.flatten(-2).norm(dim=-1)
    unit = product / size.clamp_min(torch.finfo(product.dtype).tiny)[..., None, None]
    matrix = _horn(unit)
    largest = _largest_eigenvalue(unit, _determinant(matrix))
    shifted = [[matrix[i][j] - largest if i == j else matrix[i][j] for j in range(4)] for i in range(4)]
    adjugate = _adjugate(shifted)
    weight, column = adjugate.diagonal(dim1=0, dim2=1).movedim(-1, 0).abs().max(dim=0)
    vector = adjugate.gather(1, column.expand(4, 1, *column.shape)).squeeze(1)
    quaternion = vector / vector.norm(dim=0).clamp_min(torch.finfo(product.dtype).tiny)
    return _matrix(quaternion), largest * size, (weight > OPEN) & (size > 0)


def _horn(s: Tensor) -> list[list[Tensor]]:
    """Horn's symmetric matrix as a table of ``(...)`` entries."""
    xx, xy, xz, yx, yy, yz, zx, zy, zz = s.flatten(-2).unbind(-1)
    a, b, c = yz - zy, zx - xz, xy - yx
    d, e, f = xy + yx, zx + xz, yz + zy
    return [
        [xx + yy + zz, a, b, c],
        [a, xx - yy - zz, d, e],
        [b, d, yy - xx - zz, f],
        [c, e, f, zz - xx - yy],
    ]


def _largest_eigenvalue(s: Tensor, determinant: Tensor) -> Tensor:
    """Of Horn's matrix for products of norm 1: the largest root of ``x^4 - 2 x^2 - 8 det(s) x + det``."""
    slope = -8.0 * (torch.linalg.cross(s[..., 0, :], s[..., 1, :]) * s[..., 2, :]).sum(-1)
    root = torch.full_like(determinant, 3.0**0.5)  # the sum of singular values whose squares sum to 1
    for _ in range(STEPS):
        square = root * root
        value = (square - 2.0) * square + slope * root + determinant
        rise = (4.0 * square - 4.0) * root + slope
        change = torch.where(rise > FLAT, value / rise, 0.0)
        root = root - change
        if not bool((change.abs() > SETTLED).any()):
            break
    return root


def _minors(m: list[list[Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    """2 x 2 minors of the upper two rows and of the lower two, by pairs of columns."""
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    upper, lower = ([m[r][i] * m[r + 1][j] - m[r + 1][i] * m[r][j] for i, j in pairs] for r in (0, 2))
    return upper, lower


def _determinant(m: list[list[Tensor]]) -> Tensor:
    s, c = _minors(m)
    return s[0] * c[5] - s[1] * c[4] + s[2] * c[3] + s[3] * c[2] - s[4] * c[1] + s[5] * c[0]


def _adjugate(m: list[list[Tensor]]) -> Tensor:
    """``(4, 4, ...)`` adjugate of a symmetric matrix."""
    s, c = _minors(m)
    upper = {
        (0, 0): m[1][1] * c[5] - m[1][2] * c[4] + m[1][3] * c[3],
        (0, 1): -m[0][1] * c[5] + m[0][2] * c[4] - m[0][3] * c[3],
        (0, 2): m[3][1] * s[5] - m[3][2] * s[4] + m[3][3] * s[3],
        (0, 3): -m[2][1] * s[5] + m[2][2] * s[4] - m[2][3] * s[3],
        (1, 1): m[0][0] * c[5] - m[0][2] * c[2] + m[0][3] * c[1],
        (1, 2): -m[3][0] * s[5] + m[3][2] * s[2] - m[3][3] * s[1],
        (1, 3): m[2][0] * s[5] - m[2][2] * s[2] + m[2][3] * s[1],
        (2, 2): m[3][0] * s[4] - m[3][1] * s[2] + m[3][3] * s[0],
        (2, 3): -m[2][0] * s[4] + m[2][1] * s[2] - m[2][3] * s[0],
        (3, 3): m[2][0] * s[3] - m[2][1] * s[1] + m[2][2] * s[0],
    }
    return torch.stack([torch.stack([upper[min(i, j), max(i, j)] for j in range(4)]) for i in range(4)])


def _matrix(quaternion: Tensor) -> Tensor:
    """Rotation matrices ``(..., 3, 3)`` for rows on their left, of unit quaternions ``(4, ...)`` (w, x, y, z)."""
    w, x, y, z = quaternion.unbind(0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
        [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
        [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row) for row in rows]).movedim((0, 1), (-2, -1))
