"""How fast does packing keep up with decoding? Prints a table for each kind of footage and appends records of them.

Videos of 1280 x 720 with one person each, 500 pixels tall, are decoded by PyAV to RGB (what any packing must do), then
packed into shards of 64- and 224-pixel crops; both read every frame, in turns. A ratio of 1 is PyAV's own speed. By
computing time the ratio is that of seconds of all threads together, which other programs disturb less.

The footage is ``film``: pictures with the spectrum of photographs that pan, with a camera's noise, as x264 writes them
unless told otherwise but for a slightly higher quality (21; B frames, CABAC, deblocking), 15 s a video; ``short``: such
films of 3 s, of which opening is a part; ``full-hd``: such films of 1920 x 1080, the person as large a part of them; or
``squares``: coloured squares that drift, 3 s a video, in x264's quickest and plainest form, which is quicker to decode
than a film is and slower to write as JPEG.

    python benchmarks/packing.py [--footage film --footage short ...] [--workers 2] [--no-record]
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
from numpy.typing import NDArray

from sa3dhp_datasets.config import ShotImagesConfig
from sa3dhp_datasets.example import write_video
from sa3dhp_datasets.footage import probe
from sa3dhp_datasets.lens import Lens
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shots import Shot, person_of

WIDTH, HEIGHT = 1280, 720
ROUNDS = 3


def squares(folder: Path) -> list[Path]:
    """Eight short videos of coloured noise that drifts, so that they are neither empty nor incompressible."""
    paths = []
    for number in range(8):
        coarse = np.random.default_rng(number).integers(0, 255, (HEIGHT // 20, WIDTH // 20, 3)).astype(np.uint8)
        still = coarse.repeat(20, 0).repeat(20, 1)
        path = folder / f"video{number}.mp4"
        write_video(path, [np.roll(still, 3 * k, axis=1) for k in range(90)], fps=30)
        paths.append(path)
    return paths


def film(folder: Path, count: int = 2, frames: int = 450, width: int = WIDTH, height: int = HEIGHT) -> list[Path]:
    """Videos that look to a codec as films do."""
    paths = []
    for number in range(count):
        generator = np.random.default_rng(number)
        still = photograph(generator, height, width + 2 * frames)
        noise = [3.0 * generator.standard_normal((height, width, 1)) for _ in range(7)]
        path = folder / f"film{number}.mp4"
        shown = (still[:, 2 * k : 2 * k + width] + noise[k % len(noise)] for k in range(frames))
        write_video(path, (picture.clip(0, 255).astype(np.uint8) for picture in shown), 30, 21, "medium")
        paths.append(path)
    return paths


def photograph(generator: np.random.Generator, height: int, width: int) -> NDArray[np.float64]:
    """``(height, width, 3)`` of [0, 255], mostly grey, whose amplitudes fall as one over the frequency."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    fall = 1 / np.maximum(frequency, 1 / max(height, width))

    def plane() -> NDArray[np.float64]:
        found = np.fft.irfft2(fall * np.exp(2j * np.pi * generator.random(fall.shape)), (height, width))
        return np.asarray(found / found.std())

    grey = plane()
    return np.stack([120 + 55 * (grey + 0.3 * plane()) / np.hypot(1, 0.3) for _ in range(3)], axis=-1).clip(0, 255)


FOOTAGE: dict[str, Callable[[Path], list[Path]]] = {
    "film": film,
    "short": partial(film, count=8, frames=90),
    "full-hd": partial(film, frames=225, width=1920, height=1080),
    "squares": squares,
}


def shots(paths: Sequence[Path], config: Any) -> Iterator[Shot]:
    """One person a video, who walks across."""
    for path in paths:
        footage = probe(path)
        every, scale = len(footage), footage.height / HEIGHT
        boxes = scale * np.array([[200.0 + 4 * (k % 150), 110.0, 200.0, 500.0] for k in range(every)])
        lens = Lens(np.full(2, 0.8 * footage.width), np.array([footage.width, footage.height]) / 2)
        person = person_of(0, np.arange(every), lens, boxes=boxes)
        assert person is not None
        facts: dict[str, Any] = {"name": path.stem, "subject": path.stem, "camera": "", "family": "", "fps": 30.0}
        facts |= {"lens": lens, "people": (person,), "where": str(path)}
        yield Shot(**facts, pictures=lambda footage=footage: footage)  # type: ignore[misc]


def decoded(path: Path) -> int:
    """Frames of a video as PyAV gives them, in RGB."""
    with av.open(str(path)) as container:
        return sum(frame.to_ndarray(format="rgb24").shape[0] > 0 for frame in container.decode(video=0))


def decode(paths: Sequence[Path], workers: int) -> None:
    """Decode all videos, so many at once."""
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(decoded, paths))


def pack(paths: Sequence[Path], size: int, workers: int) -> None:
    """Pack all videos, a shard each."""
    data = ShotImages(ShotImagesConfig(path="videos", size=size), partial(shots, paths), "video-folder")
    with tempfile.TemporaryDirectory() as room:
        out = Path(room) / "shards"
        data.pack(out, workers=workers, frames=1, quality=95, progress=lambda done, every: None)


def seconds(call: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and of computing."""
    clock, computing = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - clock, time.process_time() - computing


def measured(paths: Sequence[Path], workers: int) -> dict[str, Any]:
    """Rates and ratios, medians of turns; printed."""
    rows: dict[str, list[tuple[float, float]]] = {"decoding": [], "packing 64 px": [], "packing 224 px": []}
    for _ in range(ROUNDS):
        rows["decoding"].append(seconds(partial(decode, paths, workers)))
        for size in (64, 224):
            rows[f"packing {size} px"].append(seconds(partial(pack, paths, size, workers)))
    every, base = sum(len(probe(path)) for path in paths), rows["decoding"]
    print(f"{'':16}{'frames/s':>10}{'of decoding':>13}{'by computing time':>19}")
    found = {}
    for name, times in rows.items():
        rate = every / median(clock for clock, _ in times)
        ratios = [median(b[k] / t[k] for b, t in zip(base, times, strict=True)) for k in (0, 1)]
        found[name] = {"frames_per_s": round(rate, 1), "of_decoding": [round(ratio, 3) for ratio in ratios]}
        print(f"{name:16}{rate:10.1f}{ratios[0]:13.2f}{ratios[1]:19.2f}")
    return {"videos": len(paths), "frames": every, **found}


def main() -> None:
    """Measure each kind of footage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--footage", action="append", choices=FOOTAGE)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/packing.jsonl"))
    parser.add_argument("--no-record", action="store_true")
    options, loaded = parser.parse_args(), loaded_machine()
    for kind in options.footage or FOOTAGE:
        with tempfile.TemporaryDirectory() as room:
            paths = FOOTAGE[kind](Path(room))
            size = sum(path.stat().st_size for path in paths)
            mbit = size * 8e-6 / sum(float(probe(path).times_s[-1]) for path in paths)
            print(f"\n{kind}, {mbit:.1f} Mbit/s")
            found = {"footage": kind, "mbit_per_s": round(mbit, 2), **measured(paths, options.workers)}
        if not options.no_record:
            told = {"command": command(), **loaded, **found}
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"date": datetime.date.today().isoformat(), **told}) + "\n")


if __name__ == "__main__":
    main()
