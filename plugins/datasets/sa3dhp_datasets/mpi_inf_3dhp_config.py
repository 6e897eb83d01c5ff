"""The recipe's keys for MPI-INF-3DHP, training and test set. Imports no torch and reads no file."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import validators

from sa3dhp_datasets.config import ShotImagesConfig, ShotKeypointsConfig, ShotMotionConfig, _key, _own_first

_CAMERA_SET = _key("vnect", "cameras to read: vnect, mm3d_chest, relevant, ceiling or regular (all), as publishers say")
_TRUTH = _key(
    "annot3",
    "`annot3`, which projects onto the pictures, or `univ_annot3`, of one size for all people, as the publishers score",
    validators.in_(("annot3", "univ_annot3")),
)


def _inside(default: bool) -> Any:
    return _key(default, "leave out frames in which a joint lies outside the picture")


@attrs.frozen(field_transformer=_own_first)
class Mpi3dhpImagesConfig(ShotImagesConfig):
    """Crops of the training set."""

    camera_set: str = _CAMERA_SET
    truth: str = _TRUTH
    inside: bool = _inside(True)


@attrs.frozen(field_transformer=_own_first)
class Mpi3dhpKeypointsConfig(ShotKeypointsConfig):
    """2D keypoints of the training set."""

    camera_set: str = _CAMERA_SET
    truth: str = _TRUTH
    inside: bool = _inside(False)


@attrs.frozen(field_transformer=_own_first)
class Mpi3dhpMotionConfig(ShotMotionConfig):
    """Motion of the training set."""

    camera_set: str = _CAMERA_SET
    truth: str = _TRUTH
    inside: bool = _inside(False)


@attrs.frozen(field_transformer=_own_first)
class Mpi3dhpTestImagesConfig(ShotImagesConfig):
    """Crops of the test set."""

    truth: str = _TRUTH


@attrs.frozen(field_transformer=_own_first)
class Mpi3dhpTestKeypointsConfig(ShotKeypointsConfig):
    """2D keypoints of the test set."""

    truth: str = _TRUTH
