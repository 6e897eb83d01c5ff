"""What an image encoder must keep: bounded embeddings, frame by frame, on whatever backbone and bound it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.modules import made, need_finite
from sa3dhp_core.conformance.plain import PlainBackbone, bound
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.conformance.vision import crops, image_checks

NOUN = "image_encoder"
LATENT = 12
"""Width of the embeddings of the bench."""

LARGE = 1e3
"""Factor of the weights at which an embedding must have come to the edge of its domain, whatever the image."""


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """The backbone that the table names, if it does, else a plain one; the bench's latent and bound."""
    named = table.get("backbone")
    backbone = PlainBackbone() if named is None else bench.host.build("backbone", named, "backbone")
    return {"backbone": backbone, "latent": LATENT, "bound": bound}


def outputs(module: Any, images: Tensor) -> dict[str, Tensor]:
    """Embedding and feature."""
    encoding = module(images)
    return {"z": encoding.z, "feature": encoding.feature}


@check(NOUN, "is a module that maps images to embeddings and features with the widths that are asked for and stated")
def embeds_images(subject: Subject, bench: Bench) -> None:
    encoder = made(subject, bench).eval()
    must(isinstance(encoder, nn.Module), "is no torch.nn.Module", type(encoder).__name__)
    must(type(encoder.feature) is int and encoder.feature > 0, "feature is no width", encoder.feature)
    must("head" in encoder.blocks, "has no block `head`", sorted(encoder.blocks))
    images = crops(bench, 2)
    with torch.no_grad():
        found = outputs(encoder, images)
    z, feature = found["z"], found["feature"]
    must(z.ndim == 2 and len(z) == 2, "embeddings of a wrong shape", tuple(z.shape), "(N, latent)")
    must(not subject.rebuilds or z.shape[1] == LATENT, "embeddings of a wrong width", z.shape[1], LATENT)
    must(feature.shape == (2, encoder.feature), "features of a wrong shape", tuple(feature.shape), (2, encoder.feature))
    must({z.dtype, feature.dtype} == {images.dtype}, "changes the dtype", (z.dtype, feature.dtype), images.dtype)
    need_finite(found, "the output")


@check(NOUN, "every embedding ends in the bound that it was given, however large its weights grow")
def ends_in_the_bound(subject: Subject, bench: Bench) -> None:
    def reach(factor: float) -> float:
        encoder = made(subject, bench).eval()
        with torch.no_grad():
            for parameter in encoder.blocks["head"].parameters():
                parameter.mul_(factor)
            z = encoder(crops(bench, 4)).z
        must(z.isfinite().all(), "an embedding is not finite", f"weights of the head times {factor:g}")
        return float(z.abs().max())

    edge = float(bound(torch.tensor(1e6))) if subject.rebuilds else 1.05 * reach(LARGE / 10)
    for factor in (1.0, LARGE):
        found = reach(factor)
        must(found <= edge, "an embedding leaves the domain", f"{found:.4g}, weights times {factor:g}", f"{edge:.4g}")


image_checks(NOUN, outputs)
