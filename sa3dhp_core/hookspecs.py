"""The hooks that a plugin may implement. Each returns descriptors; the host sorts them by id and refuses duplicates.

The bodies below never run: pluggy calls the plugins' functions of these names, and the docstrings are the pages' text.

A plugin is a module registered under the entry-point group ``sa3dhp``; it decorates its functions with `hookimpl`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from sa3dhp_core.components import Component

PROJECT = "sa3dhp"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def sa3dhp_image_data() -> Sequence[Component]:
    """Image data sets; the host offers them to a recipe's ``[data.source]`` and ``[data.target]``."""
    raise NotImplementedError


@hookspec
def sa3dhp_pose_data() -> Sequence[Component]:
    """Unpaired pose sequences; the host offers them to ``[data.poses]``."""
    raise NotImplementedError


@hookspec
def sa3dhp_keypoint_data() -> Sequence[Component]:
    """2D keypoints; the host offers them to ``[data.keypoints]``."""
    raise NotImplementedError


@hookspec
def sa3dhp_backbones() -> Sequence[Component]:
    """Backbones; an image encoder builds one from ``[encoder.backbone]``."""
    raise NotImplementedError


@hookspec
def sa3dhp_image_encoders() -> Sequence[Component]:
    """Image encoders; a method builds one from ``[encoder]``."""
    raise NotImplementedError


@hookspec
def sa3dhp_pose_priors() -> Sequence[Component]:
    """Pose priors; a method builds one from ``[pose_prior]``."""
    raise NotImplementedError


@hookspec
def sa3dhp_motion_priors() -> Sequence[Component]:
    """Motion priors; a method builds one from ``[motion_prior]``."""
    raise NotImplementedError


@hookspec
def sa3dhp_relations() -> Sequence[Component]:
    """Relations; a method builds one for each ``[[relations]]``."""
    raise NotImplementedError


@hookspec
def sa3dhp_relation_networks() -> Sequence[Component]:
    """Relation networks; a method builds one for each relation that its losses use in latent space."""
    raise NotImplementedError


@hookspec
def sa3dhp_alignment_losses() -> Sequence[Component]:
    """Alignment losses; a method builds one for each ``[[losses]]``."""
    raise NotImplementedError


@hookspec
def sa3dhp_relation_scores() -> Sequence[Component]:
    """Scores of relations; methods and benchmarks build them by id, to rank relations or to select some."""
    raise NotImplementedError


@hookspec
def sa3dhp_relation_selections() -> Sequence[Component]:
    """Criteria that choose a set of relations; `sa3dhp relations select` builds the one named by ``--by``."""
    raise NotImplementedError


@hookspec
def sa3dhp_lifters() -> Sequence[Component]:
    """2D-to-3D lifters; a method builds one where its recipe names it."""
    raise NotImplementedError


@hookspec
def sa3dhp_detectors() -> Sequence[Component]:
    """Detectors of people; image data build one where their table names it, for films without boxes."""
    raise NotImplementedError


@hookspec
def sa3dhp_image_syntheses() -> Sequence[Component]:
    """Image syntheses; a method builds one where its recipe names it, for example in ``[settings.synthesis]``."""
    raise NotImplementedError


@hookspec
def sa3dhp_methods() -> Sequence[Component]:
    """Methods; the runner asks the one named by the recipe's ``method`` for its stages."""
    raise NotImplementedError


@hookspec
def sa3dhp_sinks() -> Sequence[Component]:
    """Sinks; the runner opens those of ``[[sinks]]`` and hands every metric to each."""
    raise NotImplementedError


@hookspec
def sa3dhp_commands() -> Sequence[Component]:
    """Sub-commands; the target is a typer app, mounted under the component's id."""
    raise NotImplementedError


HOOKS: dict[str, str] = {
    "image_data": "sa3dhp_image_data",
    "pose_data": "sa3dhp_pose_data",
    "keypoint_data": "sa3dhp_keypoint_data",
    "backbone": "sa3dhp_backbones",
    "image_encoder": "sa3dhp_image_encoders",
    "pose_prior": "sa3dhp_pose_priors",
    "motion_prior": "sa3dhp_motion_priors",
    "relation": "sa3dhp_relations",
    "relation_network": "sa3dhp_relation_networks",
    "alignment_loss": "sa3dhp_alignment_losses",
    "relation_score": "sa3dhp_relation_scores",
    "relation_selection": "sa3dhp_relation_selections",
    "lifter": "sa3dhp_lifters",
    "detector": "sa3dhp_detectors",
    "image_synthesis": "sa3dhp_image_syntheses",
    "method": "sa3dhp_methods",
    "sink": "sa3dhp_sinks",
    "command": "sa3dhp_commands",
}
