"""How real is the generated motion, and how fast is the world? Prints two tables and appends a record of them.

Diversity: nearest-neighbour distances between poses, root at the origin, turned to one heading, all bones of the
house body's lengths (mean joint distance, mm). real -> generated says what real poses the generator lacks, generated ->
real what it makes that the recordings lack; real -> real (other clips of the same set) and
generated -> generated (another seed) are what to compare with. Spread is the mean distance from the mean pose.

    python benchmarks/world.py [--mocap ../shared/data/mocap] [--poses 900] [--out benchmarks/results/world.jsonl]
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _machine import command, loaded_machine
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.cards import skeleton
from sa3dhp_world.bodies import draw_bodies
from sa3dhp_world.data import generated_actors, render_clips
from sa3dhp_world.looks import look, look_names
from sa3dhp_world.motion import family_names, generate

BONES = skeleton()


def normalised(poses: Tensor) -> Tensor:
    """``(N, J, 3)`` z-up poses: root-relative, hips along x, every bone of the house body's length."""
    poses = poses - poses[:, BONES.index(BONES.root), None]
    across = poses[:, BONES.index("right_hip")] - poses[:, BONES.index("left_hip")]
    angle = -torch.atan2(across[:, 1], across[:, 0])
    cos, sin = angle.cos(), angle.sin()
    x = poses[..., 0] * cos[:, None] - poses[..., 1] * sin[:, None]
    y = poses[..., 0] * sin[:, None] + poses[..., 1] * cos[:, None]
    turned = torch.stack([x, y, poses[..., 2]], dim=-1)
    out = torch.zeros_like(turned)
    for bone in BONES.bones:  # other proportions are no other poses
        parent = BONES.parent_indices[bone]
        direction = torch.nn.functional.normalize(turned[:, bone] - turned[:, parent], dim=-1)
        out[:, bone] = out[:, parent] + BONES.bone_lengths_m[BONES.joints[bone]] * direction
    return out


def nearest_mm(queries: Tensor, pool: Tensor) -> Tensor:
    """``(N,)`` mean joint distance from each query to its nearest pose of the pool, mm."""
    best = []
    for chunk in queries.split(64):
        coarse = torch.cdist(chunk.flatten(1), pool.flatten(1)).topk(16, largest=False).indices
        best.append((chunk[:, None] - pool[coarse]).norm(dim=-1).mean(-1).amin(1))
    return torch.cat(best) * 1000


def recorded(path: Path, count: int) -> tuple[Tensor, Tensor]:
    """Poses of even and of odd clips of a motion-capture file, at most `count` of each."""
    file = np.load(path, allow_pickle=False)
    positions, starts = torch.from_numpy(file["positions"]), torch.from_numpy(file["clip_start"])
    clip = torch.repeat_interleave(torch.arange(len(starts) - 1), starts.diff())
    draws = generator_for("benchmark", path.name)
    halves = []
    for half in (0, 1):
        index = (clip % 2 == half).nonzero().squeeze(1)
        halves.append(normalised(positions[index[torch.randperm(len(index), generator=draws)[:count]]]))
    return halves[0], halves[1]


def generated(families: tuple[str, ...], count: int, *seed: object) -> Tensor:
    """Poses of the generator, three of each clip."""
    motion = generate(draw_bodies("source", 12, *seed), families, range(count // 3), 45, *seed)
    return normalised(motion.joints[:, ::16].flatten(0, 1))


def diversity(mocap: Path, count: int) -> list[dict[str, object]]:
    """One row a recording and set of families."""
    rows: list[dict[str, object]] = []
    spread = lambda poses: float((poses - poses.mean(0)).norm(dim=-1).mean()) * 1000  # noqa: E731
    for path in sorted(mocap.glob("*.npz")):
        first, second = recorded(path, count)
        for name, families in (("all", family_names()), ("plain", look("plain").families)):
            made, other = generated(families, count, 1), generated(families, count, 2)
            pairs = {
                "real>generated": (first, made),
                "generated>real": (made, torch.cat([first, second])),
                "real>real": (first, second),
                "generated>generated": (made, other),
            }
            row: dict[str, object] = {"recording": path.stem, "families": name, "poses": len(made)}
            for pair, (queries, pool) in pairs.items():
                found = nearest_mm(queries, pool)
                row[f"{pair}_mm"] = round(float(found.mean()), 1)
                row[f"{pair}_p90_mm"] = round(float(found.quantile(0.9)), 1)
            row |= {"spread_real_mm": round(spread(first), 1), "spread_generated_mm": round(spread(made), 1)}
            rows.append(row)
    return rows


def rendered(name: str) -> Callable[[], int]:
    """What renders further crops of 64 pixels at each call, motion, staging and sensor included, and counts them."""
    chosen = look(name)
    bodies, batches = draw_bodies(chosen.bodies, 12, 0), itertools.count()
    clips, frames = 8, 60

    def some() -> int:
        first = next(batches) * clips
        rows = range(first, first + clips)
        actors = generated_actors(chosen.families, bodies, rows, frames, 0)
        return len(render_clips(chosen, actors, bodies, rows, 64, (0,), 0)["images"])

    return some


def images_per_second(name: str, seconds: float = 2.0) -> float:
    """Crops of this process, one thread; the first call warms up."""
    torch.set_num_threads(1)
    some = rendered(name)
    some()
    images, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        images += some()
    return images / (time.perf_counter() - start)


def speed(processes: int, seconds: float) -> dict[str, float]:
    """Images a second of all looks with so many processes of one thread each."""
    out = {}
    for name in look_names():
        command = [sys.executable, __file__, "--worker", name, "--seconds", str(seconds)]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
        out[name] = round(sum(float(process.communicate()[0]) for process in running), 0)
    return out


def main() -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent
    parser.add_argument("--mocap", type=Path, default=here.parents[1] / "shared/data/mocap")
    parser.add_argument("--poses", type=int, default=900)
    parser.add_argument("--out", type=Path, default=here / "results/world.jsonl")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each speed measurement")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="numbers of processes to time")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(images_per_second(arguments.worker, arguments.seconds))
        return
    record: dict[str, object] = {
        "command": command(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": loaded_machine(),
        "speed_images_s": {str(count): speed(count, arguments.seconds) for count in arguments.processes},
    }
    print("images/s at 64 px, motion included (processes of one thread)")
    for count, row in record["speed_images_s"].items():  # type: ignore[attr-defined]
        print(f"  {count}: " + "  ".join(f"{name} {value:.0f}" for name, value in row.items()))
    rows = record["diversity"] = diversity(arguments.mocap, arguments.poses)
    if not rows:
        print(f"no recordings in {arguments.mocap}: diversity not measured")
    for row in rows:
        print("\n" + "  ".join(f"{key} {value}" for key, value in row.items()))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("a") as file:
        file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
