"""The pose auto-encoder (METHOD 1.1.1): limb directions in the body's frame to a bounded z and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sa3dhp_core.protocols.pose_prior import PoseDraw
from sa3dhp_core.protocols.task import Task
from sa3dhp_core.types import Skeleton
from sa3dhp_priors import config as keys
from sa3dhp_priors.body import Anatomy, Body, frame, from_six_numbers, six_numbers
from sa3dhp_priors.networks import Layout, LinearResidual, TreeDecoder, TreeEncoder
from sa3dhp_priors.pose_task import PoseTask
from sa3dhp_priors.proportions import FixedLengths, VariableLengths
from sa3dhp_priors.start import principal_map, regression

ORIENTATION = 0.8
"""Latent size of the orientation's unit columns, in units of the bound: inside the domain, where tanh is not flat."""


class MlpBody(nn.Module):
    """Residual layers around principal components, both ways."""

    def __init__(self, bones: int, shared: int, code: int, hidden: int, layers: int, whitening: float) -> None:
        super().__init__()
        self._bones, self._code, self._whitening = bones, code, whitening
        self.encoder = LinearResidual(bones * 6 + shared, code, hidden, layers)
        self.decoder = LinearResidual(code, bones * 3 + shared, hidden, layers)

    def encode(self, directions: Tensor, positions: Tensor, shared: Tensor) -> Tensor:
        """``(..., B, 3)`` twice and ``(..., S)`` -> raw ``(..., code)``."""
        raw: Tensor = self.encoder(torch.cat((directions.flatten(-2), positions.flatten(-2), shared), dim=-1))
        return raw

    def decode(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """``(..., code)`` within [-1, 1] -> directions of any length ``(..., B, 3)``, and ``(..., S)``."""
        result = self.decoder(code)
        return result[..., : self._bones * 3].unflatten(-1, (-1, 3)), result[..., self._bones * 3 :]

    @torch.no_grad()
    def start(self, directions: Tensor, positions: Tensor, shared: Tensor) -> None:
        """Begin with the principal components of joint positions, decoded linearly."""
        flat, places = directions.flatten(1), positions.flatten(1)
        components = principal_map(torch.cat((places, 0.5 * shared), dim=-1), self._code, self._whitening)
        components[places.shape[1] :] *= 0.5
        weight = torch.cat((torch.zeros(flat.shape[1], self._code).to(components), components))
        inputs = torch.cat((flat, places, shared), dim=-1)
        self.encoder.start(inputs, weight, torch.zeros(self._code))
        code = torch.tanh((inputs - inputs.mean(dim=0)) @ weight)
        self.decoder.start(code, *regression(code, torch.cat((flat, shared), dim=-1)))


class TreeBody(nn.Module):
    """The published tree of body parts, both ways."""

    def __init__(self, anatomy: Anatomy, shared: int, code: int) -> None:
        super().__init__()
        layout = Layout(anatomy)
        self.encoder = TreeEncoder(layout, 6, shared, code)
        self.decoder = TreeDecoder(layout, code, shared, len(anatomy.bones))

    def encode(self, directions: Tensor, positions: Tensor, shared: Tensor) -> Tensor:
        """``(..., B, 3)`` twice and ``(..., S)`` -> raw ``(..., code)``."""
        raw: Tensor = self.encoder(torch.cat((directions, 2.0 * positions), dim=-1), shared)
        return raw

    def decode(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """``(..., code)`` within [-1, 1] -> directions of any length ``(..., B, 3)``, and ``(..., S)``."""
        directions, shared = self.decoder(code)
        return directions, shared

    def start(self, directions: Tensor, positions: Tensor, shared: Tensor) -> None:
        """The tree starts from its random weights."""


class PoseAutoEncoder(nn.Module):
    """Poses in a bounded latent space; implements `sa3dhp_core.protocols.pose_prior.PosePrior`.

    z is ``[orientation (6, where separate) | code | proportions]``, each entry within ``[-bound, bound]``.

    Args:
        skeleton: of the poses.
        lengths: bone lengths from the latent's last dimensions (none where they are fixed).
        training: recipe keys; its network and latent keys say what is built, the others go to the task.
    """

    extent: Tensor
    reference: Tensor

    def __init__(self, skeleton: Skeleton, lengths: FixedLengths | VariableLengths, training: keys.PoseAae) -> None:
        super().__init__()
        self.skeleton, self.anatomy = skeleton, Anatomy(skeleton)
        self.latent = training.latent + lengths.latent
        self.lengths, self._training, self._bound = lengths, training, training.bound
        self._separate = training.orientation == "separate"
        self.code = training.latent - (6 if self._separate else 0)
        self._first = training.latent - self.code
        self.register_buffer("extent", torch.ones(self.latent - self._first))
        common = 0 if self._separate else 6
        bones = len(self.anatomy.bones)
        self.register_buffer("reference", self.anatomy.card_lengths(), persistent=False)
        self.network: MlpBody | TreeBody = (
            MlpBody(bones, common, self.code, training.hidden, training.layers, training.whitening)
            if training.body == "mlp"
            else TreeBody(self.anatomy, common, self.code)
        )

    def bound(self, raw: Tensor) -> Tensor:
        """``bound * tanh(raw / bound)``, elementwise."""
        return self._bound * torch.tanh(raw / self._bound)

    def encode(self, poses: Tensor) -> Tensor:
        """``(..., J, 3)`` metres, root-relative, camera frame -> ``(..., latent)``."""
        body = self.anatomy.split(poses)
        six = six_numbers(body.orientation)
        raw = self.network.encode(*self._features(body))
        lead = six[..., : self._first] * (ORIENTATION * self._bound)
        return torch.cat((lead, self.bound(raw * self._bound), self._bound * self.lengths.encode(body.lengths)), dim=-1)

    def decode(self, z: Tensor) -> Tensor:
        """``(..., latent)`` -> ``(..., J, 3)``; bone lengths follow from the last `lengths.latent` numbers alone."""
        unit = z / self._bound
        code = unit[..., self._first : self._first + self.code]
        directions, shared = self.network.decode(code)
        orientation = from_six_numbers(unit[..., :6] if self._separate else shared)
        lengths = self.lengths.decode(unit[..., self._first + self.code :])
        return self.anatomy.join(Body(orientation, functional.normalize(directions, dim=-1), lengths))

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """``(count, latent)``: uniform on the prior's box within [-bound, bound].

        A separate orientation is uniform over rotations.
        """
        like = next(self.parameters())
        uniform = torch.rand(count, self.latent - self._first, generator=generator) * 2.0 - 1.0
        vectors = torch.randn(2, count, 3, generator=generator)
        lead = ORIENTATION * six_numbers(frame(vectors[0], vectors[1]))[:, : self._first]
        uniform = uniform.to(device=like.device, dtype=like.dtype) * self.extent
        return self._bound * torch.cat((lead.to(uniform), uniform), dim=-1)

    def task(self, draw: PoseDraw) -> Task:
        """How it is trained on unpaired poses."""
        return PoseTask(self, draw, self._training)

    @torch.no_grad()
    def start(self, poses: Tensor) -> None:
        """Fit bone lengths and the linear part of the network to ``(N, J, 3)`` training poses."""
        body = self.anatomy.split(poses)
        self.lengths.start(body.lengths)
        self.network.start(*self._features(body))
        if self._training.prior == "box" and self._training.body == "mlp":
            spreads = self.encode(poses)[:, self._first :].std(dim=0) / self._bound
            self.extent.copy_((spreads * 3.0**0.5).clamp(0.02, 1.0))

    def _features(self, body: Body) -> tuple[Tensor, Tensor, Tensor]:
        """Directions, joint positions of the standard body in the body's frame, and the orientation if mixed in."""
        identity = torch.eye(3, dtype=body.directions.dtype, device=body.directions.device)
        standard = Body(identity, body.directions, self.reference.expand_as(body.lengths))
        positions = self.anatomy.join(standard)[..., self.anatomy.bones, :]
        return body.directions, positions, six_numbers(body.orientation)[..., : 6 - self._first]


def build(config: keys.PoseAae, skeleton: Skeleton) -> PoseAutoEncoder:
    """Component `pose-aae`."""
    lengths = FixedLengths(Anatomy(skeleton), from_training=config.bones == "training")
    return PoseAutoEncoder(skeleton, lengths, config)


def build_with_proportions(config: keys.PoseAaeProportions, skeleton: Skeleton) -> PoseAutoEncoder:
    """Component `pose-aae-proportions`."""
    return PoseAutoEncoder(skeleton, VariableLengths(Anatomy(skeleton), config.proportions), config)
