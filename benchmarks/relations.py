"""How far from local is each relation, and how well do networks learn it? On held-out motion.

    OMP_NUM_THREADS=1 python benchmarks/relations.py [--data world|mocap] [--network residual-mlp] [--steps 800] …

Trains a pose prior and a motion prior, then one network for each relation, and prints for every relation the latent
distance (absolute and relative to random pairs), the error of the network's output decoded, of the identity in its
place, and the floor: the prior's own reconstruction of the partner. Appends the records to results/relations.jsonl.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import typer
from _machine import command, machine
from torch import Tensor, nn

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.cards import skeleton
from sa3dhp_core.geometry import viewpoint
from sa3dhp_core.host import Host
from sa3dhp_core.types import WHOLE, Shard
from sa3dhp_relations.surveying import errors_mm
from sa3dhp_relations.tasks import Pairs

FRAMES = 30
RESULTS = Path(__file__).parent / "results" / "relations.jsonl"
MOCAP = Path(__file__).parents[2] / "shared/data/mocap/bandai_namco_1.npz"
POSE = ("rotate(5)", "rotate(50)", "flip", "flip @ rotate(50)", "tilt(10)", "pan(10)", "flip? @ rotate(-63..63)")
MOTION = (
    "flip",
    "flip @ rotate(50)",
    "shift(5)",
    "backward",
    "flip @ backward",
    "flip @ rotate(50) @ backward",
    "slow(2)",
    "slow(2) @ backward",
)


class Camera:
    """Unpaired motion as cameras around the person see it: any azimuth, elevation -5 to 25 degrees."""

    def __init__(self, sequences: Any) -> None:
        self.sequences = sequences

    def motion(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
        """``(B, T, J, 3)`` camera frame."""
        world = self.sequences.draw(count, frames, generator, shard)
        azimuth, elevation = torch.rand(2, count, generator=generator)[:, shard.rank :: shard.world]
        turn = viewpoint(2 * math.pi * azimuth, (30 * elevation - 5) * math.pi / 180)
        return torch.einsum("bij,btkj->btki", turn, world)

    def poses(self, count: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
        """``(B, J, 3)`` camera frame."""
        return self.motion(count, 1, generator, shard)[:, 0]


def train(task: Any, stage: str) -> float:
    """The bare loop, so that this measures components and not the engine; seconds."""
    began = time.perf_counter()
    for step in range(task.steps):
        for update in task.updates(step, generator_for(0, stage, step), WHOLE):
            optimizer, scheduler = task.optimizers()[update.optimizer]
            optimizer.zero_grad()
            update.loss.backward()
            if task.clip_norm is not None:
                nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], task.clip_norm)
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
    return time.perf_counter() - began


def data_of(host: Host, name: str) -> tuple[Camera, Camera]:
    """Training and held-out motion."""
    table = {"use": "mocap-npz", "path": str(MOCAP)} if name == "mocap" else {"use": "world-motion"}
    made = host.build("pose_data", table, "data.poses")
    folder = Path(tempfile.gettempdir()) / f"sa3dhp-bench-relations-{name}"
    folder.mkdir(exist_ok=True)
    made.prepare(folder)
    return Camera(made.sequences(folder, "train")), Camera(made.sequences(folder, "test"))


class Bench:
    """Priors, data and the pairs of a relation."""

    def __init__(self, host: Host, data: str, pose_prior: str, motion_prior: str, prior_steps: int) -> None:
        self.host = host
        self.train_data, self.test_data = data_of(host, data)
        torch.manual_seed(0)
        table = {"use": pose_prior, "steps": prior_steps}
        self.prior = host.build("pose_prior", table, "pose_prior", skeleton=skeleton())
        seconds = train(self.prior.task(self.train_data.poses), "pose_prior")
        self.prior.eval().requires_grad_(False)
        table = {"use": motion_prior, "steps": prior_steps}
        self.motion = host.build("motion_prior", table, "motion_prior", pose_prior=self.prior, frames=FRAMES)
        motion_seconds = train(self.motion.task(self.train_data.motion), "motion_prior")
        self.motion.eval().requires_grad_(False)
        print(f"priors trained in {seconds:.0f} s and {motion_seconds:.0f} s", flush=True)

    def measure(self, expression: str, on_motion: bool, network_table: dict[str, Any]) -> dict[str, Any]:
        """One record."""
        relation = self.host.build("relation", {"use": "geometric", "expression": expression}, "r", skeleton=skeleton())
        encode = self.motion_embedding if on_motion else self.prior.encode
        decode = self.motion_decoded if on_motion else self.prior.decode
        temporal = relation.temporal(FRAMES if on_motion else 1)
        generator = generator_for(1, "test")
        count = 512 if on_motion else 4096
        anchor, partner = temporal.of(self.test_data.motion(count, temporal.window, generator))
        spatial = relation.draw((count,), generator)
        partner = relation.on_poses(partner, spatial)
        if not on_motion:
            anchor, partner = anchor[:, 0], partner[:, 0]
        with torch.no_grad():
            e_anchor, e_partner = encode(anchor), encode(partner)
        scores = {
            name: self.host.build("relation_score", {"use": name}, "score")(e_anchor, e_partner)
            for name in ("latent-distance", "relative-latent-distance")
        }
        torch.manual_seed(0)
        network = self.host.build(
            "relation_network",
            network_table,
            "network",
            width=e_anchor.shape[-1],
            condition=relation.condition,
            bound=nn.Identity() if on_motion else self.prior.bound,
            pose_prior=self.prior,
        )
        draw = self.train_data.motion if on_motion else self.train_data.poses
        task = network.task(relation, self.prior, self.motion if on_motion else None, draw, FRAMES)
        seconds = train(task, f"network-{expression}")
        errors = errors_mm(Pairs(e_anchor, e_partner, spatial.condition, partner), network.eval(), decode)
        return {
            "relation": relation.name,
            "space": "v" if on_motion else "z",
            "distance": scores["latent-distance"],
            "relative": scores["relative-latent-distance"],
            "network_mm": errors.network,
            "identity_mm": errors.identity,
            "floor_mm": errors.floor,
            "train_s": seconds,
        }

    def motion_embedding(self, poses: Tensor) -> Tensor:
        """``(B, T, J, 3)`` -> v."""
        embedded: Tensor = self.motion.encode(self.prior.encode(poses))
        return embedded

    def motion_decoded(self, v: Tensor) -> Tensor:
        """V -> ``(B, T, J, 3)``."""
        decoded: Tensor = self.prior.decode(self.motion.decode(v))
        return decoded


def main(
    data: str = typer.Option("world", help="world or mocap"),
    network: str = typer.Option("residual-mlp", help="a relation_network"),
    pose_prior: str = typer.Option("pose-aae-proportions", help="a pose_prior"),
    motion_prior: str = typer.Option("motion-dct", help="a motion_prior"),
    steps: int = typer.Option(0, help="training steps of the networks; their default if 0"),
    prior_steps: int = typer.Option(500, help="training steps of the priors"),
    only: str = typer.Option("", help="relations to measure, separated by ';'"),
    spaces: str = typer.Option("zv", help="z, v or both"),
    keys: str = typer.Option("{}", help="further keys of the network, as JSON"),
    record: bool = typer.Option(True, help="append to results/relations.jsonl"),
) -> None:
    """Print the table and append its records."""
    bench = Bench(Host.load(), data, pose_prior, motion_prior, prior_steps)
    table: dict[str, Any] = {"use": network, **({"steps": steps} if steps else {}), **json.loads(keys)}
    chosen = tuple(text.strip() for text in only.split(";") if text.strip())
    shared = {
        "command": command(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{machine()}, {torch.get_num_threads()} thread(s), torch {torch.__version__}",
    }
    print(f"{'':2}{'relation':32}{'distance':>9}{'relative':>9}{'network':>9}{'identity':>9}{'floor':>7} mm  train s")
    for space, relations in (("z", POSE), ("v", MOTION)):
        for expression in (chosen or relations) if space in spaces else ():
            row = bench.measure(expression, space == "v", table)
            print(
                f"{row['space']:2}{row['relation']:32}{row['distance']:9.3f}{row['relative']:9.2f}"
                f"{row['network_mm']:9.1f}{row['identity_mm']:9.1f}{row['floor_mm']:7.1f}    {row['train_s']:6.0f}",
                flush=True,
            )
            if record:
                RESULTS.parent.mkdir(exist_ok=True)
                with RESULTS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({**row, **shared}) + "\n")


if __name__ == "__main__":
    typer.run(main)
