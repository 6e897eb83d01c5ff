"""Videos of the world with boxes and ground truth beside them, as any other footage would come."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import attrs
import av
import numpy as np
import torch
from torch import Tensor

from sa3dhp_core.atomic import generator_for, write_atomic, write_text
from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import smallest_circle
from sa3dhp_world.bodies import draw_bodies
from sa3dhp_world.data import generated_actors
from sa3dhp_world.looks import Look
from sa3dhp_world.motion import FPS
from sa3dhp_world.recorded import Recording, recorded_people
from sa3dhp_world.render import Camera, Scene, render
from sa3dhp_world.stage import Appearance, appearance, develop, draw_setting, stage
from sa3dhp_world.strokes import concatenate, dress

FIELD_OF_VIEW_DEG = 60.0
"""Horizontal field of view of the videos' camera."""
SPACING_M = 1.3
"""Distance between neighbouring people."""


@attrs.frozen
class Take:
    """One clip, ready to be rendered frame by frame.

    Attributes:
        scene, camera: of T frames.
        joints: ``(tracks, T, J, 3)`` metres, camera frame.
        keypoints: ``(tracks, T, J, 2)`` pixels.
    """

    scene: Scene
    camera: Camera
    joints: Tensor
    keypoints: Tensor


def direct(
    look: Look, frames: int, size: tuple[int, int], people: int, *seed: object, recording: Recording | None = None
) -> Take:
    """Put people before a standing camera, far enough to keep all of them in the frame; a function of the seed, whose
    last word is the video's number. They move as generated, or as recorded.
    """
    bodies = draw_bodies(look.bodies, max(4, people), "footage", *seed)
    start = int(torch.randint(1 << 20, (1,), generator=generator_for("footage", *seed)))
    if recording is None:
        actors = range(start, start + people)
        joints, girth, _ = generated_actors(look.families, bodies, actors, frames, "footage", *seed)
    else:
        joints = recorded_people(recording, int(str(seed[-1])), people, frames, *seed[:-1])
        girth = torch.ones(people)
    place = torch.arange(people) - (people - 1) / 2
    angle = 2 * math.pi * torch.rand(1, generator=generator_for("row", *seed))
    row = torch.stack([angle.cos() * place, angle.sin() * place, 0 * place], dim=-1) * SPACING_M
    middles = joints.mean(dim=(1, 2), keepdim=True) * joints.new_tensor([1.0, 1.0, 0.0])
    joints = joints - middles + row[:, None, None]
    settings = [draw_setting("footage", *seed, person) for person in range(people)]
    plain = attrs.evolve(look, bystanders=0.0)
    scene, rotation, centre = stage(plain, joints[:1], girth[:1], settings[:1], ("footage", *seed[:1]))
    worn = appearance(look, torch.stack([s.uniform for s in settings]))
    each = lambda value: value[None].expand(frames, *value.shape)  # noqa: E731
    dressed = [
        dress(
            joints[k], girth[k].expand(frames), Appearance(each(worn.palette[k]), each(worn.texture[k])), subject=False
        )
        for k in range(1, people)
    ]
    scene = attrs.evolve(scene, strokes=concatenate([scene.strokes, *dressed]))

    focal = size[0] / 2 / math.tan(math.radians(FIELD_OF_VIEW_DEG) / 2)
    intrinsics = torch.tensor([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1.0]])
    middle = joints.mean(dim=(0, 1, 2))
    seen = torch.einsum("ij,ptnj->ptni", rotation[0], joints - middle)
    half = torch.tensor([side / 2 / focal for side in size]) * 0.9
    needed = (seen[..., :2].abs() / half - seen[..., 2:]).amax()
    distance = torch.maximum(needed, (centre[0] - middle).norm())
    centre = (middle - rotation[0, 2] * distance).expand(frames, 3)
    camera = Camera(rotation, centre, intrinsics.expand(frames, 3, 3))
    seen[..., 2] += distance
    keypoints = seen[..., :2] / seen[..., 2:] * focal + intrinsics[:2, 2]
    return Take(scene, camera, seen, keypoints)


def boxes(keypoints: Tensor) -> list[dict[str, object]]:
    """Rows ``{"frame", "track", "box": [x, y, w, h]}``: the square around the smallest circle around the joints."""
    centre, radius = smallest_circle(keypoints)
    rows: list[dict[str, object]] = []
    for track in range(keypoints.shape[0]):
        for frame in range(keypoints.shape[1]):
            x, y = (centre[track, frame] - radius[track, frame]).tolist()
            side = 2 * float(radius[track, frame])
            rows.append({"frame": frame, "track": track + 1, "box": [round(v, 3) for v in (x, y, side, side)]})
    return rows


def encode(path: Path, take: Take, look: Look, size: tuple[int, int], *seed: object) -> None:
    """Write the video, H.264 where the library has it, else MPEG-4."""
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    setting = draw_setting("footage", *seed, 0)

    def write(target: Path) -> None:
        with av.open(str(target), "w", format="mp4") as container:
            stream: Any = container.add_stream(codec, rate=Fraction(int(FPS)))
            stream.width, stream.height, stream.pix_fmt = size[0], size[1], "yuv420p"
            stream.options = {"crf": "18"} if codec == "libx264" else {"q": "3"}
            for frame in range(len(take.camera.centre)):
                rows = slice(frame, frame + 1)
                picture = render(take.scene.at(rows), take.camera.at(rows), size)
                image = develop(look, picture.images, setting, "footage", *seed, frame)[0]
                pixels = image.mul(255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())

    write_atomic(path, write)


def write_clip(
    folder: Path,
    name: str,
    look: Look,
    seconds: float,
    size: tuple[int, int],
    people: int,
    *seed: object,
    recording: Recording | None = None,
) -> None:
    """Write ``NAME.mp4``, ``NAME.boxes.jsonl`` and ``NAME.truth.npz`` (the video last; raises `DataError`)."""
    frames = round(seconds * FPS)
    if frames < 1 or min(size) < 16 or size[0] % 2 or size[1] % 2:
        raise DataError(
            "a video cannot have this length or size",
            found=f"{frames} frames of {size[0]}x{size[1]}",
            expected="at least one frame; even sides of at least 16 pixels",
        )
    take = direct(look, frames, size, people, *seed, recording=recording)
    lines = "".join(json.dumps(row) + "\n" for row in boxes(take.keypoints))
    write_text(folder / f"{name}.boxes.jsonl", lines)

    def write(target: Path) -> None:
        with target.open("wb") as file:
            np.savez(
                file,
                joints_camera_m=take.joints.numpy().astype(np.float32),
                keypoints_px=take.keypoints.numpy().astype(np.float32),
                intrinsics=take.camera.intrinsics[0].numpy().astype(np.float64),
                fps=np.float64(FPS),
                joints=np.array(skeleton().joints),
                tracks=np.arange(1, people + 1),
            )

    write_atomic(folder / f"{name}.truth.npz", write)
    encode(folder / f"{name}.mp4", take, look, size, *seed)
