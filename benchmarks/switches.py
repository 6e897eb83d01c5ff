"""What does each switch of `[engine]` cost or gain on this device? Prints a table and appends it to the results.

One step of source training and one of adaptation, for the small network at 64 pixels and for a ResNet-50 up to stage 3
at 224, each switch alone against the defaults: from the same weights, on the same random images, in turns step by step
in one process. Times are medians of whole steps, drawing of views included; on a busy machine the process's own CPU
time tells more than the clock. Memory is the peak of a process that does nothing else (CPU: what a forked child's
resident set grows by; CUDA: what the allocator held at most).

    python benchmarks/switches.py [--device auto] [--steps 3] [--case cnn-source …] [--switch bf16-mixed …]
        [--all] [--no-record]

On a CPU two things take minutes and are left out unless `--all`: `compile` but for the small network's source training,
and `16-mixed`, whose convolutions go back some twenty times slower there.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import os
import resource
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import attrs
import torch
from _machine import command, loaded_machine
from torch import Tensor, nn

from sa3dhp_core.cards import skeleton
from sa3dhp_core.engine import Engine
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.alignment import LossParts
from sa3dhp_core.protocols.task import Update
from sa3dhp_core.sinks import SinkBoard
from sa3dhp_core.types import WHOLE, ClipBatch, LabelledBatch, Shard
from sa3dhp_self_adaptation.adapting import AdaptationTask
from sa3dhp_self_adaptation.config import Adaptation, RehearsalAugmentation
from sa3dhp_self_adaptation.supervised import SupervisedTask
from sa3dhp_self_adaptation.views import Augmented

RESULTS = Path(__file__).parent / "results" / "switches.jsonl"
SWITCHES: Mapping[str, Mapping[str, Any]] = {
    "channels_last = false": {"channels_last": False},
    "fold_norms = true": {"fold_norms": True},
    "fused = false": {"fused": False},
    'checkpointing = ["all"]': {"checkpointing": ("all",)},
    'precision = "bf16-mixed"': {"precision": "bf16-mixed"},
    'precision = "16-mixed"': {"precision": "16-mixed"},
    'precision = "bf16-true"': {"precision": "bf16-true"},
    'precision = "64-true"': {"precision": "64-true"},
    'compile = "static"': {"compile": "static"},
}
CASES = ("cnn-source", "cnn-adaptation", "resnet-source", "resnet-adaptation")


@attrs.frozen
class Sizes:
    """How large a case is: labelled images of source training; windows, frames and labelled images of adaptation."""

    pixels: int
    batch: int
    clips: int
    frames: int
    source: int


CPU = {"cnn": Sizes(64, 64, 2, 12, 16), "resnet": Sizes(224, 2, 2, 1, 2)}
ACCELERATOR = {"cnn": Sizes(64, 512, 6, 30, 128), "resnet": Sizes(224, 128, 3, 30, 64)}
BACKBONES: Mapping[str, Mapping[str, Any]] = {"cnn": {"use": "small-cnn"}, "resnet": {"use": "transformers"}}
HOST = Host.load()
ORBIT = HOST.build(
    "relation", {"use": "geometric", "name": "orbit", "expression": "flip? @ rotate(-63..63)"}, "r", skeleton=skeleton()
)
LOSSES: Sequence[Mapping[str, Any]] = (
    {"use": "info-nce", "name": "lcr"},
    {"use": "relation", "name": "orbit", "relation": "orbit", "per_frame": True},
    {"use": "prior-matching", "name": "prior", "relation": "orbit", "photometric": "strong", "per_frame": True},
    {"use": "rehearsal"},
)


class Noise:
    """Labelled images and clips of nothing, which cost what others do."""

    def __init__(self, pixels: int, poses: Tensor) -> None:
        self.skeleton, self._poses = skeleton(), poses
        self._images = torch.rand(32, 3, pixels, pixels, generator=torch.Generator().manual_seed(0))
        focal = torch.tensor([[pixels, 0.0, pixels / 2], [0.0, pixels, pixels / 2], [0.0, 0.0, 1.0]])
        self._camera = focal

    def draw(self, count: int, generator: torch.Generator, shard: Shard = WHOLE) -> LabelledBatch:
        """As `LabelledImages` does."""
        index = torch.randint(len(self._images), (count,), generator=generator)
        chosen = torch.randint(len(self._poses), (count,), generator=generator)
        return LabelledBatch(self._images[index], self._poses[chosen], None, self._camera.expand(count, 3, 3))


class NoiseClips(Noise):
    """The same as windows."""

    def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> ClipBatch:  # type: ignore[override]
        """As `Clips` does."""
        index = torch.randint(len(self._images), (count, frames), generator=generator)
        return ClipBatch(self._images[index], self._camera.expand(count, frames, 3, 3), torch.arange(count))


def source_task(encoder: nn.Module, prior: Any, sizes: Sizes, poses: Tensor, steps: int) -> SupervisedTask:
    """A training on labelled images."""
    draw = Augmented(Noise(sizes.pixels, poses), RehearsalAugmentation())
    keys = {"steps": steps, "batch": sizes.batch, "learning_rate": 1e-3, "ema": 0.99}
    return SupervisedTask(encoder, prior, draw, **keys)  # type: ignore[arg-type]


def adaptation_task(
    encoder: Any, prior: Any, sizes: Sizes, poses: Tensor, steps: int, engine: Engine
) -> AdaptationTask:
    """A training by four losses with shared views: contrast, relation, distribution, rehearsal."""
    network = HOST.build(
        "relation_network",
        {"use": "residual-mlp"},
        "n",
        width=prior.latent,
        condition=ORBIT.condition,
        bound=prior.bound,
        pose_prior=prior,
    )
    one = torch.ones(1, device=engine.device, dtype=engine.dtype)
    parts = LossParts(
        skeleton=skeleton(),
        pose_prior=prior,
        motion_prior=None,
        relations={"orbit": ORBIT},
        networks={"orbit": network.to(engine.device, engine.dtype).requires_grad_(False)},
        scale=one.expand(prior.latent),
        motion_scale=one,
        frames=sizes.frames,
        latent=prior.latent,
        motion_latent=0,
        feature=encoder.feature,
    )
    losses = [HOST.build("alignment_loss", table, "losses", parts=parts).to(engine.device) for table in LOSSES]
    labelled = {"source": (Augmented(Noise(sizes.pixels, poses), RehearsalAugmentation()), sizes.source)}

    def unpaired(count: int, generator: torch.Generator, shard: Shard) -> Tensor:
        return poses[torch.randint(len(poses), (count,), generator=generator)].to(engine.dtype)

    config = Adaptation(steps=steps, clips=sizes.clips, source=sizes.source)
    clips: Any = NoiseClips(sizes.pixels, poses)
    return AdaptationTask(encoder, losses, {"orbit": ORBIT}, clips, unpaired, labelled, config, engine.gather)


def problem(case: str, engine: Engine, sizes: Sizes, steps: int) -> Any:
    """The task of a case, from the same weights whatever the switch."""
    torch.manual_seed(0)
    prior = HOST.build("pose_prior", {"use": "pose-aae-proportions"}, "p", skeleton=skeleton())
    backbone = HOST.build("backbone", BACKBONES[case.partition("-")[0]], "encoder.backbone")
    encoder = HOST.build(
        "image_encoder", {"use": "latent-encoder"}, "encoder", backbone=backbone, latent=prior.latent, bound=prior.bound
    )
    with torch.no_grad():
        poses = prior.decode(prior.sample(512, torch.Generator().manual_seed(0)))
    prior.to(engine.device, engine.dtype).requires_grad_(False)
    if case.endswith("source"):
        return source_task(encoder, prior, sizes, poses, steps)
    return adaptation_task(encoder, prior, sizes, poses, steps, engine)


class InTurns:
    """A `Task` whose every step waits until it is told to go; times are taken by who tells."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.steps, self.modules, self.clip_norm = inner.steps, inner.modules, inner.clip_norm
        self.ema, self.sharded, self.optimizers = inner.ema, inner.sharded, inner.optimizers
        self.losses: list[float] = []
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """Those of the task."""
        self.done.release()
        self.go.acquire()
        for update in self._inner.updates(step, generator, shard):
            self.losses.append(float(update.loss.detach()))
            yield update


class Lane:
    """One training in a thread of its own, which advances a step at a time."""

    def __init__(self, case: str, config: EngineConfig, sizes: Sizes, steps: int) -> None:
        engine = Engine(config, 0, SinkBoard(()))
        self.device = engine.device
        self.failed: list[Exception] = []
        self.task = InTurns(problem(case, engine, sizes, steps))
        self._thread = threading.Thread(target=self._train, args=(engine, case), daemon=True)
        self._thread.start()
        self.task.done.acquire()

    def _train(self, engine: Engine, case: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            try:
                engine.train(self.task, case, Path(folder))
            except Exception as error:  # told by the main thread
                self.failed.append(error)
        self.task.done.release()

    def step(self) -> tuple[float, float]:
        """Seconds of the next step, and of this process's CPU time."""
        began, busy = time.perf_counter(), time.process_time()
        self.task.go.release()
        self.task.done.acquire()
        if self.device.type != "cpu":
            torch.accelerator.synchronize()
        if self.failed:
            raise self.failed[0]
        return time.perf_counter() - began, time.process_time() - busy


def compared(case: str, configs: Sequence[EngineConfig], sizes: Sizes, steps: int) -> dict[str, float]:
    """Medians of two configurations' steps in turns, after one that is not counted, and how their losses differ."""
    lanes = [Lane(case, config, sizes, steps + 1) for config in configs]
    taken: list[list[tuple[float, float]]] = [[], []]
    for number in range(steps + 1):
        for which in (0, 1) if number % 2 else (1, 0):
            taken[which].append(lanes[which].step())
    (usual, usual_cpu), (other, other_cpu) = (map(median, zip(*column[1:], strict=True)) for column in taken)
    pairs = zip(*(lane.task.losses for lane in lanes), strict=True)
    return {
        "usual_s": round(usual, 4),
        "time_ratio": round(other / usual, 3),
        "cpu_ratio": round(other_cpu / usual_cpu, 3),
        "loss_difference": max(abs(b - a) / abs(a) for a, b in pairs),
    }


def peak(case: str, config: EngineConfig, sizes: Sizes) -> float:
    """Bytes that two steps need at most, alone; nan where nobody can tell."""
    if config.device == "cpu":
        return _peak_of_a_child(case, config, sizes)
    if not torch.cuda.is_available():
        return float("nan")
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    _two_steps(case, config, sizes)
    return float(torch.cuda.max_memory_allocated())


def _two_steps(case: str, config: EngineConfig, sizes: Sizes) -> None:
    engine = Engine(config, 0, SinkBoard(()))
    with tempfile.TemporaryDirectory() as folder:
        engine.train(problem(case, engine, sizes, 2), case, Path(folder))


def _peak_of_a_child(case: str, config: EngineConfig, sizes: Sizes) -> float:
    """A fork has all modules loaded and nothing computed, so that what it grows by is the training's."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        grown = float("nan")
        try:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            _two_steps(case, config, sizes)
            grown = 1024.0 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        finally:
            os.write(writer, repr(grown).encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    os.waitpid(child, 0)
    return float(text)


def wanted(case: str, name: str, device: str, everything: bool) -> bool:
    """Whether a switch is measured in a case."""
    slow = "16-mixed" in name and "bf16" not in name or "compile" in name and case != "cnn-source"
    return everything or device != "cpu" or not slow


def measured(options: argparse.Namespace, device: str) -> Iterator[dict[str, Any]]:
    """A record for every case and switch; memory first, while nothing has been computed in this process."""
    parts = options.switch or [""]
    chosen = {name: keys for name, keys in SWITCHES.items() if any(part in name for part in parts)}
    sizes = {case: (CPU if device == "cpu" else ACCELERATOR)[case.partition("-")[0]] for case in options.case or CASES}
    usual = EngineConfig(device=device)
    peaks = {}
    for case in sizes:
        for name, keys in (("", {}), *chosen.items()):
            if "compile" not in name and wanted(case, name, device, options.all):
                print(f"memory: {case} {name}", end="   \r", file=sys.stderr, flush=True)
                peaks[case, name] = peak(case, attrs.evolve(usual, **keys), sizes[case])
    for case, size in sizes.items():
        for name, keys in chosen.items():
            row: dict[str, Any] = {"case": case, "switch": name, "device": device, **attrs.asdict(size)}
            if not wanted(case, name, device, options.all):
                continue
            try:
                row |= compared(case, (usual, attrs.evolve(usual, **keys)), size, options.steps)
            except RecipeError as error:
                yield row | {"refused": error.what}
                continue
            memory = peaks.get((case, name), float("nan")) / peaks[case, ""]
            yield row | {"memory_ratio": round(memory, 3) if memory == memory else None}


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=3, help="measured steps of each")
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--switch", action="append", help="part of a switch's name")
    parser.add_argument("--all", action="store_true", help="also what takes minutes on a CPU")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    device = options.device
    if device == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        device = "cpu" if found is None else found.type
    facts = {"date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}", "command": command(), **loaded_machine()}
    facts |= {"torch": torch.__version__, "threads": torch.get_num_threads()}
    rows = []
    print("| case | switch | time | CPU time | memory | loss differs by |\n| --- | --- | --- | --- | --- | --- |")
    for row in measured(options, device):
        rows.append({**facts, **row})
        if "refused" in row:
            print(f"| {row['case']} | `{row['switch']}` | refused: {row['refused']} | | | |", flush=True)
            continue
        memory = "–" if row["memory_ratio"] is None else f"{row['memory_ratio']:.2f}"
        ends = f"{row['time_ratio']:.2f} | {row['cpu_ratio']:.2f} | {memory} | {row['loss_difference']:.0e}"
        print(f"| {row['case']} | `{row['switch']}` | {ends} |", flush=True)
    if not options.no_record:
        with RESULTS.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()
