"""How well do the pose and motion priors hold poses that they have not seen? On held-out motion and held-out bodies.

    OMP_NUM_THREADS=1 python benchmarks/priors.py [--data world|mocap] [--only ID …] [--steps N] [--set key=value …]

Trains each component with the engine and prints the held-out error in millimetres, the floor that fixed bones set
(true directions with the training poses' mean lengths), the spread of the latent, how plausible decoded samples of the
prior and decoded midpoints are, and seconds. Poses are seen from any azimuth, elevations of -20 to 20 degrees and any
roll. Appends the records to results/priors.jsonl.

Plausibility: the share of angles between neighbouring bones that lie in the training poses' range (5 degrees of
margin), and the mean joint distance to the nearest of 8192 training poses with the body's frame and lengths removed;
both are given for held-out poses too.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import attrs
import numpy as np
import torch
import typer
from _machine import command, machine
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.cards import skeleton
from sa3dhp_core.engine import Engine
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.geometry import viewpoint
from sa3dhp_core.sinks import SinkBoard
from sa3dhp_core.types import WHOLE, Shard
from sa3dhp_priors.body import Anatomy, Body
from sa3dhp_priors.plugin import sa3dhp_motion_priors, sa3dhp_pose_priors
from sa3dhp_priors.proportions import spread
from sa3dhp_world.config import WorldMotionConfig
from sa3dhp_world.data import WorldMotion

FRAMES = 30
RESULTS = Path(__file__).parent / "results" / "priors.jsonl"
MOCAP = Path(__file__).parents[2] / "shared/data/mocap/bandai_namco_1.npz"
CARD = skeleton()
ANATOMY = Anatomy(CARD)
POSE = {component.id: component for component in sa3dhp_pose_priors()}
MOTION = {component.id: component for component in sa3dhp_motion_priors()}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "pose-aae": ("pose-aae", {}),
    "pose-aae (tree, joint)": ("pose-aae", {"body": "tree", "orientation": "joint", "steps": 1000}),
    "pose-aae-proportions": ("pose-aae-proportions", {}),
    "pose-aae-proportions (quick)": ("pose-aae-proportions", {"steps": 150}),
    "motion-dct": ("motion-dct", {}),
    "motion-dct (quick)": ("motion-dct", {"steps": 150}),
    "motion-bilstm": ("motion-bilstm", {}),
}


class Motion:
    """Sequences seen by random cameras; the recorded ones, all of one body, on bodies of random proportions.

    Args:
        sequences: each ``(T, J, 3)``, world frame.
        bodies: whether to draw stature by 4 % and limb ratios by 6 %.
    """

    def __init__(self, sequences: list[Tensor], bodies: bool) -> None:
        self._sequences = [s - s[:, :1] for s in sequences if len(s) >= FRAMES]
        self._bodies = bodies

    def motion(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
        """``(B, T, J, 3)`` metres, camera frame, root-relative."""
        room = torch.tensor([len(s) - frames + 1.0 for s in self._sequences])
        chosen = torch.multinomial(room, count, replacement=True, generator=generator)
        first = (torch.rand(count, generator=generator) * room[chosen]).long()
        world = torch.stack([self._sequences[c][f : f + frames] for c, f in zip(chosen, first.tolist(), strict=True)])
        if self._bodies:
            groups = ANATOMY.groups
            stature = 1 + 0.04 * (2 * torch.rand(count, 1, generator=generator) - 1)
            ratios = 1 + 0.06 * (2 * torch.rand(count, len(groups), generator=generator) - 1)
            body = ANATOMY.split(world)
            world = ANATOMY.join(body._replace(lengths=body.lengths * spread(stature * ratios, groups)[:, None]))
        turns = torch.rand(3, count, generator=generator) * 2 - 1
        camera = viewpoint(turns[0] * math.pi, turns[1] * math.pi / 9, turns[2] * math.pi)
        return torch.einsum("bij,btkj->btki", camera, world)[shard.rank :: shard.world]

    def poses(self, count: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
        """``(B, J, 3)`` metres, camera frame, root-relative."""
        return self.motion(count, 1, generator, shard)[:, 0]


def load(data: str) -> tuple[Motion, Motion]:
    """Training and held-out motion: the world's own splits (other bodies), or every fifth recorded clip held out."""
    if data == "mocap":
        file = np.load(MOCAP)
        starts = file["clip_start"]
        clips = [torch.from_numpy(file["positions"][a:b]) for a, b in zip(starts[:-1], starts[1:], strict=True)]
        return Motion([c for i, c in enumerate(clips) if i % 5], True), Motion(clips[::5], True)
    with tempfile.TemporaryDirectory() as folder:
        world = WorldMotion(WorldMotionConfig())
        world.prepare(Path(folder))
        splits = [list(world.sequences(Path(folder), split).sequences()) for split in ("train", "test")]
        train, test = ([sequence.clone() for sequence in split] for split in splits)
    return Motion(train, False), Motion(test, False)


def train(task: Any, stage: str) -> float:
    """With the engine, silently; seconds of wall clock."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(EngineConfig(device="cpu", threads=1, checkpoint_every=10**6, log_every=100), 0, SinkBoard(()))
        engine.train(task, stage, Path(folder))
    return time.perf_counter() - began


def mm(first: Tensor, second: Tensor) -> float:
    """Mean joint distance in millimetres."""
    return 1000 * float((first - second).norm(dim=-1).mean())


class Plausible:
    """What training poses look like with camera and proportions removed."""

    def __init__(self, poses: Tensor) -> None:
        self._inner = [b for b, parent in enumerate(ANATOMY.parents) if parent != ANATOMY.root]
        self._outer = [ANATOMY.bones.index(ANATOMY.parents[b]) for b in self._inner]
        self._standard = self._place(poses)
        angles = self._angles(poses)
        self._low, self._high = angles.min(dim=0).values - 5, angles.max(dim=0).values + 5

    def _place(self, poses: Tensor) -> Tensor:
        body = ANATOMY.split(poses)
        return ANATOMY.join(Body(torch.eye(3), body.directions, ANATOMY.card_lengths().expand_as(body.lengths)))

    def _angles(self, poses: Tensor) -> Tensor:
        directions = ANATOMY.split(poses).directions
        cosines = (directions[:, self._inner] * directions[:, self._outer]).sum(dim=-1)
        return torch.rad2deg(torch.acos(cosines.clamp(-1, 1)))

    def within(self, poses: Tensor) -> float:
        """Share of angles inside the training poses' range."""
        angles = self._angles(poses)
        return float(((angles >= self._low) & (angles <= self._high)).float().mean())

    def nearest_mm(self, poses: Tensor) -> float:
        """Mean joint distance to the nearest training pose."""
        found = [
            (self._standard[None] - pose[None, None]).norm(dim=-1).mean(dim=-1).min() for pose in self._place(poses)
        ]
        return 1000 * float(torch.stack(found).mean())


@torch.no_grad()
def measure_pose(prior: Any, held: Tensor, plausible: Plausible) -> dict[str, float]:
    """Figures of a pose prior."""
    z = prior.encode(held)
    deviations = z.std(dim=0)
    decoded = prior.decode(z)
    samples = prior.decode(prior.sample(256, generator_for("samples")))
    half = len(held) // 2
    between = prior.decode(0.5 * (z[:half] + z[half:]))[:256]
    body = ANATOMY.split(held)
    mean = prior.lengths.decode(torch.zeros(1, prior.lengths.latent))
    pairs_z, pairs_y = (z[:half] - z[half:]).norm(dim=-1), (held[:half] - held[half:]).norm(dim=-1).mean(dim=-1)
    return {
        "held_out_mm": mm(decoded, held),
        "floor_mm": mm(ANATOMY.join(body._replace(lengths=mean.expand_as(body.lengths))), held),
        "latent_std_min": float(deviations.min()),
        "latent_std_mean": float(deviations.mean()),
        "distance_correlation": float(torch.corrcoef(torch.stack((pairs_z, pairs_y)))[0, 1]),
        "angles_within_samples": plausible.within(samples),
        "angles_within_midpoints": plausible.within(between),
        "angles_within_held_out": plausible.within(held),
        "nearest_mm_samples": plausible.nearest_mm(samples),
        "nearest_mm_midpoints": plausible.nearest_mm(between),
        "nearest_mm_held_out": plausible.nearest_mm(held[:256]),
    }


@torch.no_grad()
def measure_motion(prior: Any, pose_prior: Any, held: Tensor) -> dict[str, float]:
    """Figures of a motion prior; the floor is the frozen pose prior's own error."""
    z = pose_prior.encode(held)
    v = prior.encode(z)
    deviations = v.std(dim=0)
    half = len(held) // 2
    pairs_v, pairs_y = (v[:half] - v[half:]).norm(dim=-1), (held[:half] - held[half:]).norm(dim=-1).mean(dim=(1, 2))
    return {
        "held_out_mm": mm(pose_prior.decode(prior.decode(v)), held),
        "floor_mm": mm(pose_prior.decode(z), held),
        "latent_std_min": float(deviations.min()),
        "latent_std_mean": float(deviations.mean()),
        "distance_correlation": float(torch.corrcoef(torch.stack((pairs_v, pairs_y)))[0, 1]),
    }


def build(component: Any, settings: dict[str, Any], **parts: Any) -> Any:
    """The component with these keys, from fixed initial weights."""
    torch.manual_seed(0)
    return component.load_target()(component.load_config()(**settings), **parts)


def main(
    data: Annotated[str, typer.Option(help="world or mocap")] = "world",
    only: Annotated[list[str] | None, typer.Option(help="rows to run; all if absent")] = None,
    steps: Annotated[int | None, typer.Option(help="training steps of every row")] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="key=value for every row that has the key")] = None,
) -> None:
    """Train, measure, print, append."""
    began = time.perf_counter()
    source, held = load(data)
    poses, sequences = held.poses(2048, generator_for("held")), held.motion(256, FRAMES, generator_for("held-motion"))
    plausible = Plausible(source.poses(8192, generator_for("references")))
    print(f"{data}: motion ready in {time.perf_counter() - began:.0f} s")
    frozen: Any = None
    for row in only or VARIANTS:
        base, preset = VARIANTS[row]
        component = POSE.get(base) or MOTION[base]
        given = dict(item.split("=", 1) for item in setting or [])
        known = {field.name for field in attrs.fields(component.load_config())}
        settings = preset | {key: json.loads(value) for key, value in given.items() if key in known}
        settings |= {"steps": steps} if steps else {}
        if base in POSE:
            prior = build(component, settings, skeleton=CARD)
            seconds = train(prior.task(source.poses), row)
            figures = measure_pose(prior, poses, plausible)
            if base == "pose-aae-proportions" and "quick" not in row:
                frozen = prior.requires_grad_(False)
        else:
            if frozen is None:
                frozen = build(POSE["pose-aae-proportions"], {}, skeleton=CARD)
                train(frozen.task(source.poses), "pose-aae-proportions")
                frozen.requires_grad_(False)
            prior = build(component, settings, pose_prior=frozen, frames=FRAMES)
            seconds = train(prior.task(source.motion), row)
            figures = measure_motion(prior, frozen, sequences)
        report(row, data, settings, figures | {"seconds": seconds})


def report(row: str, data: str, settings: dict[str, Any], figures: dict[str, float]) -> None:
    """One line on the console, one record in the results."""
    print(f"{row:30s} " + "  ".join(f"{name} {value:.2f}" for name, value in figures.items()), flush=True)
    record = {
        "benchmark": "priors",
        "row": row,
        "data": data,
        "settings": settings,
        **{name: round(value, 4) for name, value in figures.items()},
        "command": command(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{machine()}, 1 thread, torch {torch.__version__}",
    }
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as file:
        file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    typer.run(main)
