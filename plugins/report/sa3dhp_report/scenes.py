"""Sample crops with skeletons for the page's turnable scenes. Poses stay in the crop's camera frame; nothing is drawn.

The page turns and draws them on a plain canvas, so that no number of scenes exhausts a browser's WebGL contexts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sa3dhp_report.figures import Slot, shown_rows
from sa3dhp_report.inputs import Samples
from sa3dhp_report.pictures import data_address

MILLIMETRES = 1000.0


def scenes(samples: Samples, slots: Mapping[str, Slot], few: Sequence[str], limit: int) -> dict[str, Any]:
    """What the page needs: the tree, the rows with their colour slots, and for each sample its poses and errors.

    Only the `few` rows are drawn at first. Errors are mean joint distances in mm, with both roots in the origin.
    """
    rows = list(samples.predictions)
    roots = [j for j, parent in enumerate(samples.parents) if parent in (-1, j)] or [0]
    truth = _rooted(samples.truth, roots[0])
    predictions = {row: _rooted(poses, roots[0]) for row, poses in samples.predictions.items()}
    shown = shown_rows(rows, few)
    return {
        "bones": [[j, parent] for j, parent in enumerate(samples.parents) if parent not in (-1, j)],
        "left": [joint.startswith("left") for joint in samples.joints],
        "rows": [{"name": row, "slot": slots[row], "shown": row in shown} for row in rows],
        "samples": [
            {
                "truth": _rounded(truth[k]),
                "predictions": [_rounded(predictions[row][k]) for row in rows],
                "errors": [_error(predictions[row][k], truth[k]) for row in rows],
            }
            for k in range(min(limit, len(truth)))
        ],
    }


def pictures(samples: Samples, limit: int) -> list[str]:
    """Data addresses of the crops, in the order of the scenes."""
    return [data_address(np.ascontiguousarray(image)) for image in samples.images[:limit]]


def _rooted(poses: np.ndarray, root: int) -> np.ndarray:
    return poses - poses[:, root : root + 1]


def _rounded(pose: np.ndarray) -> list[list[float]]:
    return [[round(float(c), 4) if np.isfinite(c) else 0.0 for c in joint] for joint in pose]


def _error(prediction: np.ndarray, truth: np.ndarray) -> float | None:
    error = float(np.linalg.norm(prediction - truth, axis=-1).mean()) * MILLIMETRES
    return round(error, 1) if np.isfinite(error) else None
