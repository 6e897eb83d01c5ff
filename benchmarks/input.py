"""Does the input keep up? Images a second of each source alone, and what a training step waits for its batch.

Alone, in this process: rendering of the world, decoding and cropping of a video, crops out of a video's shards and out
of a prepared split, photometric augmentation (weak, strong), the warp of a crop by a rotation. Together: steps of
source training and of adaptation of the quickstart recipe (its sizes, fewer images), with 0, 1 and 2 batches drawn
ahead, in turns.

    python benchmarks/input.py [--steps 20] [--rounds 2] [--seconds 1.5] [--no-record]
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import av
import torch
from _machine import command, loaded_machine
from torch import Tensor
from world import rendered

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.geometry import act_on_images, rotation_z
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import load_recipe
from sa3dhp_core.runner import run
from sa3dhp_datasets.config import ShardsConfig, VideoFolderConfig
from sa3dhp_datasets.shards import Shards
from sa3dhp_datasets.video_folder import VideoFolder
from sa3dhp_self_adaptation.method import row_stage
from sa3dhp_self_adaptation.photometric import kind_of
from sa3dhp_world.footage import write_clip
from sa3dhp_world.looks import look

SIZE, BATCH = 64, 64
VIDEO, SECONDS = (640, 360), 4.0
STAGES = {"source training": row_stage("strong source augmentation"), "adaptation": row_stage("relations")}
SMALL = (
    "data.source.train_clips=1000", "data.source.validation_clips=4", "data.source.test_clips=4",
    "data.target.train_clips=40", "data.target.validation_clips=4", "data.target.test_clips=4",
    "pose_prior.steps=2", "relation_network.steps=2",
)  # fmt: skip


def rate(images: Callable[[], int], seconds: float) -> float:
    """Images a second of calls that say how many they made; the first one warms up."""
    images()
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        count += images()
    return round(count / (time.perf_counter() - began), 1)


def footage(folder: Path) -> int:
    """One video of the world with its boxes; returns its frames."""
    write_clip(folder, "clip", look("mild"), SECONDS, VIDEO, 1, "input", 0)
    return decoded(folder / "clip.mp4")


def decoded(path: Path) -> int:
    """Frames of a video as PyAV gives them, in RGB."""
    with av.open(str(path)) as container:
        return sum(frame.to_ndarray(format="rgb24").shape[0] > 0 for frame in container.decode(video=0))


def cropped(folder: Path, frames: int) -> int:
    """Frames of the video, cropped into a prepared data set."""
    with tempfile.TemporaryDirectory() as room:
        VideoFolder(_whole(folder)).prepare(Path(room))
    return frames


def _whole(folder: Path) -> VideoFolderConfig:
    return VideoFolderConfig(path=str(folder), size=SIZE, fps=0, validation=0.0, test=0.0)


def drawing(data: Any) -> Callable[[], int]:
    """Random crops of a set of clips, a batch a call."""
    numbers = iter(range(10**9))

    def draw() -> int:
        found: Tensor = data.draw(BATCH, 1, generator_for("input", next(numbers))).images
        return len(found)

    return draw


def augmenting(change: Callable[[Tensor, torch.Generator], Tensor]) -> Callable[[], int]:
    """A batch of images through a transform."""
    images = torch.rand(BATCH, 3, SIZE, SIZE, generator=generator_for("images"))
    return lambda: len(change(images, generator_for("input", 0)))


def warped(images: Tensor, draws: torch.Generator) -> Tensor:
    """In-plane rotations."""
    return act_on_images(rotation_z(torch.rand(len(images), generator=draws)), images)


def sources(seconds: float) -> Iterator[tuple[str, float]]:
    """What makes images, and how many a second."""
    for name in ("plain", "mild", "street"):
        yield f"world, {name}", rate(rendered(name), seconds)
    with tempfile.TemporaryDirectory() as room:
        video, prepared, shards = (Path(room) / name for name in ("video", "prepared", "shards"))
        video.mkdir()
        frames = footage(video)
        yield f"video, decoded {VIDEO[0]}x{VIDEO[1]}", rate(partial(decoded, video / "clip.mp4"), seconds)
        yield "video, decoded and cropped", rate(partial(cropped, video, frames), seconds)
        data = VideoFolder(_whole(video))
        data.prepare(prepared)
        data.pack(shards, workers=1, frames=16, quality=95, progress=lambda done, every: None)
        packed = Shards(ShardsConfig(path=str(shards)))
        packed.prepare(shards)
        yield "shards, drawn", rate(drawing(packed.clips(shards, "train")), seconds)
        yield "prepared split, drawn", rate(drawing(data.clips(prepared, "train")), seconds)
    for kind in ("weak", "strong"):
        yield f"photometric, {kind}", rate(augmenting(kind_of(kind)), seconds)
    yield "geometric warp", rate(augmenting(warped), seconds)


def together(steps: int, rounds: int) -> dict[str, dict[str, Any]]:
    """By stage and batches drawn ahead: milliseconds a step and the share of waiting."""
    host = Host.load()
    found: dict[str, dict[int, list[tuple[float, float]]]] = {name: {k: [] for k in range(3)} for name in STAGES}
    with tempfile.TemporaryDirectory() as room, (Path(room) / "said").open("w") as said, redirect_stderr(said):
        out = Path(room) / "run"
        for ahead in [*range(3)] * rounds:
            sets = [*SMALL, f"settings.source.steps={steps}", f"settings.adaptation.steps={steps}"]
            recipe = load_recipe("quickstart", [*sets, f"engine.prefetch={ahead}"])
            for stage in STAGES.values():
                for folder in (out / "stages").glob(f"{stage}-*"):
                    shutil.rmtree(folder)
            run(recipe, host, out, only=tuple(STAGES.values()))
            lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
            for name, stage in STAGES.items():
                last = [line for line in lines if line["stage"] == stage][-1]
                found[name][ahead].append((1000 / last["steps_per_s"], last["waiting_share"]))
    return {
        name: {
            str(ahead): {"ms": round(median(ms for ms, _ in told), 1), "waiting": round(median(w for _, w in told), 4)}
            for ahead, told in by.items()
        }
        for name, by in found.items()
    }


def main() -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of each measurement of a source")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/input.jsonl")
    parser.add_argument("--no-record", action="store_true")
    options, loaded = parser.parse_args(), loaded_machine()
    print(f"images/s at {SIZE} px, one process, {torch.get_num_threads()} threads")
    alone = {}
    for name, value in sources(options.seconds):
        alone[name] = value
        print(f"  {name:28}{value:10.0f}", flush=True)
    steps = together(options.steps, options.rounds)
    print("a step of the quickstart recipe, by batches drawn ahead: ms, share of the time spent waiting for data")
    for name, row in steps.items():
        print(f"  {name:28}" + "  ".join(f"{k}: {v['ms']:.0f} ms, {100 * v['waiting']:.1f} %" for k, v in row.items()))
    if not options.no_record:
        told = {"command": command(), "machine": loaded, "threads": torch.get_num_threads()}
        with options.out.open("a", encoding="utf-8") as file:
            record = {"date": datetime.date.today().isoformat(), **told, "images_per_s": alone, "steps": steps}
            file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
