"""What the plan for many GPUs computes with: figures measured here, and named assumptions. Prints nothing."""

from __future__ import annotations

import io
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from sa3dhp_core.atomic import read_tensors
from sa3dhp_core.engine.views import ViewPlan
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import load_recipe
from sa3dhp_datasets.config import ShardsConfig
from sa3dhp_datasets.shard_example import shards
from sa3dhp_datasets.shards import Shards
from sa3dhp_self_adaptation.photometric import Kinds

RECIPE = "sa3dhp-paper"
SIZES = (64, 224)


@attrs.frozen
class Assumed:
    """What cannot be measured here. Every one is an option of the script."""

    hours: float = attrs.field(default=1e6, metadata={"help": "of unlabelled video"})
    fps: float = attrs.field(default=30.0, metadata={"help": "frames a second that are kept"})
    people: float = attrs.field(default=1.0, metadata={"help": "people followed in a frame, on average"})
    clips_per_gpu: int = attrs.field(
        default=8, metadata={"help": "windows a step and GPU (published batch of one GPU)"}
    )
    achieved_tflops: float = attrs.field(
        default=70.0, metadata={"help": "TFLOP/s that a GPU does on this network in bf16: 22 % of an A100's 312"}
    )
    video_mbit: float = attrs.field(default=2.5, metadata={"help": "Mbit/s of the source video, 720p H.264"})
    nvlink_gb: float = attrs.field(default=200.0, metadata={"help": "GB/s a GPU gets inside a machine"})
    infiniband_gb: float = attrs.field(default=20.0, metadata={"help": "GB/s a GPU gets from its 200 Gbit/s adapter"})
    ethernet_gb: float = attrs.field(default=2.5, metadata={"help": "GB/s a machine gets from its 25 Gbit/s adapter"})
    gpus_per_machine: int = attrs.field(default=8, metadata={"help": "GPUs in one machine"})
    track_s: float = attrs.field(default=20.0, metadata={"help": "seconds that a person is followed, on average"})


@attrs.frozen
class Measured:
    """What this machine can find out; FLOP are counted, not timed."""

    weights: int
    feature: int
    latent: int
    forward_gflop: float
    training_gflop: float
    planned: tuple[int, int]
    separate: tuple[int, int]
    window: int
    frames: int
    crop_bytes: dict[int, float]
    decoded_crops_s: dict[int, float]
    index_bytes: float
    name_bytes: float
    packed_fps: dict[int, float]
    decoded_fps: float


def measure() -> Measured:
    """Build the published system, count it, make some crops and read the last record of packing; half a minute."""
    host, recipe = Host.load(), load_recipe(RECIPE)
    method: Any = host.build("method", {"use": recipe.method, **recipe.settings}, "settings", recipe=recipe, host=host)
    encoder = method.space.encoder().eval()
    image = torch.rand(1, 3, 224, 224)
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        encoder(image)
    with FlopCounterMode(display=False) as training:
        out = encoder(image)
        (out.z.sum() + out.feature.sum()).backward()
    planned, separate, window = _encodings(method, encoder.feature)
    crops = {size: _crops(host, size) for size in SIZES}
    records = map(json.loads, Path("benchmarks/results/packing.jsonl").read_text(encoding="utf-8").splitlines())
    packing = [record for record in records if record.get("footage") == "film"][-1]
    return Measured(
        weights=sum(parameter.numel() for parameter in encoder.parameters()),
        feature=encoder.feature,
        latent=method.space.pose_prior.latent,
        forward_gflop=forward.get_total_flops() / 1e9,
        training_gflop=training.get_total_flops() / 1e9,
        planned=planned,
        separate=separate,
        window=window,
        frames=method.config.frames,
        crop_bytes={size: found[0] for size, found in crops.items()},
        decoded_crops_s={size: found[1] for size, found in crops.items()},
        index_bytes=_index_bytes(),
        name_bytes=len(json.dumps(["S0001", "video00000001", ""]) + ", "),
        packed_fps={size: packing[f"packing {size} px"]["frames_per_s"] / packing["cores"] for size in SIZES},
        decoded_fps=packing["decoding"]["frames_per_s"] / packing["cores"],
    )


def _encodings(method: Any, feature: int) -> tuple[tuple[int, int], tuple[int, int], int]:
    """Images encoded for one window, with gradient and without: by one plan, and loss by loss; and the window."""
    space = method.space
    networks = {name: space.network(relation) for name, relation in space.relations.items()}
    scales = torch.ones(space.pose_prior.latent), torch.ones(space.motion_prior.latent)
    parts = space.parts(networks, *scales, feature)
    row = next(row for row in method.rows if row.headline)
    losses = [
        method.host.build("alignment_loss", method.loss_table(name), "losses", parts=parts) for name in row.losses
    ]

    kinds: Any = Kinds()

    def count(chosen: list[Any]) -> tuple[int, int, int]:
        plan = ViewPlan([(loss.views, loss.window) for loss in chosen], space.relations, kinds)
        learning = sum(len(orbit.frames) for orbit in plan.orbits if orbit.by == "student")
        return learning, sum(len(orbit.frames) for orbit in plan.orbits) - learning, plan.window

    *planned, window = count(losses)
    alone = [count([loss])[:2] for loss in losses]
    return tuple(planned), tuple(map(sum, zip(*alone, strict=True))), window  # type: ignore[return-value]


def _crops(host: Host, size: int, seconds: float = 1.0) -> tuple[float, float]:
    """Bytes of a crop of the embedded world's street as shards keep it, and crops that a core decodes in a second."""
    table = {"use": "world", "look": "street", "role": "target", "size": size, "frames": 6}
    counts = {"train_clips": 12, "validation_clips": 1, "test_clips": 1}
    data = host.build("image_data", table | counts, "data")
    with tempfile.TemporaryDirectory() as room:
        data.prepare(Path(room))
        images = torch.cat(list(data.clips(Path(room), "train").batches(100)))
    files = []
    for crop in (images * 255).round().byte():
        content = io.BytesIO()
        Image.fromarray(crop.permute(1, 2, 0).numpy()).save(content, format="JPEG", quality=95, subsampling=0)
        files.append(content.getvalue())
    done, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        Image.open(io.BytesIO(files[done % len(files)])).convert("RGB").load()
        done += 1
    return sum(map(len, files)) / len(files), done / (time.process_time() - began)


def _index_bytes() -> float:
    """What a prepared split of shards keeps of each crop beside its pixels."""
    with tempfile.TemporaryDirectory() as folder:
        data, room = Shards(ShardsConfig(**shards(Path(folder)))), Path(folder) / "room"
        data.prepare(room)
        clips = data.clips(room, "train")
        tensors = read_tensors(room / "train.safetensors")
        unlabelled = {name: value for name, value in tensors.items() if name not in ("poses", "keypoints", "starts")}
        return sum(value.nbytes for value in unlabelled.values() if len(value) == len(clips)) / len(clips)
