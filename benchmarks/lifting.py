"""How fast do lifters of `ites` learn and lift, beside a plain implementation of the published layers?

    OMP_NUM_THREADS=2 python benchmarks/lifting.py [--seconds 10] [--threads 2]

The plain layers below are written from METHOD.md section 2 as one would write them first: per-channel adjacency
matrices over all pairs of joints, a matrix exponential for rotations, one pass for each of the four rotations, and a
forward that runs the cycle always (`plain, cycle left out` does not, so that the same arithmetic stands side by side).
Both train the same losses on the same keypoints with the same optimiser, in turns. Then metrics: PA-MPJPE against
numpy's batched SVD, at 100,000 poses. Appends the records to results/lifting.jsonl.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from torch import Tensor, nn

from sa3dhp_core.cards import skeleton
from sa3dhp_core.evaluation import evaluate, load_protocol
from sa3dhp_core.host import Host
from sa3dhp_core.types import Skeleton

RESULTS = Path(__file__).parent / "results" / "lifting.jsonl"
BATCH, INFERENCE, ROTATIONS, POSES = 128, 1024, 4, 100_000
Step = Callable[[Tensor], Tensor]


class PlainTeacher(nn.Module):
    """The published teacher's layers."""

    def __init__(self, body: Skeleton) -> None:
        super().__init__()
        self.joints = len(body)
        self.enter, self.norm = nn.Linear(2 * self.joints, 1024), nn.BatchNorm1d(1024)
        self.blocks = nn.ModuleList(PlainBlock() for _ in range(6))
        self.coefficients, self.turn = nn.Linear(1024, 12), nn.Linear(1024, 3)
        self.shapes = nn.Linear(12, 3 * self.joints)

    def shape(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Canonical shapes and rotations."""
        feature = torch.relu(self.norm(self.enter(points.flatten(1))))
        for block in self.blocks:
            feature = block(feature)
        shape = self.shapes(self.coefficients(feature)).view(-1, self.joints, 3)
        x, y, z = self.turn(feature).unbind(-1)
        zero = torch.zeros_like(x)
        hat = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).view(-1, 3, 3)
        return shape, torch.matrix_exp(hat)

    def forward(self, points: Tensor, cycle: bool = True) -> tuple[Tensor, Tensor]:
        """Poses, and the loss that the published forward always computes."""
        shape, rotation = self.shape(points)
        pose = torch.matmul(shape, rotation.transpose(1, 2))
        loss = (flat(pose) - points).norm(dim=-1).mean() * 5
        for _ in range(ROTATIONS if cycle else 0):
            turned = torch.matmul(shape, uniform(len(shape)).transpose(1, 2))
            seen = flat(turned)
            loss = loss + (self.shape(seen - seen[:, :1])[0] - shape).norm(dim=-1).mean() / ROTATIONS
        return pose, loss


class PlainBlock(nn.Module):
    """A residual bottleneck."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(1024, 256), nn.Linear(256, 256), nn.Linear(256, 1024)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(256), nn.BatchNorm1d(256), nn.BatchNorm1d(1024)])

    def forward(self, feature: Tensor) -> Tensor:
        """``(N, 1024)`` to the same."""
        inner = torch.relu(self.norms[0](self.layers[0](feature)))
        inner = torch.relu(self.norms[1](self.layers[1](inner)))
        return torch.relu(self.norms[2](self.layers[2](inner)) + feature)


class PlainConvolution(nn.Module):
    """A semantic graph convolution over all pairs of joints, those that are no bone masked."""

    def __init__(self, enter: int, leave: int, body: Skeleton) -> None:
        super().__init__()
        adjacency = torch.eye(len(body))
        for end in body.bones:
            start = body.parent_indices[end]
            adjacency[end, start] = adjacency[start, end] = 1
        self.register_buffer("adjacency", adjacency)
        self.logits = nn.Parameter(torch.zeros(leave, len(body), len(body)))
        self.own, self.other = nn.Linear(enter, leave, bias=False), nn.Linear(enter, leave, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """``(N, J, C)`` to ``(N, J, C')``."""
        mask: Any = self.adjacency
        weights = self.logits.masked_fill(mask == 0, -9e15).softmax(dim=-1)
        eye = torch.eye(weights.shape[-1])
        own, other = (map(values).transpose(1, 2).unsqueeze(-1) for map in (self.own, self.other))
        out = torch.matmul(weights * eye, own) + torch.matmul(weights * (1 - eye), other)
        return out.squeeze(-1).transpose(1, 2)


class PlainUnit(nn.Module):
    """Convolution, normalisation, rectification, non-local block."""

    def __init__(self, enter: int, width: int, body: Skeleton) -> None:
        super().__init__()
        self.convolution, self.norm = PlainConvolution(enter, width, body), nn.BatchNorm1d(width)
        self.ask, self.key, self.value = (nn.Linear(width, width // 2, bias=False) for _ in range(3))
        self.leave, self.after = nn.Linear(width // 2, width, bias=False), nn.BatchNorm1d(width)
        parts = [[body.index(joint) for joint in part] for part in body.parts.values()]
        self.groups = [*parts, [body.index(body.root)]]

    def forward(self, values: Tensor) -> Tensor:
        """``(N, J, C)`` to ``(N, J, width)``."""
        x = torch.relu(self.norm(self.convolution(values).transpose(1, 2)).transpose(1, 2))
        key, value = (
            torch.stack([told[:, group].max(dim=1).values for group in self.groups], dim=1)
            for told in (self.key(x), self.value(x))
        )
        weight = (torch.matmul(self.ask(x), key.transpose(1, 2)) / key.shape[-1] ** 0.5).softmax(dim=-1)
        return x + self.after(self.leave(torch.matmul(weight, value)).transpose(1, 2)).transpose(1, 2)


class PlainStudent(nn.Module):
    """The published student's layers."""

    def __init__(self, body: Skeleton) -> None:
        super().__init__()
        self.enter = PlainUnit(2, 128, body)
        self.units = nn.ModuleList(PlainUnit(128, 128, body) for _ in range(8))
        self.depth = nn.Linear(128, 1, bias=False)

    def lift(self, points: Tensor) -> Tensor:
        """Poses in units."""
        x = self.enter(points)
        for first, second in zip(self.units[::2], self.units[1::2], strict=True):
            x = x + second(first(x))
        depth = self.depth(x)
        depth = depth - depth[:, :1]
        return torch.cat([points * (depth + 5).clamp_min(1), depth], dim=-1)

    def forward(self, points: Tensor, cycle: bool = True) -> tuple[Tensor, Tensor]:
        """Poses, and the loss that the published forward always computes (without the teacher)."""
        pose = self.lift(points)
        loss = 5 * pose[..., 2].abs().mean()
        for _ in range(ROTATIONS if cycle else 0):
            angle = 6.2832 * torch.rand(len(pose))
            zero, one = torch.zeros_like(angle), torch.ones_like(angle)
            rows = [angle.cos(), zero, angle.sin(), zero, one, zero, -angle.sin(), zero, angle.cos()]
            turned = torch.matmul(pose, torch.stack(rows, dim=-1).view(-1, 3, 3).transpose(1, 2))
            loss = loss + (self.lift(flat(turned)) - turned).norm(dim=-1).mean() / ROTATIONS
        return pose, loss


def flat(points: Tensor) -> Tensor:
    """Projection of poses in units."""
    return points[..., :2] / (points[..., 2:] + 5).clamp_min(1)


def uniform(count: int) -> Tensor:
    """Random rotations by Gram and Schmidt."""
    return torch.linalg.qr(torch.randn(count, 3, 3)).Q


class Ours:
    """A lifter of the plugin with its losses."""

    def __init__(self, use: str, body: Skeleton, host: Host) -> None:
        from sa3dhp_ites import losses

        self.module: Any = host.build("lifter", {"use": use}, use, skeleton=body)
        self.losses, self.root, self.generator = losses, body.index(body.root), torch.Generator()

    def loss(self, points: Tensor) -> Tensor:
        """The loss of one batch, as the plugin's tasks compute it (the student's without the teacher)."""
        module, shape = self.module, (ROTATIONS, len(points))
        lifted = module.lift(points)
        if lifted.canonical is not None:
            turns = self.losses.any_rotations(shape, self.generator, points)
            seen = torch.ones(points.shape[:2], dtype=torch.bool)
            cycle = self.losses.invariance(module.lift, lifted.canonical, turns, self.root, False)
            total: Tensor = 5 * self.losses.reprojection(lifted, points, seen) + cycle
            return total
        turns = self.losses.vertical_rotations(shape, self.generator, points)
        total = 5 * lifted.points[..., 2].abs().mean()
        turned = (lifted.points @ turns.mT).flatten(0, 1)
        return total + self.losses.equivariance(module.lift, turned, self.root)


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


def lifting(module: nn.Module, lift: Step) -> Callable[[], int]:
    """One batch of inference; returns how many frames."""
    points = keypoints(INFERENCE)

    def step() -> int:
        module.eval()
        with torch.no_grad():
            lift(points)
        return INFERENCE

    return step


def keypoints(count: int) -> Tensor:
    """Keypoints in units."""
    return 0.1 * torch.randn(count, len(skeleton()), 2, generator=torch.Generator().manual_seed(0))


def per_second(steps: dict[str, Callable[[], int]], seconds: float) -> dict[str, float]:
    """Frames a second of each, run in turns, so that other work on the machine meets all alike."""
    done, took = dict.fromkeys(steps, 0), dict.fromkeys(steps, 0.0)
    for step in steps.values():
        step()
    while min(took.values()) < seconds:
        for name, step in steps.items():
            if took[name] < seconds:
                began = time.perf_counter()
                done[name] += step()
                took[name] += time.perf_counter() - began
    return {name: done[name] / took[name] for name in steps}


def lifters(seconds: float) -> list[dict[str, object]]:
    """Training and inference of both roles."""
    body, host, found = skeleton(), Host.load(), []
    for role, use, kind in (("teacher", "ites-mlp", PlainTeacher), ("student", "ites-graph", PlainStudent)):
        ours, plain = Ours(use, body, host), kind(body)
        training = {
            "ours": trainer(ours.module, ours.loss),
            "plain": trainer(plain, lambda points, plain=plain: plain(points)[1]),  # type: ignore[misc]
        }
        from sa3dhp_ites.lifter import lift_all

        inference = {
            "ours": lifting(ours.module, lambda points, module=ours.module: lift_all(module, points)),  # type: ignore[misc]
            "plain": lifting(plain, lambda points, plain=plain: plain(points)[0]),  # type: ignore[misc]
            "plain, cycle left out": lifting(plain, lambda points, plain=plain: plain(points, cycle=False)[0]),  # type: ignore[misc]
        }
        for what, steps in (("training", training), ("inference", inference)):
            for name, value in per_second(steps, seconds).items():
                found.append({"question": f"{role} {what}", "who": name, "value": value, "unit": "frames/s"})
    return found


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


def metrics(seconds: float) -> list[dict[str, object]]:
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

    rates = per_second({"ours": ours, "plain": plain}, seconds)
    apart = {"question": "PA-MPJPE", "who": "difference", "value": abs(values["ours"] - values["plain"]), "unit": "mm"}
    return [{"question": "PA-MPJPE", "who": n, "value": v, "unit": "poses/s"} for n, v in rates.items()] + [apart]


def main(seconds: float = 10.0, threads: int = 2) -> None:
    """Print the table and append the records."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    records = [*lifters(seconds), *metrics(seconds)]
    facts = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "threads": threads, "torch": torch.__version__}
    with RESULTS.open("a", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps({**record, **facts, "machine": platform.machine()}) + "\n")
            print(f"{record['question']:20} {record['who']:24} {record['value']:12.1f} {record['unit']}")


if __name__ == "__main__":
    typer.run(main)
