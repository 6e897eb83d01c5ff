"""Makes the pictures of the documents, `docs/pictures/*.png`, with the embedded world and the relations.

    python docs/make_pictures.py

It uses what any plugin may use: components by id through the host, geometry, and the world's contact sheets. Nothing is
downloaded; it takes seconds, and the same call makes the same pictures.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from sa3dhp_core.atomic import read_tensors
from sa3dhp_core.cards import skeleton
from sa3dhp_core.geometry import act_on_poses, mirror_matrix, project, root_position
from sa3dhp_core.host import Host
from sa3dhp_core.store import split_file

PICTURES = Path(__file__).resolve().parent / "pictures"
EXPRESSION = "flip @ rotate(50) @ backward"
LOOKS = ("plain", "mild", "street")
FRAMES, STEP, PIXELS, GAP = 7, 5, 128, 6
LEFT, RIGHT, MIDDLE = (0.10, 0.45, 0.95), (0.95, 0.45, 0.05), (0.98, 0.98, 0.98)


def clips(look: str, frames: int, count: int, size: int) -> dict[str, Tensor]:
    """Images ``(C, T, 3, S, S)``, poses ``(C, T, J, 3)``, keypoints and intrinsics of some clips of a look."""
    table = {"use": "world", "look": look, "role": "target", "size": size, "frames": frames}
    few = {"train_clips": count, "validation_clips": 1, "test_clips": 1, "seed": 3}
    data = Host.load().build("image_data", table | few, "pictures")
    with tempfile.TemporaryDirectory() as room:
        data.prepare(Path(room))
        found = read_tensors(split_file(Path(room), "train"))
    named = {name: found[name].unflatten(0, (count, frames)) for name in ("poses", "keypoints", "intrinsics")}
    return {**named, "images": found["images"].unflatten(0, (count, frames)).float() / 255}


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


def relation_picture() -> Tensor:
    """Above the anchor's frames, below the partner's: images and poses are moved each by its own action."""
    clip = {name: part[0, ::STEP] for name, part in clips("mild", FRAMES * STEP, 1, PIXELS).items()}
    images, poses, intrinsics = clip["images"], clip["poses"], clip["intrinsics"]
    table = {"use": "geometric", "expression": EXPRESSION}
    relation = Host.load().build("relation", table, "pictures", skeleton=skeleton())
    spatial, temporal = relation.draw((), torch.Generator()), relation.temporal(FRAMES)
    anchor, partner = list(temporal.anchor), list(temporal.partner)
    standing = poses + root_position(poses, clip["keypoints"], intrinsics)[:, None]
    moved = torch.stack([relation.on_images(images[t], spatial, intrinsics[t]) for t in partner])
    turned = torch.stack([relation.on_poses(standing[t], spatial) for t in partner])
    above = with_skeleton(images[anchor], standing[anchor], intrinsics[anchor])
    return sheet([above, with_skeleton(moved, turned, intrinsics[partner])])


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


def save(name: str, picture: Tensor) -> None:
    """Write ``(3, H, W)`` in [0, 1] as a PNG with a palette, which keeps it small."""
    PICTURES.mkdir(exist_ok=True)
    pixels = (255 * picture.clamp(0, 1)).round().to(torch.uint8).permute(1, 2, 0).numpy()
    path = PICTURES / f"{name}.png"
    Image.fromarray(pixels).quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(f"{path.relative_to(PICTURES.parent.parent)} {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    save("looks", looks_picture())
    save("relation", relation_picture())
    save("puppets", puppets_picture())
