"""Recipe keys of the alignment losses. Imports no torch."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs.validators import ge, gt, in_, le


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@attrs.frozen
class InfoNceConfig:
    """Contrastive loss of frames (LCR) or of motions (HCR)."""

    name: str = attrs.field(default="", metadata=_help("what rows call this loss; the component's id if empty"))
    weight: float = attrs.field(default=1.0, validator=ge(0.0), metadata=_help("factor in the total"))
    level: Literal["frame", "motion"] = attrs.field(
        default="frame", validator=in_(("frame", "motion")), metadata=_help("frames (LCR) or motion embeddings (HCR)")
    )
    temperature: float = attrs.field(default=0.07, validator=gt(0.0), metadata=_help("of the softmax"))
    widths: tuple[int, ...] = attrs.field(default=(256, 128), metadata=_help("projection head, last is compared"))
    photometric: str = attrs.field(default="weak", metadata=_help("kind of photometric jitter of both views"))
    stride: int = attrs.field(default=3, validator=ge(1), metadata=_help("frame level: use every n-th frame"))


@attrs.frozen
class RelationConfig:
    """Energy of one relation: the network's answer to the anchor against the encoding of the transformed image."""

    relation: str = attrs.field(metadata=_help("name of one of the recipe's relations"))
    name: str = attrs.field(default="", metadata=_help("what rows call this loss; `relation:<relation>` if empty"))
    weight: float = attrs.field(default=1.0, validator=ge(0.0), metadata=_help("factor in the total"))
    anchor: Literal["student", "stopped", "teacher"] = attrs.field(
        default="stopped",
        validator=in_(("student", "stopped", "teacher")),
        metadata=_help("who encodes the anchor; `student` keeps its gradient, as published"),
    )
    partner: Literal["student", "stopped"] = attrs.field(
        default="student",
        validator=in_(("student", "stopped")),
        metadata=_help("who encodes the partner; `stopped` detaches it, as the published motion losses do"),
    )
    answer: Literal["network", "pose", "identity"] = attrs.field(
        default="network",
        validator=in_(("network", "pose", "identity")),
        metadata=_help("the learned network, the exact detour through the pose decoder, or (control) no relation"),
    )
    space: Literal["latent", "pose"] = attrs.field(
        default="latent", validator=in_(("latent", "pose")), metadata=_help("where the two are compared")
    )
    norm: Literal["l1", "l2"] = attrs.field(
        default="l1", validator=in_(("l1", "l2")), metadata=_help("of the difference")
    )
    scaled: bool = attrs.field(default=True, metadata=_help("divide by the latent scale (pose space: by 0.1 m)"))
    per_frame: bool = attrs.field(default=False, metadata=_help("draw a fresh spatial element for every frame"))
    anchor_photometric: str = attrs.field(default="", metadata=_help("photometric jitter of the anchor"))
    partner_photometric: str = attrs.field(default="strong", metadata=_help("photometric jitter of the partner"))
    denoise: float = attrs.field(
        default=0.0,
        validator=[ge(0.0), le(1.0)],
        metadata=_help("pull anchors towards their projection on the motion prior by this fraction"),
    )
    smooth: int = attrs.field(
        default=0, validator=ge(0), metadata=_help("average anchors over time by a Hann window of this many frames")
    )
    stride: int = attrs.field(
        default=1, validator=ge(1), metadata=_help("compare every n-th frame; for relations of single frames")
    )
    consensus: tuple[str, ...] = attrs.field(
        default=(),
        metadata=_help("relations under which the anchor is encoded too; brought back, all estimates are averaged"),
    )


@attrs.frozen
class PriorMatchingConfig:
    """Sliced Wasserstein distance between the encoded target and the encoded unpaired poses."""

    name: str = attrs.field(default="prior-matching", metadata=_help("what rows call this loss"))
    weight: float = attrs.field(default=1.0, validator=ge(0.0), metadata=_help("factor in the total"))
    relation: str = attrs.field(
        default="", metadata=_help("match this relation's partner views (the prior is transformed alike)")
    )
    per_frame: bool = attrs.field(default=False, metadata=_help("share the relation's per-frame draw"))
    photometric: str = attrs.field(default="", metadata=_help("photometric jitter of the matched view"))
    stride: int = attrs.field(default=1, validator=ge(1), metadata=_help("use every n-th frame"))
    projections: int = attrs.field(default=128, validator=ge(1), metadata=_help("random directions a step"))
    queue: int = attrs.field(default=450, validator=ge(0), metadata=_help("earlier embeddings kept beside the batch's"))


@attrs.frozen
class RehearsalConfig:
    """Supervision by labelled source images during adaptation."""

    name: str = attrs.field(default="rehearsal", metadata=_help("what rows call this loss"))
    weight: float = attrs.field(default=1.0, validator=ge(0.0), metadata=_help("factor in the total"))
    latent: float = attrs.field(
        default=1.0, validator=ge(0.0), metadata=_help("weight of the latent's error beside the pose's")
    )


@attrs.frozen
class DistillationConfig(RehearsalConfig):
    """Supervision by the tracks that the row's first encoder sees in target clips."""

    name: str = attrs.field(default="distillation", metadata=_help("what rows call this loss"))
