"""The student's trunk: semantic graph convolutions and attention over body parts (METHOD.md section 2).

Edges and parts come from the skeleton's card. Messages travel through torch-geometric. Inside, joints are the first
axis, ``(J, N, C)``: what a joint says is then one piece of memory, which is gathered and summed much faster.

Where normalisation follows a linear map, the size of its weights means nothing to what it tells and all to how fast it
turns: a gradient turns small weights far. They begin as the teacher's do, by `START`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import softmax

from sa3dhp_core.types import Skeleton
from sa3dhp_ites.heads import START


def edges(skeleton: Skeleton) -> Tensor:
    """``(2, E)`` joints at both ends of each bone, there and back, ordered by the joint that is told."""
    both = [pair for end in skeleton.bones for pair in ((skeleton.parent_indices[end], end),)]
    both += [(end, start) for start, end in both]
    return torch.tensor(sorted(both, key=lambda pair: pair[::-1])).T.contiguous()


def groups(skeleton: Skeleton) -> tuple[tuple[int, ...], ...]:
    """The joints of each body part, and those of no part together."""
    parts = [tuple(skeleton.index(joint) for joint in part) for part in skeleton.parts.values()]
    rest = tuple(set(range(len(skeleton))) - {joint for part in parts for joint in part})
    return (*parts, rest) if rest else tuple(parts)


class SemanticConvolution(MessagePassing):
    """Each joint becomes a weighted mean of what it and its neighbours say, with weights learned channel by channel.

    Zhao et al. 2019, "Semantic graph convolutional networks", equation 3: ``softmax`` over a joint's neighbours and
    itself; what a joint tells itself and what it tells others are different linear maps.
    """

    edge_index: Tensor
    told: Tensor

    def __init__(self, enter: int, leave: int, skeleton: Skeleton) -> None:
        super().__init__(aggr="add", node_dim=0)
        index = edges(skeleton)
        self.register_buffer("edge_index", index, persistent=False)
        self.register_buffer("told", torch.cat([index[1], torch.arange(len(skeleton))]), persistent=False)
        self.own, self.other = _small(enter, leave), _small(enter, leave)
        self.logits = nn.Parameter(0.1 * torch.randn(len(self.told), leave))

    def forward(self, values: Tensor) -> Tensor:
        """``(J, N, C)`` to ``(J, N, C')``."""
        bones = self.edge_index.shape[1]
        weight = softmax(self.logits, self.told, num_nodes=len(values), dim=0).unsqueeze(1)
        heard: Tensor = self.propagate(self.edge_index, x=self.other(values), weight=weight[:bones])
        return torch.addcmul(heard, weight[bones:], self.own(values))

    def message(self, x_j: Tensor, weight: Tensor) -> Tensor:
        """What each bone carries, ``(E, N, C')``."""
        return weight * x_j


class PartAttention(nn.Module):
    """Each joint attends to all body parts; a part is the greatest of its joints, channel by channel.

    The non-local block of Wang et al. 2018 with pooled keys and values.
    """

    def __init__(self, width: int, skeleton: Skeleton) -> None:
        super().__init__()
        inner = width // 2
        self.ask, self.tell = nn.Linear(width, inner, bias=False), nn.Linear(width, 2 * inner, bias=False)
        self.leave, self.norm = _small(inner, width), nn.BatchNorm1d(width)
        parts = groups(skeleton)
        ranked = sorted(range(len(parts)), key=parts.__getitem__)
        order = [joint for part in ranked for joint in parts[part]]
        self._order = order if order != sorted(order) else None
        self._sizes, self._places = [len(parts[part]) for part in ranked], [ranked.index(k) for k in range(len(parts))]

    def forward(self, values: Tensor) -> Tensor:
        """``(J, N, C)`` to the same."""
        told, ask = self.tell(values), self.ask(values).transpose(0, 1)
        key, value = self._greatest(told).chunk(2, dim=-1)
        weight = (torch.bmm(ask, key.mT) * ask.shape[-1] ** -0.5).softmax(dim=-1)
        return values + _by_channel(self.norm, self.leave(torch.bmm(weight, value).transpose(0, 1)))

    def _greatest(self, told: Tensor) -> Tensor:
        """``(J, N, C)`` to ``(N, parts, C)``. Split, not indexed: the gradient is written once, not once a part."""
        told = told if self._order is None else told[self._order]
        parts = [part.amax(dim=0) for part in told.split(self._sizes)]
        return torch.stack([parts[place] for place in self._places], dim=1)


class Unit(nn.Module):
    """Convolution, normalisation, rectification, attention."""

    def __init__(self, enter: int, width: int, skeleton: Skeleton) -> None:
        super().__init__()
        self.convolution, self.norm = SemanticConvolution(enter, width, skeleton), nn.BatchNorm1d(width)
        self.attention = PartAttention(width, skeleton)

    def forward(self, values: Tensor) -> Tensor:
        """``(J, N, C)`` to ``(J, N, width)``."""
        found: Tensor = self.attention(_by_channel(self.norm, self.convolution(values)).relu())
        return found


class Residual(nn.Module):
    """Two units, and what came in."""

    def __init__(self, width: int, skeleton: Skeleton) -> None:
        super().__init__()
        self.units = nn.Sequential(Unit(width, width, skeleton), Unit(width, width, skeleton))

    def forward(self, values: Tensor) -> Tensor:
        """``(J, N, C)`` to the same."""
        return values + self.units(values)


class JointGraph(nn.Module):
    """``(N, J, 2)`` to a feature ``(N, J, width)`` of each joint."""

    def __init__(self, skeleton: Skeleton, width: int, blocks: int) -> None:
        super().__init__()
        self.per_joint, self.width = True, width
        self.enter = Unit(2, width, skeleton)
        self.blocks = nn.Sequential(*(Residual(width, skeleton) for _ in range(blocks)))

    def forward(self, points: Tensor) -> Tensor:
        """Features of ``(N, J, 2)`` keypoints in units."""
        feature: Tensor = self.blocks(self.enter(points.transpose(0, 1)))
        return feature.transpose(0, 1)


def _small(enter: int, leave: int) -> nn.Linear:
    """A linear map that normalisation follows."""
    linear = nn.Linear(enter, leave, bias=False)
    nn.init.normal_(linear.weight, std=START)
    return linear


def _by_channel(norm: nn.Module, values: Tensor) -> Tensor:
    """Batch normalisation of ``(J, N, C)``, all joints alike."""
    normed: Tensor = norm(values.flatten(0, 1))
    return normed.view_as(values)
