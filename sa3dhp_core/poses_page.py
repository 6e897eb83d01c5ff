"""A page that shows a film beside the turning skeletons of its people. It is one file and asks no network."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.overlay import COLOURS, side_of
from sa3dhp_core.pose_spool import SpooledClip

TEMPLATE = Path(__file__).with_name("poses_page.html")
MOST = 20_000
"""Poses on a page; of a longer film every second, third, … pose is shown, so that the page stays below 4 MB."""


def poses_page(clips: Sequence[SpooledClip], video: str, title: str, notes: Sequence[str] = ()) -> str:
    """The page as text.

    Args:
        clips: all of one film.
        video: name of the video beside the page, with the film's times.
        title: what stands above it.
        notes: what the reader should know.
    """
    count = sum(clip.length for clip in clips)
    step = -(-count // MOST) or 1
    body = clips[0].facts.skeleton
    told = {
        "parents": body.parent_indices,
        "colours": [_css(COLOURS[side_of(body, joint)]) for joint in range(len(body))],
        "people": [_person(clip, step) for clip in clips],
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    thinned = [f"Of {count} poses one in {step} is shown here, so that the page stays small; the files hold all."]
    listed = "".join(f"<li>{html.escape(note)}</li>" for note in [*notes, *(thinned if step > 1 else ())])
    for name, value in (("TITLE", html.escape(title)), ("VIDEO", html.escape(video)), ("NOTES", listed)):
        text = text.replace(f"{{{{{name}}}}}", value)
    return text.replace("{{DATA}}", json.dumps(told, allow_nan=False).replace("<", "\\u003c"))


def _person(clip: SpooledClip, step: int) -> Mapping[str, Any]:
    """Poses as millimetres in 16 bits, little end first, in base64."""
    facts = clip.facts
    shown = np.concatenate([_mm(rows["poses"]) for rows in clip.blocks(step)])
    place = {"start_s": facts.start_s, "end_s": facts.start_s + clip.length / facts.fps, "fps": facts.fps / step}
    return {"name": facts.name[0], **place, "mm": base64.b64encode(shown.tobytes()).decode()}


def _mm(poses: NDArray[Any]) -> NDArray[np.int16]:
    return (poses.astype(np.float64) * 1000).round().clip(-32768, 32767).astype("<i2")


def _css(colour: Sequence[int]) -> str:
    return "rgb({},{},{})".format(*colour)
