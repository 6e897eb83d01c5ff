"""Videos through PyAV, and image files taken for one: what they hold, and their frames one at a time. Crops nothing."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import av
import av.error
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.pictures import ImageFiles

LONE_FPS = 25.0
"""Said of a single picture, which has no rate."""


@attrs.frozen
class Footage:
    """A video's size in pixels, and when each frame is shown, in seconds from the first; `images` if it is files.

    It is the `ReducedPictures` of a shot.
    """

    path: Path
    width: int
    height: int
    times_s: NDArray[np.float64]
    images: ImageFiles | None = None

    @property
    def fps(self) -> float:
        """Mean frames a second."""
        return (len(self.times_s) - 1) / float(self.times_s[-1]) if len(self.times_s) > 1 else LONE_FPS

    def __len__(self) -> int:
        return len(self.times_s)

    def frames(self, wanted: Container[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """See `frames`."""
        return frames(self, wanted)

    def reduced(
        self, wanted: Mapping[int, Collection[int]], threads: int
    ) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
        """See `reduced`."""
        return reduced(self, wanted, threads)


def probe(path: Path) -> Footage:
    """Read what a video holds without decoding it.

    Raises:
        DataError: unreadable, truncated, without a video stream or without frames.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError("no video in the file", where=str(path), expected="a video stream")
            stream = container.streams.video[0]
            promised, width, height = stream.frames, stream.codec_context.width, stream.codec_context.height
            base = stream.time_base
            held, stamps = 0, []
            for packet in container.demux(stream):
                if packet.pts is not None and packet.size:
                    held += 1
                    if not packet.is_discard:
                        stamps.append(packet.pts)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        what = "the file is empty" if path.is_file() and path.stat().st_size == 0 else "unreadable or truncated video"
        raise DataError(what, where=str(path), found=str(error), expected="a whole mp4 file") from error
    if not stamps or base is None:
        raise DataError("the video has no frame", where=str(path), found="length zero", expected="at least one frame")
    if held < promised:
        raise DataError("the video is truncated", where=str(path), found=f"{held} frames", expected=promised)
    times = np.sort(np.asarray(stamps, dtype=np.float64)) * float(base)
    if len(times) > 1 and bool((np.diff(times) <= 0).any()):
        raise DataError("two frames are shown at one time", where=str(path), expected="rising time stamps")
    return Footage(path, width, height, times - times[0])


def stills(path: Path, files: Sequence[Path], fps: float) -> Footage:
    """Images as a video: one file a frame, in the given order, at so many frames a second; the first is looked at.

    Raises:
        DataError: the first is no image that can be read.
    """
    images = ImageFiles.open(files)
    return Footage(path, images.width, images.height, np.arange(len(files)) / fps, images)


def frames(footage: Footage, wanted: Container[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The wanted frames in the order shown: index and ``(H, W, 3)`` RGB; one at a time in memory.

    Raises:
        DataError: the video cannot be decoded to its end, changes size, or is flagged as turned; an image is missing,
            damaged or of another size.
    """
    if footage.images is not None:
        yield from footage.images.frames(wanted)
        return
    room = VideoReformatter()
    for number, frame in enumerate(_decoded(footage)):
        if number in wanted:
            yield number, _rgb(frame, room)


def reduced(
    footage: Footage, wanted: Mapping[int, Collection[int]], threads: int = 0
) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """Frames by whole factors smaller, in the order shown: index, factor and RGB of about ``(H / factor, W / factor)``.

    Each pixel is the mean of those of the frame that it covers; that costs less than turning the whole frame into RGB.

    Args:
        footage: a video.
        wanted: index to the factors that are asked for.
        threads: that decode; 0: as many as there are cores.

    Raises:
        DataError: as `frames`.
    """
    rooms: dict[int, VideoReformatter] = {}
    for number, frame in enumerate(shown(footage, threads)):
        for factor in wanted.get(number, ()):
            room = rooms.setdefault(factor, VideoReformatter())
            yield number, factor, _rgb(frame, room) if factor == 1 else _smaller(frame, factor, room)


def shown(footage: Footage, threads: int = 0) -> Iterator[av.VideoFrame]:
    """All frames as they are encoded, decoded by so many threads; raises `DataError` as `frames` does."""
    if footage.images is None:
        yield from _decoded(footage, threads)
        return
    for _, picture in footage.images.frames(range(len(footage))):
        yield av.VideoFrame.from_ndarray(picture, format="rgb24")


def _smaller(frame: av.VideoFrame, factor: int, room: VideoReformatter) -> NDArray[np.uint8]:
    """``(h, w, 3)`` means, a plane a colour in memory: that keeps the colours as sharp as the video has them."""
    width, height = (max(1, round(side / factor)) for side in (frame.width, frame.height))
    small = room.reformat(frame, width, height, "gbrp", interpolation=Interpolation.AREA, threads=1)
    green, blue, red = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size) for plane in small.planes
    )
    return np.stack([plane[:, :width] for plane in (red, green, blue)]).transpose(1, 2, 0)


def _rgb(frame: av.VideoFrame, room: VideoReformatter) -> NDArray[np.uint8]:
    """``(H, W, 3)``; frames of one size go through one room, so that it is furnished once."""
    return np.asarray(room.reformat(frame, format="rgb24", threads=1).to_ndarray(), dtype=np.uint8)


def _decoded(footage: Footage, threads: int = 0) -> Iterator[av.VideoFrame]:
    """All frames of a video, each looked at; decoding goes ahead on other cores, unless in one thread."""
    count, where = 0, str(footage.path)
    try:
        with av.open(where) as container:
            container.streams.video[0].thread_type = "AUTO"
            container.streams.video[0].codec_context.thread_count = threads
            for frame in container.decode(video=0):
                _check(frame, footage, count)
                yield frame
                count += 1
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise DataError(f"the video cannot be decoded: {error}", where=where) from error
    if count < len(footage):
        raise DataError("the video is truncated", where=where, found=f"{count} frames", expected=len(footage))


def _check(frame: av.VideoFrame, footage: Footage, number: int) -> None:
    where = str(footage.path)
    if (frame.width, frame.height) != (footage.width, footage.height):
        found, expected = f"{frame.width} x {frame.height} at frame {number}", f"{footage.width} x {footage.height}"
        raise DataError("the frame size changes", where=where, found=found, expected=expected)
    if getattr(frame, "rotation", 0):
        raise DataError(
            "the video is flagged as turned",
            where=where,
            found=f"{frame.rotation} degrees",
            hint="re-encode it upright (ffmpeg does so by default), with boxes to match",
        )
    if frame.is_corrupt:
        raise DataError("a damaged frame", where=f"{where}: frame {number}", hint="copy the file again")
