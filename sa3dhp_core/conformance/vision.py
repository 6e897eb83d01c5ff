"""Checks that backbones and image encoders share: what a module of images must keep. Registers them by noun."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.modules import (
    made,
    need_close,
    need_finite,
    need_gradients,
    need_no_draws,
    need_same,
    need_state,
    stir,
)
from sa3dhp_core.conformance.promises import BrokenPromise, check, must
from sa3dhp_core.conformance.strategies import seeds
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.conformance.tolerance import TOLERANCE

SIZE = 64
"""Pixels of the side of a crop of the bench."""

Outputs = Callable[[Any, Tensor], Mapping[str, Tensor]]
"""``outputs(module, images)``: what the module makes of ``(N, 3, H, W)`` images, by name, images first."""


def crops(bench: Bench, count: int, *words: object) -> Tensor:
    """``(count, 3, SIZE, SIZE)`` in [0, 1]: images of coarse and of fine detail."""
    generator = bench.generator("crops", *words)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    fine = torch.rand(count, 3, SIZE, SIZE, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    return 0.7 * smooth + 0.3 * fine


def seasoned(subject: Subject, bench: Bench, seed: int = 0) -> Any:
    """The module after its weights were moved and it has seen two training batches, in evaluation mode."""
    module = made(subject, bench, seed)
    stir(module, bench, subject.name, seed)
    module.train()
    with torch.no_grad():
        for batch in range(2):
            module(crops(bench, 4, "season", batch))
    return module.eval()


def image_checks(noun: str, outputs: Outputs) -> None:
    """Register the checks of a noun whose modules map images, each by itself.

    Args:
        noun: of the components.
        outputs: what a module makes of images.
    """

    @torch.no_grad()
    def seen(module: Any, images: Tensor) -> dict[str, Tensor]:
        return dict(outputs(module, images))

    @check(
        noun, "in evaluation mode looks at each image alone: its neighbours in the batch and their order do not matter"
    )
    def looks_at_each_image_alone(subject: Subject, bench: Bench) -> None:
        module = seasoned(subject, bench)

        @bench.for_all(seed=seeds, level=st.floats(0, 1))
        def holds(seed: int, level: float) -> None:
            images = crops(bench, 4, seed)
            whole = seen(module, images)
            order = torch.randperm(4, generator=bench.generator("order", seed))
            moved = seen(module, images[order])
            need_close(moved, {k: v[order] for k, v in whole.items()}, "another order of the batch changes an output")
            among = seen(module, torch.cat([torch.full_like(images[:3], level), images[:1]]))
            need_close({k: v[-1:] for k, v in among.items()}, {k: v[:1] for k, v in whole.items()}, "neighbours matter")

    @check(noun, "takes batches of any size, a single image among them")
    def takes_any_batch_size(subject: Subject, bench: Bench) -> None:
        module = seasoned(subject, bench)
        images = crops(bench, 5)
        whole = seen(module, images)
        for count in (1, 2, 5):
            part = seen(module, images[:count])
            need_close(part, {k: v[:count] for k, v in whole.items()}, f"a batch of {count} is seen differently")

    @check(noun, "computes under bfloat16 autocast on the CPU: finite, and close to full precision")
    def computes_under_autocast(subject: Subject, bench: Bench) -> None:
        module = seasoned(subject, bench)
        images = crops(bench, 4)
        exact = seen(module, images)
        with torch.autocast("cpu", torch.bfloat16):
            rough = seen(module, images)
        need_finite(rough, "under autocast")
        limit = 2 * TOLERANCE[torch.bfloat16]
        for name, value in exact.items():
            apart = float((rough[name].float() - value).norm() / value.norm().clamp_min(1e-9))
            must(
                apart <= limit, f"under autocast {name} is far from full precision", f"{apart:.3f}", f"at most {limit}"
            )

    @check(noun, "torch.export of the module in evaluation mode gives the same numbers")
    def exports(subject: Subject, bench: Bench) -> None:
        module = seasoned(subject, bench)
        images = crops(bench, 3)
        try:
            exported = torch.export.export(module, (images,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
        except Exception as error:  # its own errors are many, and most of their text is about torch
            raise BrokenPromise("torch.export refuses the module", str(error).strip().partition("\n")[0]) from error
        need_close(seen(exported.module(), images), seen(module, images), "the exported module differs")

    @check(noun, "in training, gradients reach every trainable parameter")
    def passes_gradients(subject: Subject, bench: Bench) -> None:
        module = made(subject, bench)
        stir(module, bench, subject.name)
        must(any(p.requires_grad for p in module.parameters()), "no parameter is trainable")
        need_gradients(module, outputs(module.train(), crops(bench, 4)).values(), bench)

    @check(noun, "its state travels through safetensors: a second module that loads it answers alike, bit for bit")
    def keeps_its_state(subject: Subject, bench: Bench) -> None:
        images = crops(bench, 3)
        need_state(seasoned(subject, bench), seasoned(subject, bench, 1), lambda module: seen(module, images), bench)

    @check(noun, "its blocks are submodules of its own, and together hold all its parameters")
    def names_its_blocks(subject: Subject, bench: Bench) -> None:
        module = made(subject, bench)
        own = set(map(id, module.modules()))
        for name, block in module.blocks.items():
            must(id(block) in own, "a block is no submodule of the module", name)
        held = {id(p) for block in module.blocks.values() for p in block.parameters()}
        homeless = [name for name, parameter in module.named_parameters() if id(parameter) not in held]
        must(not homeless, "parameters that no block holds", homeless[:5])

    @check(noun, "in evaluation mode draws nothing random, and answers the same question alike")
    def draws_nothing_in_evaluation(subject: Subject, bench: Bench) -> None:
        module, images = seasoned(subject, bench), crops(bench, 3)
        state = {name: value.clone() for name, value in module.state_dict().items()}
        need_no_draws(lambda: seen(module, images), "evaluation")
        need_same(module.state_dict(), state, "evaluation changes the module's state")

    @check(noun, "leaves the images that it is given as they were, in training too")
    def leaves_its_input_alone(subject: Subject, bench: Bench) -> None:
        module, images = seasoned(subject, bench), crops(bench, 3)
        kept = images.clone()
        seen(module, images)
        seen(module.train(), images)
        must(torch.equal(images, kept), "the images are changed")

    @check(noun, "images laid out channels last are seen as contiguous ones are")
    def takes_either_layout(subject: Subject, bench: Bench) -> None:
        module, images = seasoned(subject, bench), crops(bench, 3)
        other = images.contiguous(memory_format=torch.channels_last)
        need_close(seen(module, other), seen(module, images), "the layout of the images matters")
