"""How leading axes of matrices and of what they act on fit together. Holds shape rules, never mathematics.

A matrix's leading axes are the *first* leading axes of its operand: one ``(B, 3, 3)`` matrix per clip acts on all
frames of ``(B, T, J, 3)``. (Plain broadcasting would match B with T.) An operand without leading axes is repeated.
"""

from __future__ import annotations

from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.types import Skeleton


def fit(tensor: Tensor, core: int, lead: int) -> Tensor:
    """`tensor` with singleton axes put before its last `core` axes until it has `lead` leading ones."""
    own = tensor.dim() - core
    return tensor.reshape(*tensor.shape[:own], *(1,) * (lead - own), *tensor.shape[own:]) if own < lead else tensor


def fit_all(*operands: tuple[Tensor, int]) -> list[Tensor]:
    """Each ``(tensor, number of core axes)`` with its leading axes aligned at the first one.

    Raises:
        DataError: on some axis two operands have different sizes, neither of which is 1.
    """
    lead = max(tensor.dim() - core for tensor, core in operands)
    fitted = [fit(tensor, core, lead) for tensor, core in operands]
    leading = [tuple(tensor.shape[:lead]) for tensor in fitted]
    if not all(_agree(sizes) for sizes in zip(*leading, strict=True)):
        found = " and ".join(str(tuple(tensor.shape[: tensor.dim() - core])) for tensor, core in operands)
        raise DataError(
            "leading axes do not fit one another", found=found, expected="equal sizes from the first axis on"
        )
    return fitted


def _agree(sizes: tuple[int, ...]) -> bool:
    """Whether all sizes but 1 are equal. While a graph is traced they are symbols, which no set can hold."""
    own = [size for size in sizes if size != 1]
    return all(size == own[0] for size in own)


def need(tensor: Tensor, name: str, *core: int | None) -> None:
    """Raise `DataError` unless `tensor` ends in the axes `core` (None: any size)."""
    tail = tuple(tensor.shape[-len(core) :])
    if len(tail) < len(core) or any(want is not None and want != have for want, have in zip(core, tail, strict=True)):
        wanted = ", ".join("any" if size is None else str(size) for size in core)
        raise DataError(f"{name} has the wrong shape", found=tuple(tensor.shape), expected=f"(..., {wanted})")


def need_poses(tensor: Tensor, skeleton: Skeleton, name: str = "poses", coordinates: int = 3) -> None:
    """Raise `DataError` unless `tensor` is ``(..., J, coordinates)`` for the skeleton's J joints."""
    if tensor.dim() < 2 or tuple(tensor.shape[-2:]) != (len(skeleton), coordinates):
        raise DataError(
            f"{name} do not fit the skeleton {skeleton.id!r}",
            found=tuple(tensor.shape),
            expected=f"(..., {len(skeleton)}, {coordinates})",
        )
