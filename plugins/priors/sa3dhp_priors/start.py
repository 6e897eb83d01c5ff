"""Principal components to start a latent space from. Fitted once, on the first batch, to plain matrices."""

from __future__ import annotations

import torch
from torch import Tensor

SPREAD = 0.5
"""Standard deviation of the widest latent dimension before its bound; a uniform one on [-1, 1] has 0.58."""


def principal_map(values: Tensor, latent: int, whitening: float) -> Tensor:
    """Linear map of centred values to latent dimensions, by falling variance.

    Args:
        values: ``(N, F)``.
        latent: number of dimensions; those beyond the values' rank get nothing.
        whitening: 1 gives all dimensions the same spread, 0 keeps the proportions.

    Returns:
        ``(F, latent)``; the widest dimension has standard deviation `SPREAD`.
    """
    centred = (values - values.mean(dim=0)).double()
    variances, vectors = torch.linalg.eigh(centred.T @ centred / values.shape[0])
    spreads = variances.clamp_min(0).sqrt().flip(0)[:latent]
    vectors = vectors.flip(1)[:, :latent]
    vectors = _signed(vectors)
    usable = spreads > 1e-3 * spreads[0].clamp_min(1e-12)
    wanted = SPREAD * (spreads / spreads[0].clamp_min(1e-12)) ** (1.0 - whitening)
    gains = torch.where(usable, wanted / spreads.clamp_min(1e-12), torch.zeros_like(spreads))
    result = torch.zeros(values.shape[1], latent, dtype=values.dtype, device=values.device)
    result[:, : len(gains)] = (vectors * gains).to(values.dtype)
    return result


def regression(inputs: Tensor, outputs: Tensor, ridge: float = 1e-4) -> tuple[Tensor, Tensor]:
    """Least squares of ``(N, O)`` outputs on centred ``(N, I)`` inputs: weight ``(I, O)`` and offset ``(O,)``."""
    x = (inputs - inputs.mean(dim=0)).double()
    y = outputs.double()
    gram = x.T @ x / len(x)
    eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    weight = torch.linalg.solve(
        gram + ridge * (gram.diagonal().mean() + 1e-9) * eye, x.T @ (y - y.mean(dim=0)) / len(x)
    )
    return weight.to(outputs.dtype), outputs.mean(dim=0)


def _signed(vectors: Tensor) -> Tensor:
    """Columns whose largest entry is positive, so that a start is the same on every machine."""
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    return vectors * torch.where(largest < 0, -1.0, 1.0)
