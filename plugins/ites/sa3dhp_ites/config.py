"""Recipe keys of the lifters and of the method's ``[settings]``. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs
from attrs.validators import ge, gt, in_

Head = Literal["dictionary", "depth"]
Norm = Literal["batch", "none"]
Family = Literal["sgd", "adamw"]
_HEAD = "dictionary: a canonical shape and its rotation; depth: a depth for each joint, on the keypoint's ray"

_TOP = "joint whose distance from the root is the measure of size"
_CENTRED = "see keypoints as a camera that looks at the root would, and turn poses back; published: shift them instead"


def _key(default: Any, text: str, *checks: Any) -> Any:
    return attrs.field(default=default, validator=list(checks), metadata={"help": text})


@attrs.frozen
class MlpConfig:
    """Keys of `ites-mlp`; the defaults are the published teacher's."""

    head: Head = _key("dictionary", _HEAD, in_(("dictionary", "depth")))
    width: int = _key(1024, "width of the trunk", ge(1))
    bottleneck: int = _key(256, "width inside a block", ge(1))
    blocks: int = _key(6, "residual blocks", ge(0))
    shapes: int = _key(12, "size of the dictionary of canonical shapes", ge(1))
    norm: Norm = _key("batch", "batch: batch normalisation after each layer; none: nothing", in_(("batch", "none")))
    top: str = _key("head", _TOP)
    centred: bool = _key(False, _CENTRED)


@attrs.frozen
class GraphConfig:
    """Keys of `ites-graph`; the defaults are the published student's."""

    head: Head = _key("depth", _HEAD, in_(("dictionary", "depth")))
    width: int = _key(128, "channels of a joint", ge(2))
    blocks: int = _key(4, "residual blocks of two graph convolutions", ge(0))
    shapes: int = _key(12, "size of the dictionary of canonical shapes", ge(1))
    top: str = _key("head", _TOP)
    centred: bool = _key(False, _CENTRED)


@attrs.frozen
class Optimisation:
    """How a lifter is optimised; as published, for 6,912 frames: 54 steps are an epoch."""

    steps: int = _key(2700, "training steps", ge(1))
    batch: int = _key(128, "frames a step", ge(2))
    optimizer: Family = _key(
        "sgd",
        "sgd: the rate is halved again and again; adamw: warm-up, cosine decay, gradients clipped to norm 1",
        in_(("sgd", "adamw")),
    )
    learning_rate: float = _key(1e-3, "at the start of SGD, or AdamW's greatest", gt(0.0))
    momentum: float = _key(0.9, "of SGD", ge(0.0))
    weight_decay: float = _key(5e-4, "of the optimiser", ge(0.0))
    halve_every: int = _key(810, "steps after which SGD's learning rate is halved, again and again", ge(1))
    rotations: int = _key(4, "random rotations of each frame in a cycle", ge(1))
    cycle: float = _key(1.0, "weight of the published cycle: a teacher's invariance, a student's equivariance", ge(0.0))

    @property
    def clip_norm(self) -> float | None:
        """Norm that gradients are clipped to, by the optimiser."""
        return 1.0 if self.optimizer == "adamw" else None


@attrs.frozen
class TeacherTraining(Optimisation):
    """The teacher's training; 50 epochs. The last four keys are not published; they are for `ites-best`."""

    reprojection: float = _key(5.0, "weight of the distance between keypoints and the projected pose", ge(0.0))
    aligned: int = _key(810, "first steps, in which the cycle moves canonical shapes to their root", ge(0))
    plausibility: float = _key(0.0, "weight of how unlikely a pose looks from another side, by the density", ge(0.0))
    bones: float = _key(0.0, "weight of the distance of bones' lengths from the longest that they are seen", ge(0.0))
    equivariance: float = _key(0.0, "weight of the student's cycle in the teacher's training", ge(0.0))
    learn_tilt: bool = _key(False, "learn how far cameras look down; else they look along the ground")

    def __attrs_post_init__(self) -> None:
        weights = ("reprojection", "cycle", "plausibility", "bones", "equivariance")
        if not any(getattr(self, name) for name in weights):
            raise ValueError(f"all losses have the weight 0; one of {', '.join(weights)} must have more")


@attrs.frozen
class DensityTraining:
    """The density of 2D poses, which `teaching.plausibility` needs."""

    steps: int = _key(1500, "training steps", ge(1))
    batch: int = _key(256, "frames a step", ge(2))
    learning_rate: float = _key(1e-3, "greatest of AdamW's schedule", gt(0.0))
    components: int = _key(20, "principal components of 2D poses that it sees", ge(2))
    noise: float = _key(0.3, "spread of what is added to each component, whose own is 1", ge(0.0))
    layers: int = _key(8, "coupling layers", ge(1))
    width: int = _key(256, "width inside a layer", ge(1))


@attrs.frozen
class StudentTraining(Optimisation):
    """The student's training; 40 epochs. The last key is not published; 0 leaves statistics as they ran along."""

    steps: int = _key(2160, "training steps", ge(1))
    distillation: float = _key(5.0, "weight of the distance between the student's and the teacher's depths", ge(0.0))
    settle: int = _key(0, "batches that give batch normalisation its running statistics after the last step", ge(0))


def _component(use: str, text: str) -> Any:
    return attrs.field(factory=lambda: {"use": use}, metadata={"component": "lifter", "help": text})


@attrs.frozen
class Settings:
    """The method's own keys."""

    teacher: Mapping[str, Any] = _component("ites-mlp", "lifter that learns first; published losses need a dictionary")
    student: Mapping[str, Any] = _component("ites-graph", "lifter that learns from the teacher")
    teaching: TeacherTraining = attrs.field(factory=TeacherTraining, metadata={"help": "the teacher's training"})
    density: DensityTraining = attrs.field(factory=DensityTraining, metadata={"help": "the density's training"})
    learning: StudentTraining = attrs.field(factory=StudentTraining, metadata={"help": "the student's training"})
