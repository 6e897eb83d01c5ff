"""Makes the pictures of the documents, `docs/pictures/*.png`, with the embedded world and the relations.

    python docs/make_pictures.py
    python docs/make_pictures.py lifted runs/ites-world

The second makes `lifted.png` alone, of a finished run of the method `ites`. It uses what any plugin may use: components
by id through the host, geometry, and the world's contact sheets. Nothing is downloaded; it takes seconds, and the same
call makes the same pictures.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sa3dhp_core.atomic import read_tensors
from sa3dhp_core.cards import skeleton
from sa3dhp_core.evaluation import evaluate, load_protocol
from sa3dhp_core.geometry import act_on_poses, fit_scale, mirror_matrix, project, root_position, rotation_y
from sa3dhp_core.host import Host
from sa3dhp_core.store import split_file
from sa3dhp_core.types import Temporal

PICTURES = Path(__file__).resolve().parent / "pictures"
EXPRESSION = "flip @ rotate(50) @ backward"
SINGLE = ("flip", "rotate(50)", "tilt(6)", "pan(-6)")
FAMILIES = ("rotate(-63..63)", "flip?", "pan(-5..5) @ tilt(-4..4)")
TIMED = ("backward", "slow(2)", "fast(2)", "shift(3)")
PUBLISHED = ("flip @ rotate(50)", "flip @ rotate(50) @ backward", "slow(2) @ backward")
LOOKS = ("plain", "mild", "street")
FRAMES, STEP, PIXELS, GAP = 7, 5, 128, 6
SMALL, LABEL, STRIP, SHOWN = 96, 20, 210, 5
FIGURES = ("n-mpjpe", "ites-mpjpe")
CALM = {"noise": 0.0, "detail": 0.0}
INK, DARK = "#222222", 0.22
LEFT, RIGHT, MIDDLE = (0.10, 0.45, 0.95), (0.95, 0.45, 0.05), (0.98, 0.98, 0.98)


def clips(look: str, frames: int, number: int, size: int, **keys: Any) -> dict[str, Tensor]:
    """Images ``(C, T, 3, S, S)``, poses ``(C, T, J, 3)``, keypoints and intrinsics of C clips of a look."""
    table = {"use": "world", "look": look, "role": "target", "size": size, "frames": frames}
    few = {"train_clips": number, "validation_clips": 1, "test_clips": 1, "seed": 3}
    data = Host.load().build("image_data", table | few | keys, "pictures")
    with tempfile.TemporaryDirectory() as room:
        data.prepare(Path(room))
        found = read_tensors(split_file(Path(room), "train"))
    named = {name: found[name].unflatten(0, (number, frames)) for name in ("poses", "keypoints", "intrinsics")}
    return {**named, "images": found["images"].unflatten(0, (number, frames)).float() / 255}


def sheet(rows: list[Tensor]) -> Tensor:
    """Rows of images ``(K, 3, S, S)``, with gaps -> ``(3, H, W)``."""
    size = rows[0].shape[-1]
    width = len(rows[0]) * (size + GAP) - GAP
    whole = torch.ones(3, len(rows) * (size + GAP) - GAP, width)
    for number, row in enumerate(rows):
        for column, image in enumerate(row):
            y, x = number * (size + GAP), column * (size + GAP)
            whole[:, y : y + size, x : x + size] = image
    return whole


def with_skeleton(images: Tensor, poses: Tensor, intrinsics: Tensor) -> Tensor:
    """Images ``(K, 3, S, S)`` with the bones of camera-frame poses on them; left blue, right orange, others white."""
    bones, size = skeleton(), images.shape[-1]
    pixels = project(poses, intrinsics)
    sides = {joint: side for pair in bones.pairs for joint, side in zip(pair, (LEFT, RIGHT), strict=True)}
    grid = torch.stack(torch.meshgrid(*(torch.arange(size) + 0.5,) * 2, indexing="xy"), dim=-1)
    drawn = images.clone()
    for number in range(len(images)):
        for index in bones.bones:
            start, end = pixels[number, bones.parent_indices[index]], pixels[number, index]
            along = end - start
            where = (((grid - start) @ along) / along.square().sum().clamp(min=1e-6)).clamp(0, 1)
            near = (grid - start - where[..., None] * along).norm(dim=-1)
            colour = torch.tensor(sides.get(bones.joints[index], MIDDLE))[:, None, None]
            drawn[number] = torch.lerp(drawn[number], colour, (1.8 - near).clamp(0, 1))
    return drawn


def looks_picture() -> Tensor:
    """One row a look, several clips each."""
    return sheet([clips(look, 1, 7, PIXELS)["images"][:, 0] for look in LOOKS])


def related(table: dict[str, str]) -> Any:
    """A relation of the house skeleton."""
    return Host.load().build("relation", table, "pictures", skeleton=skeleton())


def film(expression: str, look: str, frames: int, size: int, **keys: Any) -> tuple[Tensor, Tensor, Temporal]:
    """Anchor and partner ``(T, 3, S, S)``, their poses drawn on them: images and poses moved each by its own action."""
    relation = related({"use": "geometric", "expression": expression})
    spatial, temporal = relation.draw((1,), torch.Generator()), relation.temporal(frames)
    clip = {name: part[:, ::STEP] for name, part in clips(look, temporal.window * STEP, 1, size, **keys).items()}
    standing = clip["poses"] + root_position(clip["poses"], clip["keypoints"], clip["intrinsics"])[..., None, :]
    (images, shown), (anchor, poses), (camera, intrinsics) = map(
        temporal.of, (clip["images"], standing, clip["intrinsics"])
    )
    shown, poses = relation.on_images(shown, spatial, intrinsics), relation.on_poses(poses, spatial)
    above = with_skeleton(images[0], anchor[0], camera[0])
    return above, with_skeleton(shown[0], poses[0], intrinsics[0]), temporal


def relation_picture() -> Tensor:
    """Above the anchor's frames, below the partner's."""
    above, below, _ = film(EXPRESSION, "mild", FRAMES, PIXELS)
    return sheet([above, below])


def pose_tiles(*poses: Tensor) -> list[Tensor]:
    """Root-relative poses ``(1, J, 3)``: each as the camera sees it, then each from the side, camera on the left."""
    focal, away = 4.6 * SMALL, torch.tensor([0.0, 0.0, 9.0])
    camera = torch.tensor([[focal, 0, SMALL / 2], [0, focal, SMALL / 2], [0, 0, 1]])
    views = [*poses, *(pose @ rotation_y(math.pi / 2).T for pose in poses)]
    return [with_skeleton(torch.full((1, 3, SMALL, SMALL), DARK), view + away, camera[None]) for view in views]


def space_picture() -> Tensor:
    """Anchor and partner as image, as pose and as pose from the side, a row for each relation; below, families."""
    clip = {name: part[0] for name, part in clips("plain", 40, 1, SMALL, families=["wave"], **CALM).items()}
    image, pose, camera = (clip[name][-1:] for name in ("images", "poses", "intrinsics"))
    single = [related({"use": "geometric", "expression": expression}) for expression in SINGLE]
    families = [related({"use": "geometric", "expression": expression}) for expression in FAMILIES]
    block, blank = SMALL + GAP + LABEL, torch.ones_like(image)
    page = Page(6 * (SMALL + GAP), LABEL + (len(SINGLE) + len(FAMILIES) + 1) * block)
    page.heads("anchor", "partner", "anchor's pose", "partner's pose", "from the side", "from the side")
    tops = count(LABEL, block)
    for relation in single:
        spatial = relation.draw((1,), torch.Generator())
        images = [image, relation.on_images(image, spatial, camera)]
        page.row(relation.name, torch.cat(images + pose_tiles(pose, relation.on_poses(pose, spatial))), next(tops))
    exchange = related({"use": "limb-exchange"})
    exchanged = exchange.on_poses(pose, exchange.draw((1,), torch.Generator()))
    page.row(f"{exchange.name}, on poses alone", torch.cat([blank, blank, *pose_tiles(pose, exchanged)]), next(tops))
    for relation in families:
        spatial = relation.draw((5,), torch.Generator().manual_seed(4))
        partners = relation.on_images(image.expand(5, -1, -1, -1), spatial, camera.expand(5, -1, -1))
        page.row(f"{relation.name}: an anchor, five partners", torch.cat([image, partners]), next(tops))
    return page.pixels()


def time_picture(expressions: Sequence[str]) -> Tensor:
    """For each expression the window with its marks, and the frames of anchor and partner."""
    block = LABEL + 2 * (SMALL + GAP)
    page = Page(STRIP + SHOWN * (SMALL + GAP), len(expressions) * block)
    for number, expression in enumerate(expressions):
        above, below, temporal = film(expression, "plain", SHOWN, SMALL, **CALM)
        page.row(expression, above, number * block, STRIP)
        page.row("", below, number * block + SMALL + GAP, STRIP)
        page.marks(temporal, number * block + LABEL)
    return page.pixels()


class Page:
    """A white sheet with tiles, text and marks."""

    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("RGB", (width - GAP, height - GAP), "white")
        self._draw = ImageDraw.Draw(self._image)
        self._font, self._large = ImageFont.load_default(13), ImageFont.load_default(15)

    def heads(self, *words: str) -> None:
        """One a column, at the top."""
        for column, word in enumerate(words):
            self._write(word, column * (SMALL + GAP), 0)

    def row(self, name: str, tiles: Tensor, top: int, left: int = 0) -> None:
        """Tiles ``(K, 3, S, S)`` below their name."""
        self._draw.text((0, top + 1), name, "#8a1c1c", self._large)
        for column, tile in enumerate(tiles):
            pixels = (255 * tile.clamp(0, 1)).round().to(torch.uint8).permute(1, 2, 0).numpy()
            self._image.paste(Image.fromarray(pixels), (left + column * (SMALL + GAP), top + LABEL))

    def marks(self, temporal: Temporal, top: int) -> None:
        """The window as a line of dots; the frames of the anchor above and of the partner below, numbered."""
        step = (STRIP - 30) / max(1, temporal.window - 1)
        for name, frames, middle in (("anchor", temporal.anchor, 48), ("partner", temporal.partner, 48 + SMALL + GAP)):
            self._write(name, 0, top + middle - 34)
            for frame in range(temporal.window):
                self._dot(8 + frame * step, top + middle, 2, "#bbbbbb")
            for order, frame in enumerate(frames, start=1):
                self._dot(8 + frame * step, top + middle, 5, "#2266cc" if name == "anchor" else "#dd7711")
                self._draw.text((8 + frame * step, top + middle + 8), str(order), INK, self._font, "ma")

    def pixels(self) -> Tensor:
        """``(3, H, W)`` in [0, 1]."""
        return torch.from_numpy(np.array(self._image)).permute(2, 0, 1).float() / 255

    def _write(self, word: str, left: int, top: int) -> None:
        self._draw.text((left, top + 2), word, INK, self._font)

    def _dot(self, x: float, y: float, radius: float, colour: str) -> None:
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)


def puppets_picture() -> Tensor:
    """Above labelled source images, below what a puppet makes of such images: mirrored poses of other people."""
    host, few = Host.load(), {"validation_clips": 1, "test_clips": 1, "frames": 1, "seed": 3}
    table = {"use": "world", "look": "plain", "role": "source", "size": PIXELS, "train_clips": 400, **few}
    data, draws = host.build("image_data", table, "pictures"), torch.Generator().manual_seed(2)
    with tempfile.TemporaryDirectory() as room:
        data.prepare(Path(room))
        source = data.labelled(Path(room), "train")
        make = host.build("image_synthesis", {"use": "puppet", "pool": 400}, "pictures", source=source, generator=draws)
        original, other = source.draw(FRAMES, draws), source.draw(FRAMES, draws)
    batch = make(act_on_poses(mirror_matrix(), other.poses, skeleton()), draws)
    standing = batch.poses + root_position(batch.poses, batch.keypoints, batch.intrinsics)[:, None]
    half = FRAMES // 2
    shown = [batch.images[:half], with_skeleton(batch.images[half:], standing[half:], batch.intrinsics[half:])]
    return sheet([original.images, torch.cat(shown)])


def lifted_picture(run: Path, row: str = "student") -> Tensor:
    """Every other sample of a run: keypoints, then the lifted pose beside the true one, from the front and the side.

    The front is where the camera stands. Lifted poses have the truth's size. Figures are of the one frame, as it is and
    with the better of its two mirrors.
    """
    with np.load(run / "analysis" / "samples.npz", allow_pickle=False) as file:
        images, poses, truth = (torch.from_numpy(file[name])[::2] for name in ("images", f"pred/{row}", "truth"))
    block = SMALL + GAP + LABEL
    page = Page(5 * (SMALL + GAP), LABEL + len(images) * block)
    page.heads("2D keypoints", "lifted", "truth", "lifted, side", "truth, side")
    for number, image in enumerate(images):
        one, true = poses[[number]], truth[[number]]
        plain, better = (evaluate(load_protocol(name), one, true, skeleton()).value for name in FIGURES)
        tiles = [image[None].permute(0, 3, 1, 2) / 255, *pose_tiles(fit_scale(one, true), true)]
        page.row(f"{plain:.0f} mm, with the better mirror {better:.0f} mm", torch.cat(tiles), LABEL + number * block)
    return page.pixels()


def save(name: str, picture: Tensor, dither: Image.Dither = Image.Dither.FLOYDSTEINBERG) -> None:
    """Write ``(3, H, W)`` in [0, 1] as a PNG with a palette, which keeps it small."""
    PICTURES.mkdir(exist_ok=True)
    pixels = (255 * picture.clamp(0, 1)).round().to(torch.uint8).permute(1, 2, 0).numpy()
    path = PICTURES / f"{name}.png"
    Image.fromarray(pixels).quantize(256, dither=dither).save(path, optimize=True)
    print(f"{path.relative_to(PICTURES.parent.parent)} {path.stat().st_size // 1000} kB")


SHEETS: dict[str, Callable[[], Tensor]] = {
    "relations-space": space_picture,
    "relations-time": partial(time_picture, TIMED),
    "relations-published": partial(time_picture, PUBLISHED),
}
"""Sheets on the page of the algebra, which a test makes again."""


def main(words: Sequence[str]) -> None:
    """All pictures that need no run, or the one of a run."""
    if words:
        _, run = words
        save("lifted", lifted_picture(Path(run)), Image.Dither.NONE)
        return
    save("looks", looks_picture())
    save("relation", relation_picture())
    for name, make in SHEETS.items():
        save(name, make(), Image.Dither.NONE)
    save("puppets", puppets_picture())


if __name__ == "__main__":
    main(sys.argv[1:])
