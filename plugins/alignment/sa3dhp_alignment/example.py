"""Tables from which the conformance kit builds the losses whose keys are required. Reads and writes nothing.

The relations are those of the kit's bench: mirror, tilt, turn (a family) and backward.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def relation(folder: Path) -> dict[str, Any]:
    """A family's energy on poses, an element drawn for every frame."""
    return {"relation": "turn", "per_frame": True}


def motion_relation(folder: Path) -> dict[str, Any]:
    """An energy on motions."""
    return {"relation": "backward"}


def motion_contrast(folder: Path) -> dict[str, Any]:
    """InfoNCE of motions."""
    return {"level": "motion", "widths": [16, 8]}


def moved_prior(folder: Path) -> dict[str, Any]:
    """Matching of moved views, a short queue."""
    return {"relation": "mirror", "queue": 25, "projections": 16}
