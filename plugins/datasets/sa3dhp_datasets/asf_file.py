"""The ASF file format of Acclaim: text to a skeleton of bones. Knows no motion, no rig and computes no position."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from pathlib import Path

import attrs
import numpy as np

from sa3dhp_core.errors import DataError, nearest
from sa3dhp_datasets.lines import Line, lines_of, read_text

Vector = tuple[float, float, float]
INCH_M = 0.0254
SECTIONS = (":version", ":name", ":units", ":documentation", ":root", ":bonedata", ":hierarchy")
ORDERS = tuple("".join(order) for order in permutations("XYZ"))
ROTATIONS, TRANSLATIONS = ("rx", "ry", "rz"), ("tx", "ty", "tz")


@attrs.frozen
class AsfBone:
    """A bone; the root is one of length 0 that alone may move.

    Attributes:
        name: as the AMC file calls it.
        parent: index of the bone at whose end it starts; -1 for the root.
        offset: from its start to its end with the whole body at rest, the file's units and axes; of the root, where
            it stands.
        axes_deg: turns of its own axes about x, y and z.
        order: in which it turns about them, the first first (``XYZ``: Rz Ry Rx for column vectors).
        channels: of ``rx ry rz`` and, of the root, ``tx ty tz``, in the order of the AMC file's values.
    """

    name: str
    parent: int
    offset: Vector
    axes_deg: Vector
    order: str
    channels: tuple[str, ...]


@attrs.frozen
class Asf:
    """A skeleton: the root first, parents before children; ``unit_m`` metres in one unit of the file."""

    bones: tuple[AsfBone, ...]
    unit_m: float
    degrees: bool

    def index(self, name: str) -> int:
        """Index of a bone, or -1."""
        return next((i for i, bone in enumerate(self.bones) if bone.name == name), -1)


def read_asf(path: Path) -> Asf:
    """Read a file.

    Raises:
        DataError: not text, a section or key missing or unknown, values that are no finite numbers, a bone without
            a place in the hierarchy or in a ring; always with the line where there is one.
    """
    return parse_asf(read_text(path, "ASF"), str(path))


def parse_asf(text: str, where: str) -> Asf:
    """Parse a file's text; see `read_asf`."""
    sections = _sections(lines_of(text, where), where)
    length, degrees = _units(sections[":units"])
    turn = 1.0 if degrees else float(np.rad2deg(1.0))
    found = {"root": _root(sections[":root"], turn)}
    for bone in _bones(sections[":bonedata"], turn):
        if bone.name in found:
            raise DataError("two bones have one name", where=where, found=bone.name, expected="each name once")
        found[bone.name] = bone
    return Asf(_in_order(found, sections[":hierarchy"], where), INCH_M / length, degrees)


def _sections(lines: Iterable[Line], where: str) -> dict[str, list[Line]]:
    """The lines below each keyword; the rest of the keyword's own line counts as the first."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        keyword = line.words[0].lower()
        if keyword.startswith(":"):
            if keyword not in SECTIONS:
                raise line.error("unknown section", keyword, ", ".join(SECTIONS), nearest(keyword, SECTIONS))
            if keyword in found:
                raise line.error("a section stands twice", keyword, "each section once")
            found[keyword] = [Line(line.words[1:], line.where)] if line.words[1:] else []
        elif not found:
            raise line.error("not an ASF file", " ".join(line.words), ":version, :units, :root …")
        else:
            found[next(reversed(found))].append(line)
    for keyword in (":units", ":root", ":bonedata", ":hierarchy"):
        if not found.get(keyword):
            known = ", ".join(found) or "nothing"
            raise DataError(
                f"the section {keyword} is missing or empty", where=where, found=known, hint="copy the file again"
            )
    return found


def _units(section: Sequence[Line]) -> tuple[float, bool]:
    """How many inches one over a unit is (0.45), and whether angles are degrees."""
    length, degrees = 1.0, True
    for line in section:
        key = line.words[0].lower()
        if key == "length":
            length = line.number(1, "a length, for example 0.45")
            if not 1e-6 < length < 1e6:
                raise line.error("impossible unit of length", length, "0.45, for example")
        elif key == "angle":
            degrees = line.word(1, "deg or rad").lower() == "deg"
            if line.words[1].lower() not in ("deg", "rad"):
                raise line.error("unknown unit of angles", line.words[1], "deg or rad")
    return length, degrees


def _root(section: Sequence[Line], turn: float) -> AsfBone:
    keys = _keys(section, ("order", "axis", "position", "orientation"), section[0])
    channels = _channels(keys["order"], (*TRANSLATIONS, *ROTATIONS))
    if set(channels) != {*TRANSLATIONS, *ROTATIONS}:
        raise keys["order"].error("the root lacks channels", " ".join(channels), "TX TY TZ RX RY RZ in any order")
    x, y, z = keys["orientation"].vector(1, "the root's orientation")
    order = _order(keys["axis"], 1)
    return AsfBone(
        "root", -1, keys["position"].vector(1, "the root's position"), (x * turn, y * turn, z * turn), order, channels
    )


def _bones(section: Sequence[Line], turn: float) -> list[AsfBone]:
    bones, block = [], None
    for line in section:
        key = line.words[0].lower()
        if key == "begin":
            if block is not None:
                raise line.error("a bone begins inside another", "begin", "end")
            block = [line]
        elif block is None:
            raise line.error("a line outside begin and end", " ".join(line.words), "begin")
        elif key == "end":
            bones.append(_bone(block, turn))
            block = None
        else:
            block.append(line)
    if block is not None:
        raise block[-1].error("the bone data are truncated", "the end of the section", "end")
    return bones


def _bone(block: Sequence[Line], turn: float) -> AsfBone:
    keys = _keys(block[1:], ("name", "direction", "length", "axis"), block[0])
    name = keys["name"].word(1, "a name")
    direction = np.array(keys["direction"].vector(1, "the bone's direction"))
    length = keys["length"].number(1, "the bone's length")
    if length < 0 or (length > 0 and abs(float(np.linalg.norm(direction)) - 1.0) > 0.01):
        found = f"length {length:g}, direction {direction.tolist()}"
        raise keys["direction"].error(f"an impossible bone {name!r}", found, "a direction of length 1, a length >= 0")
    x, y, z = keys["axis"].vector(1, "the bone's axes")
    channels = _channels(keys["dof"], ROTATIONS) if "dof" in keys else ()
    offset = direction * length
    axes = (x * turn, y * turn, z * turn)
    order = _order(keys["axis"], 4)
    return AsfBone(name, -1, (float(offset[0]), float(offset[1]), float(offset[2])), axes, order, channels)


def _keys(section: Sequence[Line], needed: Sequence[str], start: Line) -> dict[str, Line]:
    """First line of each key; raises `DataError` where one that is needed is missing."""
    found: dict[str, Line] = {}
    for line in section:
        found.setdefault(line.words[0].lower(), line)
    for key in needed:
        if key not in found:
            raise start.error(f"the key {key!r} is missing below", ", ".join(found), ", ".join(needed))
    return found


def _channels(line: Line, allowed: Sequence[str]) -> tuple[str, ...]:
    channels = tuple(word.lower() for word in line.words[1:])
    for channel in channels:
        if channel not in allowed:
            raise line.error("a channel that is not read", channel, " ".join(allowed), nearest(channel, allowed))
    if len(set(channels)) < len(channels):
        raise line.error("a channel is named twice", " ".join(channels), "each channel once")
    return channels


def _order(line: Line, place: int) -> str:
    order = line.word(place, "an order such as XYZ").upper()
    if order not in ORDERS:
        raise line.error("unknown order of axes", order, ", ".join(ORDERS))
    return order


def _in_order(bones: Mapping[str, AsfBone], section: Sequence[Line], where: str) -> tuple[AsfBone, ...]:
    """The bones with their parents, breadth first from the root."""
    children: dict[str, list[str]] = {}
    seen = {"root"}
    for line in section:
        if line.words[0].lower() in ("begin", "end") and len(line.words) == 1:
            continue
        for name in line.words:
            if name not in bones:
                raise line.error(
                    "the hierarchy names an unknown bone", name, "a bone of :bonedata", nearest(name, bones)
                )
        for name in line.words[1:]:
            if name in seen:
                raise line.error("a bone has two parents", name, "one parent a bone")
            seen.add(name)
        children.setdefault(line.words[0], []).extend(line.words[1:])
    order, result = ["root"], [bones["root"]]
    for index, name in enumerate(order):  # grows while it is walked
        for child in children.get(name, ()):
            order.append(child)
            result.append(attrs.evolve(bones[child], parent=index))
    if len(result) < len(bones):
        lost = ", ".join(sorted(set(bones) - set(order)))
        raise DataError(
            "bones without a way to the root", where=f"{where}: :hierarchy", found=lost, expected="each bone below root"
        )
    return tuple(result)
