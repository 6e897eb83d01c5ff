"""What does view planning gain? One adaptation step with the paper's five losses, as published and jointly planned.

    python benchmarks/adaptation_step.py [--encoder small --encoder resnet] [--clips N] [--rounds 3] [--threads 2]
        [--chunk N] [--device auto] [--train res3] [--ends] [--no-record]

(a) `_published_step.py`: five iterations, one a loss, each with views and an Adam of its own. (b) the platform's
`schedule = "joint"`: one update of all five, with `planning = "whole"`, with `"lean"` in chunks, and, as the recipe
`sa3dhp-paper` computes, lean with `engine.fold_norms` (called "folded"). All train one block of the encoder (`res3`)
and the losses' heads, on windows of 30 frames (60 where the slow relation asks for them) of the same clips, with the
same jitter and elements, drawing included. Encoders: `small`, the house CNN at 64 pixels with 8 clips and chunks of 120
images; `resnet`, ResNet-50 to res4 with the published head at 224 pixels and chunks of 30, on a CPU with 1 clip (a step
of 8 takes minutes and 22 GiB, and `whole` 38). Equal loss terms: five a step of either. Weights are random: they cost
what trained ones cost.

Each variant is measured in processes of its own, as a run would be, which take turns: what one leaves in the allocator
changes the others' times. The rates are medians. Peak memory is how far two steps' resident memory (on a GPU: the
allocator's) rises above what was there before; for that glibc gives every large block back when it is freed, so that
what counts is what a step holds, not what is kept for the next block (by that one step differs by hundreds of MiB). At
last, in double precision, at a small size, the gradient of the folded joint step is compared with the sum of those of
the five separately computed published losses of the same images. Asked: (b) 2.5 times (a), no more memory, 1e-5.
Appends the records to results/adaptation_step.jsonl.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal

import attrs
import torch
import typer
from _machine import command, loaded_machine, own_mib
from _published_step import LOSSES, Model, loss_of, views, window
from lightning_fabric import Fabric
from torch import Tensor, nn

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.cards import skeleton
from sa3dhp_core.engine import kernels
from sa3dhp_core.engine.passes import peak
from sa3dhp_core.engine.views import ViewPlan
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import Recipe, load_recipe
from sa3dhp_core.store import ArrayClips, write_frames
from sa3dhp_core.types import WHOLE, ClipBatch, Encoding, Shard
from sa3dhp_self_adaptation.adapting import AdaptationTask
from sa3dhp_self_adaptation.config import Adaptation
from sa3dhp_self_adaptation.photometric import Kinds, weak
from sa3dhp_self_adaptation.space import LatentSpace

RESULTS = Path(__file__).parent / "results" / "adaptation_step.jsonl"
PUBLISHED, FOLDED = "published", "folded"
VARIANTS = (PUBLISHED, "whole", "lean", FOLDED)
SMALL = {"use": "latent-encoder", "backbone": {"use": "small-cnn"}}
SIZES = {"small": 64, "resnet": 224}
CLIPS = {"small": 8, "resnet": 1}
"""Of a step on a CPU; on a GPU both take 8, as published."""

TURNS = 2

CHUNKS = {"small": 120, "resnet": 30}
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "262144"}


@attrs.frozen
class Bench:
    """One encoder with all that adapts it.

    Attributes:
        space: priors, relations and the encoder's builder.
        model: the same modules, for the published step.
        losses: the platform's five, whose heads the published step shares.
        clips: unlabelled target clips.
        frames: T.
        device: where it computes.
    """

    space: LatentSpace
    model: Model
    losses: list[Any]
    clips: Any
    frames: int
    device: torch.device

    def task(
        self, count: int, train: Sequence[str], planning: Literal["whole", "lean"], chunk: int = 0
    ) -> AdaptationTask:
        """The platform's step."""
        config = Adaptation(
            steps=1000, clips=count, prior=1, learning_rate=1e-5, warm_up=0, floor=1.0, clip_norm=1e6,
            train_only=tuple(train), planning=planning, chunk=chunk,
        )  # fmt: skip
        prior = lambda number, generator, shard: torch.zeros(number, 17, 3)  # noqa: E731
        relations, gather = self.space.relations, lambda values: values
        return AdaptationTask(self.model.encoder, self.losses, relations, self.clips, prior, {}, config, gather)


def bench(encoder: str, frames: int, clips: Any, device: torch.device, dtype: torch.dtype = torch.float32) -> Bench:
    """Build all parts with random weights."""
    recipe: Recipe = load_recipe("sa3dhp-paper", [f"settings.frames={frames}"])
    recipe = recipe if encoder == "resnet" else attrs.evolve(recipe, encoder=SMALL)
    host = Host.load()
    space = LatentSpace(recipe, host, skeleton(), frames)
    fixed = lambda module: module.to(device, dtype).eval().requires_grad_(False)  # noqa: E731
    fixed(space.pose_prior)
    fixed(space.motion_prior)
    networks = {name: fixed(space.network(relation)) for name, relation in space.relations.items()}
    made = space.encoder().to(device, dtype)
    ones = torch.ones(space.pose_prior.latent, device=device, dtype=dtype)
    parts = space.parts(networks, ones, torch.ones(space.motion_prior.latent, device=device, dtype=dtype), made.feature)  # type: ignore[arg-type]
    torch.manual_seed(0)
    losses = [
        host.build("alignment_loss", table, f"losses[{n}]", parts=parts).to(device, dtype)
        for n, table in enumerate(recipe.losses)
    ]
    assert tuple(loss.name for loss in losses) == LOSSES
    heads = {loss.name: loss.head for loss in losses[:2]}
    return Bench(space, Model(made, space.motion_prior.encode, networks, heads), losses, clips, frames, device)


def noise_clips(folder: Path, size: int, frames: int) -> ArrayClips:
    """Clips of noise: what they show costs nothing."""
    count = 4 * frames
    images = torch.randint(0, 256, (count, 3, size, size), generator=generator_for("images"), dtype=torch.uint8)
    camera = torch.tensor([[2.0 * size, 0, size / 2], [0, 2.0 * size, size / 2], [0, 0, 1]]).expand(count, 3, 3)
    starts = torch.tensor([0, count // 2, count])
    write_frames(folder, "train", images=images, starts=starts, intrinsics=camera, fps=30, licence="")
    return ArrayClips(folder, "train")


Step = Callable[[int], None]


def joint_step(found: Bench, count: int, train: Sequence[str], planning: Literal["whole", "lean"], chunk: int) -> Step:
    """(b): one update of all losses, applied as the engine does."""
    task = found.task(count, train, planning, chunk)
    optimizers = task.optimizers()

    def step(number: int) -> None:
        fresh = True
        for update in task.updates(number, generator_for("step", number), WHOLE):
            optimizer, _ = optimizers[update.optimizer]
            if fresh:
                optimizer.zero_grad()
            update.loss.backward()
            fresh = not update.partial
            if fresh:
                optimizer.step()

    return step


def published_step(found: Bench, count: int, train: Sequence[str]) -> Step:
    """(a): five iterations, one a loss."""
    found.task(count, train, "whole")  # freezes all but the trained block
    shared = [p for p in found.model.encoder.parameters() if p.requires_grad]
    own = {loss.name: [*loss.parameters()] for loss in found.losses}
    optimizers = {name: torch.optim.Adam([*shared, *own[name]], lr=1e-5, fused=True) for name in LOSSES}

    def jitter(generator: torch.Generator, images: Tensor) -> Tensor:
        return weak(images.flatten(0, 1), generator).unflatten(0, images.shape[:2])

    def step(number: int) -> None:
        for name in LOSSES:
            generator = generator_for("published", number, name)
            clips = found.clips.draw(count, window(name, found.frames), generator, WHOLE)
            clips = ClipBatch(clips.images.to(found.device), clips.intrinsics.to(found.device), clips.clips)
            optimizers[name].zero_grad()
            loss_of(name, found.model, *views(name, clips, partial(jitter, generator))).backward()
            optimizers[name].step()

    return step


def step_of(variant: str, found: Bench, count: int, train: Sequence[str], chunk: int) -> Step:
    """The step of a variant."""
    if variant == PUBLISHED:
        return published_step(found, count, train)
    if variant == "whole":
        return joint_step(found, count, train, "whole", 0)
    if variant == FOLDED:
        kernels.prepare(found.model.encoder, EngineConfig(fold_norms=True))
    return joint_step(found, count, train, "lean", chunk)


def seconds(step: Step, rounds: int, device: torch.device) -> list[tuple[float, float]]:
    """Of each step but a first one, by the clock and of the cores' computing."""
    taken = []
    for number in range(rounds + 1):
        began, computed = time.perf_counter(), time.process_time()
        step(number)
        _finish(device)
        taken.append((time.perf_counter() - began, time.process_time() - computed))
    return taken[1:]


def rates(apart: Callable[..., str], variants: Sequence[str], count: int, rounds: int) -> dict[str, dict[str, float]]:
    """Clips a second by the clock and by the seconds that cores computed; the variants' processes take turns."""
    taken: dict[str, list[tuple[float, float]]] = {variant: [] for variant in variants}
    for _ in range(TURNS):
        for variant, times in taken.items():
            times += json.loads(apart(variant, "--rounds", str(rounds)))
    return {
        variant: {
            "clips_per_s": count / median(wall for wall, _ in times),
            "clips_per_core_s": count / median(computed for _, computed in times),
        }
        for variant, times in taken.items()
    }


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def rise_mib(step: Step, device: torch.device) -> float:
    """How far memory rises in the first two steps above what was there before them, MiB."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        allocated = torch.cuda.memory_allocated(device)
        step(0)
        step(1)
        return (torch.cuda.max_memory_allocated(device) - allocated) / 2**20
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the highest resident size so far
    before = own_mib("VmRSS")
    step(0)
    step(1)
    return own_mib("VmHWM") - before


class Middle:
    """Clips in double precision, always the same: shorter windows are the middle of longer ones."""

    def __init__(self, clips: ArrayClips, longest: int) -> None:
        self._clips, self._longest = clips, longest

    def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> ClipBatch:
        """As `Clips.draw`."""
        found = self._clips.draw(count, self._longest, generator_for("middle"), shard)
        start = self._longest // 2 - frames // 2
        kept = slice(start, start + frames)
        return ClipBatch(found.images[:, kept].double(), found.intrinsics[:, kept].double(), found.clips)


def told_apart(found: Bench) -> Bench:
    """The same with weights drawn for ReLUs (He et al., 2015), so that embeddings of different images differ.

    PyTorch's own draw lets a deep network's be equal but for a thousandth, and contrasts of such lose ten digits.
    """
    torch.manual_seed(1)
    for layer in found.model.encoder.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return found


def disagreement(found: Bench, count: int, train: Sequence[str]) -> float:
    """Largest relative distance, over all parameters, of the folded joint gradient and the published losses' sum."""
    task, seed = found.task(count, train, "lean"), 5
    kernels.prepare(found.model.encoder, EngineConfig(fold_norms=True))
    for update in task.updates(0, torch.Generator().manual_seed(seed), WHOLE):
        update.loss.backward()
    trained = [p for module in task.modules.values() for p in module.parameters() if p.requires_grad]
    joint = [p.grad.clone() for p in trained if p.grad is not None]
    assert len(joint) == len(trained)
    kernels.release(found.model.encoder)
    for parameter in trained:
        parameter.grad = None
    for loss in found.losses:
        loss_of(loss.name, found.model, *own_views(found, loss, count, seed)).backward()
    apart = [float((one - p.grad).norm() / p.grad.norm()) for one, p in zip(joint, trained, strict=True)]  # type: ignore[operator,union-attr]
    return max(apart)


def own_views(found: Bench, loss: Any, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """The images of a loss's two views, drawn for it alone by the names of the joint step's draws."""
    kinds: Any = Kinds()
    plan = ViewPlan([(loss.views, loss.window)], found.space.relations, kinds, lean=True)
    clips = found.clips.draw(count, plan.window, generator_for(seed, "clips"), WHOLE)
    drawn = plan.draw(plan.orbits, clips, count, seed, WHOLE)
    handed = plan.hand_out(0, {one.orbit: (Encoding(one.images, one.images), one.spatial) for one in drawn})
    anchor, partner = (handed[view].z for view in loss.views)
    return anchor, partner


def counted(found: Bench, planning: str) -> dict[str, int]:
    """Frames of a clip that a step encodes with gradient, without, and whose activations it keeps at a time."""
    if planning == PUBLISHED:
        return {"with_gradient": 8 * found.frames, "without": 2 * found.frames, "kept": 2 * found.frames}
    asked, kinds = [(loss.views, loss.window) for loss in found.losses], dict.fromkeys(("weak:0", "weak:1"), weak)
    plan = ViewPlan(asked, found.space.relations, kinds, lean=planning != "whole")
    learning = sum(one.frames for one in plan.passes if one.by == "student")
    return {"with_gradient": learning, "without": len(plan) - learning, "kept": peak(plan.passes)}


def measured(
    name: str,
    variants: Sequence[str],
    count: int,
    rounds: int,
    train: list[str],
    chunk: int,
    threads: int,
    fabric: Fabric,
) -> list[dict[str, Any]]:
    """Records of one encoder."""
    words = ["--encoder", name, "--clips", str(count), "--threads", str(threads), "--device", fabric.device.type]
    words += [f"--train={block}" for block in train or [""]] + ["--chunk", str(chunk)]

    def apart(variant: str, *more: str, **environment: str) -> str:
        call = [sys.executable, __file__, *words, "--apart", variant, *more]
        environment = {**os.environ, **environment}
        found = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
        print(f"{name} {variant} {' '.join(more)}: {found.strip()}", file=sys.stderr, flush=True)
        return found

    rate = rates(apart, variants, count, rounds)
    found = bench(name, 30, None, fabric.device)  # counting frames looks at no clip
    frames = {variant: counted(found, variant) for variant in variants}
    rows: list[dict[str, Any]] = [{"variant": variant, **frames[variant], **rate[variant]} for variant in variants]
    for row in rows:
        row["peak_mib"] = float(apart(row["variant"], "--rounds", "0", **GIVEN_BACK))
    with tempfile.TemporaryDirectory(prefix="sa3dhp-bench-") as folder:
        clips = Middle(noise_clips(Path(folder), 32, 6), 12)
        found = told_apart(bench(name, 6, clips, fabric.device, torch.float64))
        distance = disagreement(found, 2, train)
    return [{"encoder": name, "clips": count, "chunk": chunk, **row, "gradient_apart": distance} for row in rows]


def main(
    encoders: Annotated[list[str], typer.Option("--encoder", help="small, resnet")] = ["small", "resnet"],  # noqa: B006
    clips: Annotated[int, typer.Option(min=0, help="clips of 30 frames a step; 0: as above")] = 0,
    rounds: Annotated[int, typer.Option(min=0, help="steps of each variant, in each of two turns")] = 3,
    threads: Annotated[int, typer.Option(min=1, help="threads of torch")] = 2,
    device: Annotated[str, typer.Option(help="an accelerator of Lightning Fabric")] = "auto",
    train: Annotated[list[str], typer.Option(help="blocks of the encoder that learn; '' for all")] = ["res3"],  # noqa: B006
    chunk: Annotated[int | None, typer.Option(help="images that the lean step encodes at a time; 0: all")] = None,
    ends: Annotated[bool, typer.Option("--ends", help="only the published step and the folded")] = False,
    record: Annotated[bool, typer.Option(help="append to results/adaptation_step.jsonl")] = True,
    apart: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Print the table and append its records."""
    torch.set_num_threads(threads)
    fabric = Fabric(accelerator=device, devices=1)
    blocks = [block for block in train if block]
    if apart:
        (name,) = encoders
        with tempfile.TemporaryDirectory(prefix="sa3dhp-bench-") as folder:
            found = bench(name, 30, noise_clips(Path(folder), SIZES[name], 30), fabric.device)
            step = step_of(apart, found, clips, blocks, chunk or 0)
            print(json.dumps(seconds(step, rounds, fabric.device)) if rounds else rise_mib(step, fabric.device))
        return
    facts = {
        "command": command(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "threads": threads,
        "train": blocks,
        **loaded_machine(),
    }
    print(f"{facts['cpu']}, {threads} threads, load {facts['load_before']}; frames are those of one clip")
    columns = ("clips", "with gradient", "without", "kept", "clips/s", "times (a)", "by cores", "peak MiB", "gradient")
    print("| encoder | step | " + " | ".join(columns) + " |\n| --- | --- |" + " ---: |" * len(columns))
    for name in encoders:
        count = clips or (CLIPS[name] if fabric.device.type == "cpu" else 8)
        some = CHUNKS[name] if chunk is None else chunk
        rows = measured(name, (PUBLISHED, FOLDED) if ends else VARIANTS, count, rounds, blocks, some, threads, fabric)
        for row in rows:
            print(_line(row, rows[0]), flush=True)
        if record:
            RESULTS.parent.mkdir(exist_ok=True)
            with RESULTS.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps({**row, **facts}) + "\n" for row in rows)


def _line(row: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    gain = [row[key] / first[key] for key in ("clips_per_s", "clips_per_core_s")]
    apart = f"{row['gradient_apart']:.1e}" if row["variant"] == FOLDED else ""
    cells = [row["encoder"], row["variant"], row["clips"], row["with_gradient"], row["without"], row["kept"]]
    cells += [f"{row['clips_per_s']:.3g}", *(f"{value:.2f}" for value in gain), f"{row['peak_mib']:.0f}", apart]
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    typer.run(main)
