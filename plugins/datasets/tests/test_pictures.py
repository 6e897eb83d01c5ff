"""Numbered image files: their order is their numbers', from 0 or from 1; videos read smaller than they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.example import write_video
from sa3dhp_datasets.footage import _Smaller, frames, probe
from sa3dhp_datasets.lens import Lens
from sa3dhp_datasets.pictures import ImageFiles, numbered
from sa3dhp_datasets.shot_crops import Framing, cut_crops, cut_of, view_through
from sa3dhp_datasets.shots import ReducedPictures, Shot, person_of

WIDTH, HEIGHT = 320, 240


def touched(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_numbers_tell_the_order_and_gaps_keep_their_place(tmp_path: Path) -> None:
    folder = touched(tmp_path, "img_3_000001.jpg", "img_3_000004.jpg", "img_13_000002.jpg", "img_3_x.jpg", "a.txt")
    assert [path.name for path in numbered(folder, "img_3_")] == [f"img_3_00000{number}.jpg" for number in (1, 2, 3, 4)]
    assert numbered(folder, "img_4_") == [] and numbered(tmp_path / "none") == []


@given(numbers=st.sets(st.integers(0, 300), min_size=1), digits=st.integers(1, 6))
def test_a_path_stands_at_its_number(tmp_path_factory: pytest.TempPathFactory, numbers: set[int], digits: int) -> None:
    folder = touched(tmp_path_factory.mktemp("frames"), *(f"frame_{number:0{digits}d}.png" for number in numbers))
    first = 0 if 0 in numbers else 1
    found = numbered(folder)
    assert len(found) == max(numbers) + 1 - first or found == []
    assert {place + first for place, path in enumerate(found) if path.is_file()} == numbers


def test_numbers_that_are_no_row_are_refused_and_missing_files_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not numbered in a row(.|\n)*1 up to 20170626"):
        numbered(touched(tmp_path / "dates", "20170626.jpg"))
    with pytest.raises(DataError, match="no such file"):
        ImageFiles.open(numbered(touched(tmp_path / "late", "img_000007.jpg")))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth colours that drift, with a fine pattern on top."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    wave = np.stack([np.sin(x / 31), np.cos(y / 23), np.sin((x + y) / 41)], axis=-1)
    fine = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH, 1))
    pictures = [np.roll(128 + 70 * wave + 25 * fine, 5 * k, axis=1).clip(0, 255).astype(np.uint8) for k in range(4)]
    path = tmp_path_factory.mktemp("videos") / "video.mp4"
    write_video(path, pictures, fps=30)
    return path


@pytest.mark.parametrize("colours", [av.video.reformatter.Colorspace.ITU709, av.video.reformatter.Colorspace.ITU601])
@pytest.mark.parametrize("factor", [2, 4, 7])
def test_a_smaller_frame_holds_the_means_of_the_frame(tmp_path: Path, video: Path, colours: Any, factor: int) -> None:
    path = tmp_path / "tagged.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "8"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.colorspace = colours
        for _, picture in frames(probe(video), range(4)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    pictures = probe(path)
    assert isinstance(pictures, ReducedPictures)
    whole = dict(pictures.frames(range(4)))
    every = (0, 0, -(-HEIGHT // factor), -(-WIDTH // factor))
    asked = {1: {1: (7, 20, 200, 90), factor: every}, 3: {factor: every}}
    told = {(number, by): picture for number, by, picture in pictures.reduced(asked, 1)}
    assert list(told) == [(1, 1), (1, factor), (3, factor)] and np.array_equal(told[1, 1], whole[1][7:207, 20:110])
    means = block_means(whole[3], factor)
    off = (torch.from_numpy(told[3, factor]).permute(2, 0, 1).float() - means).abs()
    assert told[3, factor].shape == (*every[2:], 3) and off.mean() < 2 and off.flatten(1).mean(1).amax() < 3
    for number, by, picture in pictures.reduced({3: {factor: every}}, 0):
        assert np.array_equal(told[number, by], picture), "however many threads decode"


def block_means(picture: NDArray[np.uint8], factor: int) -> Tensor:
    """``(3, h, w)`` means over whole blocks; the picture's edges go on."""
    image = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    missing = (-image.shape[-1] % factor, -image.shape[-2] % factor)
    return torch.nn.functional.avg_pool2d(
        torch.nn.functional.pad(image, (0, missing[0], 0, missing[1]), "replicate"), factor
    )[0]


@settings(max_examples=60)
@given(
    form=st.sampled_from(["yuv420p", "yuvj422p", "yuv444p", "yuv420p10le", "nv12", "rgb24"]),
    factor=st.integers(2, 9),
    where=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0.1, 1), st.floats(0.1, 1)),
)
def test_a_part_of_a_smaller_frame_holds_the_means_there(form: str, factor: int, where: tuple[float, ...]) -> None:
    """In any form of frame; blocks at the frame's edges among them."""
    y, x = np.mgrid[:HEIGHT, : WIDTH - 2]
    wave = np.stack([np.sin(x / 31), np.cos(y / 23), np.sin((x + y) / 41)], axis=-1)
    made = av.VideoFrame.from_ndarray((128 + 90 * wave).astype(np.uint8), format="rgb24").reformat(format=form)
    whole = -(-HEIGHT // factor), -(-(WIDTH - 2) // factor)
    tall, wide = (max(1, int(share * side)) for share, side in zip(where[2:], whole, strict=True))
    top, left = (int(share * (side - part)) for share, side, part in zip(where[:2], whole, (tall, wide), strict=True))
    found = _Smaller(factor)(made, (top, left, tall, wide))
    means = block_means(made.to_ndarray(format="rgb24"), factor)[:, top : top + tall, left : left + wide]
    off = torch.from_numpy(found).permute(2, 0, 1).float() - means
    assert found.shape == (tall, wide, 3) and off.abs().max() < 6 and off.mean().abs() < 2


def test_parts_of_a_smaller_frame_are_its_parts(video: Path) -> None:
    pictures = probe(video)
    for factor in (2, 4):
        every = (0, 0, HEIGHT // factor, WIDTH // factor)
        ((_, _, whole),) = pictures.reduced({1: {factor: every}}, 1)
        for top, left in ((0, 0), (3, 5), (every[2] - 20, every[3] - 31)):
            ((_, _, part),) = pictures.reduced({1: {factor: (top, left, 20, 31)}}, 1)
            assert np.array_equal(part, whole[top : top + 20, left : left + 31])


@pytest.mark.parametrize("bends", [0.0, -0.1])
def test_crops_of_smaller_frames_are_nearly_those_of_the_frames(video: Path, bends: float) -> None:
    lens = Lens(np.full(2, 300.0), np.array([150.0, 125.0]), np.array([bends, 0.0, 0.0]))
    boxes = np.array([[90.0 + 8 * k, 30.0, 60.0, 160.0] for k in range(4)])
    person = person_of(0, np.arange(4), lens, boxes=boxes)
    assert person is not None
    facts: dict[str, Any] = {"name": "a", "subject": "", "camera": "", "family": "", "fps": 30.0, "where": str(video)}
    shot = Shot(**facts, lens=lens, people=(person,))
    cut = cut_of(shot, person, np.arange(4), Framing(48, 0.5, 1.15))
    view = view_through(lens, cut.rotation.float(), cut.intrinsics.float(), 48, (HEIGHT, WIDTH))
    pictures = probe(video)
    exact = {number: view([picture], [0], [number])[0] / 255 for number, picture in pictures.frames(range(4))}
    found = {row: image for _, row, image in cut_crops(pictures, shot, [cut], 48)}
    assert sorted(found) == [0, 1, 2, 3]
    for number, image in found.items():
        off = image.float() / 255 - exact[number]
        assert off.pow(2).mean().sqrt() < 0.12 * exact[number].std() and off.mean().abs() < 0.005
