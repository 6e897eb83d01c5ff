"""Videos through PyAV, and image files taken for one: what they hold, and their frames one at a time. Crops nothing."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import attrs
import av
import av.error
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.pictures import ImageFiles
from sa3dhp_datasets.shots import Region

PLANAR = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "gbrp")
"""Forms of frames with a plane of bytes for each of three channels."""

STAMPED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
"""Containers, by FFmpeg's names, that hold when each picture is shown."""

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
        self, wanted: Mapping[int, Mapping[int, Region]], threads: int
    ) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
        """See `reduced`."""
        return reduced(self, wanted, threads)


def probe(path: Path) -> Footage:
    """Read what a video holds without decoding it.

    Raises:
        DataError: unreadable, truncated, without a video stream or without frames.
    """
    try:
        with _opened(path) as container:
            if not container.streams.video:
                raise DataError("no video in the file", where=str(path), expected="a video stream")
            stream = container.streams.video[0]
            if getattr(stream, "codec_context", None) is None:  # the stubs promise one
                hint = f"ffmpeg -i {path.name} -c:v libx264 converted.mp4"
                raise DataError("no decoder for the video", where=str(path), found="an unknown codec", hint=hint)
            promised, base = stream.frames, stream.time_base
            held, stamps, least = 0, [], None
            for packet in container.demux(stream):
                if packet.pts is not None and packet.size:
                    least = packet if least is None or packet.size < least.size else least
                    held += 1
                    if not packet.is_discard:
                        stamps.append(packet.pts)
            width, height = (0, 0) if least is None else _size(path, stream, least)
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


def _opened(path: Path) -> av.container.InputContainer:
    """A video to be looked through, with nothing decoded where its container says when pictures are shown.

    FFmpeg else decodes the beginning of what it opens, to guess that: tens of milliseconds.
    """
    container = av.open(str(path), options={"skip_frame": "all"})
    if container.format.name in STAMPED:
        return container
    container.close()
    return av.open(str(path))


def _size(path: Path, stream: av.VideoStream, least: av.Packet) -> tuple[int, int]:
    """Width and height of a video's pictures, whatever its container says.

    Most decoders tell it as soon as they are given any picture, and the smallest costs least, even where those that it
    refers to are missing; else FFmpeg decodes the video's beginning.
    """
    told = av.CodecContext.create(stream.codec_context.codec, "r")
    assert isinstance(told, av.VideoCodecContext)
    told.extradata, told.thread_count = stream.codec_context.extradata, 1
    with suppress(av.error.FFmpegError):
        told.decode(least)
    if told.width > 0 < told.height:
        return told.width, told.height
    with av.open(str(path)) as container:
        told = container.streams.video[0].codec_context
        return told.width, told.height


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
    footage: Footage, wanted: Mapping[int, Mapping[int, Region]], threads: int = 0
) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """Parts of frames by whole factors smaller, in the order shown: index, factor and RGB.

    That costs less than turning whole frames into RGB.

    Args:
        footage: a video.
        wanted: index to the factors that are asked for, with the parts; see `ReducedPictures.reduced`.
        threads: that decode; 0: as many as there are cores.

    Raises:
        DataError: as `frames`.
    """
    readers = {factor: _Smaller(factor) for parts in wanted.values() for factor in parts}
    for number, frame in enumerate(shown(footage, threads)):
        for factor, region in wanted.get(number, {}).items():
            yield number, factor, readers[factor](frame, region)


def shown(footage: Footage, threads: int = 0) -> Iterator[av.VideoFrame]:
    """All frames as they are encoded, decoded by so many threads; raises `DataError` as `frames` does."""
    if footage.images is None:
        yield from _decoded(footage, threads)
        return
    for _, picture in footage.images.frames(range(len(footage))):
        yield av.VideoFrame.from_ndarray(picture, format="rgb24")


class _Smaller:
    """Reads parts of frames by one factor smaller; what it needs for parts of one size is made once."""

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._room, self._plain = VideoReformatter(), VideoReformatter()
        self._held: av.VideoFrame | None = None
        self._copies: list[tuple[NDArray[np.uint8], int, int]] = []  # its planes; pixels of the frame to one of them

    def __call__(self, frame: av.VideoFrame, region: Region) -> NDArray[np.uint8]:
        """``(h, w, 3)`` means, a plane a colour in memory: that keeps the colours as sharp as the video has them."""
        top, left, tall, wide = region
        if self._factor == 1:
            return _rgb(frame, self._room)[top : top + tall, left : left + wide].copy()  # lets go of the frame
        if region == (0, 0, frame.height / self._factor, frame.width / self._factor):
            part, first = frame, (0, 0)
        else:
            part, first = self._around(frame, region)
        height, width = part.height // self._factor, part.width // self._factor
        small = self._room.reformat(part, width, height, "gbrp", interpolation=Interpolation.AREA, threads=1)
        green, blue, red = (_plane(plane) for plane in small.planes)
        rows, columns = slice(top - first[0], top - first[0] + tall), slice(left - first[1], left - first[1] + wide)
        return np.stack([plane[rows, columns] for plane in (red, green, blue)]).transpose(1, 2, 0)

    def _around(self, frame: av.VideoFrame, region: Region) -> tuple[av.VideoFrame, tuple[int, int]]:
        """A copy of what a region covers and a little around it, for the colours', and where in the picture it begins.

        It begins at an even pixel: two have one colour in common.
        """
        step = 1 + self._factor % 2
        top, left = ((first - 1) // step * step for first in region[:2])
        tall, wide = (-(-(side + 2 * step) // step) * step * self._factor for side in region[2:])
        if frame.format.name not in PLANAR:
            frame = self._plain.reformat(frame, format="gbrp", threads=1)
        part = self._held
        if part is None or (part.format.name, part.height, part.width) != (frame.format.name, tall, wide):
            self._held = part = _like(frame, wide, tall)
            self._copies = [(_plane(p), round(tall / p.height), round(wide / p.width)) for p in part.planes]
        for plane, (copy, down, right) in zip(frame.planes, self._copies, strict=True):
            _copy(_plane(plane), top * self._factor // down, left * self._factor // right, copy)
        return part, (top, left)


def _like(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """A frame of that size, to be filled, which says of its colours what the given one does.

    Resized twice, because a frame that has the size already would be given back itself.
    """
    name = frame.format.name
    other = VideoReformatter().reformat(frame, width + 2, height, name)
    return VideoReformatter().reformat(other, width, height, name)


def _plane(plane: av.video.plane.VideoPlane) -> NDArray[np.uint8]:
    """``(h, w)``, not copied."""
    content = np.frombuffer(memoryview(plane), np.uint8)
    return content.reshape(-1, plane.line_size)[: plane.height, : plane.width]


def _copy(plane: NDArray[np.uint8], top: int, left: int, out: NDArray[np.uint8]) -> None:
    """Fill `out` from a place of a plane on; where there is nothing, with what is nearest."""
    (height, width), (tall, wide) = plane.shape, out.shape
    first, last = max(0, -top), min(tall, height - top)
    low, high = max(0, -left), min(wide, width - left)
    out[first:last, low:high] = plane[top + first : top + last, left + low : left + high]
    if (last - first, high - low) == (tall, wide):
        return
    out[first:last, :low], out[first:last, high:] = out[first:last, low : low + 1], out[first:last, high - 1 : high]
    out[:first], out[last:] = out[first], out[last - 1]


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
