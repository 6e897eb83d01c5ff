"""Recipe keys of the plugin's components. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import attrs
from attrs import validators


def _key(default: Any, text: str, check: Callable[..., Any] | list[Callable[..., Any]]) -> Any:
    return attrs.field(default=default, validator=check, metadata={"help": text})


_COUNT = [validators.instance_of(int), validators.ge(1)]
_POSITIVE = validators.gt(0)
_WEIGHT = validators.ge(0)
_SHARE = [validators.ge(0), validators.le(1)]
_TRUTH = validators.instance_of(bool)


@attrs.frozen
class PoseAae:
    """Adversarial pose auto-encoder. The defaults suit minutes on a CPU; `docs/priors.md` has the published values."""

    latent: int = _key(32, "width of z", [validators.instance_of(int), validators.ge(8)])
    bound: float = _key(
        1.0, "z lies in [-bound, bound]: bound * tanh(raw / bound); the published code has 10", _POSITIVE
    )
    body: Literal["mlp", "tree"] = _key(
        "mlp", "network body: residual layers, or the published tree of body parts", validators.in_(("mlp", "tree"))
    )
    orientation: Literal["separate", "joint"] = _key(
        "separate",
        "six latent dimensions are the root's orientation itself, or the network mixes it in (as published)",
        validators.in_(("separate", "joint")),
    )
    bones: Literal["training", "card"] = _key(
        "training",
        "fixed bone lengths: means of the training poses, or the skeleton card's",
        validators.in_(("training", "card")),
    )
    prior: Literal["box", "cube"] = _key(
        "box",
        "uniform on the box that the poses fill at the start (mlp), or on the whole [-bound, bound] cube as published",
        validators.in_(("box", "cube")),
    )
    hidden: int = _key(256, "width of the residual layers (mlp)", _COUNT)
    layers: int = _key(2, "residual layers of encoder and decoder (mlp)", _COUNT)
    whitening: float = _key(
        0.25, "start: 1 spreads all latent dimensions alike, 0 in proportion to the poses' components (mlp)", _SHARE
    )
    steps: int = _key(500, "training steps", _COUNT)
    batch: int = _key(256, "poses a step", _COUNT)
    learning_rate: float = _key(1e-3, "peak of AdamW's schedule, or Adam's constant rate", _POSITIVE)
    schedule: Literal["cosine", "constant"] = _key(
        "cosine",
        "AdamW with warm-up and cosine decay, or Adam at a constant rate",
        validators.in_(("cosine", "constant")),
    )
    mirror: bool = _key(True, "mirror half of the training poses", _TRUTH)
    pose_weight: float = _key(100.0, "weight of the pose cycle |D(E(y)) - y|, metres", _WEIGHT)
    latent_weight: float = _key(5.0, "weight of the latent cycle |E(D(z)) - z| / bound for z of the prior", _WEIGHT)
    spread_weight: float = _key(1.0, "weight of the distance between the poses' latents and the prior", _WEIGHT)
    adversarial_weight: float = _key(
        0.5, "weight of the decoder's adversarial loss; 0 trains no discriminator", _WEIGHT
    )
    adversarial_start: float = _key(0.4, "share of the steps after which the discriminator sets in", _SHARE)
    discriminator_learning_rate: float = _key(5e-4, "of the discriminator's Adam", _POSITIVE)
    distance: Literal["squares", "absolute"] = _key(
        "squares",
        "adversarial loss: least squares, or least absolute as published",
        validators.in_(("squares", "absolute")),
    )


@attrs.frozen
class PoseAaeProportions(PoseAae):
    """The same, with body proportions in the last dimensions of z."""

    proportions: int = _key(8, "further latent dimensions, which alone determine the bone lengths", _COUNT)


@attrs.frozen
class MotionBilstm:
    """Recurrent motion auto-encoder."""

    latent: int = _key(128, "width of v", _COUNT)
    bound: float = _key(1.0, "v lies in [-bound, bound]; the published code has 10", _POSITIVE)
    units: int = _key(128, "units of each LSTM direction", _COUNT)
    layers: int = _key(2, "LSTM layers", _COUNT)
    steps: int = _key(700, "training steps", _COUNT)
    batch: int = _key(64, "sequences a step", _COUNT)
    learning_rate: float = _key(2e-3, "peak of AdamW's schedule, or RMSProp's constant rate", _POSITIVE)
    schedule: Literal["cosine", "constant"] = _key(
        "cosine",
        "AdamW with warm-up and cosine decay, or RMSProp at a constant rate",
        validators.in_(("cosine", "constant")),
    )
    loss: Literal["distance", "squares"] = _key(
        "distance",
        "of decoded joints: mean distance, or mean square as published",
        validators.in_(("distance", "squares")),
    )
    latent_weight: float = _key(0.1, "weight of the error of z, beside that of the decoded poses", _WEIGHT)
    decode_every: int = _key(3, "decode every so many frames, from a random one, for the loss of poses", _COUNT)


@attrs.frozen
class MotionDct:
    """Motion auto-encoder on cosine coefficients."""

    latent: int = _key(160, "width of v", _COUNT)
    bound: float = _key(1.0, "v lies in [-bound, bound]", _POSITIVE)
    coefficients: int = _key(12, "cosine coefficients of each latent dimension's track", _COUNT)
    hidden: int = _key(512, "width of the residual layers", _COUNT)
    layers: int = _key(1, "residual layers of encoder and decoder", _COUNT)
    whitening: float = _key(0.5, "start: 1 spreads all dimensions of v alike, 0 in proportion to the motion's", _SHARE)
    steps: int = _key(400, "training steps", _COUNT)
    batch: int = _key(64, "sequences a step", _COUNT)
    learning_rate: float = _key(5e-4, "peak of AdamW's schedule", _POSITIVE)
    latent_weight: float = _key(0.1, "weight of the error of z, beside that of the decoded poses", _WEIGHT)
    decode_every: int = _key(3, "decode every so many frames, from a random one, for the loss of poses", _COUNT)
