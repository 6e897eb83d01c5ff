"""Adaptation as training: schedules, gradients, frozen blocks, teachers, re-estimated statistics."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sa3dhp_core.cards import skeleton
from sa3dhp_core.engine import Engine
from sa3dhp_core.engine.passes import peak
from sa3dhp_core.engine.views import ViewPlan
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.errors import PluginError, RecipeError
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.alignment import LossInput, LossParts
from sa3dhp_core.sinks import SinkBoard
from sa3dhp_core.store import ArrayClips, write_frames
from sa3dhp_core.types import WHOLE, ClipBatch, Shard
from sa3dhp_self_adaptation.adapting import AdaptationTask, freeze_all_but
from sa3dhp_self_adaptation.config import Adaptation
from sa3dhp_self_adaptation.photometric import Kinds
from sa3dhp_self_adaptation.supervised import cosine, restandardise

HOST = Host.load()
SIZE, LATENT, FRAMES = 16, 8, 6
TABLES = {
    "rehearsal": {"use": "rehearsal", "name": "rehearsal"},
    "frames": {"use": "info-nce", "name": "frames", "widths": [6, 4], "weight": 0.7},
    "flip": {"use": "relation", "name": "flip", "relation": "flip", "answer": "identity", "anchor": "student"},
    "guided": {"use": "relation", "name": "guided", "relation": "turn", "answer": "identity", "anchor": "teacher"},
    "motions": {"use": "info-nce", "name": "motions", "level": "motion", "widths": [4]},
    "unjittered": {"use": "info-nce", "name": "unjittered", "level": "motion", "widths": [4], "photometric": "none"},
    "plain": {"use": "relation", "name": "plain", "relation": "flip", "answer": "identity", "partner_photometric": ""},
    "reversed": {"relation": "flip-backward"},
    "slowed": {"relation": "slow-backward"},
}
for _name in ("reversed", "slowed"):
    TABLES[_name] |= {"use": "relation", "name": _name, "answer": "identity", "anchor": "student", "partner": "stopped"}
    TABLES[_name] |= {"anchor_photometric": "weak:0", "partner_photometric": "weak:1"}
MOTIONS = ("motions", "unjittered", "reversed", "slowed")
EXPRESSIONS = {
    "flip": "flip",
    "turn": "flip? @ rotate(-60..60)",
    "flip-backward": "flip @ backward",
    "slow-backward": "slow(2) @ backward",
}
RELATIONS = {
    name: HOST.build("relation", {"use": "geometric", "expression": text, "name": name}, "r", skeleton=skeleton())
    for name, text in EXPRESSIONS.items()
}


class Exact:
    """Clips in double precision."""

    def __init__(self, clips: ArrayClips) -> None:
        self._clips, self.fps, self.licence = clips, clips.fps, clips.licence

    def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> ClipBatch:
        found = self._clips.draw(count, frames, generator, shard)
        return ClipBatch(found.images.double(), found.intrinsics.double(), found.clips)


class Middle(Exact):
    """The same windows at every draw; shorter ones are the middle of longer ones."""

    def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> ClipBatch:
        longest = 2 * FRAMES
        found = super().draw(count, longest, torch.Generator().manual_seed(4), shard)
        kept = slice(longest // 2 - frames // 2, longest // 2 - frames // 2 + frames)
        return ClipBatch(found.images[:, kept], found.intrinsics[:, kept], found.clips)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ArrayClips:
    folder = tmp_path_factory.mktemp("clips")
    images = torch.randint(0, 256, (24, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    camera = torch.tensor([[20.0, 0, SIZE / 2], [0, 20.0, SIZE / 2], [0, 0, 1]]).expand(24, 3, 3)
    write_frames(
        folder, "train", images=images, starts=torch.tensor([0, 10, 24]), intrinsics=camera, fps=30, licence=""
    )
    return ArrayClips(folder, "train")


SMALL = {"use": "small-cnn", "widths": [8, 8, 16]}
OPTIONS = {"depths": [1, 2, 1, 1], "hidden_sizes": [8, 12, 16, 8], "embedding_size": 8, "layer_type": "bottleneck"}
RESIDUAL = {"use": "transformers", "name": "resnet", "stage": "stage3", "options": OPTIONS}


def encoder(seed: int = 0, layers: Mapping[str, Any] = SMALL) -> nn.Module:
    torch.manual_seed(seed)
    backbone = HOST.build("backbone", layers, "encoder.backbone")
    table = {"use": "latent-encoder", "backbone": layers, "feature": 12, "grid": 2}
    return HOST.build("image_encoder", table, "encoder", backbone=backbone, latent=LATENT, bound=torch.tanh)


@cache
def motion_prior() -> Any:
    torch.manual_seed(2)
    pose_prior = HOST.build("pose_prior", {"use": "pose-aae", "latent": LATENT}, "pose_prior", skeleton=skeleton())
    table = {"use": "motion-bilstm", "latent": 4, "units": 3}
    prior = HOST.build("motion_prior", table, "motion_prior", pose_prior=pose_prior, frames=FRAMES)
    return prior.double().eval().requires_grad_(False)


def losses(*names: str) -> list[Any]:
    parts = LossParts(
        skeleton=skeleton(),
        pose_prior=None,
        motion_prior=motion_prior() if {*names} & {*MOTIONS} else None,
        relations=RELATIONS,
        networks={},
        scale=torch.ones(LATENT, dtype=torch.float64),
        motion_scale=torch.ones(1, dtype=torch.float64),
        frames=FRAMES,
        latent=LATENT,
        motion_latent=4,
        feature=12,
    )
    made = []
    for name in names:
        torch.manual_seed(1)
        made.append(HOST.build("alignment_loss", TABLES[name], "losses", parts=parts))
    return made


class Images:
    """Labelled images out of nothing."""

    def __init__(self, name: str, asked: list[tuple[str, int]]) -> None:
        self._name, self._asked = name, asked

    def read(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        self._asked.append((self._name, count))
        return torch.rand(count, 3, SIZE, SIZE, generator=generator), torch.rand(count, 17, 3, generator=generator)

    def augment(self, images: Tensor, poses: Tensor, generator: torch.Generator, shard: Shard) -> tuple[Tensor, Tensor]:
        return images, poses


def task(clips: Any, names: Sequence[str], start: nn.Module | None = None, **keys: Any) -> AdaptationTask:
    config = Adaptation(**{"steps": 4, "clips": 2, "prior": 2, "warm_up": 0, "floor": 1.0, "ema": 0.0, **keys})
    prior = lambda count, generator, shard: torch.randn(count, 17, 3, generator=generator)  # noqa: E731
    return AdaptationTask(
        start or encoder(), losses(*names), RELATIONS, clips, prior, {}, config, lambda values: values
    )


def train(problem: AdaptationTask, folder: Path, prefetch: int = 0) -> dict[str, Tensor]:
    folder.mkdir(exist_ok=True)
    Engine(EngineConfig(device="cpu", prefetch=prefetch), 3, SinkBoard(())).train(problem, "adapt", folder)
    return {key: value.clone() for key, value in problem.modules["encoder"].state_dict().items()}


def gradients(problem: AdaptationTask, step: int = 0, scale: float = 1.0) -> dict[str, Tensor]:
    """Of the encoder and of the losses' heads; `scale` is what an engine may multiply losses by."""
    for module in problem.modules.values():
        module.double()
    parts = []
    for update in problem.updates(step, torch.Generator().manual_seed(8), WHOLE):
        (scale * update.loss).backward()
        parts.append(update.partial)
    assert parts[-1] is False and all(parts[:-1]), "the last update alone is complete"
    found = {n: p.grad / scale for n, p in problem.modules["encoder"].named_parameters() if p.grad is not None}
    for loss in problem.modules["losses"]:
        found |= {f"{loss.name}: {n}": p.grad / scale for n, p in loss.named_parameters() if p.grad is not None}
    return found


def test_the_joint_gradient_is_the_sum_of_the_losses_own(clips: ArrayClips) -> None:
    names = ("frames", "flip", "guided")
    joint = gradients(task(Exact(clips), names))
    alone = [gradients(task(Exact(clips), (name,))) for name in names]
    assert set(joint) == set().union(*alone)
    for name, gradient in joint.items():
        total = sum(one.get(name, torch.zeros_like(gradient)) for one in alone)
        assert isinstance(total, Tensor)
        torch.testing.assert_close(gradient, total, rtol=1e-9, atol=1e-11)
    assert all(any(bool(g.abs().sum() > 0) for g in one.values()) for one in alone)


@pytest.mark.parametrize("schedule", ["joint", "alternating"])
def test_batches_drawn_ahead_change_no_bit(clips: ArrayClips, tmp_path: Path, schedule: str) -> None:
    weights = [
        train(task(clips, ("flip", "frames"), encoder(), schedule=schedule), tmp_path / str(ahead), ahead)
        for ahead in (0, 3)
    ]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    images = 2 * len(ViewPlan([(loss.views, loss.window) for loss in losses("flip", "frames")], RELATIONS, Kinds()))
    alone = [2 * len(ViewPlan([(loss.views, loss.window)], RELATIONS, Kinds())) for loss in losses("flip", "frames")]
    assert task(clips, ("flip", "frames"), schedule=schedule).samples == (
        images if schedule == "joint" else sum(alone) / 2
    )


def test_what_is_encoded_is_told_and_the_keys_that_would_make_it_less(clips: ArrayClips) -> None:
    """Of a joint update all views count, of an alternating one its own; teachers and stopped sides keep nothing."""
    sizes: list[int] = []
    names = ("frames", "flip", "guided")
    for schedule in ("joint", "alternating"):
        problem = task(clips, names, schedule=schedule)
        for told, step in zip(problem.encodes, range(3), strict=False):
            sizes.clear()
            hooks = [m.register_forward_hook(lambda _, given, __: sizes.append(len(given[0]))) for m in coders(problem)]
            list(problem.updates(step, torch.Generator().manual_seed(1), WHOLE))
            assert sum(sizes) == sum(told.values()) and told["student"] > 0
            for hook in hooks:
                hook.remove()
        *planning, relief = problem.reliefs()
        assert [one.key for one in planning if one] == ["settings.adaptation.planning"] * (schedule == "joint")
        assert relief is not None
        assert (relief.key, relief.now, relief.then, relief.freed) == ("settings.adaptation.clips", 2, 1, 0.5)


def coders(problem: AdaptationTask) -> list[nn.Module]:
    """Whatever encodes images."""
    return [module for name, module in problem.modules.items() if name in ("encoder", "teacher")]


def test_labelled_images_and_crops_are_among_the_keys_by_their_share(clips: ArrayClips) -> None:
    draw = Images("source", [])
    config = Adaptation(clips=2, prior=2)
    prior = lambda count, generator, shard: torch.randn(count, 17, 3, generator=generator)  # noqa: E731
    made = losses("frames", "rehearsal")
    places = ("rows.3.adaptation", {"data.target.size": 224})
    problem = AdaptationTask(
        encoder(), made, RELATIONS, clips, prior, {"source": (draw, 30)}, config, lambda values: values, *places
    )
    kept = problem.encodes[0]["student"]
    found = {one.key: one for one in problem.reliefs() if one is not None}
    assert list(found) == ["rows.3.adaptation.clips", "settings.adaptation.source", "data.target.size"]
    assert found["settings.adaptation.source"].freed == pytest.approx(0.5 * 30 / kept)
    assert found["rows.3.adaptation.clips"].freed == pytest.approx(0.5 * (1 - 30 / kept))
    assert found["data.target.size"].then == 160
    assert found["data.target.size"].freed == pytest.approx((1 - 30 / kept) * (1 - (160 / 224) ** 2))


PAPER = ("frames", "motions", "flip", "reversed", "slowed")


def test_lean_planning_is_among_the_keys_where_it_keeps_less(clips: ArrayClips) -> None:
    whole, lean = (task(clips, PAPER, encoder(), planning=planning) for planning in ("whole", "lean"))
    found = {one.key: one for one in whole.reliefs() if one is not None}
    (_, plan), (_, less) = whole._groups[0], lean._groups[0]
    assert found["settings.adaptation.planning"].freed == pytest.approx(1 - peak(less.passes) / peak(plan.passes))
    assert "settings.adaptation.planning" not in {one.key for one in lean.reliefs() if one is not None}


@pytest.mark.parametrize(
    ("layers", "train_only", "scale"), [(SMALL, (), 1024.0), (SMALL, ("res3",), 1.0), (RESIDUAL, ("res3",), 1.0)]
)
def test_the_lean_gradient_is_the_sum_of_the_losses_own(
    clips: ArrayClips, layers: Mapping[str, Any], train_only: tuple[str, ...], scale: float
) -> None:
    """Windows of two lengths, an anchor read by all, partners that another loss learns from, a teacher."""
    names, keys = (*PAPER, "guided"), {"planning": "lean", "train_only": train_only}
    joint = gradients(task(Middle(clips), names, encoder(layers=layers), **keys), scale=scale)
    alone = [gradients(task(Middle(clips), (name,), encoder(layers=layers), **keys)) for name in names]
    assert set(joint) == set().union(*alone)
    for name, gradient in joint.items():
        total = sum(one.get(name, torch.zeros_like(gradient)) for one in alone)
        torch.testing.assert_close(gradient, total, rtol=1e-9, atol=1e-12)
    assert all(float(sum(g.abs().sum() for g in one.values())) > 0 for one in alone)


def test_lean_and_whole_learn_the_same_from_equal_windows_without_jitter(clips: ArrayClips) -> None:
    whole, lean = (gradients(task(Middle(clips), ("unjittered", "plain"), planning=p)) for p in ("whole", "lean"))
    assert whole.keys() == lean.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(lean[name], gradient, rtol=1e-9, atol=1e-12)


def test_chunks_change_the_gradient_by_rounding_alone(clips: ArrayClips) -> None:
    for planning in ("whole", "lean"):
        once = gradients(task(Middle(clips), PAPER, planning=planning))
        chunked = gradients(task(Middle(clips), PAPER, planning=planning, chunk=7))
        for name, gradient in once.items():
            torch.testing.assert_close(chunked[name], gradient, rtol=1e-9, atol=1e-12)


def test_lean_keeps_fewer_activations_at_a_time(clips: ArrayClips) -> None:
    """Counted where autograd keeps them: tensors saved for the backward pass and not yet let go."""

    def kept(planning: str) -> int:
        alive, most = 0, 0

        class Held:
            def __init__(self, value: Tensor) -> None:
                nonlocal alive, most
                self.value = value
                alive += value.numel()
                most = max(most, alive)

            def __del__(self) -> None:
                nonlocal alive
                alive -= self.value.numel()

        with torch.autograd.graph.saved_tensors_hooks(Held, lambda held: held.value):
            gradients(task(Middle(clips), PAPER, planning=planning))
        assert alive == 0
        return most

    assert kept("lean") < 0.75 * kept("whole")


def test_lean_losses_are_logged_once_and_their_total_is_the_loss(clips: ArrayClips) -> None:
    problem = task(Middle(clips), PAPER, planning="lean")
    for module in problem.modules.values():
        module.double()
    logs = []
    for update in problem.updates(0, torch.Generator().manual_seed(8), WHOLE):
        update.loss.backward()
        logs.append(update.logs)
    assert not any(logs[:-1]) and sorted(logs[-1]) == sorted((*PAPER, "loss/total"))
    weights = {loss.name: loss.weight for loss in problem.modules["losses"]}
    total = sum(weights[name] * float(logs[-1][name]) for name in PAPER)
    assert float(logs[-1]["loss/total"]) == pytest.approx(total)


def test_a_lean_run_repeats_itself_to_the_bit(clips: ArrayClips, tmp_path: Path) -> None:
    whole = train(task(clips, ("frames", "flip", "guided"), planning="lean", chunk=5), tmp_path / "a")
    again = train(task(clips, ("frames", "flip", "guided"), planning="lean", chunk=5), tmp_path / "b")
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_the_published_schedule_is_one_adam_a_loss_in_their_order(clips: ArrayClips) -> None:
    names = ("flip", "frames", "guided")
    problem = task(clips, names, schedule="alternating", learning_rate=1e-3, learning_rates={"frames": 5e-3})
    optimizers = problem.optimizers()
    assert [*optimizers] == [*names]
    assert {type(optimizer) for optimizer, _ in optimizers.values()} == {torch.optim.Adam}
    assert [optimizer.param_groups[0]["lr"] for optimizer, _ in optimizers.values()] == [1e-3, 5e-3, 1e-3]
    shared = {id(p) for p in problem.modules["encoder"].parameters()}
    for name, (optimizer, _) in optimizers.items():
        own = {id(p) for p in optimizer.param_groups[0]["params"]} - shared
        heads = next(loss for loss in problem.modules["losses"] if loss.name == name).parameters()
        assert own == {id(p) for p in heads}
    seen = []
    for step in range(5):
        for update in problem.updates(step, torch.Generator().manual_seed(step), WHOLE):
            seen.append(update.optimizer)
            assert [*update.logs] == [update.optimizer]
    assert seen == ["flip", "frames", "guided", "flip", "frames"]
    joint = task(clips, names)
    assert [*joint.optimizers()] == ["total"]
    (update,) = joint.updates(0, torch.Generator(), WHOLE)
    assert sorted(update.logs) == sorted(names)


@pytest.mark.parametrize("schedule", ["joint", "alternating"])
def test_only_the_named_blocks_learn(clips: ArrayClips, tmp_path: Path, schedule: str) -> None:
    start = encoder()
    before = {key: value.clone() for key, value in start.state_dict().items()}
    problem = task(clips, ("flip", "frames"), start, schedule=schedule, train_only=("res3",))
    heads = copy.deepcopy(problem.modules["losses"].state_dict())
    after = train(problem, tmp_path)
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved and all(key.startswith("backbone.layers.res3.") for key in moved)
    assert not any("running" in key for key in moved), "normalisation keeps its statistics"
    now = problem.modules["losses"].state_dict()
    assert any(not torch.equal(heads[key], now[key]) for key in heads), "the losses' own heads always learn"


class Near(nn.Module):
    """Wants the first coordinates of z to be those of each labelled image's first joint."""

    views, window, weight = (), 1, 1.0

    def __init__(self, name: str, *labelled: str) -> None:
        super().__init__()
        self.name, self.labelled = name, labelled

    def forward(self, given: LossInput) -> Tensor:
        assert set(given.labelled) == set(self.labelled), "a loss gets what it asked for and no more"
        return sum(
            (found.encoding.z[:, :3] - found.poses[:, 0]).square().mean() for found in given.labelled.values()
        ) + torch.zeros(())


def test_losses_get_the_labelled_images_that_they_ask_for(clips: ArrayClips) -> None:
    asked: list[tuple[str, int]] = []

    def images(name: str, count: int) -> tuple[Any, int]:
        return Images(name, asked), count

    offered = {name: images(name, count) for name, count in (("source", 5), ("tracks", 3))}
    config = Adaptation(steps=2, clips=2, prior=2)
    prior = lambda count, generator, shard: torch.randn(count, 17, 3, generator=generator)  # noqa: E731

    def problem(*made: Any) -> AdaptationTask:
        same = lambda values: values  # noqa: E731
        return AdaptationTask(encoder(), made, RELATIONS, clips, prior, offered, config, same)

    (update,) = problem(Near("both", "source", "tracks"), Near("one", "tracks")).updates(
        0, torch.Generator().manual_seed(1), WHOLE
    )
    update.loss.backward()
    assert asked == [("source", 5), ("tracks", 3)], "each set is drawn once a step"
    assert set(update.logs) == {"both", "one"}
    with pytest.raises(PluginError, match="'strange' asks for labelled images") as caught:
        problem(Near("strange", "target"))
    assert "source" in str(caught.value) and "capability" in str(caught.value)


def test_an_unknown_block_is_refused() -> None:
    with pytest.raises(RecipeError, match="did you mean 'res3'"):
        freeze_all_but(encoder(), ("rse3",))
    free = encoder()
    freeze_all_but(free, ())
    assert all(p.requires_grad for p in free.parameters())


@contextmanager
def saved_in(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, int]]:
    """How many tensors each module keeps for the backward pass, by name, whenever it is called in here."""
    found = dict.fromkeys(modules, 0)
    total = [0]

    def pack(tensor: Tensor) -> Tensor:
        total[0] += 1
        return tensor

    handles = []
    for name, module in modules.items():
        begun: list[int] = []
        handles.append(module.register_forward_pre_hook(lambda *_, begun=begun: begun.append(total[0])))

        def ended(*_: object, name: str = name, begun: list[int] = begun) -> None:
            found[name] += total[0] - begun.pop()

        handles.append(module.register_forward_hook(ended))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield found
    for handle in handles:
        handle.remove()


def test_frozen_blocks_keep_nothing_and_get_no_gradient(clips: ArrayClips) -> None:
    problem = task(clips, ("frames", "flip"), train_only=("res3", "head"))
    blocks: Any = problem.modules["encoder"].blocks
    with saved_in(blocks) as kept:
        (update,) = problem.updates(0, torch.Generator().manual_seed(8), WHOLE)
    assert kept["res1"] == kept["res2"] == 0, "what comes before the first learning block needs no backward pass"
    assert kept["res3"] > 0 and kept["head"] > 0
    update.loss.backward()
    gradients = {name: [p.grad is not None for p in block.parameters()] for name, block in blocks.items()}
    assert not any(gradients["res1"] + gradients["res2"])
    assert all(gradients["res3"]) and any(gradients["head"])


@pytest.mark.parametrize("side", ["anchor", "partner"])
def test_views_that_a_loss_detaches_and_those_of_a_teacher_keep_nothing(clips: ArrayClips, side: str) -> None:
    keys = {"use": "relation", "relation": "flip", "answer": "identity", "anchor": "student", "partner": "student"}
    TABLES["whole"], TABLES["stopped"] = {**keys, "name": "whole"}, {**keys, "name": "stopped", side: "stopped"}
    counted = {}
    for name in ("whole", "stopped", "guided"):
        problem = task(clips, (name,))
        passes: list[tuple[bool, int]] = []
        problem.modules["encoder"].register_forward_hook(
            lambda _, given, out, passes=passes: passes.append((out.z.requires_grad, len(given[0])))
        )
        with saved_in(problem.modules) as kept:
            list(problem.updates(0, torch.Generator().manual_seed(8), WHOLE))
        counted[name] = (kept, passes)
    every = sum(images for _, images in counted["whole"][1])
    assert [learns for learns, _ in counted["whole"][1]] == [True]
    assert sorted(counted["stopped"][1]) == [(False, every // 2), (True, every // 2)]
    assert counted["guided"][0]["teacher"] == 0 and counted["guided"][0]["encoder"] > 0


def test_the_teacher_is_the_students_moving_average(clips: ArrayClips, tmp_path: Path) -> None:
    assert "teacher" not in task(clips, ("flip",)).modules
    problem = task(clips, ("guided",), steps=1, teacher=0.75, learning_rate=1e-2)
    before = {key: value.clone() for key, value in problem.modules["teacher"].state_dict().items()}
    after = train(problem, tmp_path)
    expected = {key: before[key].lerp(after[key], 0.25) for key in before if before[key].is_floating_point()}
    for key, value in expected.items():
        torch.testing.assert_close(problem.modules["teacher"].state_dict()[key], value)
    assert not any(p.requires_grad for p in problem.modules["teacher"].parameters())
    assert any(not torch.equal(before[key], value) for key, value in expected.items())


def test_the_same_step_gives_the_same_loss_whatever_came_before(clips: ArrayClips) -> None:
    values = []
    for noise in (0, 1):
        problem = task(clips, ("flip", "frames", "guided"))
        torch.manual_seed(noise)
        (update,) = problem.updates(2, torch.Generator().manual_seed(5), WHOLE)
        values.append(float(update.loss.detach()))
    assert values[0] == values[1]


def test_statistics_are_re_estimated_from_the_batches_alone() -> None:
    images = [torch.rand(6, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(k)) for k in range(3)]
    norm = nn.BatchNorm2d(3)
    model = nn.Sequential(norm)
    model(100 * images[0])  # statistics of something else
    restandardise(model, iter(images), 2, torch.device("cpu"))
    used = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in images[:2]]).mean(dim=0)
    spread = torch.stack([batch.transpose(0, 1).flatten(1).var(dim=1) for batch in images[:2]]).mean(dim=0)
    torch.testing.assert_close(norm.running_mean, used)
    torch.testing.assert_close(norm.running_var, spread)
    assert not model.training and norm.momentum == 0.1
    without = nn.Sequential(nn.GroupNorm(1, 3))
    restandardise(without, iter(images), 2, torch.device("cpu"))


def test_learning_rates_rise_and_fall() -> None:
    factors = [cosine(step, 100, 10, 0.1) for step in range(101)]
    assert factors[0] == pytest.approx(1 / 11) and factors[100] == pytest.approx(0.1)
    assert all(a < b for a, b in zip(factors[:9], factors[1:10], strict=True))
    assert all(a > b for a, b in zip(factors[11:99], factors[12:100], strict=True))
    assert {cosine(step, 100, 0, 1.0) for step in range(100)} == {1.0}, "the published rate is constant"
