"""How fast does `sa3dhp predict` go through a video, and does its memory grow with the length?

    python benchmarks/predict.py [--seconds 10] [--longer 10] [--threads 2] [--no-record]

A person of the embedded world, rendered for a second at 1280 x 720 pixels with boxes beside, repeated to the length
asked for, and again to a video so many times longer. The encoder is that of `quickstart`, trained for two steps: what
it says costs no time. Each call is a process of its own; its start, npz, JSON, BVH and (but for the rows without)
overlay and page are in it. The steady rate is that of the frames which the longer video has more, by the clock and by
the seconds that cores computed (user and system of all threads). Asked: 25 frames a second or more on two cores, and
memory that does not grow. Prints a table and appends its records to results/predict.jsonl, with the machine's load
before and after: other work on its cores slows all rows, their computing time least.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import typer

from sa3dhp_core import runner
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import load_recipe

RESULTS = Path(__file__).parent / "results" / "predict.jsonl"
SCRIPT = Path(sysconfig.get_path("scripts")) / "sa3dhp"
SIZE, ROW = "1280x720", "source-only"
KINDS: dict[str, tuple[str, ...]] = {
    "boxes": (),
    "boxes, no pictures": ("--no-pictures",),
    "whole frame, no pictures": ("--no-pictures", "--set", "boxes=EMPTY"),
}

WATCH = """import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(json.dumps([status, used.ru_utime + used.ru_stime, used.ru_maxrss]))"""
"""A small process that starts the call: a child's peak memory counts that of the process it was forked from."""


def main(
    seconds: int = typer.Option(10, min=1, help="length of the short video"),
    longer: int = typer.Option(10, min=2, help="how many times longer the other is"),
    threads: int = typer.Option(2, min=1, help="threads of torch"),
    record: bool = typer.Option(True, help="append to results/predict.jsonl"),
) -> None:
    """Print the table and append its records."""
    facts: dict[str, Any] = {
        "command": " ".join(["python", *sys.argv]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads,
        "load_before": round(os.getloadavg()[0], 2),
    }
    print(", ".join(f"{key} {value}" for key, value in facts.items() if key != "command"))
    print(f"{'':26}{'frames':>8}{'s':>8}{'frames/s':>10}{'steady/s':>10}{'a core':>8}{'MiB short':>11}{'MiB long':>10}")
    with tempfile.TemporaryDirectory(prefix="sa3dhp-bench-") as name:
        room = Path(name)
        run = _run(room / "run", threads)
        videos = _videos(room, seconds, longer)
        for kind, words in KINDS.items():
            row = _row(kind, words, run, videos, room)
            print(_line(row), flush=True)
            if record:
                RESULTS.parent.mkdir(exist_ok=True)
                with RESULTS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({**row, **facts, "load_after": round(os.getloadavg()[0], 2)}) + "\n")


def _line(row: Mapping[str, Any]) -> str:
    """A row of the table: of the longer video, but for the memory of both."""
    return (
        f"{row['kind']:26}{row['frames'][1]:8}{row['wall_s'][1]:8.1f}{row['frames_per_s']:10.1f}"
        f"{row['steady_per_s']:10.1f}{row['steady_per_core_s']:8.1f}"
        f"{row['peak_mib'][0]:11.0f}{row['peak_mib'][1]:10.0f}"
    )


def _run(out: Path, threads: int) -> Path:
    """A run with the encoder of `quickstart`, trained for two steps."""
    few = [f"data.{role}.{key}=2" for role in ("source", "target") for key in ("train_clips", "body_count")]
    few += [f"data.{role}.{split}_clips=1" for role in ("source", "target") for split in ("validation", "test")]
    few += [
        "data.poses.train_sequences=8",
        "pose_prior.steps=2",
        "settings.source.steps=2",
        f"engine.threads={threads}",
    ]
    runner.run(load_recipe("quickstart", few), Host.load(), out, only=[f"row-{ROW}", "data-target"])
    return out


def _videos(room: Path, seconds: int, longer: int) -> tuple[Path, Path]:
    """A rendered second over and over, with boxes and camera: so many seconds, and so many times as many."""
    words = ["world", "render", "--look", "mild", "--clips", "1", "--size", SIZE, "--seconds", "1"]
    subprocess.run([str(SCRIPT), *words, "--out", str(room / "seed")], check=True, stdout=subprocess.DEVNULL)
    (seed,) = (room / "seed").glob("*.mp4")
    return _looped(seed, room / "short.mp4", seconds), _looped(seed, room / "long.mp4", seconds * longer)


def _looped(seed: Path, video: Path, turns: int) -> Path:
    """The video over and over, its boxes and its camera beside."""
    with av.open(str(seed)) as source:
        pictures = [frame.reformat(format="yuv420p") for frame in source.decode(video=0)]
        rate = source.streams.video[0].average_rate
    assert rate is not None
    with av.open(str(video), "w") as target:
        stream = target.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = pictures[0].width, pictures[0].height, "yuv420p"
        for number, picture in enumerate(islice(cycle(pictures), turns * len(pictures))):
            picture.pts, picture.time_base = number, 1 / rate
            target.mux(stream.encode(picture))
        target.mux(stream.encode())
    boxes, count = [json.loads(line) for line in _beside(seed, "boxes.jsonl").read_text().splitlines()], len(pictures)
    lines = [json.dumps({**box, "frame": box["frame"] + turn * count}) for turn in range(turns) for box in boxes]
    _beside(video, "boxes.jsonl").write_text("\n".join(lines), encoding="utf-8")
    camera = {"intrinsics": np.load(_beside(seed, "truth.npz"))["intrinsics"].tolist()}
    _beside(video, "camera.json").write_text(json.dumps(camera), encoding="utf-8")
    return video


def _beside(video: Path, ending: str) -> Path:
    return video.with_name(f"{video.stem}.{ending}")


def _row(kind: str, words: Sequence[str], run: Path, videos: Sequence[Path], room: Path) -> dict[str, Any]:
    measured = [_predict(run, video, room / "poses", words) for video in videos]
    frames, walls, computed, peaks = (list(column) for column in zip(*measured, strict=True))
    steady, computing = ((frames[1] - frames[0]) / (times[1] - times[0]) for times in (walls, computed))
    rates = {"frames_per_s": frames[1] / walls[1], "steady_per_s": steady, "steady_per_core_s": computing}
    rates = {name: round(rate, 1) for name, rate in rates.items()}
    return {"kind": kind, "frames": frames, "wall_s": walls, "computing_s": computed, "peak_mib": peaks, **rates}


def _predict(run: Path, video: Path, out: Path, words: Sequence[str]) -> tuple[int, float, float, float]:
    """Frames, seconds by the clock and of computing, and peak memory (MiB) of one call."""
    shutil.rmtree(out, ignore_errors=True)
    empty = out.with_name("no boxes")
    empty.mkdir(exist_ok=True)
    given = [word.replace("EMPTY", str(empty)) for word in words]
    call = [str(SCRIPT), "predict", str(run), str(video), "--out", str(out), "--set", f"row={ROW}", *given]
    began = time.perf_counter()
    told = subprocess.run([sys.executable, "-c", WATCH, *call], stdout=subprocess.PIPE, text=True, check=True).stdout
    seconds = time.perf_counter() - began
    status, computed, peak = json.loads(told)
    if status:
        raise SystemExit(f"{' '.join(call)} ended with {status}")
    clips = json.loads((out / "index.json").read_text(encoding="utf-8"))["clips"]
    return sum(clip["frames"] for clip in clips), round(seconds, 2), round(computed, 2), round(peak / 1024, 1)


if __name__ == "__main__":
    typer.run(main)
