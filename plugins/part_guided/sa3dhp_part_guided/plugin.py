"""What this plugin offers. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from sa3dhp_core.components import Component
from sa3dhp_core.hookspecs import hookimpl


@hookimpl
def sa3dhp_image_syntheses() -> Sequence[Component]:
    """The puppet."""
    return (
        Component(
            noun="image_synthesis",
            id="puppet",
            summary="limbs cut from labelled images, moved to other poses, competing by depth",
            config="sa3dhp_part_guided.config:PuppetConfig",
            target="sa3dhp_part_guided.puppet:Puppet",
            example="sa3dhp_part_guided.example:puppet",
        ),
    )
