"""Network bodies: a linear map with a residual network, and the published tree of body parts. They know no pose."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sa3dhp_priors.body import Anatomy


class Residual(nn.Module):
    """One pre-normalised residual layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.enter, self.leave = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """``(..., width)`` -> ``(..., width)``."""
        return features + self.leave(functional.silu(self.enter(self.norm(features))))


class LinearResidual(nn.Module):
    """``offset + (x - centre) W + MLP(x - centre)``; the MLP begins at zero, so the start is the linear map given.

    Args:
        inputs: width of x.
        outputs: width of the result.
        hidden: width of the MLP.
        layers: its residual layers.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, inputs: int, outputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.linear = nn.Linear(inputs, outputs)
        self.residual = nn.Sequential(
            nn.Linear(inputs, hidden), *(Residual(hidden) for _ in range(layers)), nn.LayerNorm(hidden), nn.SiLU()
        )
        self.leave = nn.Linear(hidden, outputs)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    @torch.no_grad()
    def start(self, inputs: Tensor, weight: Tensor, offset: Tensor) -> None:
        """Begin with ``offset + (x - mean of inputs) weight``; `weight` is ``(inputs, outputs)``."""
        self.centre.copy_(inputs.mean(dim=0))
        self.scale.copy_(inputs.std(dim=0).clamp_min(1e-3).reciprocal().clamp_max(10.0))
        self.linear.weight.copy_(weight.T)
        self.linear.bias.copy_(offset)

    def forward(self, inputs: Tensor) -> Tensor:
        """``(..., inputs)`` -> ``(..., outputs)``."""
        centred = inputs - self.centre
        result: Tensor = self.linear(centred) + self.leave(self.residual(centred * self.scale))
        return result


class Layout:
    """How body parts join: limbs with the trunk, then limbs with their mirror images. Read off the skeleton's card.

    The trunk is every part that is its own mirror image; each other part is a limb.
    """

    def __init__(self, anatomy: Anatomy) -> None:
        parts = anatomy.parts()
        image = {
            name: next((other for other, b in parts.items() if set(b) == {anatomy.mirrored[i] for i in bones}), name)
            for name, bones in parts.items()
        }
        self.trunk = sorted({bone for name, bones in parts.items() if image[name] == name for bone in bones})
        limbs = [name for name in parts if image[name] != name]
        self.limbs = {name: parts[name] for name in limbs}
        pairs = {tuple(sorted((name, image[name]))) for name in limbs}
        self.girdles = {"+".join(pair): pair for pair in sorted(pairs)}


def _dense(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.LeakyReLU(0.2))


class TreeEncoder(nn.Module):
    """Bones -> parts (32) -> limb with trunk (64) -> pairs of limbs (128) -> 512 -> z (METHOD 1.1, the code's tree).

    Args:
        layout: of the skeleton's parts.
        per_bone: features of a bone.
        shared: features of the whole body, seen by the trunk's branch.
        outputs: width of the result.
    """

    def __init__(self, layout: Layout, per_bone: int, shared: int, outputs: int) -> None:
        super().__init__()
        self._layout = layout
        self.trunk = _dense(len(layout.trunk) * per_bone + shared, 32)
        self.limbs = nn.ModuleDict({name: _dense(len(b) * per_bone, 32) for name, b in layout.limbs.items()})
        self.with_trunk = nn.ModuleDict({name: _dense(64, 64) for name in layout.limbs})
        self.girdles = nn.ModuleDict({name: _dense(128, 128) for name in layout.girdles})
        self.body = _dense(128 * max(1, len(layout.girdles)) + 32, 512)
        self.leave = nn.Linear(512, outputs)

    def forward(self, bones: Tensor, shared: Tensor) -> Tensor:
        """``(..., B, per_bone)``, ``(..., shared)`` -> ``(..., outputs)``."""
        layout = self._layout
        trunk = self.trunk(torch.cat((bones[..., layout.trunk, :].flatten(-2), shared), dim=-1))
        limbs = {
            name: self.with_trunk[name](torch.cat((self.limbs[name](bones[..., own, :].flatten(-2)), trunk), dim=-1))
            for name, own in layout.limbs.items()
        }
        girdles = [
            self.girdles[name](torch.cat((limbs[first], limbs[second]), dim=-1))
            for name, (first, second) in layout.girdles.items()
        ]
        result: Tensor = self.leave(self.body(torch.cat((*girdles, trunk), dim=-1)))
        return result


class TreeDecoder(nn.Module):
    """`TreeEncoder` backwards: z -> 512 -> pairs of limbs (128) -> limb with trunk (64) -> parts (32) -> bones.

    Args:
        layout: of the skeleton's parts.
        inputs: width of z.
        shared: numbers given out for the whole body, by the trunk's branch.
        bones: number of bones.
    """

    def __init__(self, layout: Layout, inputs: int, shared: int, bones: int) -> None:
        super().__init__()
        self._layout, self._shared = layout, shared
        self.body = nn.Sequential(_dense(inputs, 512), _dense(512, 512))
        self.girdles = nn.ModuleDict({name: _dense(512, 128) for name in layout.girdles})
        self.with_trunk = nn.ModuleDict({name: _dense(128, 64) for name in layout.limbs})
        self.limbs = nn.ModuleDict({name: _dense(64, 32) for name in layout.limbs})
        self.leave = nn.ModuleDict({name: nn.Linear(32, len(b) * 3) for name, b in layout.limbs.items()})
        self.trunk = _dense(512 + 64 * len(layout.limbs), 32)
        self.leave_trunk = nn.Linear(32, len(layout.trunk) * 3 + shared)
        placed = layout.trunk + [bone for own in layout.limbs.values() for bone in own]
        self._order = [placed.index(bone) for bone in range(bones)]

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """``(..., inputs)`` -> directions ``(..., B, 3)`` of any length, and ``(..., shared)``."""
        layout = self._layout
        body = self.body(z)
        joined = {
            limb: self.with_trunk[limb](girdle)
            for name, pair in layout.girdles.items()
            for girdle in (self.girdles[name](body),)
            for limb in pair
        }
        limbs = [self.leave[name](self.limbs[name](joined[name])) for name in layout.limbs]
        trunk = self.leave_trunk(self.trunk(torch.cat((body, *joined.values()), dim=-1)))
        split = trunk.shape[-1] - self._shared
        bones = torch.cat((trunk[..., :split], *limbs), dim=-1).unflatten(-1, (-1, 3))
        return bones[..., self._order, :], trunk[..., split:]
