"""What do 1, 8 and 64 GPUs make of a million hours of unlabelled video, and what breaks first? Prints the arithmetic.

No GPU is used: FLOP are counted, bytes and rates of one core are measured here, and what cannot be is an assumption
with a name, an option and a default (`--help`). The page docs/scale.md shows the output; `--page` writes it there.

    python benchmarks/scale_plan.py [--hours 1e6] [--achieved-tflops 70] [--page docs/scale.md]
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import attrs
from _machine import command, machine
from _scale import Assumed, Measured, measure

GPUS = (1, 8, 64)
DAY = 86400.0
FLOAT = 4
HEADER = f"{'':44}" + "".join(f"{f'{count} GPU' + 's' * (count > 1):>12}" for count in GPUS)


def main() -> None:
    """Measure, compute, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in attrs.fields(Assumed):
        kind = type(field.default)
        told = f"{field.metadata['help']} ({field.default:g})"
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=kind, default=field.default, help=told.replace("%", "%%")
        )
    parser.add_argument("--page", type=Path, help="write the output between the marks of this page")
    options = vars(parser.parse_args())
    page: Path | None = options.pop("page")
    assumed, measured = Assumed(**options), measure()
    text = "\n".join([f"$ {command().partition(' --page')[0]}", *plan(assumed, measured)])
    print(text)
    if page is not None:
        before = page.read_text(encoding="utf-8")
        mark = re.compile(r"(<!-- scale-plan -->\n)(.*?)(<!-- /scale-plan -->)", re.DOTALL)
        page.write_text(mark.sub(lambda m: f"{m[1]}```text\n{text}\n```\n{m[3]}", before), encoding="utf-8")


def plan(assumed: Assumed, measured: Measured) -> list[str]:
    """All tables, line by line."""
    return [
        f"measured or counted on {machine()}",
        *(f"  {line}" for line in _told(measured)),
        "assumed (each is an option)",
        *(f"  {f.name} = {getattr(assumed, f.name):g}: {f.metadata['help']}" for f in attrs.fields(Assumed)),
        "",
        *_data(assumed, measured),
        "",
        HEADER,
        *(_row(name, [value(count, assumed, measured) for count in GPUS], unit) for name, unit, value in ROWS),
    ]


def _told(m: Measured) -> list[str]:
    lines = [
        f"encoder: {m.weights / 1e6:.1f} M weights; an image takes {m.forward_gflop:.2f} GFLOP, "
        f"{m.training_gflop:.2f} with its gradient",
        f"a window of {m.window} frames is encoded {m.planned[0]} times with gradient and {m.planned[1]} without "
        f"by one plan; loss by loss {m.separate[0]} and {m.separate[1]}",
    ]
    for size, size_bytes in m.crop_bytes.items():
        lines.append(
            f"{size} px crop: {size_bytes / 1e3:.1f} kB as JPEG 95; a core decodes {m.decoded_crops_s[size]:.0f} "
            f"and packs {m.packed_fps[size]:.1f} a second"
        )
    lines.append(f"a core decodes {m.decoded_fps:.0f} frames of 720p video a second")
    return lines


def _data(a: Assumed, m: Measured) -> list[str]:
    """What the video is, whatever computes."""
    frames = _frames(a)
    lines = [
        f"frames: {a.hours:.0f} h x 3600 x {a.fps:g} = {frames / a.people:.3g}; crops: {frames:.3g}",
        f"source video: {a.hours * 3600 * a.video_mbit / 8e9:.2f} PB",
    ]
    for size in m.crop_bytes:
        packing, decoding = (frames / rate / DAY / 365 for rate in (m.packed_fps[size], m.decoded_fps))
        lines.append(
            f"shards of {size} px: {frames * m.crop_bytes[size] / 1e15:.2f} PB; packing: {packing:.0f} core-years, "
            f"of which decoding {decoding:.0f}"
        )
    lines += [
        f"index of all crops: {m.index_bytes:.0f} bytes each, {frames * m.index_bytes / 1e12:.2f} TB of disk, mapped "
        "into memory as it is read",
        f"names of all clips: {_clips(a):.3g} of {m.name_bytes:.0f} bytes, {_clips(a) * m.name_bytes / 1e9:.2f} GB",
    ]
    return lines


def _clips(a: Assumed) -> float:
    return a.hours * 3600 * a.people / a.track_s


def _frames(a: Assumed) -> float:
    return a.hours * 3600 * a.fps * a.people


def _window_tflop(m: Measured, counts: tuple[int, int]) -> float:
    return (counts[0] * m.training_gflop + counts[1] * m.forward_gflop) / 1e3


def windows_s(gpus: int, a: Assumed, m: Measured) -> float:
    """Windows of all GPUs in a second, if nothing but FLOP counts."""
    return gpus * a.achieved_tflops / _window_tflop(m, m.planned)


def step_s(gpus: int, a: Assumed, m: Measured) -> float:
    """Seconds of a step, if nothing but FLOP counts."""
    return a.clips_per_gpu * gpus / windows_s(gpus, a, m)


def pass_days(gpus: int, a: Assumed, m: Measured) -> float:
    """Days of one pass over all windows, each crop read once."""
    return _frames(a) / m.window / windows_s(gpus, a, m) / DAY


def separate_days(gpus: int, a: Assumed, m: Measured) -> float:
    """The same with every loss encoding for itself."""
    return pass_days(gpus, a, m) * _window_tflop(m, m.separate) / _window_tflop(m, m.planned)


def reduced_mb(gpus: int, a: Assumed, m: Measured) -> float:
    """MB that each GPU sends for the gradients' mean in a step, around a ring."""
    return 2 * (gpus - 1) / gpus * m.weights * FLOAT / 1e6


def gathered_mb(gpus: int, a: Assumed, m: Measured) -> float:
    """MB that each GPU receives: z and feature of all encodings of the others, and gradients of those that learn."""
    images = (m.planned[0] * 2 + m.planned[1]) * a.clips_per_gpu
    return (gpus - 1) * images * (m.latent + m.feature) * FLOAT / 1e6


def _network_s(gpus: int, a: Assumed, m: Measured, gb_s: float) -> float:
    return (reduced_mb(gpus, a, m) + gathered_mb(gpus, a, m)) / 1e3 / gb_s


def fast_share(gpus: int, a: Assumed, m: Measured) -> float:
    """Network's time over computing's: NVLink inside one machine, InfiniBand beyond."""
    gb_s = a.nvlink_gb if gpus <= a.gpus_per_machine else a.infiniband_gb
    return 100 * _network_s(gpus, a, m, gb_s) / step_s(gpus, a, m)


def ethernet_share(gpus: int, a: Assumed, m: Measured) -> float:
    """The same where machines are joined by one Ethernet adapter each, which a ring passes once."""
    if gpus <= a.gpus_per_machine:
        return fast_share(gpus, a, m)
    return 100 * _network_s(gpus, a, m, a.ethernet_gb) / step_s(gpus, a, m)


def similarity_gb(gpus: int, a: Assumed, m: Measured) -> float:
    """GB of one contrast of every frame with every other of the global batch, on each GPU."""
    return (gpus * a.clips_per_gpu * m.frames) ** 2 * FLOAT / 1e9


def crops_s(gpus: int, a: Assumed, m: Measured) -> float:
    """Crops that one machine reads and decodes in a second."""
    return windows_s(min(gpus, a.gpus_per_machine), a, m) * m.window


def read_mb_s(gpus: int, a: Assumed, m: Measured) -> float:
    """MB/s that one machine reads, crops of 224 pixels."""
    return crops_s(gpus, a, m) * m.crop_bytes[224] / 1e6


def decoding_cores(gpus: int, a: Assumed, m: Measured) -> float:
    """Cores of one machine that decode JPEG."""
    return crops_s(gpus, a, m) / m.decoded_crops_s[224]


def packing_cores(gpus: int, a: Assumed, m: Measured) -> float:
    """Cores that pack as fast as the GPUs learn, one pass."""
    return _frames(a) / m.packed_fps[224] / DAY / pass_days(gpus, a, m)


def checkpoint_mb(gpus: int, a: Assumed, m: Measured) -> float:
    """MB of a checkpoint: weights, two moments, their average; written once, by one process."""
    return 4 * m.weights * FLOAT / 1e6


ROWS = (
    ("one pass, days", "", pass_days),
    ("one pass, loss by loss, days", "", separate_days),
    ("step, s", "", step_s),
    ("gradients sent by a GPU, a step, MB", "", reduced_mb),
    ("embeddings received by a GPU, a step, MB", "", gathered_mb),
    ("network over computing, NVLink/InfiniBand", "%", fast_share),
    ("network over computing, 25 GbE", "%", ethernet_share),
    ("one contrast of all frames, a GPU, GB", "", similarity_gb),
    ("crops read by a machine, /s", "", crops_s),
    ("read by a machine, MB/s", "", read_mb_s),
    ("cores of a machine that decode JPEG", "", decoding_cores),
    ("cores that pack as fast as GPUs learn", "", packing_cores),
    ("checkpoint, MB", "", checkpoint_mb),
)


def _row(name: str, values: list[float], unit: str) -> str:
    return f"{name:44}" + "".join(f"{_number(value) + unit:>12}" for value in values)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
