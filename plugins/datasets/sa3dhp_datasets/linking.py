"""Detections of people linked into tracks, frame by frame. Detects nothing and opens no video.

Each track guesses its next box from its speed; boxes and guesses are paired so that their overlaps add up to the most
(the assignment problem, by scipy), as SORT does (Bewley et al. 2016) without its Kalman filter.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs
import numpy as np

from sa3dhp_datasets.tracks import Boxes

LEAST_OVERLAP = 0.3
"""Intersection over union from which a box may continue a track."""

SHORTEST = 3
"""Detections of a track; what is seen less often is taken for a mistake."""

RECENT = 0.5
"""Weight of the newest step in a track's speed."""


@attrs.define
class _Open:
    """A track that may go on: the boxes so far by frame, and the speed of the centre in pixels a frame."""

    boxes: dict[int, Boxes]
    speed: Boxes

    @property
    def last(self) -> int:
        return max(self.boxes)

    def guess(self, frame: int) -> Boxes:
        """Where the box would be if the centre went on."""
        moved = self.boxes[self.last].copy()
        moved[:2] += self.speed * (frame - self.last)
        return moved

    def extend(self, frame: int, box: Boxes) -> None:
        """Go on with this box."""
        before = self.boxes[self.last]
        step = (box[:2] + box[2:] / 2 - before[:2] - before[2:] / 2) / (frame - self.last)
        self.speed = step if len(self.boxes) == 1 else (1 - RECENT) * self.speed + RECENT * step
        self.boxes[frame] = box


def link(detections: Iterable[tuple[int, Boxes]], max_gap: int) -> dict[int, dict[int, Boxes]]:
    """Boxes by track, from 1 on in the order of appearance, and frame.

    Args:
        detections: frame numbers, rising, and the boxes ``(K, 4)`` x, y, width, height found in each.
        max_gap: frames in which a track may be unseen before it ends.
    """
    from scipy.optimize import linear_sum_assignment  # a third of a second, and only detections need it

    going: list[_Open] = []
    done: list[_Open] = []
    for frame, boxes in detections:
        done += [track for track in going if frame - track.last - 1 > max_gap]
        going = [track for track in going if frame - track.last - 1 <= max_gap]
        guesses = np.array([track.guess(frame) for track in going]).reshape(-1, 4)
        shared = overlaps(guesses, boxes)
        pairs = [(t, b) for t, b in zip(*linear_sum_assignment(-shared), strict=True) if shared[t, b] >= LEAST_OVERLAP]
        for number, box in pairs:
            going[number].extend(frame, boxes[box])
        taken = {box for _, box in pairs}
        going += [_Open({frame: box}, np.zeros(2)) for number, box in enumerate(boxes) if number not in taken]
    kept = [track.boxes for track in [*done, *going] if len(track.boxes) >= SHORTEST]
    return dict(enumerate(sorted(kept, key=min), 1))


def overlaps(first: Boxes, second: Boxes) -> Boxes:
    """Intersection over union ``(M, N)`` of boxes ``(M, 4)`` and ``(N, 4)``."""
    one, other = first[:, None], second[None]
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:])
    both = np.clip(high - low, 0, None).prod(-1)
    shared: Boxes = both / (one[..., 2:].prod(-1) + other[..., 2:].prod(-1) - both)
    return shared
