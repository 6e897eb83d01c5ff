"""The teacher's trunk: a residual MLP over all keypoints of a person (METHOD.md section 2)."""

from __future__ import annotations

from copy import deepcopy

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from sa3dhp_ites.heads import START
from sa3dhp_ites.units import DISTANCE


def _layer(enter: int, leave: int, normed: bool) -> nn.Sequential:
    """A linear map, and maybe its normalisation; its gains start anywhere in (0, 1), as in the public code."""
    if not normed:
        return nn.Sequential(nn.Linear(enter, leave))
    linear, norm = nn.Linear(enter, leave, bias=False), nn.BatchNorm1d(leave)
    nn.init.normal_(linear.weight, std=START)
    nn.init.uniform_(norm.weight)
    return nn.Sequential(linear, norm)


class Bottleneck(nn.Module):
    """Narrow, transform, widen, add."""

    def __init__(self, width: int, inner: int, normed: bool) -> None:
        super().__init__()
        self.narrow, self.inner = _layer(width, inner, normed), _layer(inner, inner, normed)
        self.widen = _layer(inner, width, normed)

    def forward(self, values: Tensor) -> Tensor:
        """``(N, width)`` to the same."""
        inner = self.inner(self.narrow(values).relu_()).relu_()
        widened: Tensor = self.widen(inner)
        return widened.add_(values).relu_()


class Perceptron(nn.Module):
    """``(N, J, 2)`` to one feature ``(N, width)`` a person."""

    def __init__(self, joints: int, width: int, bottleneck: int, blocks: int, normed: bool = True) -> None:
        super().__init__()
        self.per_joint, self.width = False, width
        self._scale = 1.0 if normed else DISTANCE
        self.enter = _layer(2 * joints, width, normed)
        self.blocks = nn.Sequential(*(Bottleneck(width, bottleneck, normed) for _ in range(blocks)))

    def forward(self, points: Tensor) -> Tensor:
        """Features of ``(N, J, 2)`` keypoints in units."""
        feature: Tensor = self.blocks(self.enter(self._scale * points.flatten(1)).relu_())
        return feature


def folded(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode that maps to the same, every linear map and its normalisation made one linear map."""
    copy = deepcopy(module).eval()
    for parent in list(copy.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Sequential) and [type(part) for part in child] == [nn.Linear, nn.BatchNorm1d]:
                setattr(parent, name, fuse_linear_bn_eval(*child))
    return copy
