"""The recipe's keys for each data component, with their checks. Imports no torch and reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from attrs import validators


def _key(default: Any, help_text: str, *checks: Any) -> Any:
    return attrs.field(default=default, validator=list(checks), metadata={"help": help_text})


def _at_least(low: float) -> Any:
    return validators.optional(validators.ge(low))


_fraction = (validators.ge(0.0), validators.lt(1.0))
_CLIP_NAME = r"^[^_]+_(?P<content>[^_]+)_"
_PATTERNS = " (shell patterns on a clip's content or its whole name)"

_MIN_FRAMES: Any = _key(1, "leave out clips shorter than this, after resampling", validators.ge(1))
_RATES: Any = attrs.field(
    factory=dict, metadata={"help": "shell pattern of clips' names to their frames per second, where it differs"}
)


def _own_first(cls: type, fields: list[Any]) -> list[Any]:
    """A component's own keys before those that it inherits."""
    return sorted(fields, key=lambda field: field.inherited)


@attrs.frozen
class MotionConfig:
    """Keys of any component of motion: they choose, resample and deal clips alike, whatever the files."""

    fps: float | None = _key(None, "frames per second to resample to; the files' own where absent", _at_least(0.1))
    stride: int = _key(1, "keep every n-th frame of the files before resampling", validators.ge(1))
    min_frames: int = _MIN_FRAMES
    contents: tuple[str, ...] = _key((), "use only these clips" + _PATTERNS)
    validation: float = _key(0.1, "share of clips for validation, chosen by a hash of their names", *_fraction)
    test: float = _key(0.1, "share of clips for test, chosen by a hash of their names", *_fraction)
    validation_contents: tuple[str, ...] = _key((), "clips for validation, instead of a share" + _PATTERNS)
    test_contents: tuple[str, ...] = _key((), "clips for test, instead of a share" + _PATTERNS)
    content_pattern: str = _key(_CLIP_NAME, "regular expression whose group `content` is a clip's motion family")
    licence: str = _key("not stated", "licence of the motion, copied into everything made from it")


@attrs.frozen(field_transformer=_own_first)
class MocapNpzConfig(MotionConfig):
    """Motion capture in npz files."""

    path: str = _key("", "an npz file, or a folder of them")
    paths: tuple[str, ...] = _key((), "more npz files or folders")
    joints: dict[str, str] = attrs.field(
        factory=dict, metadata={"help": "house joint to the file's joint name, where the table of names fails"}
    )


@attrs.frozen(field_transformer=_own_first)
class BvhConfig(MotionConfig):
    """Motion capture in BVH files."""

    path: str = _key("", "a BVH file, or a folder of them")
    paths: tuple[str, ...] = _key((), "more BVH files or folders")
    rig: str = _key("", "a rig of rigs.toml; empty: the first whose joints are all in the file")
    joints: dict[str, tuple[str, ...]] = attrs.field(
        factory=dict, metadata={"help": "house joint to the file's joints whose mean it is; goes before the rig's"}
    )
    unit_m: float | None = _key(
        None,
        "metres in one unit of the file; guessed from the legs' length where absent",
        validators.optional(validators.gt(0.0)),
    )
    up: str = _key("y", "the file's upward axis, 'y' or 'z'", validators.in_(("y", "z")))
    skip_frames: int = _key(0, "leave out this many first frames (a rest pose)", validators.ge(0))


@attrs.frozen(field_transformer=_own_first)
class AsfAmcConfig(MotionConfig):
    """Motion capture in ASF and AMC files, as CMU's."""

    path: str = _key("", "the folder of the subjects' folders, or one subject's; searched at any depth")
    file_fps: float = _key(120.0, "frames per second of the files, which do not tell it", _at_least(0.1))
    rates: dict[str, float] = _RATES
    joints: dict[str, tuple[str, ...]] = attrs.field(
        factory=dict,
        metadata={"help": "house joint to the ends of bones (`lfemur.end`) whose mean it is; before asf_joints.toml's"},
    )
    unit_m: float | None = _key(
        None,
        "metres in one unit of the files, instead of what :units says",
        validators.optional(validators.gt(0.0)),
    )
    content_pattern: str = _key(
        r"^(?P<content>.+)_[^_]+$", "regular expression whose group `content` is a clip's subject (`07` of `07_01`)"
    )


@attrs.frozen(field_transformer=_own_first)
class AmassConfig(MotionConfig):
    """AMASS, both releases."""

    path: str = _key("", "the folder of the data sets' folders, or one of them; searched at any depth")
    body_model: str = _key(
        "", "your own body model: an npz file for all genders, or a folder with {gender}/model.npz or *_{GENDER}.npz"
    )
    rates: dict[str, float] = _RATES
    joints: dict[str, tuple[str, ...]] = attrs.field(
        factory=dict, metadata={"help": "house joint to the SMPL joints whose mean it is; goes before the rig's"}
    )
    content_pattern: str = _key(
        r"^(?P<content>[^/]+)/",
        "regular expression whose group `content` is the data set (`CMU` of `CMU/01/01_01`)",
    )


@attrs.frozen
class LiftingNpzConfig:
    """2D keypoints, and where there is one the 3D truth, in npz files as VideoPose3D lays them out."""

    path: str = _key("", "the file data_2d_*.npz, or a folder that holds one")
    truth: str = _key("", "the file data_3d_*.npz; empty: the one beside `path`, if any; `none`: no truth")
    cameras: str = _key("", "the file of cameras; empty: cameras.json beside `path`, if any")
    focal_px: float | None = _key(
        None, "focal length of all clips without a file of cameras, pixels", validators.optional(validators.gt(0.0))
    )
    size_px: tuple[float, float] = _key((1000.0, 1000.0), "width and height of the images of `focal_px`, pixels")
    test: tuple[str, ...] = _key((), "subjects for test")
    validation_subjects: tuple[str, ...] = _key((), "subjects for validation")
    validation: float = _key(0.0, "share of the other subjects' clips for validation, by a hash of names", *_fraction)
    stride: int = _key(1, "keep every n-th frame", validators.ge(1))
    least_confidence: float = _key(0.0, "a joint counts as seen above this confidence, if the file has a third column")
    cut: bool = _key(False, "cut keypoints and truth of different lengths to the shorter one, instead of refusing them")
    skeleton: str = _key("h36m-17", "card of the skeleton")
    columns: tuple[str, ...] = _key((), "names of the keypoints in the file's order; empty: the skeleton's joints")
    joints: dict[str, tuple[str, ...]] = attrs.field(
        factory=dict, metadata={"help": "joint of the skeleton to the columns whose mean it is, where names differ"}
    )
    fps: float = _key(50.0, "frames per second of the files", validators.gt(0.0))
    licence: str = _key("not stated", "licence of the keypoints, copied into everything made from them")


@attrs.frozen
class ProjectedPosesConfig:
    """Any pose data seen by given cameras."""

    poses: Mapping[str, Any] = attrs.field(
        metadata={"component": "pose_data", "help": "table of the motion that is seen"}
    )
    azimuths_deg: tuple[float, ...] = _key(
        (45.0, 135.0, 225.0, 315.0), "where around the person a camera stands; one a camera", validators.min_len(1)
    )
    elevations_deg: tuple[float, ...] = _key((10.0,), "of each camera, looking down; repeated", validators.min_len(1))
    distances_m: tuple[float, ...] = _key(
        (4.5,),
        "of each camera from the root; repeated",
        validators.min_len(1),
        validators.deep_iterable(validators.gt(0.0)),
    )
    stride: int = _key(1, "keep every n-th frame", validators.ge(1))


@attrs.frozen
class VideoFolderConfig:
    """Footage in mp4 files."""

    path: str = _key("", "a folder of mp4 files")
    boxes: str = _key("", "the file of boxes, or a folder of files NAME.boxes.jsonl; empty: beside the videos")
    detector: Mapping[str, Any] | None = attrs.field(
        default=None, metadata={"component": "detector", "help": "table of what finds people in videos without boxes"}
    )
    size: int = _key(64, "width and height of the crops, pixels", validators.ge(8))
    fps: float = _key(
        10.0,
        "frames per second to resample to (the nearest frame in time); 0: the videos' own",
        validators.or_(validators.ge(0.1), validators.in_((0,))),
    )
    box_scale: float = _key(
        0.5,
        "radius of the person's circle over the box's longer side; 0.5 for a box tight around the joints",
        validators.gt(0.0),
    )
    margin: float = _key(1.15, "half of a crop over the circle's radius", validators.gt(0.0))
    smooth_s: float = _key(0.0, "smooth boxes over this many seconds (a triangular window); 0: not", validators.ge(0.0))
    max_gap: int = _key(
        5, "fill gaps of a track up to this many video frames, split it at longer ones", validators.ge(0)
    )
    min_frames: int = _MIN_FRAMES
    focal_px: float | None = _key(None, "focal length of the videos, pixels", validators.optional(validators.gt(0.0)))
    fov_deg: float = _key(
        60.0,
        "diagonal field of view assumed where neither focal_px nor a camera file beside the video tells it",
        validators.gt(0.0),
        validators.lt(180.0),
    )
    validation: float = _key(0.1, "share of videos for validation, chosen by a hash of their names", *_fraction)
    test: float = _key(0.1, "share of videos for test, chosen by a hash of their names", *_fraction)
    validation_videos: tuple[str, ...] = _key((), "videos for validation, instead of a share (shell patterns)")
    test_videos: tuple[str, ...] = _key((), "videos for test, instead of a share (shell patterns)")
    content_pattern: str = _key(_CLIP_NAME, "regular expression whose group `content` is a video's motion family")
    licence: str = _key("not stated", "licence of the footage, copied into everything made from it")


@attrs.frozen
class RecordingsConfig:
    """Keys of every data set of recorded people, whatever its files: they choose recordings and deal them to splits."""

    path: str = _key("", "the folder that the data set lies in")
    fps: float | None = _key(
        None, "frames per second to keep, the nearest in time; the files' own where absent", _at_least(0.01)
    )
    subjects: tuple[str, ...] = _key((), "use only these subjects (shell patterns)")
    cameras: tuple[str, ...] = _key((), "use only these cameras (shell patterns)")
    recordings: tuple[str, ...] = _key((), "use only recordings of these names or actions (shell patterns)")
    validation: tuple[str, ...] = _key((), "subjects or recordings for validation (shell patterns)")
    test: tuple[str, ...] = _key((), "subjects or recordings for test (shell patterns)")
    splits: tuple[str, ...] = _key(
        (),
        "keep only these of the splits train, validation and test",
        validators.deep_iterable(validators.in_(("train", "validation", "test"))),
    )
    min_frames: int = _MIN_FRAMES


@attrs.frozen(field_transformer=_own_first)
class ShotImagesConfig(RecordingsConfig):
    """Crops of recorded people."""

    size: int = _key(64, "width and height of the crops, pixels", validators.ge(8))
    box_scale: float = _key(0.5, "radius of the person's circle over the box's longer side", validators.gt(0.0))
    margin: float = _key(1.15, "half of a crop over the circle's radius", validators.gt(0.0))


@attrs.frozen
class ShotKeypointsConfig(RecordingsConfig):
    """2D keypoints of recorded people."""


@attrs.frozen
class ShotMotionConfig(RecordingsConfig):
    """3D motion of recorded people, without pictures."""


@attrs.frozen
class ShardsConfig:
    """Crops that ``sa3dhp data pack`` wrote."""

    path: str = _key("", "the folder of shards, or its address (https://…)")


@attrs.frozen
class JoinedConfig:
    """Several image data sets as one."""

    parts: tuple[Mapping[str, Any], ...] = attrs.field(
        metadata={"component": "image_data", "help": "tables of the data sets, one size and frame rate"},
        validator=validators.min_len(1),
    )
    weights: tuple[float, ...] = _key(
        (),
        "how often each is drawn from, in relation to the others; empty: by the number of their frames",
        validators.deep_iterable(validators.gt(0.0)),
    )
