"""Photometric jitter, batched: it changes no pose. Random numbers come from the given CPU generator alone.

On an accelerator whole images of noise are drawn there, by a generator that the CPU generator seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from sa3dhp_core.errors import RecipeError, nearest

_LUMA = (0.299, 0.587, 0.114)


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator, like: Tensor) -> Tensor:
    return (low + (high - low) * torch.rand(shape, generator=generator)).to(like)


def _applied(count: int, probability: float, generator: torch.Generator, like: Tensor) -> Tensor:
    return (torch.rand((count, 1, 1, 1), generator=generator) < probability).to(like)


@attrs.frozen(slots=False)
class Colour:
    """Hue, saturation, contrast and brightness, each with its own probability; drawn and applied apart.

    Hue is a rotation about the grey axis of RGB; all four together are one affine map of the colour vector.
    """

    strength: float
    probability: float

    @cached_property
    def _ranges(self) -> Tensor:
        """Least value, width and neutral value of the four."""
        s = self.strength
        rows = (
            (-1.2 * s, 1.2 * s, 0.0),
            (max(0.0, 1 - s), 1 + s, 1.0),
            (1 - 0.6 * s, 1 + 0.8 * s, 1.0),
            (-0.3 * s, 0.3 * s, 0.0),
        )
        return torch.tensor([(low, high - low, neutral) for low, high, neutral in rows]).T

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """``(N, 3, H, W)`` -> the same, jittered."""
        return self.apply(images, self.draw(len(images), [generator])[0])

    def draw(self, count: int, generators: Sequence[torch.Generator]) -> Tensor:
        """``(G, count, 4)``: angle in radians, saturation, contrast, brightness; neutral where they are not applied."""
        unit, chance = torch.stack([torch.rand(4, 2, count, generator=each) for each in generators]).unbind(2)
        low, span, neutral = (column[:, None] for column in self._ranges)
        return torch.where(chance < self.probability, low + span * unit, neutral).mT

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """``(N, 3, H, W)`` by the draws ``(N, 4)``."""
        angle, saturation, contrast, brightness = drawn.to(images)[..., None, None].unbind(1)
        eye = torch.eye(3).to(images)
        axis = torch.full((3, 3), 1 / 3).to(images)
        cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]).to(images) / 3**0.5
        hue = angle.cos() * eye + (1 - angle.cos()) * axis + angle.sin() * cross
        luma = torch.tensor(_LUMA).to(images).expand(3, 3)
        matrix = (saturation * eye + (1 - saturation) * luma) @ hue
        mixed = torch.einsum("nij,njhw->nihw", matrix, images)
        mean = mixed.mean(dim=(1, 2, 3), keepdim=True)
        return mixed.sub_(mean).mul_(contrast[..., None]).add_(mean).add_(brightness[..., None]).clamp_(0.0, 1.0)


def _chosen(count: int, probability: float, generator: torch.Generator, like: Tensor) -> Tensor:
    """Indices of the images that a transform applies to: the others cost nothing."""
    return (torch.rand(count, generator=generator) < probability).nonzero().squeeze(1).to(like.device)


def _white(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    """White noise, drawn where it is wanted."""
    if like.device != generator.device:
        seed = int(torch.randint(2**62, (), generator=generator))
        generator = torch.Generator(like.device).manual_seed(seed)
    return torch.randn(shape, generator=generator, device=generator.device).to(like)


def noise(images: Tensor, generator: torch.Generator, sigma: float, probability: float) -> Tensor:
    """White noise of a random strength up to `sigma`."""
    index = _chosen(len(images), probability, generator, images)
    level = _uniform((len(index), 1, 1, 1), 0.0, sigma, generator, images)
    white = _white((len(index), *images.shape[1:]), generator, images)
    return images.index_copy(0, index, white.mul_(level).add_(images[index]).clamp_(0.0, 1.0))


def blur(images: Tensor, generator: torch.Generator, probability: float) -> Tensor:
    """A 3x3 binomial blur of some of the images."""
    index = _chosen(len(images), probability, generator, images)
    edged = functional.pad(images[index], (1, 1, 1, 1), mode="replicate")
    rows = (edged[..., :-2, :] + edged[..., 2:, :]).add_(edged[..., 1:-1, :], alpha=2)
    soft = (rows[..., :-2] + rows[..., 2:]).add_(rows[..., 1:-1], alpha=2).mul_(1 / 16)
    return images.index_copy(0, index, soft)


def shade(images: Tensor, generator: torch.Generator, strength: float, probability: float) -> Tensor:
    """Multiply by a smooth random field of colour: uneven light."""
    index = _chosen(len(images), probability, generator, images)
    field = _uniform((len(index), 3, 4, 4), -strength, strength, generator, images)
    grey = field.mean(dim=1, keepdim=True)
    factor = functional.interpolate((0.5 * (field + grey)).exp(), images.shape[-2:], mode="bilinear")
    return images.index_copy(0, index, factor.mul_(images[index]).clamp_(0.0, 1.0))


def patches(images: Tensor, generator: torch.Generator, number: int, largest: float, probability: float) -> Tensor:
    """Paste soft-edged rectangles of random colour and direction: things that are no person."""
    count, _, height, width = images.shape
    y = torch.linspace(-1, 1, height).to(images)[:, None]
    x = torch.linspace(-1, 1, width).to(images)
    for _ in range(number):
        centre = _uniform((count, 2, 1, 1), -1.0, 1.0, generator, images)
        half = _uniform((count, 2, 1, 1), 0.03, largest, generator, images)
        angle = _uniform((count, 1, 1), 0.0, 3.1416, generator, images)
        ink = _uniform((count, 3, 1, 1), 0.0, 1.0, generator, images)
        dx, dy = x - centre[:, 0], y - centre[:, 1]
        u, v = dx * angle.cos() + dy * angle.sin(), dy * angle.cos() - dx * angle.sin()
        edge = torch.minimum(half[:, 0] - u.abs(), half[:, 1] - v.abs())
        cover = (edge * (height / 2) + 0.5).clamp(0, 1)[:, None]
        images = torch.lerp(images, ink.expand_as(images), cover * _applied(count, probability, generator, images))
    return images


def none(images: Tensor, generator: torch.Generator) -> Tensor:
    """No jitter."""
    return images


weak = Colour(0.35, 1 / 3)
"""Hue, saturation, contrast and brightness, each with probability 1/3 (METHOD 1.2: hue, saturation, value)."""


_strong_colour = Colour(0.9, 0.8)


def strong(images: Tensor, generator: torch.Generator) -> Tensor:
    """Everything that changes pixels and no pose: colour, uneven light, blur, noise, pasted patches."""
    images = patches(images, generator, 3, 0.35, 0.5)
    images = shade(_strong_colour(images, generator), generator, 0.6, 0.7)
    return noise(blur(images, generator, 0.3), generator, 0.08, 0.6)


KINDS = {"none": none, "weak": weak, "strong": strong}


class Kinds(Mapping[str, object]):
    """Transforms by draw name ``kind`` or ``kind:draw``: two draws of one kind are jittered independently."""

    def __getitem__(self, name: str) -> object:
        return kind_of(name)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)


def kind_of(name: str):  # type: ignore[no-untyped-def]
    """The transform of a draw's name.

    Raises:
        RecipeError: there is no such kind.
    """
    kind = name.partition(":")[0]
    if kind not in KINDS:
        raise RecipeError("no such photometric jitter", found=kind, hint=nearest(kind, KINDS))
    return KINDS[kind]
