"""What a detector must keep: boxes that have a size, scores that fall, each image alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.conformance.tolerance import need_equal
from sa3dhp_core.protocols.detection import Detections

NOUN = "detector"
SHAPES = ((1, 48, 64), (3, 80, 56))
"""Number, height and width of the images."""


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """A detector is built from its keys alone."""
    return {}


def pictures(bench: Bench, count: int, height: int, width: int) -> Tensor:
    """Noise with a bright upright patch in each image, elsewhere in each."""
    images = 0.3 * torch.rand(count, 3, height, width, generator=bench.generator("pictures", count))
    for number, image in enumerate(images):
        image[:, 8 : height // 2 + 8, 6 + 4 * number : 20 + 4 * number] += 0.7
    return images.clamp(0, 1)


@check(NOUN, "answers once for each image: boxes that have a size, scores in [0, 1], the surest first")
def answers_for_each_image(subject: Subject, bench: Bench) -> None:
    detect = subject.make(bench)
    for shape in SHAPES:
        images = pictures(bench, *shape)
        found = _found(detect, images)
        must(len(found) == len(images), "not one answer for each image", len(found), len(images))
        for one in found:
            _need_boxes(one)


def _need_boxes(found: Detections) -> None:
    count = len(found.scores)
    must(found.boxes.shape == (count, 4), "boxes do not fit the scores", tuple(found.boxes.shape), (count, 4))
    must(found.scores.shape == (count,), "scores are not one a box", tuple(found.scores.shape), (count,))
    must(bool(found.boxes.isfinite().all()) and bool((found.boxes[:, 2:] > 0).all()), "a box has no size", found.boxes)
    must(bool(((found.scores >= 0) & (found.scores <= 1)).all()), "a score leaves [0, 1]", found.scores)
    must(bool((found.scores.diff() <= 0).all()), "scores rise", found.scores)


@check(NOUN, "looks at each image alone: what else is in the batch changes nothing")
def looks_at_each_image_alone(subject: Subject, bench: Bench) -> None:
    detect, images = subject.make(bench), pictures(bench, *SHAPES[1])
    together = _found(detect, images)
    for image, one in zip(images, together, strict=True):
        (alone,) = _found(detect, image[None])
        must(len(alone.scores) == len(one.scores), "another number of people", len(alone.scores), len(one.scores))
        need_equal(alone.scores, one.scores, "other scores", 10)
        need_equal(alone.boxes, one.boxes, "other boxes", 10 * images.shape[-1])


@check(NOUN, "leaves the images that it is given as they were")
def leaves_its_input_alone(subject: Subject, bench: Bench) -> None:
    images = pictures(bench, *SHAPES[0])
    kept = images.clone()
    _found(subject.make(bench), images)
    must(torch.equal(images, kept), "changes the images that it is given")


def _found(detect: Any, images: Tensor) -> Sequence[Detections]:
    with torch.no_grad():
        found: Sequence[Detections] = detect(images)
    return found
