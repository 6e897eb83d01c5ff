"""People as tapered strokes: joints and an appearance become capsules with colours. Draws nothing.

Everything that a stroke carries is even under left/right exchange, so a mirrored person looks like the mirrored image.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor
from torch.nn.functional import normalize

from sa3dhp_core.cards import part_labels, skeleton

LABELS = part_labels().names
"""Names of the part labels; the number of a label is its position."""


@attrs.frozen
class Strokes:
    """Tapered capsules of N images, P each.

    Attributes:
        ends: ``(N, P, 2, 3)`` end points, metres, world frame.
        radii: ``(N, P, 2)`` metres; a stroke with zero radii is not drawn.
        forward: ``(N, P, 3)`` unit vector that tells front from back.
        colours: ``(N, P, 2, 3)`` the two colours.
        rule: ``(N, P, 4)`` slope_f, offset_f, slope_t, offset_t: the second colour's share is
            ``clamp(0.5 + slope_f (n.forward - offset_f)) * clamp(0.5 + slope_t (t - offset_t))``.
        texture: ``(N, P, 4)`` amplitude, rings along the stroke, phase, bands around it.
        label: ``(N, P)`` part label, 0 for what is not the subject.
    """

    ends: Tensor
    radii: Tensor
    forward: Tensor
    colours: Tensor
    rule: Tensor
    texture: Tensor
    label: Tensor

    def at(self, rows: Tensor | slice) -> Strokes:
        """The strokes of some images."""
        return Strokes(*(getattr(self, field.name)[rows] for field in attrs.fields(Strokes)))

    def present(self) -> Strokes:
        """Without the strokes that no image draws."""
        drawn = (self.radii > 0).flatten(2).any(dim=2).any(dim=0)
        if bool(drawn.all()):
            return self
        return Strokes(*(getattr(self, field.name)[:, drawn] for field in attrs.fields(Strokes)))


def concatenate(parts: list[Strokes], dim: int = 1) -> Strokes:
    """Strokes of several sources in the same images (dim 1) or of several images (dim 0)."""
    fields = [field.name for field in attrs.fields(Strokes)]
    return Strokes(*(torch.cat([getattr(part, name) for part in parts], dim=dim) for name in fields))


PALETTE = ("skin", "shirt", "panel", "sleeve", "trousers", "shank", "shoe", "hair")
"""Colours of an appearance."""


@attrs.frozen
class Appearance:
    """What people wear: ``palette (N, len(PALETTE), 3)`` and cloth ``texture (N, 4)`` as in `Strokes`."""

    palette: Tensor
    texture: Tensor


# stroke: from, to, radii (metres), label, colour, second colour, rule. "a>b:x" is the point x of the way, which may
# exceed 1; "a^x" is x metres in front of a. No two radii at a joint are equal, or two surfaces would coincide.
_ALL = (1.0, -5.0)  # a slope and offset that always give 1
_PANEL, _FACE, _PLAIN, _CUFF = (5.0, 0.45, *_ALL), (5.0, 0.25, *_ALL), (*_ALL, *_ALL), (*_ALL, 18.0, 0.45)
_TRUNK = (
    ("pelvis>spine:0.35", "spine", 0.112, 0.110, "torso", "shirt", "panel", _PANEL),
    ("spine", "thorax", 0.106, 0.085, "torso", "shirt", "panel", _PANEL),
    ("left_hip", "right_hip", 0.095, 0.095, "torso", "trousers", "trousers", _PLAIN),
    ("left_shoulder", "right_shoulder", 0.060, 0.060, "torso", "shirt", "shirt", _PLAIN),
    ("thorax", "neck", 0.052, 0.050, "head", "skin", "skin", _PLAIN),
    ("neck", "head", 0.088, 0.082, "head", "hair", "skin", _FACE),
    ("neck^0.095", "neck>head:0.3^0.095", 0.020, 0.015, "head", "skin", "skin", _PLAIN),
)
_SIDED = (
    ("hip", "shoulder", 0.085, 0.080, "torso", "shirt", "panel", _PANEL),
    ("shoulder", "elbow", 0.053, 0.042, "upper_arm", "sleeve", "sleeve", _PLAIN),
    ("elbow", "wrist", 0.0395, 0.032, "forearm", "sleeve", "skin", _CUFF),
    ("wrist", "elbow>wrist:1.32", 0.040, 0.034, "forearm", "skin", "skin", _PLAIN),
    ("hip", "knee", 0.0885, 0.062, "thigh", "trousers", "trousers", _PLAIN),
    ("knee", "ankle", 0.058, 0.040, "shank", "shank", "shank", _PLAIN),
    ("ankle", "ankle^0.15", 0.044, 0.034, "shank", "shoe", "shoe", _PLAIN),
)


def _table() -> tuple[tuple[object, ...], ...]:
    rows = list(_TRUNK)
    for side in ("left", "right"):
        for start, end, *rest in _SIDED:
            label = rest[2] if rest[2] == "torso" else f"{side}_{rest[2]}"
            start, end = (">".join(f"{side}_{name}" for name in point.split(">")) for point in (start, end))
            rows.append((start, end, rest[0], rest[1], label, *rest[3:]))  # type: ignore[arg-type]
    return tuple(rows)


STROKE_TABLE = _table()


def dress(joints: Tensor, girth: Tensor, look: Appearance, subject: bool = True) -> Strokes:
    """Strokes of one person in each image.

    Args:
        joints: ``(N, J, 3)`` world frame.
        girth: ``(N,)`` factor on all radii.
        look: appearance of each.
        subject: whether part labels are given (others are background to them).
    """
    bones = skeleton()
    at = {name: joints[:, bones.index(name)] for name in bones.joints}
    scale = (at["spine"] - at["pelvis"]).norm(dim=-1) / bones.bone_lengths_m["spine"]
    hips = torch.linalg.cross(at["spine"] - at["pelvis"], at["right_hip"] - at["left_hip"])
    chest = torch.linalg.cross(at["thorax"] - at["spine"], at["right_shoulder"] - at["left_shoulder"])
    pelvis_front, chest_front = normalize(hips, dim=-1), normalize(chest, dim=-1)
    skull = normalize(at["head"] - at["neck"], dim=-1)
    gaze = normalize(at["neck"] - at["thorax"], dim=-1) * 0.35 + chest_front
    face = normalize(gaze - (gaze * skull).sum(-1, keepdim=True) * skull, dim=-1)
    fronts = {"torso": chest_front, "head": face}
    for side in ("left", "right"):
        shank = normalize(at[f"{side}_ankle"] - at[f"{side}_knee"], dim=-1)
        thigh = normalize(at[f"{side}_knee"] - at[f"{side}_hip"], dim=-1)
        toes = thigh + 0.3 * pelvis_front  # a bent knee points where the toes point
        fronts[f"{side}_shank"] = normalize(toes - (toes * shank).sum(-1, keepdim=True) * shank, dim=-1)

    def point(word: str, label: str) -> Tensor:
        name, _, ahead = word.partition("^")
        name, _, share = name.partition(":")
        if share:
            first, second = name.split(">")
            place = at[first] + float(share) * (at[second] - at[first])
        else:
            place = at[name]
        return place + float(ahead) * scale.unsqueeze(-1) * fronts[label] if ahead else place

    def many(column: int) -> Tensor:
        return torch.stack([point(row[column], row[4]) for row in STROKE_TABLE], dim=1)  # type: ignore[arg-type]

    size = scale * girth
    radii = joints.new_tensor([[row[2], row[3]] for row in STROKE_TABLE]) * size[:, None, None]
    first, second = ([PALETTE.index(row[column]) for row in STROKE_TABLE] for column in (5, 6))
    bare = ("skin", "hair", "shoe")  # and rings along a stroke that joins left to right would not be even
    cloth = joints.new_tensor([[float(row[5] not in bare and row not in _TRUNK[2:4])] for row in STROKE_TABLE])
    texture = look.texture[:, None] * torch.cat([cloth, cloth.new_ones(len(cloth), 3)], dim=1)
    labels = [LABELS.index(row[4]) if subject else 0 for row in STROKE_TABLE]
    return Strokes(
        ends=torch.stack([many(0), many(1)], dim=2),
        radii=radii,
        forward=torch.stack([fronts.get(row[4], chest_front) for row in STROKE_TABLE], dim=1),  # type: ignore[call-overload]
        colours=torch.stack([look.palette[:, first], look.palette[:, second]], dim=2),
        rule=joints.new_tensor([row[7] for row in STROKE_TABLE]).expand(len(joints), -1, -1),
        texture=texture,
        label=torch.tensor(labels, device=joints.device).expand(len(joints), -1),
    )
