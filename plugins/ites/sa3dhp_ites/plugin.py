"""What this plugin offers. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from sa3dhp_core.components import Component
from sa3dhp_core.hookspecs import hookimpl


@hookimpl
def sa3dhp_lifters() -> Sequence[Component]:
    """Lifters; each takes either role of the method."""
    return (
        Component(
            noun="lifter",
            id="ites-mlp",
            summary="residual MLP over all keypoints; with a dictionary of shapes it is the published teacher",
            config="sa3dhp_ites.config:MlpConfig",
            target="sa3dhp_ites.lifter:mlp_lifter",
            figures={"turn-equivariant-mm": 165.0, "shape-invariant-mm": 195.0},
        ),
        Component(
            noun="lifter",
            id="ites-graph",
            summary="semantic graph convolutions, attention over body parts; with depths it is the published student",
            config="sa3dhp_ites.config:GraphConfig",
            target="sa3dhp_ites.lifter:graph_lifter",
            figures={"turn-equivariant-mm": 165.0},
        ),
    )


@hookimpl
def sa3dhp_methods() -> Sequence[Component]:
    """The method."""
    return (
        Component(
            noun="method",
            id="ites",
            summary="2D to 3D lifting without 3D labels: invariant teacher, equivariant student (AAAI 2021)",
            config="sa3dhp_ites.config:Settings",
            target="sa3dhp_ites.method:Ites",
            figures={"trained-turn-equivariant-mm": 100.0, "trained-shape-invariant-mm": 30.0},
            example="sa3dhp_ites.example:recipe",
        ),
    )


@hookimpl
def sa3dhp_pose_data() -> Sequence[Component]:
    """What a trained lifter makes of keypoints, for methods that learn from unpaired poses."""
    return (
        Component(
            noun="pose_data",
            id="lifted-poses",
            summary="2D keypoints lifted by a finished run, turned upright: unpaired motion without motion capture",
            config="sa3dhp_ites.lifted_config:LiftedPosesConfig",
            target="sa3dhp_ites.lifted:LiftedPoses",
            capabilities=("families",),
            example="sa3dhp_ites.lifted_example:lifted",
        ),
    )
