"""Staging: a look, motion and a seed become scenes and cameras, clip by clip. Renders nothing itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import attrs
import torch
from torch import Tensor
from torch.nn.functional import normalize

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.geometry import smallest_circle, viewpoint, virtual_camera
from sa3dhp_world.backdrop import Backdrop, paint
from sa3dhp_world.looks import Look
from sa3dhp_world.render import Camera, Scene
from sa3dhp_world.strokes import LABELS, PALETTE, Appearance, Strokes, concatenate, dress

BANK = 32
"""Backdrops painted for one look and seed."""
MARGIN = 1.15
GRAINS = 1 << 18
"""Length of the tape of sensor noise; every image starts somewhere on it."""
DEVELOPED_NUMBERS = 1 << 17
"""Values of the images that are developed at once: they stay in the processor's cache."""
OBJECTS, BYSTANDERS = 10, 2
"""Most objects around one person and most bystanders (the look's numbers are means)."""
SKIN = ((0.93, 0.76, 0.64), (0.85, 0.64, 0.50), (0.70, 0.49, 0.36), (0.50, 0.33, 0.23), (0.36, 0.24, 0.17))
HAIR = ((0.10, 0.08, 0.07), (0.28, 0.18, 0.10), (0.38, 0.26, 0.12), (0.24, 0.23, 0.23))


@lru_cache(maxsize=4)
def bank(detail: float, clutter: float, limbs: float, saturation: float, *seed: object) -> Tensor:
    """The backdrops of a look and seed."""
    return paint(BANK, detail, clutter, limbs, saturation, *seed)


@attrs.frozen
class ClipSetting:
    """What is constant in one clip: drawn numbers, tensors without a batch axis (see `draw_setting`)."""

    uniform: Tensor
    normal: Tensor
    objects: Tensor


@attrs.frozen
class Bystanders:
    """Other people of C clips.

    Attributes:
        present: ``(C, K)`` bool, from `who_stands_by`.
        joints: ``(S, T, J, 3)`` metres, world frame: of those S who are there, clip by clip.
        girth: ``(S,)``.
    """

    present: Tensor
    joints: Tensor
    girth: Tensor


def draw_setting(*seed: object) -> ClipSetting:
    """The random numbers of one clip's setting."""
    draws = generator_for("setting", *seed)
    return ClipSetting(
        torch.rand(48, generator=draws), torch.randn(64, generator=draws), torch.rand(OBJECTS, 12, generator=draws)
    )


def appearance(look: Look, uniform: Tensor) -> Appearance:
    """Clothes, skin and hair from ``(C, 48)`` draws; left and right are dressed alike."""
    count = len(uniform)
    skin = torch.tensor(SKIN)[(uniform[:, 0] * len(SKIN)).long()]
    hair = torch.tensor(HAIR)[(uniform[:, 1] * len(HAIR)).long()]
    hue = uniform[:, 2:14].view(count, 4, 3)
    grey = uniform[:, 14:18].view(count, 4, 1)
    cloth = 0.5 + (torch.lerp(grey.expand(-1, -1, 3), hue, look.cloth_saturation) - 0.5) * (0.5 + 0.5 * look.contrast)
    shirt, trousers, shoe, panel = cloth.unbind(1)
    # The one cue that tells front from back at every distance: a pale panel on a darker shirt.
    shirt, panel = 0.65 * shirt, 0.72 + 0.28 * panel
    bare_arm, bare_leg = uniform[:, 18:19] < 0.45, uniform[:, 19:20] < 0.3
    sleeve = torch.where(bare_arm & (uniform[:, 20:21] < 0.3), skin, shirt)
    shank = torch.where(bare_leg, skin, trousers)
    colours = dict(skin=skin, shirt=shirt, panel=panel, sleeve=sleeve, trousers=trousers, shank=shank, shoe=shoe * 0.6)
    palette = torch.stack([{**colours, "hair": hair}[name] for name in PALETTE], dim=1)
    texture = torch.stack(
        [
            look.cloth_texture * (0.4 + 1.2 * uniform[:, 21]), 0.5 + 5.5 * uniform[:, 22] * (uniform[:, 23] < 0.7),
            uniform[:, 24], 6 * uniform[:, 25] * (uniform[:, 26] < 0.5),
        ],
        dim=1,
    )  # fmt: skip
    return Appearance(palette, texture)


def clip_cameras(look: Look, target: Tensor, uniform: Tensor, normal: Tensor) -> tuple[Tensor, Tensor]:
    """A standing camera for each clip that looks near the person.

    Args:
        look: the look. target: ``(C, 3)`` middle of the motion, world frame.
        uniform, normal: ``(C, 48)``, ``(C, 64)`` draws.

    Returns:
        ``(C, 3, 3)`` world to camera, ``(C, 3)`` centres.
    """
    low, high = look.elevation_deg
    elevation = (low + (high - low) * uniform[:, 30]) * math.pi / 180
    azimuth = 2 * math.pi * uniform[:, 31]
    rotation = viewpoint(azimuth, elevation, normal[:, 40] * look.roll_deg * math.pi / 180)
    distance = look.distance_m[0] + (look.distance_m[1] - look.distance_m[0]) * uniform[:, 32]
    aim = target + look.aim_m * normal[:, 41:44]
    centre = aim - rotation[:, 2] * distance.unsqueeze(-1)
    return rotation, centre


def crop_cameras(rotation: Tensor, centre: Tensor, joints: Tensor, size: int, margin: float = MARGIN) -> Camera:
    """Virtual cameras that look at the centre of the person's smallest circle.

    Args:
        rotation, centre: ``(N, 3, 3)``, ``(N, 3)`` the real camera of each frame.
        joints: ``(N, J, 3)`` world frame. size: pixels of the crop.
    """
    real = torch.eye(3).repeat(len(joints), 1, 1)
    seen = torch.einsum("nij,nkj->nki", rotation, joints - centre.unsqueeze(1))
    middle, radius = smallest_circle(seen[..., :2] / seen[..., 2:])
    turn, intrinsics = virtual_camera(middle, radius, real, size, margin)
    return Camera(turn @ rotation, centre, intrinsics)


def _poles(look: Look, target: Tensor, toward: Tensor, setting: Tensor, uniform: Tensor) -> Strokes:
    """Limb-like objects around the person, and now and then a bar in front: ``(C, OBJECTS)`` strokes."""
    count = len(target)
    draw = setting
    number = torch.arange(OBJECTS)
    present = number < (look.objects * 2 * uniform[:, 33:34]).round().clamp(max=OBJECTS - 1)
    angle = 2 * math.pi * draw[..., 0]
    flat = torch.stack([angle.cos(), angle.sin(), torch.zeros_like(angle)], dim=-1)
    away = normalize(toward * toward.new_tensor([1.0, 1.0, 0.0]), dim=-1).unsqueeze(1)
    facing = (flat * away).sum(-1, keepdim=True)
    flat = torch.where(facing < 0.1, flat - 2 * facing * away + 0.3 * away, flat)  # behind or beside, never in front
    place = target.unsqueeze(1) + flat * (0.5 + 1.3 * draw[..., 1:2])
    place = place + torch.stack([torch.zeros_like(angle)] * 2 + [1.8 * draw[..., 2] - 0.9], dim=-1)
    direction = normalize(draw[..., 3:6] - 0.5, dim=-1)
    half = direction * (0.12 + 0.45 * draw[..., 6:7].square())
    radii = (0.03 + 0.06 * draw[..., 7:8]).expand(-1, -1, 2) * present.unsqueeze(-1)
    bar = uniform[:, 34] < look.occluders
    side = torch.linalg.cross(away.squeeze(1), away.new_tensor([[0.0, 0.0, 1.0]]).expand(count, 3))
    upright = torch.where(draw[:, -1, 0:1] < 0.6, away.new_tensor([[0.0, 0.0, 1.0]]), side)
    lateral = side * (draw[:, -1, 1:2] - 0.5) * 0.7 + away.new_tensor([[0.0, 0.0, 0.8]]) * (draw[:, -1, 2:3] - 0.6)
    spot = target + lateral - toward * (0.75 + 0.4 * draw[:, -1, 3:4])
    ends = torch.stack([place - half, place + half], dim=2)
    ends[:, -1] = torch.stack([spot - 2.2 * upright, spot + 2.2 * upright], dim=1)
    radii[:, -1] = (bar * (0.025 + 0.035 * draw[:, -1, 4])).unsqueeze(-1)
    grey = draw[..., 8:9].expand(-1, -1, 3)
    colour = torch.lerp(grey, draw[..., 9:12], 0.6)
    texture = torch.stack([0.4 * draw[..., 0], 1 + 5 * draw[..., 1], draw[..., 2], 0 * angle], dim=-1)
    texture[..., 0] *= look.cloth_texture * 2
    shape = (count, OBJECTS)
    return Strokes(
        ends=ends,
        radii=radii,
        forward=target.new_tensor([0.0, 1.0, 0.0]).expand(*shape, 3),
        colours=torch.stack([colour, colour * 0.6], dim=2),
        rule=target.new_tensor([0.0, 0.0, 0.0, 0.0]).expand(*shape, 4),
        texture=texture,
        label=torch.full(shape, LABELS.index("background")),
    )


def stage(
    look: Look,
    joints: Tensor,
    girth: Tensor,
    settings: list[ClipSetting],
    bank_seed: tuple[object, ...],
    others: Bystanders | None = None,
) -> tuple[Scene, Tensor, Tensor]:
    """Scenes and standing cameras of all frames of C clips.

    Args:
        look: the look.
        joints: ``(C, T, J, 3)`` metres, world frame. girth: ``(C,)``.
        settings: what is constant in each clip.
        bank_seed: names the backdrops.
        others: the bystanders that `who_stands_by` names.

    Returns:
        scenes of C * T frames, cameras' rotations ``(C * T, 3, 3)`` and centres ``(C * T, 3)``.
    """
    clips, frames = joints.shape[:2]
    uniform = torch.stack([s.uniform for s in settings])
    normal = torch.stack([s.normal for s in settings])
    placed = torch.stack([s.objects for s in settings])
    target = joints.mean(dim=(1, 2))
    rotation, centre = clip_cameras(look, target, uniform, normal)
    toward = rotation[:, 2]
    each = lambda value: value.repeat_interleave(frames, dim=0)  # noqa: E731

    worn = appearance(look, uniform)
    parts = [dress(joints.flatten(0, 1), each(girth), Appearance(each(worn.palette), each(worn.texture)))]
    if look.objects > 0 or look.occluders > 0:
        poles = _poles(look, target, toward, placed, uniform)
        parts.append(Strokes(*(each(value) for value in attrs.astuple(poles, recurse=False))))
    if others is not None:
        parts += _bystanders(look, target, toward, others, uniform)
    light = normalize(normal[:, 45:48] * look.light_spread + normal.new_tensor([0.0, 0.0, 1.0]) - 0.5 * toward, dim=-1)
    ambient = look.ambient[0] + (look.ambient[1] - look.ambient[0]) * uniform[:, 35]
    place = torch.stack([0.5 + 1.0 * uniform[:, 36], 2 * uniform[:, 37] - 1, 2 * uniform[:, 38] - 1], dim=1)
    textures = bank(look.detail, look.clutter, look.limbs, look.saturation, *bank_seed)
    index = (uniform[:, 39] * len(textures)).long().clamp(max=len(textures) - 1)
    backdrop = Backdrop(textures, each(index), each(rotation), each(place))
    scene = Scene(concatenate(parts), joints.flatten(0, 1), each(light), each(ambient), backdrop)
    return scene, each(rotation), each(centre)


def who_stands_by(look: Look, settings: Sequence[ClipSetting]) -> Tensor:
    """``(C, BYSTANDERS)``: whether each clip's bystanders are there."""
    uniform = torch.stack([setting.uniform for setting in settings])
    drawn = torch.stack([_bystander_draws(uniform, k)[:, 40] for k in range(BYSTANDERS)], dim=1)
    return drawn < look.bystanders / BYSTANDERS


def _bystander_draws(uniform: Tensor, k: int) -> Tensor:
    """``(C, 48)`` draws of each clip's k-th bystander: the setting's own, in another order."""
    return uniform.roll(7 + 5 * k, dims=1)


def _bystanders(look: Look, target: Tensor, toward: Tensor, others: Bystanders, uniform: Tensor) -> list[Strokes]:
    """Other people, behind or beside the subject, never in front. Only those who are there cost anything."""
    frames = others.joints.shape[1]
    seat = (others.present.flatten().cumsum(0) - 1).view_as(others.present)
    out = []
    for k, present in enumerate(others.present.unbind(1)):
        if not bool(present.any()):
            continue
        rows = present.nonzero().squeeze(1)
        draws, joints = _bystander_draws(uniform, k)[rows], others.joints[seat[rows, k]]
        away = normalize(toward[rows] * toward.new_tensor([1.0, 1.0, 0.0]), dim=-1)
        side = torch.stack([away[:, 1], -away[:, 0], away[:, 2]], dim=-1)
        shift = away * (0.9 + 1.5 * draws[:, 41:42]) + side * (1.6 * draws[:, 42:43] - 0.8)
        ground = (target[rows] + shift) * target.new_tensor([1.0, 1.0, 0.0])
        here = joints - joints.mean(dim=(1, 2), keepdim=True) * target.new_tensor([1.0, 1.0, 0.0])
        here = (here + ground[:, None, None]).flatten(0, 1)
        worn, girth = appearance(look, draws), others.girth[seat[rows, k]]
        each = lambda value: value.repeat_interleave(frames, dim=0)  # noqa: E731, B023
        strokes = dress(here, each(girth), Appearance(each(worn.palette), each(worn.texture)), subject=False)
        place = (present.cumsum(0) - 1).clamp(min=0)  # clips without one borrow the first's strokes, with no thickness
        strokes = strokes.at((place[:, None] * frames + torch.arange(frames)).flatten())
        out.append(attrs.evolve(strokes, radii=strokes.radii * each(present).view(-1, 1, 1)))
    return out


def develop(look: Look, images: Tensor, setting: ClipSetting, *seed: object) -> Tensor:
    """Photometry and sensor of one clip's rendered ``(T, 3, H, W)`` images, in place; see `develop_clips`."""
    return develop_clips(look, images, [setting], [seed])


def develop_clips(
    look: Look, images: Tensor, settings: Sequence[ClipSetting], seeds: Sequence[tuple[object, ...]]
) -> Tensor:
    """Photometry and sensor of the rendered ``(C * T, 3, H, W)`` images of C clips, in place.

    Exposure, colour cast and gamma are the clip's; blur and noise belong to pixels, not to the scene, so they stand
    outside the exact renderer.
    """
    frames, need = len(images) // len(settings), images[0].numel()
    tape = grains(-(-need // GRAINS) + 1).to(images) if look.noise > 0 else images.new_zeros(0)
    step = max(1, DEVELOPED_NUMBERS // need)
    for clip, (setting, seed) in enumerate(zip(settings, seeds, strict=True)):
        normal = setting.normal.clamp(-2.5, 2.5).to(images)
        gain = (look.exposure * normal[50] + look.cast * normal[51:54, None, None]).exp_()
        gamma = (look.gamma * normal[54]).exp_()
        begins = [0] * frames
        if look.noise > 0:
            begins = torch.randint(GRAINS, (frames,), generator=generator_for("sensor", *seed)).tolist()
        for first in range(0, frames, step):
            some = slice(clip * frames + first, clip * frames + min(first + step, frames))
            _develop(look, images[some], gain, gamma, [tape[b : b + need] for b in begins[first : first + step]])
    return images


def _develop(look: Look, images: Tensor, gain: Tensor, gamma: Tensor, noise: Sequence[Tensor]) -> None:
    """Some images of a clip, in place, each with its stretch of noise."""
    images.mul_(gain)
    if look.gamma > 0:
        images.clamp_(1e-4, 1).log_().mul_(gamma).exp_()
    if look.blur > 0:
        share = look.blur / 3
        for first, second in ((images[..., :-1], images[..., 1:]), (images[..., :-1, :], images[..., 1:, :])):
            step = (second - first).mul_(share)  # each pixel gives a share to either neighbour: sums stay
            first.add_(step)
            second.sub_(step)
    if look.noise > 0:
        for image, stretch in zip(images, noise, strict=True):
            image.add_(stretch.view_as(image), alpha=look.noise)
    images.clamp_(0, 1)


@lru_cache(maxsize=2)
def grains(times: int = 1) -> Tensor:
    """Normal numbers ``(GRAINS * times,)``, so often repeated: every image's sensor noise is a stretch of these."""
    return torch.randn(GRAINS, generator=generator_for("grain")).repeat(times)
