"""The detector of transformers: inputs as the model's file says, its own scores and boxes, clear errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sa3dhp_backbones.config import TransformersDetectorConfig
from sa3dhp_backbones.detector import Inputs, TransformersDetector, build_detector
from sa3dhp_backbones.detector_example import small_rt_detr
from sa3dhp_core.errors import PluginError


class Answers(nn.Module):
    """A model that always answers the same; only what is made of the answer is looked at."""

    def __init__(self, logits: list[list[float]], boxes: list[list[float]]) -> None:
        super().__init__()
        self.logits, self.pred_boxes = torch.tensor([logits]), torch.tensor([boxes])

    def forward(self, pixel_values: Tensor) -> Any:
        return self


def test_a_folder_is_loaded_and_the_models_own_scores_come_out(tmp_path: Path) -> None:
    detect = build_detector(TransformersDetectorConfig(**small_rt_detr(tmp_path)))
    images = torch.rand(2, 3, 48, 80, generator=torch.Generator().manual_seed(0))
    first, second = detect(images)
    assert len(first.scores) == len(second.scores) == 6
    resized = nn.functional.interpolate(images, (64, 64), mode="bilinear", align_corners=False, antialias=True)
    with torch.no_grad():
        raw = detect.model(pixel_values=resized)
    assert torch.allclose(first.scores, raw.logits[0, :, 0].sigmoid().sort(descending=True).values)
    best = raw.logits[0, :, 0].argmax()
    x, y, w, h = (raw.pred_boxes[0, best] * torch.tensor([80, 48, 80, 48])).tolist()
    assert first.boxes[0].tolist() == pytest.approx([x - w / 2, y - h / 2, w, h], abs=1e-3)
    sure = build_detector(TransformersDetectorConfig(model=str(tmp_path), least_score=float(first.scores[2])))
    assert len(sure(images)[0].scores) == 3


def test_models_with_a_logit_for_nothing_share_the_probability_out() -> None:
    boxes = [[0.5, 0.5, 0.2, 0.4], [0.3, 0.5, 0.1, 0.2]]
    shared = TransformersDetector(Answers([[2.0, 0.0, 0.0], [0.0, 0.0, 5.0]], boxes), 0, 2, Inputs({}), 0.3)
    (found,) = shared(torch.zeros(1, 3, 100, 200))
    assert found.scores.tolist() == pytest.approx([torch.tensor([2.0, 0.0, 0.0]).softmax(0)[0].item()])
    assert found.boxes.tolist()[0] == pytest.approx([80, 30, 40, 40])
    alone = TransformersDetector(Answers([[2.0, 0.0], [0.0, 0.0]], boxes), 0, 2, Inputs({}), 0.3)
    assert len(alone(torch.zeros(1, 3, 100, 200))[0].scores) == 2


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ({"height": 32, "width": 64}, (32, 64)),
        ({"shortest_edge": 50, "longest_edge": 1000}, (50, 100)),
        ({"shortest_edge": 80, "longest_edge": 100}, (50, 100)),
        ({}, (100, 200)),
    ],
)
def test_images_are_brought_to_the_models_size_and_colours(size: dict[str, int], expected: tuple[int, int]) -> None:
    given = Inputs(size, (0.5, 0.5, 0.5), (0.25, 0.5, 1.0)).of(torch.full((1, 3, 100, 200), 0.75))
    assert given.shape[-2:] == expected
    assert given[0, :, 3, 4].tolist() == pytest.approx([1.0, 0.5, 0.25])


def test_what_is_not_at_hand_says_what_to_get(tmp_path: Path) -> None:
    for name, said in (
        ("", "no detector is named"),
        ("gone", "no such folder"),
        ("nobody/nothing", "cannot be loaded"),
    ):
        with pytest.raises(PluginError, match=rf"{said}(.|\n)*hf download PekingU/rtdetr_r18vd"):
            build_detector(TransformersDetectorConfig(model=name))
    with pytest.raises(PluginError, match=r"cannot be loaded(.|\n)*hf download"):
        build_detector(TransformersDetectorConfig(model=str(tmp_path)))
    table = small_rt_detr(tmp_path)
    with pytest.raises(PluginError, match=r"no such label(.|\n)*did you mean 'person'"):
        build_detector(TransformersDetectorConfig(model=table["model"], label="persn"))
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(PluginError, match=r"preprocessor_config"):
        build_detector(TransformersDetectorConfig(model=table["model"]))


@pytest.mark.parametrize("device", ["cuda:77", "gpu of mine", ""])
def test_a_device_that_is_not_there_is_refused(tmp_path: Path, device: str) -> None:
    table = small_rt_detr(tmp_path)
    with pytest.raises(PluginError, match=r"detector\.device: this machine has no such device(.|\n)*one of auto, cpu"):
        build_detector(TransformersDetectorConfig(**{**table, "device": device}))
    assert len(build_detector(TransformersDetectorConfig(**{**table, "device": "cpu"}))(torch.rand(1, 3, 32, 32))) == 1


def test_weights_that_lack_a_layer_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    small_rt_detr(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    lost = next(name for name in weights if name.endswith("conv1.conv.weight"))
    del weights[lost]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(PluginError, match="a weight is missing"):
        build_detector(TransformersDetectorConfig(model=str(tmp_path)))
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "rt_detr"
