"""Model families of the transformers library, small and from their configurations, keep a backbone's promises."""

from __future__ import annotations

from typing import Any

import pytest

from sa3dhp_backbones.config import TransformersConfig
from sa3dhp_backbones.pretrained import TransformersBackbone, build_transformers
from sa3dhp_core.conformance import Bench, Subject, run_checks

PATCHES = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 64, "patch_size": 8}
STAGES = {"hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 1, 1]}
SWIN = {"embed_dim": 12, "depths": [1, 1], "num_heads": [2, 2], "image_size": 64, "window_size": 4}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "convnext": ("stage3", STAGES),
    "convnextv2": ("stage3", STAGES),
    "dinov2": ("stage2", PATCHES),
    "swin": ("stage2", SWIN),
    "beit": ("stage2", {**PATCHES, "intermediate_size": 32}),
}


def small(family: str) -> TransformersBackbone:
    stage, options = FAMILIES[family]
    return build_transformers(TransformersConfig(name=family, stage=stage, options=options))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_keeps_a_backbones_promises(family: str) -> None:
    subject = Subject("backbone", family, lambda bench: small(family))
    assert [(o.check, o.reason) for o in run_checks([subject], Bench()) if o.failed] == []


def test_what_no_map_depends_on_is_not_trained() -> None:
    still = [name for name, parameter in small("dinov2").named_parameters() if not parameter.requires_grad]
    assert still == ["model.embeddings.mask_token"]
