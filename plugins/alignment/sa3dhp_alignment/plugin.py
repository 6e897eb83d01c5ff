"""What this plugin offers. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from sa3dhp_core.components import Component
from sa3dhp_core.hookspecs import hookimpl

MEASURES = frozenset({"non-negative", "zero-when-consistent", "permutation-invariant"})
"""What a loss claims that measures how far embeddings are from where they should be."""


@hookimpl
def sa3dhp_alignment_losses() -> Sequence[Component]:
    """The losses."""
    return (
        Component(
            noun="alignment_loss",
            id="info-nce",
            summary="contrastive loss of frames or motions under photometric jitter (LCR, HCR)",
            config="sa3dhp_alignment.config:InfoNceConfig",
            target="sa3dhp_alignment.contrastive:InfoNce",
            capabilities=frozenset({"non-negative", "permutation-invariant"}),
            reference="sa3dhp_alignment.reference:SlowInfoNce",
        ),
        Component(
            noun="alignment_loss",
            id="relation",
            summary="non-local relation distillation, on poses or on motions as the relation acts (L^z, L^v)",
            config="sa3dhp_alignment.config:RelationConfig",
            target="sa3dhp_alignment.relational:build_relation_loss",
            capabilities=MEASURES,
            example="sa3dhp_alignment.example:relation",
            reference="sa3dhp_alignment.reference:slow_relation",
        ),
        Component(
            noun="alignment_loss",
            id="prior-matching",
            summary="sliced Wasserstein distance between target embeddings and embeddings of unpaired poses",
            config="sa3dhp_alignment.config:PriorMatchingConfig",
            target="sa3dhp_alignment.distribution:PriorMatching",
            capabilities=frozenset({"non-negative", "permutation-invariant"}),
            reference="sa3dhp_alignment.reference:SlowPriorMatching",
        ),
        Component(
            noun="alignment_loss",
            id="rehearsal",
            summary="supervision by labelled source images during adaptation",
            config="sa3dhp_alignment.config:RehearsalConfig",
            target="sa3dhp_alignment.supervised:Rehearsal",
            capabilities=MEASURES,
            reference="sa3dhp_alignment.reference:slow_supervision",
        ),
        Component(
            noun="alignment_loss",
            id="distillation",
            summary="supervision by what an earlier encoder sees in target clips, averaged over mirror and time",
            config="sa3dhp_alignment.config:DistillationConfig",
            target="sa3dhp_alignment.supervised:Distillation",
            capabilities=MEASURES | {"tracks"},
            reference="sa3dhp_alignment.reference:slow_supervision",
        ),
    )
