"""Items made by a thread: the same in the same order, errors in their place, and no thread left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.ahead import ahead


def threads() -> int:
    return sum(thread.name == "ahead" for thread in threading.enumerate())


def test_items_come_in_order_and_made_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    taken = ahead(items(), depth=2)
    assert next(taken) == 0
    limit = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < limit:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1, 2, 3], "one taken, two wait, one is held"
    assert list(taken) == list(range(1, 10)) and threads() == 0


def test_an_error_is_raised_in_its_place() -> None:
    def torn() -> Iterator[int]:
        yield 1
        raise DataError("torn")

    taken = ahead(torn())
    assert next(taken) == 1
    with pytest.raises(DataError, match="torn"):
        next(taken)
    assert threads() == 0


def test_left_early_the_thread_ends() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    for _ in ahead(endless()):
        break
    assert closed.wait(5) and threads() == 0
