"""A page that shows a film beside the turning skeletons of its people. It is one file and asks no network."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sa3dhp_core.overlay import COLOURS, side_of
from sa3dhp_core.protocols.prediction import PosedClip

TEMPLATE = Path(__file__).with_name("poses_page.html")
MOST = 20_000
"""Poses on a page; of a longer film every second, third, … pose is shown, so that the page stays below 4 MB."""


def poses_page(clips: Sequence[PosedClip], video: str, title: str, notes: Sequence[str] = ()) -> str:
    """The page as text.

    Args:
        clips: all of one film.
        video: name of the video beside the page, with the film's times.
        title: what stands above it.
        notes: what the reader should know.
    """
    step = -(-sum(len(clip.poses) for clip in clips) // MOST) or 1
    body = clips[0].skeleton
    told = {
        "parents": body.parent_indices,
        "colours": [_css(COLOURS[side_of(body, joint)]) for joint in range(len(body))],
        "people": [_person(clip, step) for clip in clips],
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    listed = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    for name, value in (("TITLE", html.escape(title)), ("VIDEO", html.escape(video)), ("NOTES", listed)):
        text = text.replace(f"{{{{{name}}}}}", value)
    return text.replace("{{DATA}}", json.dumps(told, allow_nan=False).replace("<", "\\u003c"))


def _person(clip: PosedClip, step: int) -> Mapping[str, Any]:
    """Poses as millimetres in 16 bits, little end first, in base64."""
    shown = (clip.poses[::step].double().numpy() * 1000).round().clip(-32768, 32767).astype("<i2")
    place = {"start_s": clip.start_s, "end_s": clip.start_s + len(clip.poses) / clip.fps, "fps": clip.fps / step}
    return {"name": clip.name[0], **place, "mm": base64.b64encode(np.ascontiguousarray(shown).tobytes()).decode()}


def _css(colour: Sequence[int]) -> str:
    return "rgb({},{},{})".format(*colour)
