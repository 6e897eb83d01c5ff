"""What this plugin offers. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from sa3dhp_core.components import Component
from sa3dhp_core.hookspecs import hookimpl


@hookimpl
def sa3dhp_backbones() -> Sequence[Component]:
    """The backbones."""
    return (
        Component(
            noun="backbone",
            id="small-cnn",
            summary="residual CNN for crops of about 64 pixels, minutes on a CPU",
            config="sa3dhp_backbones.config:SmallCnnConfig",
            target="sa3dhp_backbones.small_cnn:SmallCnn",
        ),
        Component(
            noun="backbone",
            id="transformers",
            summary="any transformers AutoBackbone: from a configuration, a local folder or a hub id",
            config="sa3dhp_backbones.config:TransformersConfig",
            target="sa3dhp_backbones.pretrained:build_transformers",
            example="sa3dhp_backbones.example:small_resnet",
        ),
    )


@hookimpl
def sa3dhp_image_encoders() -> Sequence[Component]:
    """The image encoders."""
    return (
        Component(
            noun="image_encoder",
            id="latent-encoder",
            summary="a backbone and a head that ends in the pose prior's bound",
            config="sa3dhp_backbones.config:LatentEncoderConfig",
            target="sa3dhp_backbones.encoder:build_encoder",
        ),
    )


@hookimpl
def sa3dhp_detectors() -> Sequence[Component]:
    """The detectors."""
    return (
        Component(
            noun="detector",
            id="transformers-detector",
            summary="people by any object detector of transformers, RT-DETR for example: a local folder or a hub id",
            config="sa3dhp_backbones.config:TransformersDetectorConfig",
            target="sa3dhp_backbones.detector:build_detector",
            example="sa3dhp_backbones.detector_example:small_rt_detr",
        ),
    )
