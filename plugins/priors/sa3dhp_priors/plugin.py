"""What this plugin offers. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from sa3dhp_core.components import Component
from sa3dhp_core.hookspecs import hookimpl


@hookimpl
def sa3dhp_pose_priors() -> Sequence[Component]:
    """The adversarial pose auto-encoder, with fixed bones and with body proportions."""
    return (
        Component(
            noun="pose_prior",
            id="pose-aae",
            summary="adversarial pose auto-encoder; unit limb vectors, fixed bone lengths, forward kinematics",
            config="sa3dhp_priors.config:PoseAae",
            target="sa3dhp_priors.pose_aae:build",
            capabilities=frozenset({"constant-bone-lengths"}),
            figures={"round-trip-mm": 35.0, "anatomical-rate": 0.92},
        ),
        Component(
            noun="pose_prior",
            id="pose-aae-proportions",
            summary="the same, with latent dimensions for the body's proportions, which alone set its bone lengths",
            config="sa3dhp_priors.config:PoseAaeProportions",
            target="sa3dhp_priors.pose_aae:build_with_proportions",
            figures={"round-trip-mm": 12.0, "anatomical-rate": 0.92},
        ),
    )


@hookimpl
def sa3dhp_motion_priors() -> Sequence[Component]:
    """The paper's recurrent auto-encoder and one on cosine coefficients of the latent track."""
    return (
        Component(
            noun="motion_prior",
            id="motion-bilstm",
            summary="bidirectional-LSTM auto-encoder of sequences of z",
            config="sa3dhp_priors.config:MotionBilstm",
            target="sa3dhp_priors.bilstm:build",
            figures={"round-trip-mm": 160.0},
        ),
        Component(
            noun="motion_prior",
            id="motion-dct",
            summary="cosine coefficients of the latent track, principal components and a residual network",
            config="sa3dhp_priors.config:MotionDct",
            target="sa3dhp_priors.dct:build",
            figures={"round-trip-mm": 85.0},
        ),
    )
