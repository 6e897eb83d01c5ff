"""Protocols explain themselves, and what every installed first-party component builds keeps its noun's promise.

The components are small but real; nothing is trained or downloaded.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import attrs
import pytest
import torch
from torch import nn

from sa3dhp_core import protocols
from sa3dhp_core.cards import skeleton
from sa3dhp_core.components import NOUNS
from sa3dhp_core.conformance.subject import example_table
from sa3dhp_core.host import Host, Offer
from sa3dhp_core.protocols.alignment import AlignmentLoss, LossParts
from sa3dhp_core.protocols.data import ImageData, PoseData
from sa3dhp_core.protocols.detection import Detector
from sa3dhp_core.protocols.encoder import Backbone, ImageEncoder
from sa3dhp_core.protocols.keypoints import KeypointData
from sa3dhp_core.protocols.lifter import Lifter
from sa3dhp_core.protocols.method import Method
from sa3dhp_core.protocols.motion_prior import MotionPrior
from sa3dhp_core.protocols.pose_prior import PosePrior
from sa3dhp_core.protocols.relation import Relation, RelationNetwork, RelationScore
from sa3dhp_core.protocols.selection import RelationSelection
from sa3dhp_core.protocols.sink import Sink
from sa3dhp_core.protocols.synthesis import ImageSynthesis
from sa3dhp_core.protocols.task import Task
from sa3dhp_core.recipe import load_recipe

FILES = sorted(path for path in Path(protocols.__file__).parent.glob("*.py") if path.stem != "__init__")
PROMISED: dict[str, type] = {
    "image_data": ImageData,
    "pose_data": PoseData,
    "keypoint_data": KeypointData,
    "backbone": Backbone,
    "image_encoder": ImageEncoder,
    "pose_prior": PosePrior,
    "motion_prior": MotionPrior,
    "relation": Relation,
    "relation_network": RelationNetwork,
    "alignment_loss": AlignmentLoss,
    "relation_score": RelationScore,
    "relation_selection": RelationSelection,
    "lifter": Lifter,
    "detector": Detector,
    "image_synthesis": ImageSynthesis,
    "method": Method,
    "sink": Sink,
}
"""Noun to protocol; a command is a typer application instead."""

TABLES: dict[tuple[str, str], dict[str, Any]] = {
    ("backbone", "transformers"): {
        "options": {"embedding_size": 8, "hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1]},
    },
    ("keypoint_data", "projected-poses"): {"poses": {"use": "world-motion"}},
    ("alignment_loss", "relation"): {"relation": "flip"},
    ("image_synthesis", "puppet"): {"pool": 30},
    ("alignment_loss", "prior-matching"): {"relation": "flip"},
}
"""Keys that a small component needs beside its defaults."""

FRAMES = 8
HOST = Host.load()
OFFERS = [
    offer
    for offer in HOST.components()
    if offer.component.noun in PROMISED and offer.distribution.startswith("sa3dhp-")
]


def members(protocol: type) -> dict[str, Callable[..., Any] | None]:
    """What a protocol asks for: its methods, and the names of its attributes (None)."""
    methods = {
        name: value
        for name, value in vars(protocol).items()
        if inspect.isfunction(value) and (not name.startswith("_") or name in ("__call__", "__len__"))
    }
    properties = [name for name, value in vars(protocol).items() if isinstance(value, property)]
    return {**dict.fromkeys([*get_type_hints(protocol), *properties]), **methods}


def broken_promises(thing: object, protocol: type) -> list[str]:
    """Members that a thing lacks, and methods that cannot be called as the protocol's are."""
    problems = []
    for name, wanted in members(protocol).items():
        if not hasattr(thing, name):
            problems.append(f"lacks {name}")
        elif wanted is not None:
            own = thing.forward if isinstance(thing, nn.Module) and name == "__call__" else getattr(thing, name)
            parameters = list(inspect.signature(wanted).parameters)[1:]
            try:
                inspect.signature(own).bind(*parameters)
                inspect.signature(own).bind(**dict.fromkeys(parameters))
            except TypeError as error:
                problems.append(f"{name}({', '.join(parameters)}): {error}")
    return problems


def build(noun: str, id: str, **parts: Any) -> Any:
    return HOST.build(noun, {"use": id, **TABLES.get((noun, id), {})}, noun, **parts)


@cache
def pose_prior() -> PosePrior:
    return build("pose_prior", "pose-aae", skeleton=skeleton())


def loss_parts(_: Path) -> dict[str, Any]:
    prior, flip = pose_prior(), build("relation", "flip", skeleton=skeleton())
    network = build("relation_network", "through-pose", **network_parts())
    return {
        "parts": LossParts(
            skeleton=skeleton(),
            pose_prior=prior,
            motion_prior=None,
            relations={"flip": flip},
            networks={"flip": network},
            scale=torch.ones(prior.latent),
            motion_scale=torch.ones(0),
            frames=FRAMES,
            latent=prior.latent,
            motion_latent=0,
            feature=16,
        )
    }


def network_parts(_: Path | None = None) -> dict[str, Any]:
    prior = pose_prior()
    return {"width": prior.latent, "condition": 0, "bound": prior.bound, "pose_prior": prior}


def labelled_source(folder: Path) -> dict[str, Any]:
    small = {"train_clips": 30, "validation_clips": 1, "test_clips": 1, "frames": 1}
    data = HOST.build("image_data", {"use": "world", "role": "source", **small}, "data.source")
    data.prepare(folder)
    return {"source": data.labelled(folder, "train"), "generator": torch.Generator()}


PARTS: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "image_data": lambda _: {},
    "pose_data": lambda _: {},
    "keypoint_data": lambda _: {"host": HOST},
    "backbone": lambda _: {},
    "image_encoder": lambda _: {"backbone": build("backbone", "small-cnn"), "latent": 8, "bound": torch.tanh},
    "pose_prior": lambda _: {"skeleton": skeleton()},
    "motion_prior": lambda _: {"pose_prior": pose_prior(), "frames": FRAMES},
    "relation": lambda _: {"skeleton": skeleton()},
    "lifter": lambda _: {"skeleton": skeleton()},
    "relation_network": network_parts,
    "alignment_loss": loss_parts,
    "relation_score": lambda _: {},
    "relation_selection": lambda _: {},
    "detector": lambda _: {},
    "image_synthesis": labelled_source,
    "method": lambda _: {"recipe": load_recipe("quickstart"), "host": HOST},
    "sink": lambda folder: {"folder": folder},
}
"""What each noun's target is handed, as its protocol's page says."""


def test_every_noun_but_commands_has_a_protocol() -> None:
    assert {*PROMISED, "command"} == set(NOUNS)
    assert all(getattr(protocol, "_is_protocol", False) for protocol in PROMISED.values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_protocol_file_documents_everything_in_it(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    kinds = (ast.ClassDef, ast.FunctionDef)
    silent = [node.name for node in ast.walk(tree) if isinstance(node, kinds) and not ast.get_docstring(node)]
    assert silent == []
    module = importlib.import_module(f"sa3dhp_core.protocols.{path.stem}")
    named = [value for value in vars(module).values() if attrs.has(value) and value.__module__ == module.__name__]
    for value in named:
        assert [field.name for field in attrs.fields(value) if field.name not in (value.__doc__ or "")] == []


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: f"{offer.component.noun}:{offer.component.id}")
def test_what_a_shipped_component_builds_keeps_the_promise(offer: Offer, tmp_path: Path) -> None:
    noun, id = offer.component.noun, offer.component.id
    if id in ("joined", "lifted-poses", "shards", "transformers-detector"):  # which need data, a run, or weights
        table = example_table(offer.component, tmp_path)
        thing = HOST.build(noun, table, noun, **PARTS[noun](tmp_path))
    else:
        thing = build(noun, id, **PARTS[noun](tmp_path))
    assert broken_promises(thing, PROMISED[noun]) == []
    if getattr(PROMISED[noun], "_is_runtime_protocol", False):
        assert isinstance(thing, PROMISED[noun])


@pytest.mark.parametrize("id", [offer.component.id for offer in OFFERS if offer.component.noun == "pose_prior"])
def test_the_task_of_a_pose_prior_is_a_task(id: str) -> None:
    def draw(count: int, generator: torch.Generator, shard: object) -> torch.Tensor:
        return torch.randn(count, len(skeleton()), 3, generator=generator)

    task = build("pose_prior", id, skeleton=skeleton()).task(draw)
    assert broken_promises(task, Task) == []
    assert task.steps > 0 and task.modules and set(task.sharded) <= set(task.modules)


def test_the_check_rejects_what_it_should() -> None:
    class Silent:
        def stage_started(self, stage: str, steps: int | None) -> None: ...

        def progress(self, stage: str, step: int) -> None: ...

        def stage_finished(self, stage: str, took: float, cached: bool) -> None: ...

        def result(self, record: Mapping[str, object], more: bool = False) -> None: ...

    problems = broken_promises(Silent(), Sink)
    assert [problem.split("(")[0] for problem in problems] == ["progress", "stage_finished", "lacks close"]
    linear = nn.Linear(2, 2)  # its argument is called `input`
    assert [problem.split(":")[0] for problem in broken_promises(linear, Lifter)] == ["__call__(keypoints)"]
    lacking = ["lacks channels", "lacks blocks", "__call__(images)"]
    assert [problem.split(":")[0] for problem in broken_promises(linear, Backbone)] == lacking
