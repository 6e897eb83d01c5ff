"""What this distribution offers, as light descriptors. Imports no torch."""

from __future__ import annotations

from sa3dhp_core.components import Component
from sa3dhp_core.hookspecs import hookimpl


@hookimpl
def sa3dhp_relations() -> tuple[Component, ...]:
    """One component."""
    return (
        Component(
            noun="relation",
            id="template-tilt",
            summary="the camera tilts by a fixed angle",
            config="sa3dhp_template.config:Tilt",
            target="sa3dhp_template.tilt:tilt",
            capabilities=("geometric", "acts-on-images", "keeps-bones"),
        ),
    )
