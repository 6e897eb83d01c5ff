"""People by an object detector of the transformers library. Needs no torchvision; fetches only what a hub id names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional

from sa3dhp_backbones.config import TransformersDetectorConfig
from sa3dhp_core.engine.devices import accelerator, present
from sa3dhp_core.errors import PluginError, nearest
from sa3dhp_core.protocols.detection import Detections

PREPROCESSOR = "preprocessor_config.json"
GET = "hf download PekingU/rtdetr_r18vd --local-dir rtdetr (Apache-2.0), then detector.model = 'rtdetr'"


@attrs.frozen
class Inputs:
    """What the model was trained with, as its ``preprocessor_config.json`` says.

    Attributes:
        size: ``height`` and ``width``, or ``shortest_edge`` and ``longest_edge``, pixels; empty: as the image is.
        mean: subtracted from RGB in [0, 1].
        std: RGB divisor.
    """

    size: Mapping[str, int]
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def of(self, images: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` in [0, 1] as the model takes them."""
        size = self._size(*images.shape[-2:])
        if size != tuple(images.shape[-2:]):
            images = functional.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
        mean, std = (images.new_tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return (images - mean) / std

    def _size(self, height: int, width: int) -> tuple[int, int]:
        if "height" in self.size:
            return self.size["height"], self.size["width"]
        if "shortest_edge" not in self.size:
            return height, width
        scale = self.size["shortest_edge"] / min(height, width)
        scale = min(scale, self.size.get("longest_edge", 10**6) / max(height, width))
        return round(scale * height), round(scale * width)


class TransformersDetector(nn.Module):
    """`Detector` around a model that answers with logits and with boxes as centre and size over the image's."""

    def __init__(
        self,
        model: nn.Module,
        number: int,
        labels: int,
        inputs: Inputs,
        least_score: float,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self.model, self.number, self.labels = model.eval().to(device), number, labels
        self.inputs, self.least_score, self.device = inputs, least_score, device

    @torch.no_grad()
    def forward(self, images: Tensor) -> Sequence[Detections]:
        """Images ``(N, 3, H, W)`` in [0, 1] to the people in each, on the images' device wherever the model is."""
        answer = self.model(pixel_values=self.inputs.of(images.to(self.device)))
        scores = _scores(answer.logits, self.labels)[..., self.number].to(images)
        scale = images.new_tensor([images.shape[-1], images.shape[-2]] * 2)
        found = answer.pred_boxes.to(images)
        middle, size = found[..., :2], found[..., 2:]
        boxes = torch.cat([middle - size / 2, size], dim=-1) * scale
        return [self._sure(*one) for one in zip(boxes, scores, strict=True)]

    def _sure(self, boxes: Tensor, scores: Tensor) -> Detections:
        """The people of one image that are sure enough, the surest first."""
        order = scores.argsort(descending=True, stable=True)
        kept = order[(scores[order] >= self.least_score) & (boxes[order, 2:] > 0).all(dim=-1)]
        return Detections(boxes[kept], scores[kept])


def _scores(logits: Tensor, labels: int) -> Tensor:
    """Probabilities ``(..., labels)``: models with one logit more, for nothing, share them out; others do not."""
    return logits.softmax(dim=-1)[..., :labels] if logits.shape[-1] == labels + 1 else logits.sigmoid()


def build_detector(config: TransformersDetectorConfig) -> TransformersDetector:
    """Load a detector from a folder, or from the hub.

    Raises:
        PluginError: its weights are not at hand or do not fit, it knows no such label, does not say what it takes, or
            its device is not there.
    """
    device, where = _device(config.device), "detector.model"
    folder = Path(config.model).expanduser()
    if not config.model or not (folder.is_dir() or config.model.count("/") == 1):
        what = "no detector is named" if not config.model else "no such folder of weights"
        raise PluginError(what, where=where, found=config.model or None, expected="a folder, or a hub id", hint=GET)
    name, local = (str(folder), True) if folder.is_dir() else (config.model, False)
    try:
        model, inputs = _loaded(name, local), _inputs(name, local)
    except PluginError:
        raise
    except Exception as error:  # each model family has its own way to refuse what it is given
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        expected = "weights of an object detector as safetensors, with config.json and " + PREPROCESSOR
        what = f"the detector cannot be loaded: {' '.join(lines[:2])}"
        raise PluginError(what, where=where, found=config.model, expected=expected, hint=GET) from error
    names = {int(number): str(label) for number, label in model.config.id2label.items()}
    numbers = [number for number, label in names.items() if label.lower() == config.label.lower()]
    if not numbers:
        hint = nearest(config.label, names.values())
        raise PluginError("the detector has no such label", where="detector.label", found=config.label, hint=hint)
    return TransformersDetector(model, numbers[0], len(names), inputs, config.least_score, device)


def _device(name: str) -> torch.device:
    if name == "auto":
        return accelerator() or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        what, expected = "this machine has no such device", f"one of {', '.join(['auto', *present()])}"
        raise PluginError(what, where="detector.device", found=name, expected=expected) from error
    return device


def _loaded(name: str, local: bool) -> Any:
    """The model with all its weights, from safetensors alone: nothing that is loaded can run code."""
    from transformers import AutoModelForObjectDetection

    model, found = AutoModelForObjectDetection.from_pretrained(
        name, local_files_only=local, use_safetensors=True, output_loading_info=True
    )
    missing = sorted(key for key in found["missing_keys"] if not key.endswith("num_batches_tracked"))
    if missing:
        what = "a weight is missing, so that a layer would be random"
        raise PluginError(what, where=f"detector.model: {name}", found=f"no {missing[0]!r}")
    return model.requires_grad_(False)


def _inputs(name: str, local: bool) -> Inputs:
    from transformers.utils.hub import cached_file

    path = cached_file(name, PREPROCESSOR, local_files_only=local)
    told: dict[str, Any] = json.loads(Path(str(path)).read_text(encoding="utf-8"))
    size = told.get("size", {}) if told.get("do_resize", True) else {}
    size = {"shortest_edge": size} if isinstance(size, int) else size
    if not told.get("do_normalize", True):
        return Inputs(size)
    return Inputs(size, tuple(told["image_mean"]), tuple(told["image_std"]))
