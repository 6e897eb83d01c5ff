"""How fast are the published sizes, and what is the least time they can take? Prints tables and appends a record.

    python benchmarks/paper_sizes.py [--device cuda] [--no-record]

Source training (images/s) and adaptation (clips/s; as published, one loss at a time, and joint) of `sa3dhp-paper`:
ResNet-50 to res4 on 224 px, 128 labelled images, 8 clips of 30 frames. Beside every round of the engine's own loop the
bare network computes forward and backward of the same images: the ceiling, in the same minute. A CUDA device measures
the published sizes in float32 and bf16; a CPU smaller batches of the same images (it says which). The floors are
computed from operations and bytes at the published sizes, whatever the machine.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import attrs
import torch
import typer
from _machine import command, loaded_machine
from _paper import PUBLISHED, Bench, Pass, Sizes, bare, drawing, recipe_of
from _roofline import DEVICES, Peak, Work, counted, measured_peak
from torch import nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from sa3dhp_core.engine import Engine
from sa3dhp_core.engine.folding import fold

RESULT = Path(__file__).parent / "results" / "paper_sizes.jsonl"
ON_CPU = Sizes(batch=8, clips=2, frames=5, size=224)
SHORT = {"32-true": "fp32", "bf16-mixed": "bf16"}
KINDS = ("source training", "adaptation, alternating", "adaptation, joint")


class Meter:
    """The engine's board: times the rounds between its lines, and beside each one the bare network.

    Args:
        bare: computes the round's network passes. device: where.
    """

    def __init__(self, bare: Callable[[], None], device: torch.device) -> None:
        self._bare, self._device = bare, device
        self.rounds: list[tuple[float, float]] = []
        self.alone: list[tuple[float, float]] = []
        self.peak_gib, self.waited_s = 0.0, 0.0
        self._told_s = 0.0
        self._began: tuple[float, float] | None = None

    def stage_started(self, stage: str, steps: int | None) -> None:
        """Nothing to time yet."""

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        """A round is done; the first one warmed up."""
        now = self._now()
        if self._began is not None:
            self.rounds.append(_less(now, self._began))
            self.waited_s += _waited(step, scalars) - self._told_s
            if self._device.type == "cuda":
                self.peak_gib = torch.cuda.max_memory_allocated(self._device) / 2**30
        self._told_s = _waited(step, scalars)
        began = self._now()
        self._bare()
        alone = _less(self._now(), began)
        if self._began is not None:
            self.alone.append(alone)
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        self._began = self._now()

    @property
    def waiting_share(self) -> float:
        """Of the time of all rounds."""
        return self.waited_s / sum(clock for clock, _ in self.rounds)

    def _now(self) -> tuple[float, float]:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter(), time.process_time()


def _waited(step: int, scalars: Mapping[str, float]) -> float:
    """Seconds that the engine has waited for batches: it tells its share of the time since it began."""
    return scalars["waiting_share"] * step / scalars["steps_per_s"]


def _less(later: tuple[float, float], earlier: tuple[float, float]) -> tuple[float, float]:
    return later[0] - earlier[0], later[1] - earlier[1]


def measured(bench: Bench, kind: str, precision: str, sizes: Sizes, rounds: int, least: int) -> dict[str, Any]:
    """One row: rates, shares of the ceiling, of waiting and of drawing, memory; rounds of at least so many steps."""
    engine, task, passes = _set_up(bench, kind, precision, sizes)
    passes = tuple(passes) * -(-least // len(passes))
    task.steps, every = len(passes) * (1 + rounds), len(passes)
    encoder = task.modules["encoder"].to(engine.device)  # where the engine will find it
    meter = Meter(bare(encoder, passes, sizes.size, engine), engine.device)
    draw = drawing(task, engine.device, every)
    _train(bench.engine(precision, every, meter), task)
    seconds, alone = (median(clock for clock, _ in times) for times in (meter.rounds, meter.alone))
    images = sum(sum(update.values()) for update in passes)
    return {
        "kind": kind,
        "precision": SHORT[precision],
        "images_per_s": images / seconds,
        "clips_per_s": 0.0 if kind == KINDS[0] else sizes.clips * every / seconds,
        "of_bare": median(b[0] / r[0] for b, r in zip(meter.alone, meter.rounds, strict=True)),
        "of_bare_by_computing_time": median(b[1] / r[1] for b, r in zip(meter.alone, meter.rounds, strict=True)),
        "bare_images_per_s": images / alone,
        "waiting_share": meter.waiting_share,
        "drawing_share": _seconds(draw, engine.device, rounds) / seconds,
        "memory_gib": meter.peak_gib,
        "images_a_round": images,
        "steps_a_round": every,
    }


def _set_up(bench: Bench, kind: str, precision: str, sizes: Sizes) -> tuple[Engine, Any, Sequence[Pass]]:
    """Engine, task, and what the updates of a turn through its losses encode."""
    engine = bench.engine(precision, 1, Meter(lambda: None, torch.device("cpu")))
    if kind == KINDS[0]:
        return engine, bench.source(engine), ({"student": sizes.batch},)
    task = bench.adaptation(engine, kind.partition(", ")[2])
    return engine, task, task.encodes


def _train(engine: Engine, task: Any) -> None:
    with tempfile.TemporaryDirectory() as room:
        engine.train(task, "bench", Path(room))


def _seconds(draw: Callable[[int], object], device: torch.device, rounds: int) -> float:
    """Median seconds of drawing a round's input, after one that warms up."""
    times = []
    for number in range(1 + rounds):
        began = time.perf_counter()
        draw(number)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return median(times[1:])


class Profiler:
    """The engine's board: profiles the second of three rounds, so neither warming up nor what ends a training."""

    def __init__(self, cuda: bool) -> None:
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
        self.profile, self._cuda, self._rounds = profile(activities=activities), cuda, 0

    def stage_started(self, stage: str, steps: int | None) -> None:
        """Nothing to profile yet."""

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        """A round is done."""
        self._rounds += 1
        if self._cuda:
            torch.cuda.synchronize()
        if self._rounds == 1:
            self.profile.start()
        elif self._rounds == 2:
            self.profile.stop()


def profiled(bench: Bench, kind: str, precision: str, sizes: Sizes) -> list[tuple[str, float, int]]:
    """The ten kernels (on a CPU: operators) that take longest in a round: name, share of all of them, calls."""
    engine, task, passes = _set_up(bench, kind, precision, sizes)
    task.steps, cuda = 3 * len(passes), engine.device.type == "cuda"
    board = Profiler(cuda)
    _train(bench.engine(precision, len(passes), board), task)
    key = "self_device_time_total" if cuda else "self_cpu_time_total"
    entries = [e for e in board.profile.key_averages() if not cuda or e.device_type == DeviceType.CUDA]
    times = sorted(((e.key, getattr(e, key), e.count) for e in entries), key=lambda e: -e[1])
    whole = sum(spent for _, spent, _ in times)
    return [(name, spent / whole, calls) for name, spent, calls in times[:10]]


def floors_of(bench: Bench, peaks: Sequence[Peak]) -> list[dict[str, Any]]:
    """What a round at the published sizes asks for, by counting on ``meta``, and the rates that devices cannot pass."""
    return [
        row
        for kind in KINDS
        for dtype, names in ((torch.float32, ("fp32", "tf32")), (torch.bfloat16, ("bf16",)))
        for row in _floors(bench, kind, dtype, names, peaks)
    ]


def _floors(
    bench: Bench, kind: str, dtype: torch.dtype, names: Sequence[str], peaks: Sequence[Peak]
) -> Iterator[dict[str, Any]]:
    _, task, passes = _set_up(bench, kind, "32-true", PUBLISHED)
    encoder: nn.Module = task.modules["encoder"]
    trained = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
    encoder = encoder.to("meta", dtype)
    if bench.recipe.engine.fold_norms:
        fold(encoder, torch.empty(1, 3, PUBLISHED.size, PUBLISHED.size, device="meta", dtype=dtype))
    # Adam reads a weight, its gradient and two moments, and writes three of them, in float32.
    work = Work(((0, 7 * 4 * trained),) * len(passes))
    for update in passes:
        work += counted(bare(encoder, [update], PUBLISHED.size), encoder)
    images = sum(sum(update.values()) for update in passes)
    each = images if kind == KINDS[0] else PUBLISHED.clips * len(passes)
    for name in names:
        seconds = {peak.name: work.floor_s(peak, name) for peak in peaks if name in peak.flops_per_s}
        yield {
            "kind": kind,
            "precision": name,
            "images": images,
            "gflop_an_image": work.flops / images / 1e9,
            "mb_an_image": work.moved / images / 1e6,
            "kept_gib": work.kept / 2**30,
            "most_a_second": {peak: each / least for peak, least in seconds.items()},
            "most_images_a_second": {peak: images / least for peak, least in seconds.items()},
        }


def print_rows(rows: Sequence[Mapping[str, Any]], cuda: bool) -> None:
    """The measured table."""
    names = ("images/s", "clips/s", "of bare", "by CPU time", "waiting", "drawing", "GiB")
    print(f"\n{'':33}" + "".join(f"{name:>12}" for name in names))
    for row in rows:
        clips = f"{row['clips_per_s']:12.2f}" if row["clips_per_s"] else f"{'':12}"
        print(
            f"{row['kind'] + ', ' + row['precision']:33}{row['images_per_s']:12.2f}{clips}{row['of_bare']:12.1%}"
            f"{row['of_bare_by_computing_time']:12.1%}{row['waiting_share']:12.2%}{row['drawing_share']:12.2%}"
            + (f"{row['memory_gib']:12.1f}" if cuda else "")
        )


def print_kernels(kind: str, kernels: Sequence[tuple[str, float, int]]) -> None:
    """The longest kernels."""
    print(f"\n{kind}: kernels that take longest")
    for name, share, calls in kernels:
        print(f"{share:8.1%}{calls:8} x {name[:90]}")


def print_floors(rows: Sequence[Mapping[str, Any]], measured_rows: Sequence[Mapping[str, Any]], here: str) -> None:
    """The computed table, and how much of this device's bound was reached."""
    names = list(dict.fromkeys(name for row in rows for name in row["most_a_second"]))
    print(f"\nat the published sizes at most (source: images/s, adaptation: clips/s)\n{'':33}", end="")
    print("".join(f"{name:>16}" for name in ("GFLOP/image", "MB/image", "kept GiB", *names)))
    for row in rows:
        rates = "".join(f"{row['most_a_second'][n]:16.1f}" if n in row["most_a_second"] else f"{'':16}" for n in names)
        figures = f"{row['gflop_an_image']:16.1f}{row['mb_an_image']:16.0f}{row['kept_gib']:16.1f}"
        print(f"{row['kind'] + ', ' + row['precision']:33}{figures}{rates}")
    for row in measured_rows:
        same = [r for r in rows if (r["kind"], r["precision"]) == (row["kind"], row["precision"])]
        bound = same[0]["most_images_a_second"].get(here) if same else None
        if bound:
            print(f"{row['kind']}, {row['precision']}: {row['images_per_s'] / bound:.0%} of {here}'s bound")


def main(
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    batch: Annotated[int, typer.Option(help="labelled images a step; 0: 128 on CUDA, 8 on a CPU")] = 0,
    clips: Annotated[int, typer.Option(help="clips a step; 0: 8 on CUDA, 2 on a CPU")] = 0,
    frames: Annotated[int, typer.Option(help="frames a clip; 0: 30 on CUDA, 5 on a CPU")] = 0,
    size: Annotated[int, typer.Option(help="pixels of a crop")] = PUBLISHED.size,
    rounds: Annotated[int, typer.Option(help="0: 10 on CUDA, 2 on a CPU", min=0)] = 0,
    precisions: Annotated[list[str], typer.Option("--precision")] = ["32-true", "bf16-mixed"],  # noqa: B006
    threads: Annotated[int, typer.Option(help="of PyTorch; 0: its choice", min=0)] = 0,
    changes: Annotated[list[str], typer.Option("--set", help="as in `sa3dhp run`: engine.compile=true")] = [],  # noqa: B006
    kernels: Annotated[bool, typer.Option(help="the ten longest kernels too")] = True,
    record: Annotated[bool, typer.Option(help="append to the committed results")] = True,
) -> None:
    """Measure, compute, print."""
    loaded = loaded_machine()
    if threads:
        torch.set_num_threads(threads)
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    usual = PUBLISHED if cuda else ON_CPU
    sizes = Sizes(batch or usual.batch, clips or usual.clips, frames or usual.frames, size)
    rounds = rounds or (10 if cuda else 2)
    least = 8 if cuda else 1  # batches that are drawn ahead while the bare network computes must not count for much
    place = torch.device("cuda" if cuda else "cpu")
    name = torch.cuda.get_device_name() if cuda else loaded["cpu"]
    here = measured_peak(place, f"this {place.type.upper()}")
    print(f"measured: {attrs.asdict(sizes)}; published: {attrs.asdict(PUBLISHED)}")
    with tempfile.TemporaryDirectory() as room:
        bench = Bench(recipe_of(sizes, place.type, 64 if cuda else 2, changes), Path(room) / "measured")
        rows = [measured(bench, kind, precision, sizes, rounds, least) for kind in KINDS for precision in precisions]
        print_rows(rows, cuda)
        longest_of = {kind: profiled(bench, kind, precisions[-1], sizes) for kind in KINDS[:2] if kernels}
        for kind, longest in longest_of.items():
            print_kernels(kind, longest)
        # What is counted does not depend on the pixels that lie on the disk.
        small = recipe_of(attrs.evolve(PUBLISHED, size=32), "cpu", 1, ())
        whole = Bench(small, Path(room) / "published")
        floors = floors_of(whole, (*DEVICES, here))
    print_floors(floors, rows if size == PUBLISHED.size else (), here.name)
    if record:
        facts = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "command": command(), **loaded, "device": name}
        facts |= {"threads": torch.get_num_threads(), "torch": torch.__version__, "sizes": attrs.asdict(sizes)}
        facts |= {"peak": attrs.asdict(here), "rows": rows, "floors": floors, "kernels": longest_of}
        with RESULT.open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    typer.run(main)
