"""Bodies of differing proportions: bone lengths and girth, drawn from a seed by body family. Never poses them."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import RecipeError, nearest

GROUPS = {
    "legs": ("knee", "ankle"),
    "arms": ("elbow", "wrist"),
    "trunk": ("spine", "thorax", "neck"),
    "shoulders": ("shoulder",),
    "hips": ("hip",),
    "head": ("head",),
}


@attrs.frozen
class BodyFamily:
    """How bodies of a family deviate from the card's standard lengths.

    Attributes:
        stature: mean factor and relative spread of all lengths.
        ratio: relative spread of each group of bones against the others.
        means: mean factor of single groups (long legs, wide shoulders, …).
        girth: mean factor and relative spread of all radii.
    """

    stature: tuple[float, float]
    ratio: float
    means: dict[str, float]
    girth: tuple[float, float]


BODY_FAMILIES = {
    "source": BodyFamily((1.0, 0.04), 0.03, {}, (1.0, 0.08)),
    "street": BodyFamily(
        (0.97, 0.05), 0.04, {"legs": 0.96, "arms": 0.98, "shoulders": 1.06, "hips": 1.07}, (1.15, 0.13)
    ),
}


@attrs.frozen
class Bodies:
    """A set of bodies: bone lengths ``(B, J)`` metres (the bone that ends at the joint) and girth factors ``(B,)``."""

    lengths_m: Tensor
    girth: Tensor

    def __len__(self) -> int:
        return len(self.girth)

    def at(self, index: Tensor) -> Bodies:
        """The bodies at ``(N,)`` indices."""
        return Bodies(self.lengths_m[index], self.girth[index])


def draw_bodies(family: str, count: int, *seed: object) -> Bodies:
    """`count` bodies of a family, left and right alike; a function of the seed's words and numbers."""
    if family not in BODY_FAMILIES:
        raise RecipeError(f"no body family {family!r}", hint=nearest(family, BODY_FAMILIES))
    kind, draws, bones = BODY_FAMILIES[family], generator_for("bodies", family, *seed), skeleton()
    normal = torch.randn(count, 2 + len(GROUPS), generator=draws).clamp(-2.2, 2.2)
    stature = kind.stature[0] * (1 + kind.stature[1] * normal[:, 0])
    girth = kind.girth[0] * (1 + kind.girth[1] * normal[:, 1])
    lengths = torch.zeros(count, len(bones))
    for column, (group, endings) in enumerate(GROUPS.items()):
        factor = stature * kind.means.get(group, 1.0) * (1 + kind.ratio * normal[:, 2 + column])
        for joint, standard in bones.bone_lengths_m.items():
            if joint.endswith(endings):
                lengths[:, bones.index(joint)] = standard * factor
    return Bodies(lengths, girth)
