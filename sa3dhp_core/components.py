"""What a plugin offers: light descriptors of components, one list of nouns. Importing this room imports no torch."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from sa3dhp_core.errors import PluginError

NOUNS: dict[str, str] = {
    "image_data": "labelled images and unlabelled clips of people, already cropped",
    "pose_data": "unpaired 3D pose sequences",
    "keypoint_data": "2D keypoints of people without images, on the camera plane",
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
    "detector": "images to boxes of the people in them",
    "image_synthesis": "labelled images to images of other poses",
    "method": "a graph of stages",
    "sink": "where metrics and pictures go",
    "command": "sub-commands for the `sa3dhp` command line",
}

BUILT_IN = ("recipes", "run", "resume", "eval", "report", "plugins", "protocols", "data", "doctor")
"""Commands of the core, whose names no plugin's command can take."""

CAPABILITIES: dict[str, dict[str, str]] = {
    "relation": {
        "geometric": "acts on poses as its drawn matrix does, left and right exchanged where it mirrors",
        "acts-on-images": "moves a crop as it moves the pose in it",
        "keeps-bones": "bone lengths stay, exchanged with the sides where it mirrors",
        "involution": "the same element twice is the identity, in space and in time",
        "invertible": "offers `inverse()`, which undoes it",
        "composes": "offers `@`, the right factor acting first",
    },
    "alignment_loss": {
        "tracks": "learns from what an earlier encoder saw in the target's clips",
        "non-negative": "is never below zero",
        "zero-when-consistent": "is zero where all that it is handed is encoded rightly, and above zero elsewhere",
        "permutation-invariant": "the order of clips and of labelled images in a step does not matter",
    },
    "relation_selection": {"order-free": "does not mind the order in which a recipe lists its relations"},
    "relation_score": {"symmetric": "exchanging anchors and partners does not matter"},
    "pose_prior": {"constant-bone-lengths": "all decoded poses have the same bone lengths, left and right alike"},
    "relation_network": {
        "conditioned": "answers differently for different elements of a family",
        "motions": "relates motion embeddings too",
    },
    "image_data": {
        "labels": "every split has poses",
        "clips": "every split has clips of consecutive frames",
        "parts": "labelled images have part labels",
        "families": "clips are told apart by motion family",
        "people": "reads the people of a film of the user's too, with `people(source)`",
    },
    "pose_data": {"families": "sequences are told apart by motion family"},
    "sink": {"keeps-results": "once closed, a file in the run directory holds every result with its row's name"},
    "command": {"helps-quickly": "its help texts wait for no torch and no other heavy library"},
    "keypoint_data": {
        "truth": "every split has true poses, onto which its keypoints fit",
        "groups": "clips are told apart by group, for example by subject",
    },
}
"""What a component of a noun may claim by name; the conformance kit holds it to every claim."""

FIGURES: dict[str, dict[str, str]] = {
    "image_data": {"projection-px": "largest distance of a keypoint from where its pose's joint projects, pixels"},
    "lifter": {
        "rotation-equivariant-mm": "poses turn with keypoints about the optical axis: largest error of a joint",
        "scale-invariant-mm": "poses stay where keypoints grow around the optical axis: largest change of a joint",
        "turn-equivariant-mm": "untrained, poses turn with people about the vertical: mean error of a joint",
        "shape-invariant-mm": "untrained, canonical shapes stay however a shape is turned: mean change of a joint",
    },
    "method": {
        "trained-turn-equivariant-mm": "its lifter's poses turn with people about the vertical: mean error of a joint",
        "trained-shape-invariant-mm": "its canonical shapes stay however a shape is turned: mean change of a joint",
    },
    "pose_prior": {
        "round-trip-mm": "largest mean joint error of held-out poses, encoded and decoded, millimetres",
        "anatomical-rate": "least share of decoded samples that bend no joint beyond the skeleton card's limits",
    },
    "motion_prior": {
        "round-trip-mm": "largest mean joint error of held-out motion, encoded and decoded, millimetres",
    },
}
"""What a component of a noun may claim as a number; the conformance kit measures it."""


def _names(values: Iterable[str]) -> frozenset[str]:
    return frozenset(values)


def _pairs(values: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(dict(values).items()))


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
        capabilities: claims by name, of those in `CAPABILITIES`; the conformance kit holds the component to them.
        figures: claims in numbers, of those in `FIGURES`, as a mapping; kept as sorted pairs.
        expected_failures: checks of the kit that the component is known to fail, with the reason; kept as sorted pairs.
        example: ``"package.module:callable"``, called with an empty folder (`pathlib.Path`); returns the table, without
            ``use``, from which the kit builds the component where its defaults do not do, for example because it reads
            files, which the callable writes into the folder.
        reference: ``"package.module:callable"`` of a slow, obvious second implementation, called as the target is; the
            kit compares the two.
    """

    noun: str
    id: str
    summary: str
    config: str
    target: str
    capabilities: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    figures: tuple[tuple[str, float], ...] = attrs.field(default=(), converter=_pairs)
    expected_failures: tuple[tuple[str, str], ...] = attrs.field(default=(), converter=_pairs)
    example: str = ""
    reference: str = ""

    def load_config(self) -> type[Any]:
        """Import and return the attrs config class."""
        return _load(self.config, self)

    def load_target(self) -> Any:
        """Import and return the callable that builds the component."""
        return _load(self.target, self)

    def load_example(self) -> Any:
        """Import and return the callable that makes the kit's table, or None."""
        return _load(self.example, self) if self.example else None

    def load_reference(self) -> Any:
        """Import and return the callable that builds the slow second implementation, or None."""
        return _load(self.reference, self) if self.reference else None


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
