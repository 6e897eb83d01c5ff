"""How fast do lifters of `ites` learn and lift, beside plain implementations of the published layers?

    OMP_NUM_THREADS=2 python benchmarks/lifting.py [--seconds 10] [--threads 2]

Two baselines stand beside the plugin, both in benchmarks/_lifting_layers.py: `published layers` uses the kinds of
layers that the public code uses, `plain` what METHOD.md section 2 says with linear layers. As published, their forward
always runs the cycle; `cycle left out` does not, so that the same arithmetic stands side by side. All train the same
losses on the same keypoints with the same optimiser and lift in batches of 1,024, in turns, so that other work on the
machine meets all alike. Then metrics: PA-MPJPE against numpy's batched SVD, at 100,000 poses. Appends the records to
results/lifting.jsonl.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from _lifting_layers import (
    ROTATIONS,
    PlainStudent,
    PlainTeacher,
    PublishedStudent,
    PublishedTeacher,
)
from _machine import command, loaded_machine
from torch import Tensor, nn

from sa3dhp_core.cards import skeleton
from sa3dhp_core.evaluation import evaluate, load_protocol
from sa3dhp_core.host import Host
from sa3dhp_core.types import Skeleton
from sa3dhp_ites import losses
from sa3dhp_ites.lifter import lift_all

RESULTS = Path(__file__).parent / "results" / "lifting.jsonl"
BATCH, INFERENCE, POSES = 128, 1024, 100_000
Step = Callable[[Tensor], Tensor]


class Ours:
    """A lifter of the plugin with its losses."""

    def __init__(self, use: str, body: Skeleton, host: Host) -> None:
        self.module: Any = host.build("lifter", {"use": use}, use, skeleton=body)
        self.root, self.generator = body.index(body.root), torch.Generator()

    def loss(self, points: Tensor) -> Tensor:
        """The loss of one batch, as the plugin's tasks compute it (the student's without the teacher)."""
        module, shape = self.module, (ROTATIONS, len(points))
        lifted = module.lift(points)
        if lifted.canonical is not None:
            turns = losses.any_rotations(shape, self.generator, points)
            seen = torch.ones(points.shape[:2], dtype=torch.bool)
            cycle = losses.invariance(module.lift, lifted.canonical, turns, self.root, False)
            total: Tensor = 5 * losses.reprojection(lifted, points, seen) + cycle
            return total
        turns = losses.vertical_rotations(shape, self.generator, points)
        total = 5 * lifted.points[..., 2].abs().mean()
        turned = (lifted.points @ turns.mT).flatten(0, 1)
        return total + losses.equivariance(module.lift, turned, self.root)


def trainer(module: nn.Module, loss: Step) -> Callable[[], int]:
    """One step of training; returns how many frames."""
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)
    points = keypoints(BATCH)

    def step() -> int:
        module.train()
        optimizer.zero_grad()
        loss(points).backward()
        optimizer.step()
        return BATCH

    return step


def lifting(module: nn.Module, lift: Step, frames: int) -> Callable[[], int]:
    """All frames, batch by batch; returns how many."""
    points = keypoints(frames)

    def step() -> int:
        module.eval()
        with torch.no_grad():
            lift(points)
        return frames

    return step


def keypoints(count: int) -> Tensor:
    """Keypoints in units."""
    return 0.1 * torch.randn(count, len(skeleton()), 2, generator=torch.Generator().manual_seed(0))


def rates(question: str, unit: str, steps: dict[str, Callable[[], int]], seconds: float) -> list[dict[str, Any]]:
    """A record of each, measured in turns after a round that does not count: by the clock, and by computing time.

    Computing time is that of all threads together; other work on the machine slows it least.
    """
    done, took, computed = dict.fromkeys(steps, 0), dict.fromkeys(steps, 0.0), dict.fromkeys(steps, 0.0)
    for step in steps.values():
        step()
    while min(took.values()) < seconds:
        for name, step in steps.items():
            if took[name] < seconds:
                began, used = time.perf_counter(), time.process_time()
                done[name] += step()
                took[name] += time.perf_counter() - began
                computed[name] += time.process_time() - used
    return [
        {
            "question": question,
            "who": name,
            "value": done[name] / took[name],
            "unit": f"{unit}/s",
            "per_computing_s": done[name] / computed[name],
        }
        for name in steps
    ]


def lifters(seconds: float) -> list[dict[str, Any]]:
    """Training and inference of both roles."""
    body, host = skeleton(), Host.load()
    teachers = Ours("ites-mlp", body, host), PublishedTeacher(body), PlainTeacher(body)
    students = Ours("ites-graph", body, host), PublishedStudent(body), PlainStudent(body)
    return role("teacher", *teachers, 8, seconds) + role("student", *students, 1, seconds)


def role(
    name: str, ours: Ours, published: nn.Module, plain: nn.Module, batches: int, seconds: float
) -> list[dict[str, Any]]:
    """One role's records; `batches` are lifted at a time."""
    frames = batches * INFERENCE
    training = {"ours": trainer(ours.module, ours.loss)}
    inference = {"ours": lifting(ours.module, lambda points: lift_all(ours.module, points, INFERENCE), frames)}
    for who, module in (("published layers", published), ("plain", plain)):
        training[who] = trainer(module, lambda points, module=module: module(points)[1])  # type: ignore[misc]
        for cycle, words in ((True, ""), (False, ", cycle left out")):
            inference[who + words] = lifting(module, batched(module, cycle), frames)
    found = rates(f"{name} training", "frames", training, seconds)
    return found + rates(f"{name} inference", "frames", inference, seconds)


def batched(module: nn.Module, cycle: bool) -> Step:
    """Poses of many frames by a baseline."""
    return lambda points: torch.cat([module(some, cycle)[0] for some in points.split(INFERENCE)])


def numpy_pa_mpjpe(prediction: np.ndarray, truth: np.ndarray) -> float:
    """P-MPJPE as it is usually written: one batched SVD."""
    mean_t, mean_p = truth.mean(axis=1, keepdims=True), prediction.mean(axis=1, keepdims=True)
    t, p = truth - mean_t, prediction - mean_p
    norm_t = np.sqrt((t**2).sum(axis=(1, 2), keepdims=True))
    norm_p = np.sqrt((p**2).sum(axis=(1, 2), keepdims=True))
    t, p = t / norm_t, p / norm_p
    u, s, vt = np.linalg.svd(np.matmul(t.transpose(0, 2, 1), p))
    v = vt.transpose(0, 2, 1)
    r = np.matmul(v, u.transpose(0, 2, 1))
    sign = np.sign(np.expand_dims(np.linalg.det(r), axis=1))
    v[:, :, -1] *= sign
    s[:, -1] *= sign.flatten()
    r = np.matmul(v, u.transpose(0, 2, 1))
    scale = s.sum(axis=1, keepdims=True)[..., None] * norm_t / norm_p
    moved = scale * np.matmul(prediction, r) + mean_t - scale * np.matmul(mean_p, r)
    return float(np.linalg.norm(moved - truth, axis=-1).mean())


def metrics(seconds: float) -> list[dict[str, Any]]:
    """PA-MPJPE of 100,000 poses, both in single precision as predictions are."""
    generator, body = torch.Generator().manual_seed(0), skeleton()
    truth = 0.4 * torch.randn(POSES, len(body), 3, generator=generator)
    prediction = truth + 0.1 * torch.randn(truth.shape, generator=generator)
    card, values = load_protocol("pa-mpjpe"), {}

    def ours() -> int:
        values["ours"] = evaluate(card, prediction, truth, body).value
        return POSES

    def plain() -> int:
        values["plain"] = 1000 * numpy_pa_mpjpe(prediction.numpy(), truth.numpy())
        return POSES

    found = rates("PA-MPJPE", "poses", {"ours": ours, "plain": plain}, seconds)
    apart = abs(values["ours"] - values["plain"])
    return [*found, {"question": "PA-MPJPE", "who": "difference", "value": apart, "unit": "mm"}]


def main(seconds: float = 10.0, threads: int = 2) -> None:
    """Print the table and append the records."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    facts: dict[str, Any] = {
        "command": command(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": loaded_machine(),
        "torch": torch.__version__,
    }
    records = [*lifters(seconds), *metrics(seconds)]
    ours = {record["question"]: record for record in records if record["who"] == "ours"}
    with RESULTS.open("a", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps({**record, **facts}) + "\n")
            ratios = ""
            if record["unit"] != "mm":
                best = ours[record["question"]]
                clock, computing = (best[key] / record[key] for key in ("value", "per_computing_s"))
                ratios = f"ours x {clock:.2f} by the clock, x {computing:.2f} by computing time"
            print(f"{record['question']:20}{record['who']:36}{record['value']:12.4g} {record['unit']:10}{ratios}")


if __name__ == "__main__":
    typer.run(main)
