"""Which joints of the poses at hand a protocol reads, by their names. Moves and measures nothing."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from sa3dhp_core.cards import skeleton as skeleton_card
from sa3dhp_core.errors import DataError, nearest
from sa3dhp_core.evaluation.protocol import Protocol
from sa3dhp_core.types import Skeleton


def columns_of(joints: Iterable[str], spoken: Skeleton, body: Skeleton, reader: str) -> tuple[int, ...]:
    """Where joints, by the names of one skeleton, lie in poses of another.

    Two joints are the same if the house skeleton calls them the same.

    Args:
        joints: names.
        spoken: the skeleton whose names they are.
        body: of the poses.
        reader: who asks, for errors.

    Raises:
        DataError: the poses lack some of them.
    """
    known = {body.house_names.get(joint, joint): at for at, joint in enumerate(body.joints)}
    wanted = {joint: spoken.house_names.get(joint, joint) for joint in joints}
    if missing := [joint for joint, house in wanted.items() if house not in known]:
        raise DataError(
            f"{reader} does not fit the skeleton {body.id!r}",
            found=f"no joint {', '.join(repr(joint) for joint in missing)}",
            expected=f"joints of {spoken.id!r}" if spoken.id != body.id else None,
            hint=nearest(missing[0], body.joints),
        )
    return tuple(known[house] for house in wanted.values())


@attrs.frozen
class Reading:
    """What a protocol takes from poses of one skeleton.

    Attributes:
        names: of the joints that count.
        columns: of the poses, all that is needed, in the order in which it is needed.
        root: place of the root among the columns; None where poses are not moved to one.
        aligned: places among the columns of what the alignment is fitted on.
        counted: places among the aligned joints of those that count.
        tree: the skeleton along which predictions get true bone lengths; None without that.
    """

    names: tuple[str, ...]
    columns: tuple[int, ...]
    root: int | None
    aligned: tuple[int, ...]
    counted: tuple[int, ...]
    tree: Skeleton | None


def named_by(protocol: Protocol, body: Skeleton) -> Skeleton:
    """The skeleton whose joint names the protocol uses, for poses of the skeleton `body`."""
    return skeleton_card(protocol.skeleton) if protocol.skeleton else body


def reading(protocol: Protocol, body: Skeleton) -> Reading:
    """What `protocol` takes from poses of the skeleton `body`; raises `DataError` naming the joints that it lacks."""
    spoken = named_by(protocol, body)
    tree = spoken if protocol.bones == "true" else None
    names = protocol.joints or spoken.joints
    aligned = protocol.aligned_joints or names
    unmoved = protocol.root == "none" or protocol.alignment == "procrustes"  # which moves poses itself
    needed = tree.joints if tree else tuple(dict.fromkeys(aligned if unmoved else (*aligned, protocol.root)))
    if strangers := {*names, *aligned, protocol.root} - {*spoken.joints, "none"}:
        stranger = min(strangers)
        raise DataError(
            f"protocol {protocol.id!r} does not fit the skeleton {spoken.id!r}",
            found=f"joint {stranger!r}",
            hint=nearest(stranger, spoken.joints),
        )
    return Reading(
        names,
        columns_of(needed, spoken, body, f"protocol {protocol.id!r}"),
        None if unmoved else needed.index(protocol.root),
        tuple(needed.index(joint) for joint in aligned),
        tuple(aligned.index(joint) for joint in names),
        tree,
    )
