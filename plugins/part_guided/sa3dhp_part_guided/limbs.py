"""Limbs of a skeleton card, which part labels belong to them, and their frames in the image. Draws nothing."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.types import Skeleton


@attrs.frozen
class Limbs:
    """The stiff pieces of a puppet: P straight lines between two joints.

    Attributes:
        names: as messages call them, ``elbow-wrist``.
        start, end: ``(P,)`` joint indices.
        mirrored: ``(P,)`` index of each limb's counterpart on the other side; its own where there is none.
    """

    names: tuple[str, ...]
    start: Tensor
    end: Tensor
    mirrored: Tensor

    def __len__(self) -> int:
        return len(self.names)


def limbs_of(skeleton: Skeleton) -> Limbs:
    """Limbs from a card: trunk and head, then every bone of arms and legs that ends a chain of its own.

    The trunk reaches from the root to the joint that the upper paired joints hang from, the head from there to the end
    of the unpaired chain; a paired joint's bone is a limb where its parent is paired too (thigh, shank, upper arm, …).
    """
    children: dict[str, list[str]] = {joint: [] for joint in skeleton.joints}
    for joint, parent in skeleton.parents.items():
        if joint != parent:
            children[parent].append(joint)
    other = {joint: name for pair in skeleton.pairs for joint, name in (pair, pair[::-1])}
    chain = [skeleton.root]
    while middle := [joint for joint in children[chain[-1]] if joint not in other]:
        chain.append(middle[0])
    branches = [joint for joint in chain[1:-1] if any(child in other for child in children[joint])]
    stops = [chain[0], *branches[:1], chain[-1]]
    ends = list(zip(stops[:-1], stops[1:], strict=True))
    ends += [(a, b) for b, a in skeleton.parents.items() if a in other and b in other]
    mirrored = [ends.index((other.get(a, a), other.get(b, b))) for a, b in ends]
    start, end = (torch.tensor([skeleton.index(pair[side]) for pair in ends]) for side in (0, 1))
    return Limbs(tuple(f"{a}-{b}" for a, b in ends), start, end, torch.tensor(mirrored))


def limb_of_label(parts: Tensor, keypoints: Tensor, limbs: Limbs) -> Tensor:
    """Which limb each part label belongs to: the one whose middle its pixels lie around in most images.

    Args:
        parts: ``(N, H, W)`` labels, 0 is background. keypoints: ``(N, J, 2)`` pixels.
        limbs: of the skeleton.

    Returns:
        ``(largest label + 1,)`` index of the limb, -1 for the background and for labels that no image has.

    Raises:
        DataError: some limb has no label, so the labels cannot tell the limbs apart.
    """
    height, width = parts.shape[-2:]
    middle = 0.5 * (keypoints[:, limbs.start] + keypoints[:, limbs.end])
    x, y = (torch.arange(size, device=parts.device).to(middle) + 0.5 for size in (width, height))
    found = torch.full((int(parts.max()) + 1,), -1, dtype=torch.long, device=parts.device)
    for label in range(1, len(found)):
        mask = (parts == label).to(middle)
        area = mask.sum((1, 2))
        seen = area > 0
        if bool(seen.any()):
            centre = torch.stack([mask.sum(1) @ x, mask.sum(2) @ y], dim=-1)[seen] / area[seen, None]
            votes = (centre[:, None] - middle[seen]).norm(dim=-1).argmin(dim=1)
            found[label] = votes.bincount(minlength=len(limbs)).argmax()
    missing = [name for number, name in enumerate(limbs.names) if number not in found.tolist()]
    if missing:
        raise DataError(
            "part labels do not tell the limbs apart",
            found=f"no label for {', '.join(missing)}",
            expected=f"at least one label for each of {', '.join(limbs.names)}",
        )
    return found
