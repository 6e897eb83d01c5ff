"""A detector's folder for tests and the conformance kit: RT-DETR as small as it goes, with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch


def small_rt_detr(folder: Path) -> dict[str, Any]:
    """Write the folder as the library saves it; the model finds people anywhere."""
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig

    stages: dict[str, Any] = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
    stages |= {"layer_type": "basic", "out_features": ["stage2", "stage3", "stage4"]}
    small = RTDetrConfig(
        backbone_config=RTDetrResNetConfig(**stages),
        encoder_in_channels=[8, 16, 16],
        encoder_hidden_dim=16,
        encoder_ffn_dim=16,
        encoder_attention_heads=2,
        d_model=16,
        num_queries=6,
        decoder_in_channels=[16, 16, 16],
        decoder_ffn_dim=16,
        decoder_attention_heads=2,
        decoder_layers=1,
        decoder_n_points=2,
        num_denoising=0,
        id2label={0: "person", 1: "bicycle"},
        label2id={"person": 0, "bicycle": 1},
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        RTDetrForObjectDetection(small).save_pretrained(folder)
    inputs = {"do_resize": True, "size": {"height": 64, "width": 64}, "do_normalize": False}
    (folder / "preprocessor_config.json").write_text(json.dumps(inputs), encoding="utf-8")
    return {"model": str(folder), "least_score": 0.0}
