"""What a plugin offers: light descriptors of components, one list of nouns. Importing this room imports no torch."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

import attrs

from sa3dhp_core.errors import PluginError

NOUNS: dict[str, str] = {
    "image_data": "labelled images and unlabelled clips of people, already cropped",
    "pose_data": "unpaired 3D pose sequences",
    "backbone": "images to feature vectors, with named blocks",
    "image_encoder": "images to bounded pose embeddings, frame by frame",
    "pose_prior": "pose to embedding and back, with a prior to sample from",
    "motion_prior": "sequences of pose embeddings to one motion embedding and back",
    "relation": "one action on clips, on pose sequences and, learned, on embeddings",
    "relation_network": "embedding to embedding, for one relation or a conditioned family",
    "alignment_loss": "names the views it needs, maps their embeddings to a scalar",
    "relation_score": "scores relations, for example by latent distance",
    "relation_selection": "chooses a set of relations by what is known of them",
    "lifter": "2D keypoints to 3D poses",
    "image_synthesis": "labelled images to images of other poses",
    "method": "a graph of stages",
    "sink": "where metrics and pictures go",
    "command": "sub-commands for the `sa3dhp` command line",
}


def _names(values: Iterable[str]) -> frozenset[str]:
    return frozenset(values)


@attrs.frozen
class Component:
    """A thing that a recipe can name with ``use = "<id>"``.

    Attributes:
        noun: a key of `NOUNS`.
        id: unique within its noun, lower-case words joined by hyphens.
        summary: one sentence for `sa3dhp plugins list`.
        config: ``"package.module:Class"`` of an attrs class whose fields are the recipe's keys; its module imports
            no torch. Field metadata ``{"help": "..."}`` explains a key.
        target: ``"package.module:callable"``; called as ``target(config, **parts)``, where `parts` is what the noun's
            protocol page says. Imported when it is first used, so that listing plugins stays quick.
        capabilities: promises declared as data; the conformance kit holds the component to them.
    """

    noun: str
    id: str
    summary: str
    config: str
    target: str
    capabilities: frozenset[str] = attrs.field(default=frozenset(), converter=_names)

    def load_config(self) -> type[Any]:
        """Import and return the attrs config class."""
        return _load(self.config, self)

    def load_target(self) -> Any:
        """Import and return the callable that builds the component."""
        return _load(self.target, self)


def _load(reference: str, component: Component) -> Any:
    module_name, _, attribute = reference.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise PluginError(
            f"component {component.id!r} ({component.noun}) cannot be loaded: {error}",
            where=reference,
            expected="an importable 'package.module:name'",
            hint="reinstall the distribution that offers it, with its extras",
        ) from error
