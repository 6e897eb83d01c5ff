"""How fast does packing keep up with decoding? Prints a table and appends a record of it.

Videos of 1280 x 720 with one person each, about 500 pixels tall, are decoded by PyAV to RGB (what any packing must do),
then packed into shards of 64- and 224-pixel crops; both read every frame, in turns. A ratio of 1 is PyAV's own speed.
By computing time the ratio is that of seconds of all threads together, which other programs disturb less.

    python benchmarks/packing.py [--videos 8] [--frames 90] [--workers 2] [--no-record]
"""

from __future__ import annotations

import argparse
import datetime
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np
from _machine import command, loaded_machine

from sa3dhp_datasets.config import ShotImagesConfig
from sa3dhp_datasets.example import write_video
from sa3dhp_datasets.footage import probe
from sa3dhp_datasets.lens import Lens
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shots import Shot, person_of

WIDTH, HEIGHT, TALL = 1280, 720, 500
ROUNDS = 3
LENS = Lens(np.full(2, 1000.0), np.array([WIDTH / 2, HEIGHT / 2]))


def footage(folder: Path, videos: int, frames: int) -> list[Path]:
    """Videos of coloured noise that drifts, so that they are neither empty nor incompressible."""
    paths = []
    for number in range(videos):
        coarse = np.random.default_rng(number).integers(0, 255, (HEIGHT // 20, WIDTH // 20, 3)).astype(np.uint8)
        still = coarse.repeat(20, 0).repeat(20, 1)
        path = folder / f"video{number}.mp4"
        write_video(path, [np.roll(still, 3 * k, axis=1) for k in range(frames)], fps=30)
        paths.append(path)
    return paths


def shots(paths: Sequence[Path], frames: int, config: Any) -> Iterator[Shot]:
    """One person a video, who walks across."""
    for path in paths:
        boxes = np.array([[200.0 + 4 * (k % 150), 110.0, 200.0, float(TALL)] for k in range(frames)])
        person = person_of(0, np.arange(frames), LENS, boxes=boxes)
        assert person is not None
        facts: dict[str, Any] = {"name": path.stem, "subject": path.stem, "camera": "", "family": "", "fps": 30.0}
        facts |= {"lens": LENS, "people": (person,), "where": str(path)}
        yield Shot(**facts, pictures=partial(probe, path))


def decoded(path: Path) -> int:
    """Frames of a video as PyAV gives them, in RGB."""
    with av.open(str(path)) as container:
        return sum(frame.to_ndarray(format="rgb24").shape[0] > 0 for frame in container.decode(video=0))


def decode(paths: Sequence[Path], workers: int) -> None:
    """Decode all videos, so many at once."""
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(decoded, paths))


def pack(paths: Sequence[Path], frames: int, size: int, workers: int) -> None:
    """Pack all videos, a shard each."""
    data = ShotImages(ShotImagesConfig(path="videos", size=size), partial(shots, paths, frames), "video-folder")
    with tempfile.TemporaryDirectory() as room:
        out = Path(room) / "shards"
        data.pack(out, workers=workers, frames=1, quality=95, progress=lambda done, every: None)


def seconds(call: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and of computing."""
    clock, computing = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - clock, time.process_time() - computing


def main() -> None:
    """Measure in turns; print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/packing.jsonl"))
    parser.add_argument("--no-record", action="store_true")
    options, loaded = parser.parse_args(), loaded_machine()
    rows: dict[str, list[tuple[float, float]]] = {"decoding": [], "packing 64 px": [], "packing 224 px": []}
    with tempfile.TemporaryDirectory() as room:
        paths = footage(Path(room), options.videos, options.frames)
        for _ in range(ROUNDS):
            rows["decoding"].append(seconds(partial(decode, paths, options.workers)))
            for size in (64, 224):
                call = partial(pack, paths, options.frames, size, options.workers)
                rows[f"packing {size} px"].append(seconds(call))
    every = options.videos * options.frames
    base = rows["decoding"]
    print(f"{'':16}{'frames/s':>10}{'of decoding':>13}{'by computing time':>19}")
    found = {}
    for name, times in rows.items():
        rate = every / median(clock for clock, _ in times)
        ratios = [median(b[k] / t[k] for b, t in zip(base, times, strict=True)) for k in (0, 1)]
        found[name] = {"frames_per_s": round(rate, 1), "of_decoding": [round(ratio, 3) for ratio in ratios]}
        print(f"{name:16}{rate:10.1f}{ratios[0]:13.2f}{ratios[1]:19.2f}")
    if not options.no_record:
        told = {"command": command(), **loaded, "videos": options.videos, "frames": options.frames, **found}
        with options.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"date": datetime.date.today().isoformat(), **told}) + "\n")


if __name__ == "__main__":
    main()
