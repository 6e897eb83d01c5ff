"""What this plugin offers. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from sa3dhp_core.components import Component
from sa3dhp_core.hookspecs import hookimpl


@hookimpl
def sa3dhp_methods() -> Sequence[Component]:
    """The method."""
    return (
        Component(
            noun="method",
            id="sa3dhp",
            summary="self-adaptation by non-local relation distillation in latent space (NeurIPS 2021), with controls",
            config="sa3dhp_self_adaptation.config:Settings",
            target="sa3dhp_self_adaptation.method:SelfAdaptation",
            example="sa3dhp_self_adaptation.example:recipe",
        ),
    )
