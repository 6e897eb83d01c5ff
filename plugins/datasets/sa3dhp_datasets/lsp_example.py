"""A small LSP and a small LSP-extended in the real files, from which the conformance kit and the tests build them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from sa3dhp_core.cards import skeleton
from sa3dhp_datasets.example import picture_of
from sa3dhp_datasets.lens import Array, middle_lens
from sa3dhp_datasets.lsp import EXTENDED, LSP, Form
from sa3dhp_datasets.mupots_example import before_the_camera
from sa3dhp_datasets.shots import projected

PICTURES = 5
FOV_DEG = 60.0
MARKED = 6
"""The joint that is occluded (LSP), or the one that is not visible (LSP-extended), of picture 1 and every other one."""


def size_of(number: int) -> tuple[int, int]:
    """Width and height of a picture; they differ."""
    return 120 + 4 * number, 150 - 2 * number


def points_of(number: int) -> Array:
    """``(J, 2)`` pixels of the person of a picture, house order."""
    lens = middle_lens(*size_of(number), None, FOV_DEG)
    return projected(before_the_camera(300 + number, 1, (0.1, 0.1, 3.5)), lens)[0]


def labelled(number: int) -> Array:
    """``(14, 2)`` of them, in the set's order."""
    card, house = skeleton("lsp-14"), skeleton()
    return points_of(number)[[house.index(card.house_names.get(joint, joint)) for joint in card.joints]]


def joints_of(form: Form) -> Array:
    """`joints` as a set has it; what is not visible is at places that mean nothing."""
    found = np.zeros((PICTURES, 14, 3))
    for row in range(PICTURES):
        found[row, :, :2] = labelled(row + 1)
        marked = np.arange(14) == (MARKED if row % 2 == 0 else -1)
        found[row, :, 2] = marked if form is LSP else ~marked
        if form is EXTENDED:
            found[row, marked, :2] = (-37.0, 5.0)
    return found.transpose(np.argsort(form.order))


def write_set(folder: Path, form: Form) -> None:
    """joints.mat and the pictures."""
    (folder / "images").mkdir(parents=True)
    savemat(folder / "joints.mat", {"joints": joints_of(form)}, do_compression=True)
    for number in range(1, PICTURES + 1):
        image = Image.fromarray(picture_of(points_of(number), *size_of(number)))
        image.save(folder / "images" / f"im{number:0{form.digits}}.jpg", quality=95)


def lsp_keypoints(folder: Path) -> dict[str, Any]:
    """LSP, two of its pictures held back."""
    write_set(folder, LSP)
    return {"path": str(folder), "validation": ["im0004"], "test": ["im0005"]}


def lsp_images(folder: Path) -> dict[str, Any]:
    """The same in small crops."""
    return {**lsp_keypoints(folder), "size": 32}


def lsp_extended_keypoints(folder: Path) -> dict[str, Any]:
    """LSP-extended, two of its pictures held back."""
    write_set(folder, EXTENDED)
    return {"path": str(folder), "validation": ["im00004"], "test": ["im00005"]}


def lsp_extended_images(folder: Path) -> dict[str, Any]:
    """The same in small crops."""
    return {**lsp_extended_keypoints(folder), "size": 32}
