"""Items made ahead of their use by a thread: decoding goes on while what was decoded is worked on. Knows no video."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

DEPTH = 3
"""Items that wait; a picture of 4K takes 25 MB."""

PATIENCE_S = 0.1
"""How long a full queue is waited for before the thread looks whether it is still wanted."""


def ahead(items: Iterable[Item], depth: int = DEPTH) -> Iterator[Item]:
    """The items in their order, at most `depth` and two more ahead; an error of theirs is raised in its place.

    Left early, the thread stops.
    """
    ready: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(depth)
    left = threading.Event()

    def put(what: tuple[Item] | BaseException | None) -> None:
        while not left.is_set():
            try:
                return ready.put(what, timeout=PATIENCE_S)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put((item,))
                if left.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - raised where the items are used
            put(error)

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while (found := ready.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found[0]
    finally:
        left.set()
        thread.join()
