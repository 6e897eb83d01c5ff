"""Running statistics of batch normalisation: what enters them, and when. Trains nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sa3dhp_ites.lifter import ItesLifter


@contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """In here, batch normalisation goes by the batch, as in training, and leaves its running statistics.

    What a cycle lifts is turned anyhow; at inference nothing looks like it.
    """
    norms = _norms(module)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


@torch.no_grad()
def settle(lifter: ItesLifter, batches: Iterable[Tensor]) -> None:
    """Make running statistics those of the lifter's present weights: the mean over batches of points ``(N, J, 2)``.

    In training they trail behind: they are of the weights of the last ten steps or so, and of as few batches. A lifter
    whose weights turn quickly is another one by them than by its batches.
    """
    norms = _norms(lifter)
    momenta, training = [norm.momentum for norm in norms], lifter.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a mean over all batches
    lifter.train()
    for points in batches if norms else ():
        lifter.lift(points)
    lifter.train(training)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _norms(module: nn.Module) -> list[nn.BatchNorm1d]:
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm1d)]
