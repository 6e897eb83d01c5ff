"""Adaptation to unlabelled clips: all losses of a step from one planned set of encodings, or the published schedule."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.engine.views import ViewPlan
from sa3dhp_core.errors import PluginError, RecipeError, nearest
from sa3dhp_core.protocols.alignment import Labelled, LossInput
from sa3dhp_core.protocols.data import Clips
from sa3dhp_core.protocols.task import Update
from sa3dhp_core.types import WHOLE, ClipBatch, Shard
from sa3dhp_self_adaptation.config import Adaptation
from sa3dhp_self_adaptation.encodings import Encodings
from sa3dhp_self_adaptation.photometric import Kinds
from sa3dhp_self_adaptation.supervised import ImageDraw, cosine

COUNTS = {"source": "settings.adaptation.source", "tracks": "settings.tracks.images"}
"""The key that says how many labelled images of a kind a step takes."""


class AdaptationTask:
    """`Task`: adapt an encoder with alignment losses.

    Args:
        encoder: starts from source training.
        losses: `AlignmentLoss` modules.
        relations: by name, for spatial draws.
        clips: unlabelled target clips.
        prior_draw: ``(count, generator, shard) -> (N, J, 3)`` unpaired camera-frame poses.
        labelled: draws of labelled images by name, with how many a step takes: what the losses' `labelled` ask for.
        config: schedule and sizes.
        gather: concatenates a rank's ``(b, ...)`` to the global batch, with gradient.

    Raises:
        PluginError: a loss asks for labelled images that `labelled` does not offer.
        RecipeError: the encoder has no block that ``train_only`` names.
    """

    sharded = ("encoder",)

    def __init__(
        self,
        encoder: nn.Module,
        losses: Sequence[Any],
        relations: Mapping[str, Any],
        clips: Clips,
        prior_draw: Callable[[int, torch.Generator, Shard], Tensor],
        labelled: Mapping[str, tuple[ImageDraw, int]],
        config: Adaptation,
        gather: Callable[[Tensor], Tensor],
    ) -> None:
        self.steps, self.clip_norm, self.ema = config.steps, config.clip_norm, config.ema
        self._config, self._losses, self._gather = config, tuple(losses), gather
        self._clips, self._prior_draw, self._labelled = clips, prior_draw, labelled
        self.modules: dict[str, nn.Module] = {"encoder": encoder, "losses": nn.ModuleList(losses)}
        for loss in self._losses:
            for name in loss.labelled:
                if name not in labelled:
                    raise PluginError(
                        f"loss {loss.name!r} asks for labelled images that this row does not have",
                        where="labelled",
                        found=name,
                        expected=f"one of {sorted(labelled)}",
                        hint="a loss that asks for tracks declares the capability 'tracks'",
                    )
        kinds: Any = Kinds()
        groups = [self._losses] if config.schedule == "joint" else [(loss,) for loss in self._losses]
        self._groups = [(group, self._plan(group, relations, kinds)) for group in groups]
        if any(orbit.by == "teacher" for _, plan in self._groups for orbit in plan.orbits):
            self.modules["teacher"] = copy.deepcopy(encoder).eval().requires_grad_(False)
        freeze_all_but(encoder, config.train_only)
        encoder.eval()

    def _plan(self, group: Sequence[Any], relations: Mapping[str, Any], kinds: Any) -> ViewPlan:
        asked = [(loss.views, loss.window) for loss in group]
        lean = self._config.planning == "lean"
        return ViewPlan(asked, relations, kinds, [loss.labelled for loss in group], lean)

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        """One Adam for all losses, or one for each."""
        config = self._config

        def make(losses: Sequence[nn.Module]) -> tuple[torch.optim.Optimizer, Any]:
            trained = [p for p in self.modules["encoder"].parameters() if p.requires_grad]
            trained += [p for loss in losses for p in loss.parameters() if p.requires_grad]
            rate = config.learning_rates.get(losses[0].name, config.learning_rate)  # type: ignore[call-overload]
            optimizer = torch.optim.Adam(trained, lr=rate, fused=True)
            steps = max(1, config.steps // len(self._groups))
            factor = lambda step: cosine(step, steps, config.warm_up, config.floor)  # noqa: E731
            return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

        return {self._name(group): make(group) for group, _ in self._groups}

    def _name(self, group: Sequence[Any]) -> str:
        return "total" if len(self._groups) == 1 else str(group[0].name)

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """One update a step: of all losses, or of the one whose turn it is."""
        group, plan = self._groups[step % len(self._groups)]
        device = next(self.modules["encoder"].parameters()).device
        seed = generator.initial_seed()
        prior = self._prior_draw(self._config.prior, generator_for(seed, "prior"), WHOLE).to(device)
        count = self._config.clips
        shard.check(count, "settings.adaptation.clips")
        clips = self._clips_of(plan, count, seed, shard, device)
        images, poses = {}, {}
        for name in dict.fromkeys(name for loss in group for name in loss.labelled):
            draw, wanted = self._labelled[name]
            shard.check(wanted, COUNTS[name])
            found = draw(wanted, generator_for(seed, name), shard)
            images[name], poses[name] = found[0].to(device), self._gather(found[1].to(device))
        drawn = lambda orbits: () if clips is None else plan.draw(orbits, clips, count, seed, shard)  # noqa: E731
        encodings = Encodings(plan, self.modules, drawn, images, self._gather, self._config.chunk)
        logs: dict[str, Tensor | float] = {}
        whole = prior.new_zeros(())
        for turn, numbers in enumerate(plan.turns):
            encodings.begin(turn)
            total = prior.new_zeros(())
            for number in numbers:
                loss = group[number]
                given = LossInput(
                    plan.hand_out(number, encodings.orbits),
                    prior,
                    {name: Labelled(encodings.labelled[name], poses[name]) for name in loss.labelled},
                    generator_for(seed, "loss", loss.name),
                    step,
                    self.steps,
                )
                value = loss(given)
                logs[loss.name] = value.detach()
                total = total + loss.weight * value
            whole = whole + total.detach()
            if shard.world > 1:
                total = total + 0.0 * encodings.outputs()
            if turn > 0:
                logs[f"loss/{self._name(group)}"] = whole
            for part, more in encodings.back(turn, total):
                yield Update(self._name(group), part, {} if more else logs, partial=more)
        self._follow()

    def _clips_of(self, plan: ViewPlan, count: int, seed: int, shard: Shard, device: torch.device) -> ClipBatch | None:
        """This rank's windows, where the plan asks for any."""
        if not plan.orbits:
            return None
        clips = self._clips.draw(count, plan.window, generator_for(seed, "clips"), shard)
        return ClipBatch(clips.images.to(device), clips.intrinsics.to(device), clips.clips)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the teacher towards the student."""
        if "teacher" not in self.modules:
            return
        student = self.modules["encoder"].state_dict()
        for key, value in self.modules["teacher"].state_dict().items():
            if value.is_floating_point():
                value.lerp_(student[key].to(value), 1.0 - self._config.teacher)
            else:
                value.copy_(student[key])


def freeze_all_but(encoder: nn.Module, names: Sequence[str]) -> None:
    """Let only the named blocks learn; all if `names` is empty.

    Raises:
        RecipeError: the encoder has no block of that name.
    """
    if not names:
        return
    blocks: Mapping[str, nn.Module] = encoder.blocks  # type: ignore[assignment]
    encoder.requires_grad_(False)
    for name in names:
        if name not in blocks:
            raise RecipeError(
                "the encoder has no such block",
                where="adaptation.train_only",
                found=name,
                expected=f"one of {sorted(blocks)}",
                hint=nearest(name, blocks),
            )
        blocks[name].requires_grad_(True)
