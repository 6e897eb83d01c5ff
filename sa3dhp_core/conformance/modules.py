"""What any `torch.nn.Module` of a component must keep, whatever it computes. Checks of several nouns are made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.atomic import seeded
from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.promises import must
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.conformance.tolerance import need_equal
from sa3dhp_core.engine.checkpoint import load_weights, save_weights

Answer = Callable[[Any], Mapping[str, Tensor]]
"""What a module says to fixed questions, by name; in evaluation mode a function of its state alone."""

STIR = 0.02
"""Deviation of what `stir` adds to every weight: enough that no gradient is zero because a layer starts at zero."""


def made(subject: Subject, bench: Bench, seed: int = 0, **parts: Any) -> Any:
    """The subject, built with initial weights of this seed; `parts` go in the place of the bench's own."""
    with seeded(bench.seed, "conformance", subject.name, seed):
        return subject.make(bench, **parts)


def stir(module: nn.Module, bench: Bench, *words: object) -> None:
    """Move every weight a little, so that the module is no longer as it starts."""
    generator = bench.generator("stir", *words)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.is_floating_point():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(STIR * noise.to(device=parameter.device, dtype=parameter.dtype))


def need_same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> None:
    """Raise `BrokenPromise` unless the answers are equal bit for bit."""
    for name, value in expected.items():
        must(_same(found[name], value), what, f"another {name}", "the same, bit for bit")


def _same(found: Tensor, expected: Tensor) -> bool:
    """Equal, nan to nan."""
    gaps = expected.isnan()
    return torch.equal(found.isnan(), gaps) and torch.equal(found.masked_fill(gaps, 0), expected.masked_fill(gaps, 0))


def need_close(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str, factor: float = 1.0) -> None:
    """Raise `BrokenPromise` unless the answers agree within the tolerance of their dtype."""
    for name, value in expected.items():
        need_equal(found[name], value, f"{what} ({name})", factor)


def need_finite(values: Mapping[str, Tensor], what: str) -> None:
    """Raise `BrokenPromise` unless all values are finite."""
    for name, value in values.items():
        must(value.isfinite().all(), f"{what}: {name} is not finite")


def need_gradients(module: nn.Module, values: Iterable[Tensor], bench: Bench) -> None:
    """Raise `BrokenPromise` unless a random sum of the values has a gradient in every trainable parameter."""
    generator = bench.generator("weights of a sum")
    total = sum(
        ((value * torch.randn(value.shape, generator=generator).to(value)).sum() for value in values), torch.zeros(())
    )
    module.zero_grad()
    must(total.requires_grad, "the output has no gradient")
    total.backward()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            must(parameter.grad is not None, "no gradient reaches a trainable parameter", name)
            must(parameter.grad.isfinite().all(), "a gradient is not finite", name)  # type: ignore[union-attr]
            must(parameter.grad.abs().max() > 0, "a trainable parameter's gradient is zero", name)  # type: ignore[union-attr]


def need_state(first: nn.Module, second: nn.Module, answer: Answer, bench: Bench) -> None:
    """Raise `BrokenPromise` unless `second`, with other weights, answers as `first` once it has loaded its state."""
    expected = answer(first)
    folder = bench.folder()
    save_weights(folder, {"module": first})
    stir(second, bench, "another state")
    load_weights(folder, {"module": second})
    need_same(answer(second.eval()), expected, "a module that has loaded the state answers differently")


def need_no_draws(ask: Callable[[], Mapping[str, Tensor]], what: str) -> None:
    """Raise `BrokenPromise` where a call draws from the global generator or answers differently the second time."""
    before = torch.get_rng_state()
    first = ask()
    must(torch.equal(before, torch.get_rng_state()), f"{what} draws from the global generator")
    need_same(ask(), first, f"{what} answers the same question differently")


def need_clean_map(name: str, function: Callable[[Tensor], Tensor], given: Tensor, bench: Bench) -> None:
    """Raise `BrokenPromise` unless a map has a gradient in what it is given, draws nothing, and changes nothing."""
    kept = given.detach().clone()
    result = function(given)
    weights = torch.randn(result.shape, generator=bench.generator("weights of a sum"))
    must(result.requires_grad, f"{name} has no gradient")
    (gradient,) = torch.autograd.grad((result * weights).sum(), given, allow_unused=True)
    must(gradient is not None, f"{name} passes no gradient to what it is given")
    need_finite({"the gradient": gradient}, name)
    must(gradient.abs().max() > 0, f"the gradient of {name} is zero")
    need_no_draws(lambda: {"result": function(given.detach())}, name)
    must(torch.equal(given.detach(), kept), f"{name} changes what it is given")
