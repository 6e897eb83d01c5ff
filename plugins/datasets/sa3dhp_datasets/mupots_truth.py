"""The truth of MuPoTS-3D as its protocols score it: all valid people of each picture. Reads no file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from sa3dhp_core.evaluation import People
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.shots import Shot


def true_people(shots: Iterable[Shot]) -> Iterator[tuple[str, int, People]]:
    """Sequence, number of the picture and its valid people, for each picture that has one, in order.

    People are told by the house skeleton, in metres where they stand. Shots read with ``universal = true`` give the
    truth of the protocols; keypoints, by which people are matched, are the same in either case.
    """
    for shot in shots:
        found: dict[int, list[tuple[Array, Array]]] = {}
        for person in shot.people:
            assert person.joints is not None and person.keypoints is not None, "MuPoTS-3D has both"
            for row in np.flatnonzero(person.flags["valid"]):
                pose = person.joints[row], person.keypoints[row]
                found.setdefault(int(person.frames[row]), []).append(pose)
        for number, people in sorted(found.items()):
            poses, keypoints = (torch.from_numpy(np.stack(values)) for values in zip(*people, strict=True))
            yield shot.name, number, People(poses, keypoints)
