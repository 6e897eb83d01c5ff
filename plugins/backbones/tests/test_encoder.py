"""Encoders: frame by frame, whole gradients, state by safetensors, published sizes, the disc, frozen blocks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from sa3dhp_backbones.config import LatentEncoderConfig, SmallCnnConfig, TransformersConfig
from sa3dhp_backbones.encoder import LatentEncoder, build_encoder, prepared
from sa3dhp_backbones.pretrained import build_transformers
from sa3dhp_backbones.small_cnn import SmallCnn
from sa3dhp_core.atomic import read_tensors
from sa3dhp_core.engine.checkpoint import load_weights, save_weights
from sa3dhp_core.errors import PluginError, RunError
from sa3dhp_core.geometry import act_on_images, mirror_matrix, rotation_z
from sa3dhp_core.protocols.encoder import Backbone, ImageEncoder

TINY = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "embedding_size": 8, "layer_type": "bottleneck"}
RESNET = TransformersConfig(name="resnet", options=TINY)
VARIANTS = {
    "batch": (SmallCnnConfig(widths=(8, 16, 24)), LatentEncoderConfig(feature=32, grid=2)),
    "group": (SmallCnnConfig(widths=(8, 16), norm="group", stem_stride=1), LatentEncoderConfig(feature=16)),
    "published": (SmallCnnConfig(widths=(8, 16)), LatentEncoderConfig(head="published", grid=2)),
    "resnet": (RESNET, LatentEncoderConfig(feature=32, grid=2)),
}


def bound(raw: Tensor) -> Tensor:
    return 2 * torch.tanh(raw / 2)


def inside_disc(images: Tensor) -> Tensor:
    return prepared(images, True, False)


def make(variant: str, latent: int = 6) -> LatentEncoder:
    torch.manual_seed(0)
    backbone_config, config = VARIANTS[variant]
    backbone = build_transformers(backbone_config) if variant == "resnet" else SmallCnn(backbone_config)
    return build_encoder(config, backbone=backbone, latent=latent, bound=bound)


def frames(count: int, size: int = 32, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def warmed(variant: str) -> LatentEncoder:
    """In evaluation mode, with normalisation statistics that are not the initial ones."""
    encoder = make(variant).train()
    encoder(frames(8))
    return encoder.eval()


@pytest.mark.parametrize("variant", VARIANTS)
def test_evaluation_is_frame_by_frame(variant: str) -> None:
    encoder, images = warmed(variant), frames(5, seed=1)
    with torch.no_grad():
        whole = encoder(images)
        alone = [encoder(image[None]) for image in images]
        turned = encoder(images.flip(0))
    assert whole.z.shape == (5, 6) and whole.feature.shape == (5, encoder.feature)
    assert isinstance(encoder, ImageEncoder) and isinstance(encoder.backbone, Backbone)
    torch.testing.assert_close(whole.z, torch.cat([one.z for one in alone]), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(whole.feature, torch.cat([one.feature for one in alone]), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(whole.z, turned.z.flip(0), rtol=1e-4, atol=1e-6)
    assert (whole.z[0] - whole.z[1]).abs().max() > 1e-7, "an encoder that ignores its input would pass the rest"


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradient_reaches_every_parameter_and_embeddings_are_bounded(variant: str) -> None:
    encoder = make(variant).train()
    out = encoder(frames(6))
    (out.z.square().sum() + out.feature.square().sum()).backward()
    assert [name for name, p in encoder.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)] == []
    assert out.z.abs().max() < 2


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_survive_a_file(variant: str, tmp_path: Path) -> None:
    encoder = warmed(variant)
    save_weights(tmp_path, {"encoder": encoder})
    torch.manual_seed(9)
    other = make(variant)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    load_weights(tmp_path, {"encoder": other})
    with torch.no_grad():
        assert torch.equal(encoder(frames(2)).z, other.eval()(frames(2)).z)
    with pytest.raises(RunError, match="another shape"):
        load_weights(tmp_path, {"encoder": make(variant, latent=7)})


def test_blocks_are_a_partition_from_input_to_output() -> None:
    for variant in VARIANTS:
        encoder = make(variant)
        named = [id(p) for block in encoder.blocks.values() for p in block.parameters()]
        assert sorted(named) == sorted(id(p) for p in encoder.parameters())
        assert [*encoder.blocks][-1] == "head"


def test_resnet_has_the_published_blocks_and_ends_at_res4() -> None:
    backbone = build_transformers(RESNET)
    assert [*backbone.blocks] == ["res1", "res2", "res3", "res4"]
    assert backbone.channels == 24, "stage 3, not the last"
    assert backbone(frames(2, 64)).shape == (2, 24, 4, 4)
    deeper = build_transformers(TransformersConfig(name="resnet", stage="stage4", options=TINY))
    assert [*deeper.blocks][-1] == "res5" and deeper(frames(2, 64)).shape == (2, 32, 2, 2)


def test_full_resnet_50_has_the_known_number_of_parameters() -> None:
    published = {"depths": [3, 4, 6, 3], "hidden_sizes": [256, 512, 1024, 2048]}
    options = {**published, "layer_type": "bottleneck", "embedding_size": 64}
    with torch.device("meta"):
        backbone = build_transformers(TransformersConfig(options=options))
    # torchvision's resnet50 has 25,557,032: less layer4 (14,964,736) and the classifier (2,049,000)
    assert sum(p.numel() for p in backbone.parameters()) == 25_557_032 - 14_964_736 - 2_049_000


def test_other_model_families_are_built_by_name() -> None:
    options = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32]}
    backbone = build_transformers(TransformersConfig(name="convnext", options=options))
    assert backbone(frames(2, 64)).shape[:2] == (2, backbone.channels)
    assert [*backbone.blocks] == ["res1", "res2", "res3", "res4", "norm"]


def test_weights_of_a_local_folder_are_loaded(tmp_path: Path) -> None:
    torch.manual_seed(3)
    made = build_transformers(TransformersConfig(stage="stage4", options=TINY))
    made.model.save_pretrained(tmp_path / "weights")
    loaded = build_transformers(TransformersConfig(name=str(tmp_path / "weights"), pretrained=True)).eval()
    fresh = build_transformers(RESNET).eval()
    images = frames(2, 64)
    with torch.no_grad():
        expected = images.sub(made.mean).div(made.std)
        made.eval()
        for block in list(made.blocks.values())[:4]:
            expected = block(expected)
        torch.testing.assert_close(loaded(images), expected)
        assert not torch.allclose(fresh(images), expected)
    assert [*loaded.blocks] == ["res1", "res2", "res3", "res4"]


def test_weights_of_a_classifier_fit_its_backbone(tmp_path: Path) -> None:
    """The published ImageNet weights are those of a classifier, whose keys have another prefix."""
    from transformers import AutoModelForImageClassification
    from transformers.models.resnet import ResNetConfig

    classifier = AutoModelForImageClassification.from_config(ResNetConfig(**TINY)).eval()
    classifier.save_pretrained(tmp_path)
    backbone = build_transformers(TransformersConfig(name=str(tmp_path), pretrained=True)).eval()
    images = frames(2, 64)
    with torch.no_grad():
        inner = classifier.resnet(images.sub(backbone.mean).div(backbone.std), output_hidden_states=True)
        torch.testing.assert_close(backbone(images), inner.hidden_states[3])


def test_weights_that_lack_a_layer_are_refused(tmp_path: Path) -> None:
    build_transformers(RESNET).model.save_pretrained(tmp_path)
    state = read_tensors(tmp_path / "model.safetensors")
    state.pop(next(key for key in state if key.endswith("convolution.weight")))
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(PluginError, match="a weight is missing"):
        build_transformers(TransformersConfig(name=str(tmp_path), pretrained=True))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (TransformersConfig(name="resnt"), "resnet"),
        (TransformersConfig(name="resnet", stage="stage9"), "stage9"),
        (TransformersConfig(name="/no/such/folder", pretrained=True), "/no/such/folder"),
        (TransformersConfig(name="bert"), "bert"),
        (TransformersConfig(name="resnet", options={"depths": "many"}), "depths"),
        (TransformersConfig(name="resnet", options={"dephts": [1, 1, 1, 1]}), "dephts"),
    ],
    ids=["unknown type", "unknown stage", "missing folder", "no backbone", "wrong option", "misspelt option"],
)
def test_what_cannot_be_built_is_one_clear_error(config: TransformersConfig, said: str) -> None:
    with pytest.raises(PluginError) as caught:
        build_transformers(config)
    assert said in str(caught.value) and "encoder.backbone" in str(caught.value)


def test_the_published_head_has_the_published_sizes() -> None:
    encoder = build_encoder(
        LatentEncoderConfig(head="published", grid=7), backbone=build_transformers(RESNET), latent=32, bound=bound
    )
    convolutions = [m for m in encoder.head.modules() if isinstance(m, nn.Conv2d)]
    linear = [m for m in encoder.head.modules() if isinstance(m, nn.Linear)]
    assert [(m.out_channels, m.stride[0]) for m in convolutions] == [(512, 2), (256, 1), (128, 1), (64, 1)]
    assert [m.out_features for m in linear] == [1024, 512, 256, 128, 32]
    assert (convolutions[0].in_channels, linear[0].in_features, encoder.feature) == (24, 64 * 7 * 7, 1024)


@given(angle=st.floats(-math.pi, math.pi), mirrored=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_what_the_disc_hides_tells_no_angle(angle: float, mirrored: bool, seed: int) -> None:
    """A crop turned about its centre differs from the turned disc nowhere: no corner is let in or left out."""
    size = 48
    intrinsics = torch.tensor([[60.0, 0, size / 2], [0, 60.0, size / 2], [0, 0, 1]])
    matrix = rotation_z(torch.tensor(angle))
    matrix = mirror_matrix() @ matrix if mirrored else matrix
    smooth = nn.functional.interpolate(frames(1, 5, seed), (size, size), mode="bilinear", align_corners=True)
    first = inside_disc(act_on_images(matrix, smooth, intrinsics))
    second = inside_disc(act_on_images(matrix, inside_disc(smooth), intrinsics))
    y, x = torch.meshgrid(torch.arange(size) + 0.5 - size / 2, torch.arange(size) + 0.5 - size / 2, indexing="ij")
    radius = (x**2 + y**2).sqrt()
    torch.testing.assert_close(first[..., radius < size / 2 - 2], second[..., radius < size / 2 - 2], atol=1e-5, rtol=0)
    outside = inside_disc(smooth)[..., radius > size / 2]
    assert torch.equal(outside, torch.full_like(outside, 0.4))
    inner = radius < size / 2 - 0.5
    assert torch.equal(inside_disc(smooth)[..., inner], smooth[..., inner])


@given(gain=st.floats(0.3, 1.0), shift=st.floats(0.0, 0.3), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_standardised_images_do_not_depend_on_exposure(gain: float, shift: float, seed: int) -> None:
    images = frames(2, 16, seed)
    torch.testing.assert_close(prepared(gain * images + shift, True, True), prepared(images, True, True))
    seen = prepared(images, False, True) - 0.4
    torch.testing.assert_close(seen.mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.square().mean(dim=(1, 2, 3)), torch.ones(2), atol=1e-4, rtol=0)
    alone = torch.cat([prepared(image[None], True, True) for image in images])
    assert torch.equal(alone, prepared(images, True, True))
    assert bool(torch.isfinite(prepared(torch.full((1, 3, 16, 16), 0.5), True, True)).all())


def test_the_disc_can_be_switched_off() -> None:
    corner = frames(1)
    changed = corner.clone()
    changed[..., :3, :3] = 0.0
    for disc, same in ((True, True), (False, False)):
        torch.manual_seed(0)
        backbone = SmallCnn(SmallCnnConfig(widths=(8, 16)))
        encoder = build_encoder(
            LatentEncoderConfig(disc=disc, standardise=False), backbone=backbone, latent=4, bound=bound
        ).eval()
        assert torch.equal(encoder(corner).z, encoder(changed).z) == same
