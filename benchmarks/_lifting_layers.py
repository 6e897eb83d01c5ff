"""Two plain implementations of ITES's layers, with which benchmarks/lifting.py compares the plugin. Runs nothing.

`Plain…`: METHOD.md section 2 as one would write it first, with linear layers and one pass for each of the rotations.
`Published…`: the kinds of layers and of tensors that the public code uses, written anew: in the teacher 1 x 1
convolutions with a bias on images of one pixel, in the student one adjacency for all channels and, beside each graph
convolution, a non-local block of convolutions over joints with attention by concatenation and keys pooled in pairs. All
rotations of the cycle go through in one pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.types import Skeleton

ROTATIONS = 4


class PlainTeacher(nn.Module):
    """The published teacher's layers."""

    def __init__(self, body: Skeleton) -> None:
        super().__init__()
        self.joints = len(body)
        self.enter, self.norm = nn.Linear(2 * self.joints, 1024), nn.BatchNorm1d(1024)
        self.blocks = nn.ModuleList(PlainBlock() for _ in range(6))
        self.coefficients, self.turn = nn.Linear(1024, 12), nn.Linear(1024, 3)
        self.shapes = nn.Linear(12, 3 * self.joints)

    def shape(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Canonical shapes and rotations."""
        feature = torch.relu(self.norm(self.enter(points.flatten(1))))
        for block in self.blocks:
            feature = block(feature)
        shape = self.shapes(self.coefficients(feature)).view(-1, self.joints, 3)
        x, y, z = self.turn(feature).unbind(-1)
        zero = torch.zeros_like(x)
        hat = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).view(-1, 3, 3)
        return shape, torch.matrix_exp(hat)

    def forward(self, points: Tensor, cycle: bool = True) -> tuple[Tensor, Tensor]:
        """Poses, and the loss that the published forward always computes."""
        shape, rotation = self.shape(points)
        pose = torch.matmul(shape, rotation.transpose(1, 2))
        loss = (flat(pose) - points).norm(dim=-1).mean() * 5
        for _ in range(ROTATIONS if cycle else 0):
            turned = torch.matmul(shape, uniform(len(shape)).transpose(1, 2))
            seen = flat(turned)
            loss = loss + (self.shape(seen - seen[:, :1])[0] - shape).norm(dim=-1).mean() / ROTATIONS
        return pose, loss


class PlainBlock(nn.Module):
    """A residual bottleneck."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(1024, 256), nn.Linear(256, 256), nn.Linear(256, 1024)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(256), nn.BatchNorm1d(256), nn.BatchNorm1d(1024)])

    def forward(self, feature: Tensor) -> Tensor:
        """``(N, 1024)`` to the same."""
        inner = torch.relu(self.norms[0](self.layers[0](feature)))
        inner = torch.relu(self.norms[1](self.layers[1](inner)))
        return torch.relu(self.norms[2](self.layers[2](inner)) + feature)


class PlainConvolution(nn.Module):
    """A semantic graph convolution over all pairs of joints, those that are no bone masked."""

    def __init__(self, enter: int, leave: int, body: Skeleton) -> None:
        super().__init__()
        adjacency = torch.eye(len(body))
        for end in body.bones:
            start = body.parent_indices[end]
            adjacency[end, start] = adjacency[start, end] = 1
        self.register_buffer("adjacency", adjacency)
        self.logits = nn.Parameter(torch.zeros(leave, len(body), len(body)))
        self.own, self.other = nn.Linear(enter, leave, bias=False), nn.Linear(enter, leave, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """``(N, J, C)`` to ``(N, J, C')``."""
        mask: Any = self.adjacency
        weights = self.logits.masked_fill(mask == 0, -9e15).softmax(dim=-1)
        eye = torch.eye(weights.shape[-1])
        own, other = (map(values).transpose(1, 2).unsqueeze(-1) for map in (self.own, self.other))
        out = torch.matmul(weights * eye, own) + torch.matmul(weights * (1 - eye), other)
        return out.squeeze(-1).transpose(1, 2)


class PlainUnit(nn.Module):
    """Convolution, normalisation, rectification, non-local block."""

    def __init__(self, enter: int, width: int, body: Skeleton) -> None:
        super().__init__()
        self.convolution, self.norm = PlainConvolution(enter, width, body), nn.BatchNorm1d(width)
        self.ask, self.key, self.value = (nn.Linear(width, width // 2, bias=False) for _ in range(3))
        self.leave, self.after = nn.Linear(width // 2, width, bias=False), nn.BatchNorm1d(width)
        parts = [[body.index(joint) for joint in part] for part in body.parts.values()]
        self.groups = [*parts, [body.index(body.root)]]

    def forward(self, values: Tensor) -> Tensor:
        """``(N, J, C)`` to ``(N, J, width)``."""
        x = torch.relu(self.norm(self.convolution(values).transpose(1, 2)).transpose(1, 2))
        key, value = (
            torch.stack([told[:, group].max(dim=1).values for group in self.groups], dim=1)
            for told in (self.key(x), self.value(x))
        )
        weight = (torch.matmul(self.ask(x), key.transpose(1, 2)) / key.shape[-1] ** 0.5).softmax(dim=-1)
        return x + self.after(self.leave(torch.matmul(weight, value)).transpose(1, 2)).transpose(1, 2)


class PlainStudent(nn.Module):
    """The published student's layers."""

    def __init__(self, body: Skeleton) -> None:
        super().__init__()
        self.enter = PlainUnit(2, 128, body)
        self.units = nn.ModuleList(PlainUnit(128, 128, body) for _ in range(8))
        self.depth = nn.Linear(128, 1, bias=False)

    def lift(self, points: Tensor) -> Tensor:
        """Poses in units."""
        x = self.enter(points)
        for first, second in zip(self.units[::2], self.units[1::2], strict=True):
            x = x + second(first(x))
        depth = self.depth(x)
        depth = depth - depth[:, :1]
        return torch.cat([points * (depth + 5).clamp_min(1), depth], dim=-1)

    def forward(self, points: Tensor, cycle: bool = True) -> tuple[Tensor, Tensor]:
        """Poses, and the loss that the published forward always computes (without the teacher)."""
        pose = self.lift(points)
        loss = 5 * pose[..., 2].abs().mean()
        for _ in range(ROTATIONS if cycle else 0):
            angle = 6.2832 * torch.rand(len(pose))
            zero, one = torch.zeros_like(angle), torch.ones_like(angle)
            rows = [angle.cos(), zero, angle.sin(), zero, one, zero, -angle.sin(), zero, angle.cos()]
            turned = torch.matmul(pose, torch.stack(rows, dim=-1).view(-1, 3, 3).transpose(1, 2))
            loss = loss + (self.lift(flat(turned)) - turned).norm(dim=-1).mean() / ROTATIONS
        return pose, loss


def flat(points: Tensor) -> Tensor:
    """Projection of poses in units."""
    return points[..., :2] / (points[..., 2:] + 5).clamp_min(1)


def uniform(count: int) -> Tensor:
    """Random rotations by Gram and Schmidt."""
    return torch.linalg.qr(torch.randn(count, 3, 3)).Q


class PublishedTeacher(nn.Module):
    """The public teacher's layers."""

    def __init__(self, body: Skeleton) -> None:
        super().__init__()
        self.joints = len(body)
        blocks = [PublishedBlock() for _ in range(6)]
        self.trunk = nn.Sequential(*convolved(2 * self.joints, 1024), nn.ReLU(inplace=True), *blocks)
        self.coefficients, self.turn = nn.Conv2d(1024, 12, 1), nn.Conv2d(1024, 3, 1)
        self.shapes = nn.Conv2d(12, 3 * self.joints, 1)

    def shape(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Canonical shapes and features."""
        feature = self.trunk(points.reshape(-1, 2 * self.joints, 1, 1))
        return self.shapes(self.coefficients(feature)).view(-1, self.joints, 3), feature

    def forward(self, points: Tensor, cycle: bool = True) -> tuple[Tensor, Tensor]:
        """Poses, and the loss that the public forward always computes."""
        points = points - points[:, :1]
        shape, feature = self.shape(points)
        pose = torch.bmm(shape, exponential(self.turn(feature)[:, :, 0, 0]))
        loss = 5 * (flat(pose) - points).norm(dim=-1).mean()
        if cycle:
            many = shape.repeat(ROTATIONS, 1, 1)
            turned = torch.bmm(many, exponential(3.1416 * torch.randn(len(many), 3)))
            loss = loss + (self.shape(flat(turned))[0] - many).norm(dim=-1).mean()
        return pose, loss


class PublishedBlock(nn.Module):
    """A residual bottleneck."""

    def __init__(self) -> None:
        super().__init__()
        inner = [*convolved(1024, 256), nn.ReLU(inplace=True), *convolved(256, 256), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*inner, *convolved(256, 1024))

    def forward(self, feature: Tensor) -> Tensor:
        """``(N, 1024, 1, 1)`` to the same."""
        return torch.relu_(self.layers(feature) + feature)


class SharedConvolution(nn.Module):
    """A semantic graph convolution with one adjacency for all channels."""

    def __init__(self, enter: int, leave: int, body: Skeleton) -> None:
        super().__init__()
        adjacency = torch.eye(len(body), dtype=torch.bool)
        for end in body.bones:
            start = body.parent_indices[end]
            adjacency[end, start] = adjacency[start, end] = True
        self.register_buffer("adjacency", adjacency)
        self.logits = nn.Parameter(torch.ones(int(adjacency.sum())))
        self.maps = nn.Parameter((2 / (enter + leave)) ** 0.5 * torch.randn(2, enter, leave))
        self.bias = nn.Parameter(torch.zeros(leave))

    def forward(self, values: Tensor) -> Tensor:
        """``(N, J, C)`` to ``(N, J, C')``."""
        mask: Any = self.adjacency
        weights = torch.full(mask.shape, -9e15)
        weights[mask] = self.logits
        weights, eye = weights.softmax(dim=1), torch.eye(len(mask))
        own, other = torch.matmul(values, self.maps[0]), torch.matmul(values, self.maps[1])
        return torch.matmul(weights * eye, own) + torch.matmul(weights * (1 - eye), other) + self.bias


class NonLocal(nn.Module):
    """Attention by concatenation, keys and values the greatest of each pair of joints."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ask, self.key, self.value = (nn.Conv1d(width, width // 2, 1) for _ in range(3))
        self.pool, self.weigh = nn.MaxPool1d(2), nn.Conv2d(width, 1, 1, bias=False)
        self.leave = nn.Sequential(nn.Conv1d(width // 2, width, 1), nn.BatchNorm1d(width))

    def forward(self, values: Tensor) -> Tensor:
        """``(N, C, J)`` to the same."""
        ask, key, value = self.ask(values), self.pool(self.key(values)), self.pool(self.value(values))
        pairs = (
            ask.unsqueeze(-1).expand(-1, -1, -1, key.shape[-1]),
            key.unsqueeze(2).expand(-1, -1, ask.shape[-1], -1),
        )
        weights = torch.relu(self.weigh(torch.cat(pairs, dim=1))).squeeze(1) / key.shape[-1]
        heard = torch.matmul(weights, value.transpose(1, 2)).transpose(1, 2).contiguous()
        found: Tensor = self.leave(heard) + values
        return found


class PublishedUnit(nn.Module):
    """Graph convolution and, unless it is the first, non-local block side by side; normalisation, rectification."""

    def __init__(self, enter: int, width: int, body: Skeleton) -> None:
        super().__init__()
        self.convolution, self.norm = SharedConvolution(enter, width, body), nn.BatchNorm1d(width)
        self.beside = NonLocal(width) if enter == width else None
        self.order = list(range(len(body)))

    def forward(self, values: Tensor) -> Tensor:
        """``(N, J, C)`` to ``(N, J, width)``."""
        found = self.convolution(values).transpose(1, 2)
        if self.beside is not None:
            grouped = self.beside(values[:, self.order].transpose(1, 2)).transpose(1, 2)
            found = found + grouped[:, self.order].transpose(1, 2)
        return torch.relu(self.norm(found).transpose(1, 2))


class PublishedStudent(nn.Module):
    """The public student's layers."""

    def __init__(self, body: Skeleton) -> None:
        super().__init__()
        self.enter = PublishedUnit(2, 128, body)
        self.units = nn.ModuleList(PublishedUnit(128, 128, body) for _ in range(8))
        self.depth = SharedConvolution(128, 1, body)

    def lift(self, points: Tensor) -> Tensor:
        """Poses in units."""
        x = self.enter(points)
        for first, second in zip(self.units[::2], self.units[1::2], strict=True):
            x = x + second(first(x))
        depth = self.depth(x)
        return torch.cat([points * (depth + 5).clamp_min(1), depth], dim=2)

    def forward(self, points: Tensor, cycle: bool = True) -> tuple[Tensor, Tensor]:
        """Poses, and the loss that the public forward always computes (without the teacher)."""
        pose = self.lift(points)
        loss = 5 * pose[..., 2].abs().mean()
        if cycle:
            upright = torch.tensor([0.0, 1.0, 0.0])
            angles = 6.2832 * torch.rand(ROTATIONS * len(pose), 1)
            turned = torch.matmul(pose.repeat(ROTATIONS, 1, 1), exponential(angles * upright))
            loss = loss + (self.lift(flat(turned)) - turned).norm(dim=-1).mean()
        return pose, loss


def convolved(enter: int, leave: int) -> list[nn.Module]:
    """A 1 x 1 convolution and its normalisation."""
    return [nn.Conv2d(enter, leave, 1), nn.BatchNorm2d(leave)]


def exponential(vectors: Tensor) -> Tensor:
    """Rotation matrices of rotation vectors ``(N, 3)`` by Rodrigues' formula."""
    angle = vectors.square().sum(dim=1).clamp_min(1e-4).sqrt()[:, None, None]
    x, y, z = vectors.unbind(1)
    zero = torch.zeros_like(x)
    hat = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(-1, 3, 3)
    return torch.eye(3) + angle.sin() / angle * hat + (1 - angle.cos()) / angle**2 * torch.bmm(hat, hat)
