"""What this distribution offers, as light descriptors. Imports no torch."""

from __future__ import annotations

from sa3dhp_core.components import Component
from sa3dhp_core.hookspecs import hookimpl

GEOMETRIC = frozenset({"geometric", "acts-on-images", "keeps-bones", "invertible", "composes"})


def _relation(
    id_: str, summary: str, config: str, target: str, *more: str, claims: frozenset[str] = GEOMETRIC
) -> Component:
    return Component(
        "relation",
        id_,
        summary,
        f"sa3dhp_relations.config:{config}",
        f"sa3dhp_relations.{target}",
        claims | set(more),
    )


@hookimpl
def sa3dhp_relations() -> tuple[Component, ...]:
    """The algebra by expression, its usual members by name, and one relation outside it."""
    return (
        _relation("geometric", "any product of flip, turns and time maps", "Geometric", "build:geometric"),
        _relation("flip", "the mirror", "Flip", "build:flip", "involution"),
        _relation(
            "in-plane-rotation",
            "a turn about the optical axis",
            "InPlaneRotation",
            "build:in_plane_rotation",
        ),
        _relation("flip-rotation", "mirror and in-plane turn", "FlipRotation", "build:flip_rotation", "involution"),
        _relation("backward", "time reversed", "Backward", "build:backward", "involution"),
        _relation(
            "flip-backward",
            "mirror, in-plane turn, time reversed",
            "FlipBackward",
            "build:flip_backward",
            "involution",
        ),
        _relation("slow", "the middle of the motion, slower", "Slow", "build:slow_motion"),
        _relation("slow-backward", "slower and reversed", "SlowBackward", "build:slow_backward"),
        _relation(
            "limb-exchange",
            "two limbs exchange poses",
            "LimbExchange",
            "limb_exchange:limb_exchange",
            claims=frozenset({"keeps-bones", "involution"}),
        ),
    )


@hookimpl
def sa3dhp_relation_networks() -> tuple[Component, ...]:
    """Networks that act on embeddings."""
    any_relation, poses_alone = ("conditioned", "motions"), ("conditioned",)
    offers = (
        (
            "residual-mlp",
            "z + linear + MLP, told about the element",
            "ResidualMlp",
            "networks:residual_mlp",
            any_relation,
        ),
        ("fc", "the paper's fully connected 1024-512", "Fc", "networks:fc", any_relation),
        (
            "through-pose",
            "decode, move the pose, encode: no training",
            "ThroughPose",
            "through_pose:through_pose",
            poses_alone,
        ),
    )
    return tuple(
        Component("relation_network", i, s, f"sa3dhp_relations.config:{c}", f"sa3dhp_relations.{t}", claims)
        for i, s, c, t, claims in offers
    )


@hookimpl
def sa3dhp_relation_scores() -> tuple[Component, ...]:
    """Latent distances."""
    offers = (
        ("latent-distance", "mean distance of anchor and partner", "LatentDistance", "latent_distance", ("symmetric",)),
        (
            "relative-latent-distance",
            "the same, relative to random pairs",
            "RelativeLatentDistance",
            "relative_latent_distance",
            (),
        ),
    )
    return tuple(
        Component("relation_score", i, s, f"sa3dhp_relations.config:{c}", f"sa3dhp_relations.scores:{t}", claims)
        for i, s, c, t, claims in offers
    )


@hookimpl
def sa3dhp_relation_selections() -> tuple[Component, ...]:
    """Criteria that choose a set."""
    offers = (
        ("latent-distance", "the largest latent distances, as in the paper", "SelectByDistance", "latent_distance"),
        (
            "pins-down",
            "fewest fixed poses and invisible maps, then least redundancy, then distance",
            "SelectPinning",
            "pins_down",
        ),
    )
    return tuple(
        Component(
            "relation_selection",
            i,
            s,
            f"sa3dhp_relations.config:{c}",
            f"sa3dhp_relations.selection:{t}",
            capabilities=frozenset({"order-free"}),
        )
        for i, s, c, t in offers
    )


@hookimpl
def sa3dhp_commands() -> tuple[Component, ...]:
    """`sa3dhp relations rank` and `sa3dhp relations select`."""
    return (
        Component(
            "command",
            "relations",
            "Rank a run's relations by what they pin down, and choose a set of them.",
            "sa3dhp_relations.config:Commands",
            "sa3dhp_relations.commands:app",
            capabilities=frozenset({"helps-quickly"}),
        ),
    )
