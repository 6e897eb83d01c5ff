"""What the world offers: image data, pose data and the `sa3dhp world` commands. Imports no torch."""

from __future__ import annotations

from sa3dhp_core.components import Component
from sa3dhp_core.hookspecs import hookimpl


@hookimpl
def sa3dhp_image_data() -> list[Component]:
    """The rendered world."""
    return [
        Component(
            noun="image_data",
            id="world",
            summary="Rendered capsule people in one of the looks plain, mild, street; needs no download.",
            config="sa3dhp_world.config:WorldConfig",
            target="sa3dhp_world.data:WorldImages",
            capabilities=frozenset(("labels", "clips", "parts", "families")),
            figures={"projection-px": 0.01},
            example="sa3dhp_world.example:images",
        )
    ]


@hookimpl
def sa3dhp_pose_data() -> list[Component]:
    """Generated motion."""
    return [
        Component(
            noun="pose_data",
            id="world-motion",
            summary="Generated motion of people with differing proportions, within anatomical limits.",
            config="sa3dhp_world.config:WorldMotionConfig",
            target="sa3dhp_world.data:WorldMotion",
            capabilities=frozenset(("families",)),
            example="sa3dhp_world.example:motion",
        )
    ]


@hookimpl
def sa3dhp_commands() -> list[Component]:
    """`sa3dhp world render` and `sa3dhp world show`."""
    return [
        Component(
            noun="command",
            id="world",
            summary="Render videos with boxes and ground truth, and contact sheets, from the embedded world.",
            config="sa3dhp_world.config:CommandConfig",
            target="sa3dhp_world.commands:app",
            capabilities=frozenset(("helps-quickly",)),
        )
    ]
