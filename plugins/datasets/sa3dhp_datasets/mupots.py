"""MuPoTS-3D: several people a picture, in MATLAB files. It has no file of cameras: `pinhole_fit` finds them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.cards import read_card, skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_core.host import Host
from sa3dhp_datasets.expected_arrays import array_of, need_equal, need_unit
from sa3dhp_datasets.layouts import data_folder, nothing_found
from sa3dhp_datasets.lens import Array, Lens
from sa3dhp_datasets.mat_file import read_matlab
from sa3dhp_datasets.mupots_config import MupotsImagesConfig, MupotsKeypointsConfig
from sa3dhp_datasets.pictures import ImageFiles
from sa3dhp_datasets.pinhole_fit import pinhole_of
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shot_keypoints import ShotKeypoints
from sa3dhp_datasets.shots import Person, Shot, boxes_of, house, person_of

CARD = "mupots-3d"
LAYOUT = "MultiPersonTestSet/TS{1..20}/ with annot.mat, occlusion.mat and img_%06d.jpg"
CARD_OF_JOINTS = "mpi-inf-3dhp-17"
JOINTS = 17
MM = 1000.0

OCCLUDED_SHARE = 0.5
"""A frame of a person is flagged ``occluded`` where at least this share of the joints is labelled so."""


@attrs.frozen(eq=False)
class Annotations:
    """What a sequence's two files tell of F frames and P people.

    Attributes:
        seen: ``(F, P, 17, 2)`` pixels.
        joints: ``(F, P, 17, 3)`` metres, as they project.
        truth: ``(F, P, 17, 3)`` metres, those that the table asks for.
        valid: ``(F, P)``.
        occluded: ``(F, P, 17)``.
    """

    seen: Array
    joints: Array
    truth: Array
    valid: NDArray[np.bool_]
    occluded: NDArray[np.bool_]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """``(F, P)`` whether all joints have a place in the picture and before the camera."""
        solid = (self.joints, self.truth)
        known = [np.isfinite(values).all((2, 3)) for values in (self.seen, *solid)]
        return np.logical_and.reduce([*known, *((joints[..., 2] > 0).all(2) for joints in solid)])


def shots(config: MupotsImagesConfig | MupotsKeypointsConfig) -> Iterator[Shot]:
    """A shot a sequence, in the order of their numbers; see `ReadsShots`."""
    for folder in sequences(data_folder(config.path, LAYOUT)):
        found = read_annotations(folder, config.universal)
        where = str(folder / "annot.mat")
        lens = _lens(found, where)
        yield Shot(
            name=folder.name,
            subject=folder.name,
            camera="",
            family="",
            fps=rate_of(folder),
            lens=lens,
            people=tuple(_people(found, lens, config.hide_occluded, where)),
            where=where,
            split="test",
            pictures=partial(_pictures, folder, len(found.seen)) if _picture(folder, 0).is_file() else None,
        )


def sequences(folder: Path) -> list[Path]:
    """The folders TS1, TS2, … in a folder or in its MultiPersonTestSet; raises `DataError` if there is none."""
    inside = [*folder.iterdir(), *(folder / "MultiPersonTestSet").glob("*")]
    found = [path for path in inside if re.fullmatch(r"TS\d+", path.name) and path.is_dir()]
    if not any((path / name).is_file() for path in found for name in ("annot.mat", "occlusion.mat")):
        raise nothing_found(folder, LAYOUT)
    return sorted(found, key=_number)


def _number(folder: Path) -> int:
    return int(folder.name[2:])


def rate_of(folder: Path) -> float:
    """Frames per second of a sequence; raises `DataError` where its number is none of the set's."""
    rates = read_card("datasets", CARD)["rates"]
    for rate in rates:
        if rate["first"] <= _number(folder) <= rate["last"]:
            return float(rate["fps"])
    expected = f"TS{rates[0]['first']} to TS{rates[-1]['last']}"
    raise DataError("no sequence of this set", where=str(folder), found=folder.name, expected=expected)


def read_annotations(folder: Path, universal: bool = False) -> Annotations:
    """What annot.mat and occlusion.mat of a sequence tell.

    Args:
        folder: of the sequence.
        universal: whether univ_annot3 is the truth.

    Raises:
        DataError: a file is missing, damaged or of other content; the two have other lengths; a frame that is marked
            as valid lacks a place; people of no person's size.
    """
    path, beside = folder / "annot.mat", folder / "occlusion.mat"
    cells = read_matlab(path, "annotations")["annotations"]
    labels = read_matlab(beside, "occlusion_labels")["occlusion_labels"]
    seen, joints, truth = (
        _of_cells(cells, name, (axes, JOINTS), str(path)).swapaxes(2, 3)
        for name, axes in (("annot2", 2), ("annot3", 3), ("univ_annot3" if universal else "annot3", 3))
    )
    valid = _of_cells(cells, "isValidFrame", (1, 1), str(path))[..., 0, 0] > 0
    occluded = _of_cells(labels, "", (1, JOINTS), str(beside))[:, :, 0] > 0
    need_equal({"frames of annot.mat": len(valid), "frames of occlusion.mat": len(occluded)}, str(folder))
    need_equal({"people of annot.mat": valid.shape[1], "people of occlusion.mat": occluded.shape[1]}, str(folder))
    found = Annotations(seen, joints / MM, truth / MM, valid, occluded)
    if (wrong := valid & ~found.usable).any():
        frame, person = np.argwhere(wrong)[0].tolist()
        where = f"{path}: frame {frame}, person {person}"
        raise DataError("valid, yet a joint has no place before the camera", where=where, expected="millimetres, z > 0")
    if valid.any():
        need_unit(joints[valid], "millimetre", str(path), skeleton(CARD_OF_JOINTS))
    return found


def _of_cells(cells: Any, name: str, shape: tuple[int, int], where: str) -> Array:
    """A field of each cell ``(F, P)``, or the cells themselves where it has no name, as ``(F, P, *shape)``."""
    where = f"{where}: {name or 'occlusion_labels'}"
    try:
        values = [[cell[name] if name else cell for cell in row] for row in cells]
    except (KeyError, TypeError, IndexError) as error:
        expected = f"frames x people cells of structs with {name}"
        raise DataError("cells of another content", where=where, found=repr(error), expected=expected) from error
    return array_of(values, (None, None, *shape), where, "a cell for each frame and person", gaps=True)


def _lens(found: Annotations, where: str) -> Lens:
    chosen = found.valid & found.usable
    return pinhole_of(found.joints[chosen].reshape(-1, 3), found.seen[chosen].reshape(-1, 2), where)


def _people(found: Annotations, lens: Lens, hide: bool, where: str) -> Iterator[Person]:
    for number in range(found.valid.shape[1]):
        frames = np.flatnonzero(found.usable[:, number])
        occluded = house(found.occluded[frames, number, :, None].astype(np.float64), CARD, where)[..., 0] > 0
        seen = house(found.seen[frames, number], CARD, where)
        person = person_of(
            number,
            frames,
            lens,
            joints=house(found.truth[frames, number], CARD, where),
            keypoints=np.where(hide & occluded[..., None], np.nan, seen),
            boxes=boxes_of(seen),
            flags={"valid": found.valid[frames, number], "occluded": occluded.mean(1) >= OCCLUDED_SHARE},
        )
        if person is not None:
            yield person


def _picture(folder: Path, number: int) -> Path:
    return folder / f"img_{number:06d}.jpg"


def _pictures(folder: Path, count: int) -> ImageFiles:
    return ImageFiles.open([_picture(folder, number) for number in range(count)])


def mupots_images(config: MupotsImagesConfig) -> ShotImages:
    """`ImageData` over the set's folder."""
    return ShotImages(config, shots, CARD, own=("test",))


def mupots_keypoints(config: MupotsKeypointsConfig, *, host: Host) -> ShotKeypoints:
    """`KeypointData` over the set's folder."""
    return ShotKeypoints(config, shots, CARD, own=("test",))
