"""How fast does `sa3dhp predict` go through a video, and does its memory grow with the length?

    python benchmarks/predict.py [--seconds 4] [--longer 6] [--repeats 3] [--threads 2] [--minutes 1,4,16,60]
        [--no-record]

A person of the embedded world, rendered for a second at 1280 x 720 pixels with boxes beside; its packets are repeated
to the length asked for, and again to a video so many times longer. The encoder is that of `quickstart`, trained for two
steps: what it says costs no time. Each call is a process of its own; its start, npz, JSON, BVH and (but for the rows
without) overlay and page are in it. Short and long videos take turns; times are medians over the repeats. The steady
rate is that of the frames which the longer video has more, by the clock and by the seconds that cores computed (user
and system of all threads); a dash where the longer one took no longer, so that other work on the cores hides the
difference. Asked: 25 frames a second or more on two cores, and memory that does not grow.

`--minutes` measures memory instead: peaks of one call each for videos so long, of small pictures (160 x 120) at 30
frames a second, with boxes, overlay and page, so that an hour (108,000 poses) can be waited for.

Prints a table and appends its records to results/predict.jsonl, with the machine's load before and after.
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
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np
import typer
from _machine import command, loaded_machine

from sa3dhp_core import runner
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import load_recipe

Call = tuple[int, float, float, float]
"""Frames, seconds by the clock and of computing, and peak memory (MiB) of one call."""

RESULTS = Path(__file__).parent / "results" / "predict.jsonl"
SCRIPT = Path(sysconfig.get_path("scripts")) / "sa3dhp"
SIZE, SMALL, ROW = "1280x720", "160x120", "source-only"
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
    seconds: int = typer.Option(4, min=1, help="length of the short video"),
    longer: int = typer.Option(6, min=2, help="how many times longer the other is"),
    repeats: int = typer.Option(3, min=1, help="calls of each"),
    threads: int = typer.Option(2, min=1, help="threads of torch"),
    minutes: str = typer.Option("", help="measure memory for videos of so many minutes instead: 1,4,16,60"),
    record: bool = typer.Option(True, help="append to results/predict.jsonl"),
) -> None:
    """Print the table and append its records."""
    facts = {
        "command": command(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **loaded_machine(),
        "threads": threads,
    }
    print(", ".join(f"{key} {value}" for key, value in facts.items() if key != "command"))
    with tempfile.TemporaryDirectory(prefix="sa3dhp-bench-") as name:
        room = Path(name)
        run = _run(room / "run", threads)
        rows = _growth(run, [float(one) for one in minutes.split(",")], room) if minutes else None
        for row in rows or _rates(run, seconds, longer, repeats, room):
            if record:
                RESULTS.parent.mkdir(exist_ok=True)
                with RESULTS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({**row, **facts, "load_after": round(os.getloadavg()[0], 2)}) + "\n")


def _rates(run: Path, seconds: int, longer: int, repeats: int, room: Path) -> Iterator[dict[str, Any]]:
    """A row for each kind of call, printed as it is measured; of the longer video, but for the memory of both."""
    print(f"{'':26}{'frames':>8}{'s':>8}{'frames/s':>10}{'steady/s':>10}{'a core':>8}{'MiB short':>11}{'MiB long':>10}")
    seed = _rendered(room / "seed", SIZE)
    videos = [_looped(seed, room / f"{length}.mp4", length) for length in (seconds, seconds * longer)]
    for kind, words in KINDS.items():
        calls = [[_predict(run, video, room / "poses", words) for video in videos] for _ in range(repeats)]
        row = {"kind": kind, "repeats": repeats, **_row(*zip(*calls, strict=True))}
        steady, by_core = (
            f"{rate:.1f}" if (rate := row[key]) else "-" for key in ("steady_per_s", "steady_per_core_s")
        )
        print(
            f"{kind:26}{row['frames'][1]:8}{row['wall_s'][1]:8.1f}{row['frames_per_s']:10.1f}{steady:>10}{by_core:>8}"
            f"{row['peak_mib'][0]:11.0f}{row['peak_mib'][1]:10.0f}",
            flush=True,
        )
        yield row


def _row(short: Sequence[Call], long: Sequence[Call]) -> dict[str, Any]:
    """Medians over the calls of a shorter and a longer video; each column is (short, long)."""
    frames, walls, computed, peaks = (
        [median(call[column] for call in calls) for calls in (short, long)] for column in range(4)
    )
    more = frames[1] - frames[0]
    steady, by_core = (
        round(more / took, 1) if (took := times[1] - times[0]) > 0 else None for times in (walls, computed)
    )
    row = {"frames": frames, "wall_s": walls, "computing_s": computed, "peak_mib": peaks}
    return row | {
        "frames_per_s": round(frames[1] / walls[1], 1),
        "steady_per_s": steady,
        "steady_per_core_s": by_core,
    }


def _growth(run: Path, minutes: Sequence[float], room: Path) -> Iterator[dict[str, Any]]:
    """A row for each length of a video of small pictures."""
    print(f"{'minutes':>8}{'frames':>8}{'s':>8}{'frames/s':>10}{'MiB':>8}{'MB written':>12}")
    seed = _rendered(room / "small", SMALL)
    for length in minutes:
        video = _looped(seed, room / "growing.mp4", round(60 * length))
        frames, wall, computed, peak = _predict(run, video, room / "poses", ())
        written = sum(path.stat().st_size for path in (room / "poses").iterdir()) / 1e6
        print(f"{length:8g}{frames:8}{wall:8.1f}{frames / wall:10.1f}{peak:8.0f}{written:12.1f}", flush=True)
        row = {"kind": f"memory, {SMALL}", "minutes": length, "frames": frames, "wall_s": wall}
        yield row | {"computing_s": computed, "peak_mib": peak, "written_mb": round(written, 1)}


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


def _rendered(folder: Path, size: str) -> Path:
    """A second of a person, with boxes and camera beside."""
    words = ["world", "render", "--look", "mild", "--clips", "1", "--size", size, "--seconds", "1"]
    subprocess.run([str(SCRIPT), *words, "--out", str(folder)], check=True, stdout=subprocess.DEVNULL)
    (seed,) = folder.glob("*.mp4")
    return seed


def _looped(seed: Path, video: Path, turns: int) -> Path:
    """The seed's packets over and over, with boxes and camera beside; nothing is encoded again."""
    with av.open(str(seed)) as source, av.open(str(video), "w") as target:
        given = source.streams.video[0]
        stream, rate, base = target.add_stream_from_template(given), given.average_rate, given.time_base
        assert rate is not None and base is not None
        packets = [(p.pts or 0, p.dts or 0, bytes(p), p.is_keyframe) for p in source.demux(given) if p.size]
        count, step = len(packets), round(len(packets) / rate / base)
        for turn, (pts, dts, content, key) in product(range(turns), packets):
            packet = av.Packet(content)
            packet.stream, packet.time_base, packet.is_keyframe = stream, base, key
            packet.pts, packet.dts = pts + turn * step, dts + turn * step
            target.mux(packet)
    boxes = [json.loads(line) for line in _beside(seed, "boxes.jsonl").read_text().splitlines()]
    with _beside(video, "boxes.jsonl").open("w", encoding="utf-8") as file:
        for turn, box in product(range(turns), boxes):
            file.write(json.dumps({**box, "frame": box["frame"] + turn * count}) + "\n")
    camera = {"intrinsics": np.load(_beside(seed, "truth.npz"))["intrinsics"].tolist()}
    _beside(video, "camera.json").write_text(json.dumps(camera), encoding="utf-8")
    return video


def _beside(video: Path, ending: str) -> Path:
    return video.with_name(f"{video.stem}.{ending}")


def _predict(run: Path, video: Path, out: Path, words: Sequence[str]) -> Call:
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
