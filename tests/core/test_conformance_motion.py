"""What components learn from on the bench, and the plain parts that they are built from."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import attrs
import pytest
import torch

from sa3dhp_core.cards import skeleton
from sa3dhp_core.components import Component
from sa3dhp_core.conformance import Bench, Subject, run_checks
from sa3dhp_core.conformance.lessons import Lesson, train
from sa3dhp_core.conformance.motion import VARIABLE, Seen, Swinging
from sa3dhp_core.conformance.plain import PlainMotionPrior, PlainPosePrior, bound
from sa3dhp_core.conformance.reference import Turning
from sa3dhp_core.errors import PluginError
from sa3dhp_core.geometry import bone_lengths, viewpoint, within_limits
from sa3dhp_core.host import Host
from sa3dhp_core.store import ArrayPoses, write_poses
from sa3dhp_core.types import WHOLE, Shard
from tests.broken.learning import Learning

BODY = skeleton()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@attrs.frozen
class StoredConfig:
    """Keys of the motion of these tests."""

    path: str = attrs.field(default="", metadata={"help": "unused, but asked for"})
    still: bool = attrs.field(default=False, metadata={"help": "whether nobody moves"})


class Stored:
    """`PoseData` of one split: one body that swings, two seconds of it."""

    splits = ("train",)

    def __init__(self, config: StoredConfig) -> None:
        if config.path == "nowhere":
            raise PluginError("there is no such file")
        self._moves = not config.still

    def prepare(self, folder: Path) -> None:
        motion = Swinging(BODY)(1, 60, generator())[0]
        positions = motion if self._moves else motion[:1].expand(60, -1, -1)
        write_poses(
            folder,
            "train",
            positions=positions,
            starts=torch.tensor([0, 60]),
            fps=30.0,
            licence="none",
            families=("swing",),
        )

    def sequences(self, folder: Path, split: str) -> ArrayPoses:
        return ArrayPoses(folder, split)


def component(id: str, *claims: str) -> Component:
    here = "tests.core.test_conformance_motion"
    return Component("pose_data", id, "motion", f"{here}:StoredConfig", f"{here}:Stored", claims)


def test_made_motion_moves_keeps_its_bones_and_bends_as_bodies_do() -> None:
    motion = Swinging(BODY)(64, 20, generator())
    assert motion.shape == (64, 20, len(BODY), 3)
    lengths = bone_lengths(motion, BODY)
    torch.testing.assert_close(lengths, lengths[:, :1].expand_as(lengths))
    assert float(within_limits(motion, BODY).double().mean()) > 0.95
    assert float((motion[:, 1:] - motion[:, :-1]).norm(dim=-1).amax(-1).min()) > 1e-4
    head, ankle = (motion[..., BODY.index(joint), 2] for joint in ("head", "left_ankle"))
    assert float(head.min()) > 0.2 and float(ankle.max()) < -0.2


def test_cameras_see_one_motion_from_one_place_within_20_degrees_of_level() -> None:
    def still(count: int, frames: int, generator: torch.Generator) -> torch.Tensor:
        return Swinging(BODY)(1, 1, torch.Generator().manual_seed(1)).expand(count, frames, -1, -1)

    seen = Seen(still).sequences(40, 3, generator())
    torch.testing.assert_close(seen, seen[:, :1].expand_as(seen))
    world = still(1, 1, generator())[0, 0].double()
    turns = torch.linalg.lstsq(world.expand(40, -1, -1), seen[:, 0].double()).solution.mT
    down = turns[:, :, 2]  # where the world's up points in the camera
    assert float(down[:, 2].abs().max()) < math.sin(math.radians(20.01))
    assert float(down[:, 0].std()) > 0.4  # any roll
    level = viewpoint(torch.zeros(()), torch.zeros(())).double()
    torch.testing.assert_close(level @ torch.tensor([0.0, 0.0, 1.0]).double(), torch.tensor([0.0, -1.0, 0.0]).double())


def test_a_draw_depends_on_its_generator_alone_and_shards_make_up_the_whole() -> None:
    seen = Bench().motion.train
    whole = seen.poses(6, generator(3))
    torch.testing.assert_close(whole, seen.poses(6, generator(3), WHOLE), atol=0, rtol=0)
    halves = [seen.poses(6, generator(3), Shard(rank, 2)) for rank in range(2)]
    assert torch.equal(whole[::2], halves[0]) and torch.equal(whole[1::2], halves[1])


def test_the_first_data_that_tell_families_apart_and_need_no_file_are_the_benchs_motion() -> None:
    assert Bench().motion.source == "bodies that swing about a standing posture"
    host = Host.of([component("a-plain"), component("b-rich", "families")])
    assert Bench(host=host).motion.source == "use = 'b-rich'"
    assert Bench(host=Host.of([component("a-plain")])).motion.source == "use = 'a-plain'"


def test_a_table_or_the_variable_names_the_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host.of([component("stored"), component("rich", "families")])
    bench = Bench(host=host, motion_table={"use": "stored", "still": True})
    frames = bench.motion.train.sequences(2, 5, generator())
    torch.testing.assert_close(frames, frames[:, :1].expand_as(frames))
    monkeypatch.setenv(VARIABLE, "stored:somewhere.npz")
    assert Bench(host=host).motion.source == "use = 'stored', path = 'somewhere.npz'"
    monkeypatch.setenv(VARIABLE, "stored:nowhere")
    with pytest.raises(PluginError, match="no such file"):
        _ = Bench(host=host).motion
    monkeypatch.setenv(VARIABLE, "file.npz")
    with pytest.raises(PluginError, match="names no file") as caught:
        _ = Bench(host=host).motion
    assert caught.value.hint == "mocap-npz:FILE.npz"


def test_motion_of_another_skeleton_is_refused() -> None:
    bench = Bench(host=Host.of([component("stored")]), motion_table={"use": "stored"})
    bench.skeleton = attrs.evolve(BODY, id="another")
    with pytest.raises(PluginError, match="another skeleton"):
        _ = bench.motion


def test_plain_priors_are_exact_and_the_family_of_turns_is_a_relation_that_keeps_its_promises() -> None:
    pose_prior = PlainPosePrior(BODY)
    motion = Bench().motion.train.sequences(5, 7, generator()).float()
    z = pose_prior.encode(motion)
    torch.testing.assert_close(pose_prior.decode(z), motion, atol=1e-5, rtol=0)
    motion_prior = PlainMotionPrior(pose_prior.latent, 7)
    torch.testing.assert_close(motion_prior.decode(motion_prior.encode(z)), z, atol=1e-5, rtol=0)
    assert float(bound(torch.tensor(-1e9))) == -2.0
    assert [(o.check, o.reason) for o in run_checks([Subject.given(Turning(BODY))], Bench()) if o.failed] == []


def test_what_takes_long_is_done_once_on_a_bench() -> None:
    bench, count = Bench(), itertools.count()
    assert [bench.once(key, lambda: next(count)) for key in ("a", "a", "b", "a")] == [0, 0, 1, 0]


class Averaged(Learning):
    """Leaves the mean of its weights, as the engine does."""

    ema = 0.9


def test_training_is_the_engines_loop(tmp_path: Path) -> None:
    """Weights after the kit's loop are those that the engine leaves, batches being the same."""
    from sa3dhp_core.engine import Engine
    from sa3dhp_core.engine_config import EngineConfig

    class Silent:
        def stage_started(self, stage: str, steps: int | None) -> None: ...
        def progress(self, stage: str, step: int, scalars: object) -> None: ...

    def lesson(kind: type[Learning]) -> Lesson:
        module = torch.nn.Linear(3, 1)
        torch.nn.init.ones_(module.weight)
        torch.nn.init.zeros_(module.bias)
        inputs = torch.arange(6.0).reshape(2, 3)
        return Lesson(module, kind("prior", module, lambda _: module(inputs).square().mean()), {}, [])

    for kind in (Learning, Averaged):
        ours, theirs = lesson(kind), lesson(kind)
        train(ours.task, Bench(), None)
        Engine(EngineConfig(device="cpu"), 0, Silent()).train(theirs.task, "stage", tmp_path / kind.__name__)
        assert torch.equal(ours.module.weight, theirs.module.weight) and float(ours.module.weight.detach()[0, 0]) != 1.0
