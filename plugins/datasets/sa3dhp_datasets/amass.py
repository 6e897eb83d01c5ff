"""AMASS, both releases, as pose data: joints come from the user's own body model. The models are `body_model`'s."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.cards import read_card
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.body_model import (
    FAMILIES,
    GENDERS,
    JOINTS,
    BodyModel,
    joints_in_motion,
    model_file,
    read_body_model,
)
from sa3dhp_datasets.config import AmassConfig
from sa3dhp_datasets.joint_names import table
from sa3dhp_datasets.layouts import data_folder, files_under, nothing_found
from sa3dhp_datasets.mocap_npz import array_names, read_arrays
from sa3dhp_datasets.motion import Clip, MotionData, check_fps, check_positions, rate_of
from sa3dhp_datasets.object_npz import read_objects
from sa3dhp_datasets.rigs import find_sources, house_positions, need_size

Array = NDArray[np.float64]
LAYOUT = "{data set}/{subject}/{motion}_poses.npz (SMPL-H) or {motion}_stageii.npz (SMPL-X)"
RATES = ("mocap_framerate", "mocap_frame_rate")
_ENDINGS = ("_poses.npz", "_stageii.npz")
_BODY = 3 * len(JOINTS)
_MOST_RADIANS, _MOST_METRES = 30.0, 100.0
_GET = """SMPL-H: the extended model of mano.is.tue.mpg.de for *_poses.npz; SMPL-X: smpl-x.is.tue.mpg.de for \
*_stageii.npz; then body_model = FILE_OR_FOLDER"""


@attrs.frozen(eq=False)
class Motion:
    """A file: ``turns (T, 22, 3)`` radians, ``places (T, 3)`` metres, ``betas``, z up; the family its model is of."""

    family: str
    gender: str
    fps: float
    betas: Array
    turns: Array
    places: Array


def read_motion(path: Path) -> Motion:
    """A file of either release.

    Raises:
        DataError: no npz file, arrays that are missing, of a wrong shape or type, of differing lengths, not finite or
            of Python objects, an unknown gender, angles or places that are in other units.
    """
    where = str(path)
    read_arrays(path, ())
    names = array_names(path)
    rate = next((key for key in RATES if key in names), RATES[path.name.endswith("_stageii.npz")])
    arrays = read_arrays(path, (rate, "poses", "betas", "trans"))
    joints = (arrays["poses"].shape[1] if arrays["poses"].ndim == 2 else 0) // 3
    frames = len(arrays["poses"]) if arrays["poses"].ndim else 0
    wide = " or ".join(f"(T, {3 * count})" for count in FAMILIES)
    fits = {
        "poses": (arrays["poses"].shape == (frames, 3 * joints) and joints in FAMILIES and frames > 0, wide),
        "trans": (arrays["trans"].shape == (frames, 3), f"({frames}, 3), as many frames as poses"),
        "betas": (arrays["betas"].size == max(arrays["betas"].shape, default=0) > 0, "(components,)"),
        rate: (arrays[rate].size == 1, "one number"),
    }
    for key, (right, expected) in fits.items():
        if not right or arrays[key].dtype.kind not in "fiu":
            found = f"{arrays[key].shape} {arrays[key].dtype}"
            raise DataError(f"the array {key!r} has a wrong shape or type", where=where, found=found, expected=expected)
    turns, places, betas = (arrays[key].astype(np.float64) for key in ("poses", "trans", "betas"))
    _need_units("poses", turns, _MOST_RADIANS, "radians, not degrees", where)
    _need_units("trans", places, _MOST_METRES, "metres, not millimetres", where)
    _need_units("betas", betas, np.inf, "numbers", where)
    fps = check_fps(float(arrays[rate].ravel()[0]), f"{where}: {rate}")
    gender = gender_of(read_objects(path, "gender")["gender"], where)
    return Motion(FAMILIES[joints], gender, fps, betas.ravel(), turns[:, :_BODY].reshape(frames, -1, 3), places)


def _need_units(key: str, values: Array, most: float, expected: str, where: str) -> None:
    bad = np.argwhere(~(np.abs(values) <= most) | ~np.isfinite(values))
    if len(bad):
        place = ", ".join(map(str, bad[0]))
        raise DataError(
            f"the array {key!r} has an impossible number",
            where=f"{where}: {key}[{place}]",
            found=float(values[tuple(bad[0])]),
            expected=expected,
        )


def gender_of(value: Any, where: str) -> str:
    """``male``, ``female`` or ``neutral`` from text or bytes; raises `DataError` for anything else."""
    value = value.item() if isinstance(value, np.ndarray | np.generic) and value.size == 1 else value
    text = value.decode("latin1") if isinstance(value, bytes) else str(value)
    text = text.removeprefix("b").strip("'\" ").lower()
    if text not in GENDERS:
        raise DataError("an unknown gender", where=where, found=text[:40], expected=", ".join(GENDERS))
    return text


def corrected(name: str, folder: Path, fps: float) -> tuple[float, str | None]:
    """The rate of a clip as the set's card corrects it, and the reason, if it does."""
    for entry in read_card("datasets", "amass")["corrections"]:
        if entry["data_set"].lower() in f"{folder.name}/{name}".lower().split("/") and fps == entry["stamped_fps"]:
            return float(entry["fps"]), str(entry["reason"])
    return fps, None


def convert(motion: Motion, model: BodyModel, name: str, fps: float, config: AmassConfig, where: str) -> Clip:
    """A file's motion as a clip of the house skeleton.

    Raises:
        DataError: a model of another family, with too few components or of no person's size; positions that overflow.
    """
    if model.family != motion.family:
        expected = f"{motion.family}, as {where} has"
        raise DataError(
            "a body model of another family", where=model.where, found=model.family, expected=expected, hint=_GET
        )
    sources = find_sources(JOINTS, "smpl", config.joints, table("rigs.toml"), where)[1]
    with np.errstate(over="ignore", invalid="ignore"):
        rest = model.rest(motion.betas, where)
        joints, turned = joints_in_motion(rest, motion.turns[:: config.stride], motion.places[:: config.stride])
        clip = Clip(name, fps / config.stride, house_positions(joints, turned, sources, 1.0, "z"), where)
    check_positions(clip)
    need_size(joints, sources, 1.0, f"{where}, with {model.where}")
    return clip


def amass_motion(config: AmassConfig) -> MotionData:
    """`PoseData` over AMASS; ``prepared.json`` tells each clip's gender, model and rate, and corrections."""

    def read() -> tuple[Iterator[Clip], dict[str, object]]:
        folder = data_folder(config.path, LAYOUT)
        files = [path for path in files_under(folder, ".npz") if path.name.lower().endswith(_ENDINGS)]
        if not files:
            raise nothing_found(folder, LAYOUT)
        if not config.body_model:
            what = "AMASS holds no joints but parameters of a body model, and none is given"
            raise DataError(what, where=str(folder), expected="`body_model`: an npz file of your own", hint=_GET)
        models = cache(read_body_model)
        decided: dict[str, Mapping[str, object]] = {}

        def clips() -> Iterator[Clip]:
            for path in files:
                motion = read_motion(path)
                name = clip_name(path, folder)
                fps, reason = corrected(name, folder, motion.fps)
                fps = check_fps(rate_of(name, fps, config.rates), f"rates: {name}")
                model = models(model_file(Path(config.body_model).expanduser(), motion.gender))
                decided[name] = {"gender": motion.gender, "model": model.where, "fps": fps, "corrected": reason}
                yield convert(motion, model, name, fps, config, str(path))

        return clips(), {"motions": decided}

    return MotionData(config, read)


def clip_name(path: Path, folder: Path) -> str:
    """A file's place in the folder without its ending: ``CMU/01/01_01``."""
    name = path.relative_to(folder).as_posix()
    return next(name[: -len(ending)] for ending in _ENDINGS if name.lower().endswith(ending))
