"""One stage: labelled images of unpaired poses, made once and kept. What makes them is a component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.protocols.method import StageContext
from sa3dhp_core.store import write_frames
from sa3dhp_core.types import WHOLE
from sa3dhp_self_adaptation.config import Synthesis
from sa3dhp_self_adaptation.latent_stages import pose_views
from sa3dhp_self_adaptation.views import recombined

if TYPE_CHECKING:
    from sa3dhp_self_adaptation.method import SelfAdaptation

SYNTHESISED = "synthesised"
"""Name of the stage."""
PIECE = 500


def synthesise(method: SelfAdaptation, config: Synthesis, context: StageContext) -> None:
    """Make ``settings.synthesis.images`` images of unpaired poses seen by upright cameras, the split ``train``.

    A piece is a function of the seed and of its place: it has a generator of its own.
    """
    if not context.engine.fabric.is_global_zero:
        return
    source = method.data["source"].labelled(context.of("data-source"), "train")
    pool = generator_for(context.seed, "pool")
    make = method.host.build("image_synthesis", config.by, "settings.synthesis.by", source=source, generator=pool)
    views = pose_views(method, context.of, "train", False)
    kept: dict[str, list[Any]] = {name: [] for name in ("images", "poses", "intrinsics", "parts", "keypoints")}
    for first in range(0, config.images, PIECE):
        draws = generator_for(context.seed, "piece", first)
        poses = views.poses(min(PIECE, config.images - first), draws, WHOLE)
        poses = recombined(poses, config.recombined, views.skeleton, draws)
        batch = make(poses.to(context.engine.device), draws)
        for name, pieces in kept.items():
            if (value := getattr(batch, name)) is not None:
                pieces.append((value.mul(255).round_().to(torch.uint8) if name == "images" else value).cpu())
    arrays: dict[str, Any] = {name: torch.cat(pieces) for name, pieces in kept.items() if pieces}
    data = method.data["poses"].sequences(context.of("data-poses"), "train")
    write_frames(
        context.folder,
        "train",
        starts=torch.arange(config.images + 1),
        fps=data.fps,
        licence=f"images: {source.licence}; poses: {data.licence}",
        skeleton=source.skeleton.id,
        **arrays,
    )
