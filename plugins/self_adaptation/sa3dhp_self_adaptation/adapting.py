"""Adaptation to unlabelled clips: all losses of a step from one planned set of encodings, or the published schedule."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.engine.kernels import fused_offered
from sa3dhp_core.engine.passes import peak
from sa3dhp_core.engine.views import ViewPlan
from sa3dhp_core.errors import PluginError, RecipeError, nearest
from sa3dhp_core.protocols.alignment import Labelled, LossInput
from sa3dhp_core.protocols.data import Clips
from sa3dhp_core.protocols.task import Relief, Update, halved
from sa3dhp_core.types import WHOLE, ClipBatch, Shard
from sa3dhp_self_adaptation.config import Adaptation
from sa3dhp_self_adaptation.encodings import Encodings
from sa3dhp_self_adaptation.photometric import Kinds
from sa3dhp_self_adaptation.supervised import ImageDraw, cosine, smaller_crops

COUNTS = {"source": "settings.adaptation.source", "tracks": "settings.tracks.images"}
"""The key that says how many labelled images of a kind a step takes."""


@attrs.frozen
class Batch:
    """What a step draws, as it is stored.

    Attributes:
        prior: ``(N, J, 3)`` unpaired camera-frame poses.
        clips: this rank's windows, where a loss asks for any.
        labelled: by name, images ``(n, 3, H, W)`` and poses ``(n, J, 3)`` of all ranks, and the generator that goes on.
    """

    prior: Tensor
    clips: ClipBatch | None
    labelled: Mapping[str, tuple[Tensor, Tensor, torch.Generator]]


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
        keys: the recipe's table that `config` was read from.
        crops: the recipe's keys that say the side of a target crop, and what they hold.

    Raises:
        PluginError: a loss asks for labelled images that `labelled` does not offer.
        RecipeError: the encoder has no block that ``train_only`` names.
    """

    sharded: tuple[str, ...] = ("encoder",)

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
        keys: str = "settings.adaptation",
        crops: Mapping[str, int] | None = None,
    ) -> None:
        self.steps, self.clip_norm, self.ema = config.steps, config.clip_norm, config.ema or None
        self._config, self._losses, self._gather = config, tuple(losses), gather
        self._clips, self._prior_draw, self._labelled = clips, prior_draw, labelled
        self._keys, self._crops = keys, crops or {}
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
        self._relations = relations
        groups = [self._losses] if config.schedule == "joint" else [(loss,) for loss in self._losses]
        self._groups = [(group, self._plan(group, config.planning == "lean")) for group in groups]
        self.in_parts = any(len(plan.turns) > 1 for _, plan in self._groups)
        if any(orbit.by == "teacher" for _, plan in self._groups for orbit in plan.orbits):
            self.modules["teacher"] = copy.deepcopy(encoder).eval().requires_grad_(False)
            self.sharded = ("encoder", "teacher")
        freeze_all_but(encoder, config.train_only)
        encoder.eval()

    def _plan(self, group: Sequence[Any], lean: bool) -> ViewPlan:
        asked = [(loss.views, loss.window) for loss in group]
        kinds: Any = Kinds()
        return ViewPlan(asked, self._relations, kinds, [loss.labelled for loss in group], lean)

    @property
    def samples(self) -> float:
        """Images that a step encodes, on the average of the schedule."""
        return sum(sum(images.values()) for images in self.encodes) / len(self._groups)

    @property
    def windows(self) -> tuple[int, ...]:
        """For each update in turn, how many frames of a clip it draws."""
        return tuple(plan.window for _, plan in self._groups)

    @property
    def encodes(self) -> tuple[Mapping[str, int], ...]:
        """For each update in turn, how many images ``student``, ``stopped`` and ``teacher`` encode on all ranks."""
        found = []
        for group, plan in self._groups:
            images = dict.fromkeys(("student", "stopped", "teacher"), 0)
            for orbit in plan.orbits:
                images[orbit.by] += self._config.clips * len(orbit.frames)
            images["student"] += sum(self._wanted(group).values())
            found.append(images)
        return tuple(found)

    def _wanted(self, group: Sequence[Any]) -> dict[str, int]:
        """How many labelled images of each name some losses learn from."""
        return {name: self._labelled[name][1] for loss in group for name in loss.labelled}

    def reliefs(self) -> Iterator[Relief | None]:
        """Keys that would make the largest update smaller; what is encoded without gradient is not kept."""
        turn = max(range(len(self._groups)), key=lambda number: self.encodes[number]["student"])
        kept, wanted = self.encodes[turn]["student"], self._wanted(self._groups[turn][0])
        of_clips = 1 - sum(wanted.values()) / max(1, kept)
        if self._config.planning == "whole":
            group, plan = self._groups[turn]
            now, then = peak(plan.passes), peak(self._plan(group, lean=True).passes)
            if then < now:
                yield Relief(f"{self._keys}.planning", "whole", "lean", of_clips * (1 - then / now))
        yield halved(f"{self._keys}.clips", self._config.clips, of_clips)
        yield from (halved(COUNTS[name], count, count / kept) for name, count in wanted.items())
        yield from smaller_crops(self._crops, of_clips)

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        """One Adam for all losses, or one for each."""
        config = self._config

        def make(losses: Sequence[nn.Module]) -> tuple[torch.optim.Optimizer, Any]:
            trained = [p for p in self.modules["encoder"].parameters() if p.requires_grad]
            trained += [p for loss in losses for p in loss.parameters() if p.requires_grad]
            rate = config.learning_rates.get(losses[0].name, config.learning_rate)  # type: ignore[call-overload]
            optimizer = torch.optim.Adam(trained, lr=rate, fused=fused_offered(trained))
            steps = max(1, config.steps // len(self._groups))
            factor = lambda step: cosine(step, steps, config.warm_up, config.floor)  # noqa: E731
            return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

        return {self._name(group): make(group) for group, _ in self._groups}

    def _name(self, group: Sequence[Any]) -> str:
        return "total" if len(self._groups) == 1 else str(group[0].name)

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """One update a step: of all losses, or of the one whose turn it is."""
        return self.updates_from(self.draw(step, generator, shard), step, generator, shard)

    def draw(self, step: int, generator: torch.Generator, shard: Shard) -> Batch:
        """What the losses of a step need, as it is stored."""
        group, plan = self._groups[step % len(self._groups)]
        seed, count = generator.initial_seed(), self._config.clips
        prior = self._prior_draw(self._config.prior, generator_for(seed, "prior"), WHOLE)
        shard.check(count, "settings.adaptation.clips")
        clips = self._clips.draw(count, plan.window, generator_for(seed, "clips"), shard) if plan.orbits else None
        labelled = {}
        for name in _labelled_of(group):
            images, wanted = self._labelled[name]
            shard.check(wanted, COUNTS[name])
            draws = generator_for(seed, name)
            labelled[name] = (*images.read(wanted, draws), draws)
        return Batch(prior, clips, labelled)

    def updates_from(self, batch: Batch, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """The update, of what `draw` gave."""
        group, plan = self._groups[step % len(self._groups)]
        device = next(self.modules["encoder"].parameters()).device
        seed, count = generator.initial_seed(), self._config.clips
        prior, clips = batch.prior.to(device), batch.clips
        if clips is not None:
            clips = ClipBatch(clips.images.to(device), clips.intrinsics.to(device), clips.clips)
        images, poses = {}, {}
        for name, (stored, truth, draws) in batch.labelled.items():
            augment = self._labelled[name][0].augment
            images[name], found = augment(stored.to(device), truth.to(device), draws, shard)
            poses[name] = self._gather(found.to(prior))
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

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the teacher towards the student."""
        if "teacher" not in self.modules:
            return
        student = self.modules["encoder"].state_dict()
        for key, value in self.modules["teacher"].state_dict().items():
            if value.is_floating_point():
                value.lerp_(student[key].to(value.dtype), 1.0 - self._config.teacher)
            else:
                value.copy_(student[key])


def _labelled_of(losses: Sequence[Any]) -> tuple[str, ...]:
    """Names of the labelled images that any of the losses asks for, each once."""
    return tuple(dict.fromkeys(name for loss in losses for name in loss.labelled))


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
