"""Geometric relations: a product of spatial factors, drawn as matrices of O(3), and an exact time map."""

from __future__ import annotations

import math

import attrs
import torch
from torch import Tensor

from sa3dhp_core.geometry import (
    act_on_cameras,
    act_on_images,
    act_on_keypoints,
    act_on_parts,
    act_on_poses,
    mirror_matrix,
    rotation_x,
    rotation_y,
    rotation_z,
)
from sa3dhp_core.types import PartLabels, Skeleton, Spatial, Temporal
from sa3dhp_relations.cube import Axis
from sa3dhp_relations.elements import Factor, MaybeFlip, SpatialProduct
from sa3dhp_relations.expression import Product, parse, write

_ROTATIONS = {Axis.ROTATE: rotation_z, Axis.TILT: rotation_x, Axis.PAN: rotation_y}


@attrs.frozen
class GeometricRelation:
    """The relation (M, pi) of a normal-form product; implements `sa3dhp_core.protocols.relation.Relation`.

    Attributes:
        product: spatial and temporal part.
        skeleton: of the poses that it acts on.
        alias: name given by a recipe; without one, the canonical expression is the name.
    """

    product: Product
    skeleton: Skeleton
    alias: str = attrs.field(default="", eq=False)

    @property
    def expression(self) -> str:
        """The canonical expression."""
        return write(self.product)

    @property
    def name(self) -> str:
        """The recipe's name for it, or the canonical expression."""
        return self.alias or self.expression

    @property
    def crops_name(self) -> str:
        """The canonical expression of the spatial part, empty where that is the identity."""
        return write(Product(self.product.spatial)) if self.product.spatial != SpatialProduct() else ""

    @property
    def condition(self) -> int:
        """0 for a single element, 3 for a family in the image plane, 9 for any other family."""
        if not self.product.spatial.is_family:
            return 0
        return 3 if self.product.spatial.in_plane else 9

    @property
    def acts_on_time(self) -> bool:
        """Whether anchor and partner differ in time."""
        return not self.product.time.is_identity

    def __matmul__(self, first: GeometricRelation) -> GeometricRelation:
        """``self @ first``: `first` acts first, on poses, images and time alike."""
        if self.skeleton != first.skeleton:
            raise ValueError(f"relations of two skeletons: {self.skeleton.id!r} and {first.skeleton.id!r}")
        return GeometricRelation(self.product @ first.product, self.skeleton)

    def inverse(self) -> GeometricRelation:
        """The inverse; of a family, the family of the inverses (its draws are independent of this one's)."""
        return GeometricRelation(self.product.inverse(), self.skeleton)

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Spatial:
        """Elements with leading axes `shape`, on the CPU, of the default dtype; each factor draws once, left first."""
        matrix = _matrices(self.product.spatial, shape, generator)
        width = self.condition
        condition = matrix.new_zeros(*shape, 0) if width == 0 else described(matrix, width)
        dtype = torch.get_default_dtype()
        return Spatial(matrix.to(dtype), condition.to(dtype))

    def temporal(self, frames: int) -> Temporal:
        """Window, anchor and partner; see `TimeMap.indices`."""
        return Temporal(*self.product.time.indices(frames))

    def on_poses(self, poses: Tensor, spatial: Spatial) -> Tensor:
        """``(..., J, 3)`` -> ``(..., J, 3)``; the element's leading axes are the first of the poses', else an error."""
        return act_on_poses(spatial.matrix, poses, self.skeleton)

    def on_images(self, images: Tensor, spatial: Spatial, intrinsics: Tensor) -> Tensor:
        """``(..., 3, H, W)`` and ``(..., 3, 3)`` -> ``(..., 3, H, W)``; axes as for `on_poses`."""
        return act_on_images(spatial.matrix, images, intrinsics)

    def on_keypoints(self, keypoints_px: Tensor, spatial: Spatial, intrinsics: Tensor) -> Tensor:
        """``(..., J, 2)`` pixels and ``(..., 3, 3)`` -> ``(..., J, 2)``: where the moved pose is seen."""
        return act_on_keypoints(spatial.matrix, keypoints_px, intrinsics, self.skeleton)

    def on_parts(self, parts: Tensor, spatial: Spatial, intrinsics: Tensor, labels: PartLabels) -> Tensor:
        """``(..., H, W)`` part labels and ``(..., 3, 3)`` -> ``(..., H, W)``: the labels of the moved crop."""
        return act_on_parts(spatial.matrix, parts, labels, intrinsics)

    def on_cameras(self, rotation: Tensor, intrinsics: Tensor, spatial: Spatial) -> tuple[Tensor, Tensor]:
        """``(..., 3, 3)`` twice: rotation and intrinsics of the camera that takes the moved crop of the same world.

        The moved pose itself, in its own camera's frame, projects to the moved crop by unchanged intrinsics.
        """
        return act_on_cameras(spatial.matrix, rotation, intrinsics)


def geometric(expression: str, skeleton: Skeleton, alias: str = "") -> GeometricRelation:
    """The relation of an expression such as ``flip @ rotate(50) @ backward``."""
    return GeometricRelation(parse(expression), skeleton, alias)


def described(matrix: Tensor, width: int) -> Tensor:
    """What a network is told about elements ``(..., 3, 3)``.

    Width 3 (image plane; M = flip^m Rz(angle)): cos, sin, +1 if mirrored else -1. Width 9: the entries, row by row.
    """
    if width == 9:
        return matrix.flatten(-2)
    return torch.stack((matrix[..., 1, 1], matrix[..., 1, 0], -torch.linalg.det(matrix).sign()), dim=-1)


def matrices_from(condition: Tensor) -> Tensor:
    """The inverse of `described`: ``(..., 3)`` or ``(..., 9)`` -> ``(..., 3, 3)``."""
    if condition.shape[-1] == 9:
        return condition.unflatten(-1, (3, 3))
    cos, sin, mirrored = condition.unbind(-1)
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    rows = (-mirrored * cos, mirrored * sin, zero, sin, cos, zero, zero, zero, one)
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def _matrices(product: SpatialProduct, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    mirror = mirror_matrix(dtype=torch.float64)
    matrix = mirror if product.flipped else torch.eye(3, dtype=torch.float64)
    matrix = matrix.expand(*shape, 3, 3)
    for factor in product.factors:
        matrix = matrix @ _factor_matrices(factor, mirror, shape, generator)
    return matrix.contiguous()


def _factor_matrices(factor: Factor, mirror: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    if isinstance(factor, MaybeFlip):
        mirrored = torch.rand(shape, generator=generator, dtype=torch.float64) < 0.5
        return torch.where(mirrored[..., None, None], mirror, torch.eye(3, dtype=torch.float64))
    degrees = torch.full(shape, float(factor.centre), dtype=torch.float64)
    for spread in factor.spreads:
        unit = torch.rand(shape, generator=generator, dtype=torch.float64)
        degrees = degrees + float(spread) * (2 * unit - 1)
    return _ROTATIONS[factor.axis](degrees * (math.pi / 180))
