"""Shards: packed the same by any number of workers, resumed, read at random from disk and from a web server."""

from __future__ import annotations

import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import numpy as np
import pytest
import torch
import webdataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sa3dhp_core.atomic import read_meta, read_tensors, write_tensors
from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError
from sa3dhp_core.protocols.data import facts_of
from sa3dhp_core.types import Shard as Part
from sa3dhp_datasets.config import ShardsConfig, ShotImagesConfig
from sa3dhp_datasets.lens import Lens
from sa3dhp_datasets.shard_example import figures
from sa3dhp_datasets.shards import Shards
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shots import Shot

SPLITS = ("train", "validation", "test")


def silent(done: int, every: int) -> None:
    """No progress."""


def twice(config: Any) -> Iterator[Shot]:
    """Two subjects more in train, so that there are several shards of it."""
    for shot in figures(config):
        yield shot
        if shot.split == "train":
            yield attrs.evolve(shot, subject="S7")
            yield attrs.evolve(shot, subject="S8", camera="back")


def images(read: Any = twice) -> ShotImages:
    return ShotImages(ShotImagesConfig(path="set", size=32), read, "video-folder", SPLITS)


def packed(out: Path, read: Any = twice, **keys: Any) -> Path:
    images(read).pack(out, **{"workers": 1, "frames": 20, "quality": 95, "progress": silent, **keys})
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(tmp_path_factory.mktemp("packed") / "shards")


@pytest.fixture(scope="module")
def opened(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shards, Path]:
    data, room = Shards(ShardsConfig(path=str(folder))), tmp_path_factory.mktemp("opened")
    data.prepare(room)
    return data, room


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[ShotImages, Path]:
    data, room = images(), tmp_path_factory.mktemp("straight")
    data.prepare(room)
    return data, room


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_shards_give_what_the_data_set_itself_gives(
    opened: tuple[Shards, Path], straight: tuple[ShotImages, Path]
) -> None:
    data, room = opened
    assert data.splits == SPLITS
    for split in SPLITS:
        ours, theirs = data.labelled(room, split), straight[0].labelled(straight[1], split)
        mine, other = next(ours.batches(999)), next(theirs.batches(999))
        assert torch.equal(mine.poses, other.poses) and torch.equal(mine.intrinsics, other.intrinsics)
        assert mine.keypoints is not None and other.keypoints is not None
        assert torch.equal(mine.keypoints, other.keypoints)
        assert (mine.images - other.images).abs().mean() < 0.02, "JPEG of quality 95"
        assert ours.fps == theirs.fps and ours.licence == theirs.licence and ours.families() == theirs.families()
        assert torch.equal(ours.clip_index(), theirs.clip_index())
        told, same = facts_of(ours), facts_of(theirs)
        assert told is not None and same is not None and told.numbers is not None and same.numbers is not None
        assert told.subjects == same.subjects and told.cameras == same.cameras
        assert torch.equal(told.numbers, same.numbers)


def test_draws_are_those_of_the_data_set_and_each_rank_reads_its_part(
    opened: tuple[Shards, Path], straight: tuple[ShotImages, Path]
) -> None:
    clips, theirs = opened[0].clips(opened[1], "train"), straight[0].clips(straight[1], "train")
    whole = clips.draw(6, 5, torch.Generator().manual_seed(3))
    assert whole.images.shape == (6, 5, 3, 32, 32)
    other = theirs.draw(6, 5, torch.Generator().manual_seed(3))
    assert torch.equal(whole.intrinsics, other.intrinsics)
    assert (whole.images - other.images).abs().mean() < 0.02
    for rank in range(2):
        part = clips.draw(6, 5, torch.Generator().manual_seed(3), Part(rank, 2))
        assert torch.equal(part.images, whole.images[rank::2])
    tracked = clips.tracked(torch.zeros(len(clips), 17, 3))
    assert next(tracked.batches(2)).images.shape == (2, 3, 32, 32)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 99), share=st.integers(1, 3), before=st.integers(1, 4), after=st.integers(1, 4))
def test_any_number_of_ranks_draws_and_reads_the_same_batch_once(
    opened: tuple[Shards, Path], seed: int, share: int, before: int, after: int
) -> None:
    """Neither overlap nor loss, and a run that goes on with another number of ranks draws what it would have."""
    data, folder = opened
    count, frames = share * before * after, 2

    def drawn(rank: int, world: int) -> tuple[torch.Tensor, int]:
        clips = data.clips(folder, "train")
        read: list[torch.Tensor] = []
        clips._pixels = Counted(clips._pixels, read)
        batch = clips.draw(count, frames, torch.Generator().manual_seed(seed), Part(rank, world))
        return batch.images, sum(len(rows.flatten()) for rows in read)

    whole, _ = drawn(0, 1)
    for world in (before, after):
        parts = [drawn(rank, world) for rank in range(world)]
        assert sum(read for _, read in parts) == count * frames, "each crop is read by one rank"
        dealt = torch.stack([images for images, _ in parts], dim=1).flatten(0, 1)
        assert torch.equal(dealt, whole)


@attrs.frozen
class Counted:
    """Crops that keep which of them were read."""

    pixels: Any
    read: list[torch.Tensor]

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: torch.Tensor) -> torch.Tensor:
        self.read.append(index)
        found: torch.Tensor = self.pixels[index]
        return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.integers(0, 35), max_size=12))
def test_any_rows_are_read_in_the_order_asked(opened: tuple[Shards, Path], rows: list[int]) -> None:
    pixels = opened[0]._pixels(opened[1], "train")
    every = pixels[:]
    index = torch.tensor(rows, dtype=torch.int64)
    assert torch.equal(pixels[index], every[index])
    if len(rows) % 2 == 0:
        assert torch.equal(pixels[index.reshape(2, -1)], every[index.reshape(2, -1)])


def test_the_bytes_do_not_depend_on_workers_or_interruptions(folder: Path, tmp_path: Path) -> None:
    assert contents(packed(tmp_path / "four", workers=4)) == contents(folder)
    calls = []

    def failing(config: Any) -> Iterator[Shot]:
        for shot in twice(config):
            yield shot if shot.subject != "S8" else attrs.evolve(shot, pictures=partial(broken, shot))

    def broken(shot: Shot) -> Any:
        calls.append(shot.title)
        raise DataError("the disk is gone", where="here")

    with pytest.raises(DataError, match="disk is gone"):
        packed(tmp_path / "again", failing)
    left = contents(tmp_path / "again")
    assert calls == ["S8/walk/back"] and "index.json" not in left and "train-000000.tar" in left
    stamp = (tmp_path / "again" / "train-000000.tar").stat().st_mtime_ns
    assert contents(packed(tmp_path / "again")) == contents(folder)
    assert (tmp_path / "again" / "train-000000.tar").stat().st_mtime_ns == stamp, "what is there is kept"


def test_other_keys_write_other_shards(folder: Path, tmp_path: Path) -> None:
    packed(tmp_path / "s")
    packed(tmp_path / "s", quality=50)
    small, large = (path.stat().st_size for path in (tmp_path / "s" / "train-000000.tar", folder / "train-000000.tar"))
    assert small < large
    assert (
        Shards(ShardsConfig(path=str(tmp_path / "s"))).fingerprint() != Shards(ShardsConfig(str(folder))).fingerprint()
    )


def test_shards_of_other_labels_are_written_anew(tmp_path: Path) -> None:
    """A set's later release may move joints and leave boxes as they are."""

    def corrected(config: Any) -> Iterator[Shot]:
        for shot in twice(config):
            people = tuple(attrs.evolve(person, joints=1.001 * person.joints) for person in shot.people)
            yield attrs.evolve(shot, people=people) if shot.subject == "S8" else shot

    first = contents(packed(tmp_path / "s"))
    again = contents(packed(tmp_path / "s", corrected))
    assert {name for name in first if first[name] != again[name]} == {
        "index.json", "train-000001.tar", "train-000001.index.safetensors"
    }  # fmt: skip
    assert again == contents(packed(tmp_path / "new", corrected))


def test_webdataset_reads_whole_tracks(folder: Path) -> None:
    tars = sorted(str(path) for path in folder.glob("train-*.tar"))
    assert len(tars) == 2
    samples = list(webdataset.WebDataset(tars, shardshuffle=False))
    assert [json.loads(sample["json"])["subject"] for sample in samples] == ["S0", "S7", "S8"]
    for sample in samples:
        told = json.loads(sample["json"])
        crops = [key for key in sample if key.endswith("jpg")]
        assert len(crops) == told["frames"] == 12 and told["licence"] and told["skeleton"] == "h36m-17"
        with np.load(io.BytesIO(sample["npz"])) as arrays:
            assert arrays["poses"].shape == (12, 17, 3) and set(arrays) >= {"intrinsics", "keypoints", "numbers"}


def test_samples_tell_boxes_of_the_pictures_and_where_the_crops_lie_in_them(folder: Path) -> None:
    """A box's middle is a crop's, and keypoints come back into the picture where the joints' own boxes were taken."""
    for sample in webdataset.WebDataset([str(folder / "test-000000.tar")], shardshuffle=False):
        lens = Lens(**{name: np.array(value) for name, value in json.loads(sample["json"])["lens"].items()})
        with np.load(io.BytesIO(sample["npz"])) as arrays:
            boxes, turn, camera, seen = (arrays[key] for key in ("boxes", "rotation", "intrinsics", "keypoints"))
        assert boxes.shape == (12, 4) and (boxes[:, 2:] > 1).all()

        def ray(points: np.ndarray) -> np.ndarray:
            return np.concatenate([points, np.ones_like(points[..., :1])], axis=-1)

        middle = ray(lens.plane(boxes[:, :2] + boxes[:, 2:] / 2))
        looked = np.einsum("tij,tj->ti", camera @ turn, middle)
        np.testing.assert_allclose(looked[:, :2] / looked[:, 2:], 16.0, atol=0.01)
        back = np.einsum("tij,tkj->tki", np.linalg.inv(camera @ turn), ray(seen))
        pixels = lens.pixels(back[..., :2] / back[..., 2:])
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        np.testing.assert_allclose(np.concatenate([pixels.min(1), pixels.max(1)], axis=1), corners, atol=0.05)


def test_ranks_that_stream_whole_shards_share_them_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tars = sorted(str(path) for path in folder.glob("*.tar"))
    every = [sample["__key__"] for sample in webdataset.WebDataset(tars, shardshuffle=False)]
    for world in (1, 2, len(tars)):
        monkeypatch.setenv("WORLD_SIZE", str(world))
        seen: list[str] = []
        for rank in range(world):
            monkeypatch.setenv("RANK", str(rank))
            stream = webdataset.WebDataset(tars, shardshuffle=False, nodesplitter=webdataset.split_by_node)
            seen += [sample["__key__"] for sample in stream]
        assert sorted(seen) == sorted(every)
    assert len(set(every)) == len(every) == 5


class Server(http.server.SimpleHTTPRequestHandler):
    """A web server that knows parts of files, or not."""

    parts = True
    asked: list[str] = []

    def log_message(self, *args: Any) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        """Answer, with a part where one is asked for and `parts` is set."""
        wanted = self.headers.get("Range")
        self.asked.append(f"{self.path} {wanted or 'whole'}")
        path = Path(self.translate_path(self.path))
        if not (self.parts and wanted and path.is_file()):
            super().do_GET()
            return
        first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
        content = path.read_bytes()[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture(params=(True, False), ids=("parts", "whole files"))
def address(request: pytest.FixtureRequest, folder: Path) -> Iterator[tuple[str, type[Server]]]:
    handler = type("Handler", (Server,), {"parts": request.param, "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", handler
        server.shutdown()


def test_a_web_server_gives_the_same(
    address: tuple[str, type[Server]], opened: tuple[Shards, Path], tmp_path: Path
) -> None:
    url, handler = address
    data = Shards(ShardsConfig(path=url))
    data.prepare(tmp_path)
    assert not any(".tar" in line for line in handler.asked), "no crop is read before it is drawn"
    drawn = data.clips(tmp_path, "train").draw(4, 6, torch.Generator().manual_seed(1))
    same = opened[0].clips(opened[1], "train").draw(4, 6, torch.Generator().manual_seed(1))
    assert torch.equal(drawn.images, same.images)
    tars = [line for line in handler.asked if ".tar" in line]
    assert len(tars) <= 8, "neighbours are read at once"
    kept = list((tmp_path / "fetched").glob("*.tar"))
    assert bool(kept) != handler.parts, "whole files only where the server knows no parts"
    with pytest.raises(DataError, match=r"no index of shards(.|\n)*404"):
        Shards(ShardsConfig(path=f"{url}/nowhere")).splits  # noqa: B018


def test_what_is_wrong_is_named(folder: Path, tmp_path: Path) -> None:
    def data(path: Path | str) -> Shards:
        return Shards(ShardsConfig(path=str(path)))

    with pytest.raises(DataError, match="no input path"):
        data("").prepare(tmp_path)
    with pytest.raises(DataError, match="no such folder of shards"):
        data(tmp_path / "none").prepare(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no index of shards(.|\n)*sa3dhp data pack"):
        data(tmp_path / "empty").prepare(tmp_path)
    (tmp_path / "empty" / "index.json").write_text('{"format": "another"}')
    with pytest.raises(DataError, match="not an index of shards"):
        data(tmp_path / "empty").prepare(tmp_path)
    with pytest.raises(DataError, match="the folder holds another index"):
        packed(tmp_path / "empty")
    (tmp_path / "empty" / "diary.txt").write_text("mine")
    with pytest.raises(DataError, match=r"holds other files(.|\n)*diary.txt"):
        packed(tmp_path / "empty")
    with pytest.raises(DataError, match=r"127.0.0.1:9/index.json: no index of shards: the file cannot be fetched"):
        data("http://127.0.0.1:9").prepare(tmp_path)


def test_damaged_shards_are_named_when_they_are_drawn_from(tmp_path: Path) -> None:
    out = packed(tmp_path / "shards")
    data, room = Shards(ShardsConfig(path=str(out))), tmp_path / "room"
    data.prepare(room)
    tar = out / "train-000001.tar"
    whole = tar.read_bytes()
    with tarfile.open(tar) as archive:
        crop = next(member for member in archive if member.name.endswith("00003.jpg"))
    tar.write_bytes(whole[: crop.offset_data] + bytes(crop.size) + whole[crop.offset_data + crop.size :])
    with pytest.raises(DataError, match=r"train-000001.tar: byte \d+: a damaged crop"):
        list(data.clips(room, "train").batches(99))
    tar.write_bytes(whole[: crop.offset_data])
    with pytest.raises(DataError, match="the shard is truncated"):
        list(data.clips(room, "train").batches(99))
    tar.unlink()
    with pytest.raises(DataError, match=r"train-000001.tar: the file is missing"):
        list(data.clips(room, "train").batches(99))
    assert len(next(data.clips(room, "test").batches(99))) == 12, "the other splits are as they were"


@pytest.mark.parametrize(
    ("key", "change", "message"),
    (
        ("poses", lambda poses: poses[1:], "poses do not fit the crops"),
        ("poses", lambda poses: poses[:, 1:], "poses of another form"),
        ("keypoints", lambda points: points.double(), "keypoints of another form"),
        ("intrinsics", None, r"labels are missing(.|\n)*intrinsics"),
        ("starts", lambda starts: starts.flip(0), "clip starts do not rise"),
        ("starts", lambda starts: starts.double(), "no clip starts"),
        ("boxes", lambda boxes: boxes[:3], "boxes do not fit"),
    ),
)
def test_labels_that_do_not_fit_are_named(tmp_path: Path, key: str, change: Any, message: str) -> None:
    out = packed(tmp_path / "shards")
    path = out / "train-000001.index.safetensors"
    labels, meta = read_tensors(path), read_meta(path)
    value = labels.pop(key)
    write_tensors(path, labels if change is None else {**labels, key: change(value)}, meta)
    with pytest.raises(DataError, match=rf"train-000001.index.safetensors: {message}"):
        Shards(ShardsConfig(path=str(out))).prepare(tmp_path / "room")


def test_names_in_a_shard_lead_nowhere(tmp_path: Path) -> None:
    out = packed(tmp_path / "shards")
    for path in out.glob("train-*.index.safetensors"):
        labels, meta = read_tensors(path), read_meta(path)
        write_tensors(path, {**labels, "../../escaped": labels["numbers"], "half": labels["boxes"].bfloat16()}, meta)
    data = Shards(ShardsConfig(path=str(out)))
    data.prepare(tmp_path / "a" / "room")
    assert len(data.clips(tmp_path / "a" / "room", "train")) == 36
    assert {path.name for path in tmp_path.iterdir()} == {"shards", "a"}
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"room"}


def test_an_interrupted_gathering_is_begun_again(
    folder: Path, opened: tuple[Shards, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: Any) -> None:
        raise KeyboardInterrupt

    data = Shards(ShardsConfig(path=str(folder)))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("sa3dhp_datasets.shards.write_tensors", stop)
        data.prepare(tmp_path)
    data.prepare(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in opened[1].iterdir()}
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (opened[1] / path.name).read_bytes()


def test_mutated_shards_are_read_or_refused(tmp_path: Path) -> None:
    """Tars, what lies beside them and the index, one spoilt at a time; all crops are drawn."""

    def read(folder: Path) -> None:
        with TemporaryDirectory() as room:
            data = Shards(ShardsConfig(path=str(folder)))
            data.prepare(Path(room))
            for split in data.splits:
                list(data.labelled(Path(room), split).batches(99))
                list(data.clips(Path(room), split).batches(99))

    found = outcomes(read, packed(tmp_path / "whole"), tmp_path / "spoilt", range(220))
    assert found["read"] > 5 and found["refused"] > 50
