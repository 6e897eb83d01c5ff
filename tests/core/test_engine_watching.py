"""Processes that watch one another: who ends, with which code, and who says it. Here both ends are in one process."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sa3dhp_core.engine import watching
from sa3dhp_core.engine.watching import First, Further
from sa3dhp_core.errors import DataError, GroupError

RUN = Path("runs/one")
SOON_S = 5.0


class Ends:
    """In the place of ending a process: keeps the code, and closes its connections, as the system would."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.ended = threading.Event()
        self.close: Callable[[], None] = lambda: None

    def __call__(self, code: int) -> None:
        self.code = code
        self.close()
        self.ended.set()

    def wait(self) -> int | None:
        assert self.ended.wait(SOON_S), "it goes on"
        return self.code


def hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other end was quicker
        connection.shutdown(socket.SHUT_RDWR)


class Group:
    """A first process and two further ones."""

    def __init__(self) -> None:
        self.ends = [Ends(), Ends(), Ends()]
        self.first = First(3, RUN, "127.0.0.1", self.ends[0])
        letting_in = threading.Thread(target=self.first.start)
        letting_in.start()
        address = ("127.0.0.1", self.first.port)
        self.further = [Further(rank, address, self.first.token, RUN, rank == 1, self.ends[rank]) for rank in (1, 2)]
        letting_in.join(SOON_S)
        self.ends[0].close = self._close_first
        for end, further in zip(self.ends[1:], self.further, strict=True):
            end.close = lambda further=further: hang_up(further._connection)  # type: ignore[misc]

    def _close_first(self) -> None:
        self.first._done.set()  # a process that is gone says nothing
        for connection, _ in self.first._open.values():
            hang_up(connection)

    def kill(self, rank: int) -> None:
        """What the system does for a process that is gone."""
        self.ends[rank].close()


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Iterator[Group]:
    monkeypatch.setattr(watching, "GRACE_S", 0.3)
    monkeypatch.setattr(watching, "NOTICE_S", 0.1)
    one = Group()
    yield one
    for rank in range(3):
        one.kill(rank)


def test_a_further_process_that_is_gone_ends_all_and_is_said_once(
    group: Group, capfd: pytest.CaptureFixture[str]
) -> None:
    group.kill(2)
    assert group.ends[0].wait() == GroupError.exit_code
    assert group.ends[1].wait() == GroupError.exit_code
    said = capfd.readouterr().err
    assert said.count("ended before the end") == 1
    assert "rank 2" in said
    assert "sa3dhp resume runs/one" in said


def test_the_first_process_that_is_gone_ends_all_and_is_said_once(
    group: Group, capfd: pytest.CaptureFixture[str]
) -> None:
    group.kill(0)
    assert [end.wait() for end in group.ends[1:]] == [GroupError.exit_code] * 2
    said = capfd.readouterr().err
    assert said.count("ended before the end") == 1
    assert "rank 0" in said


def test_an_error_of_one_process_is_said_by_the_first(group: Group, capfd: pytest.CaptureFixture[str]) -> None:
    group.further[0].failed(DataError("a damaged crop", where="shard-3.tar"))
    assert [end.wait() for end in group.ends] == [DataError.exit_code] * 3
    assert capfd.readouterr().err == "rank 1: shard-3.tar: a damaged crop\n"


def test_an_error_of_all_processes_is_left_to_the_first(group: Group, capfd: pytest.CaptureFixture[str]) -> None:
    error = DataError("a damaged crop")
    failing = [threading.Thread(target=further.failed, args=(error,)) for further in group.further]
    for thread in failing:
        thread.start()
    group.first.failed(error)
    group.ends[0].code = error.exit_code  # it speaks, then its process ends
    group.kill(0)
    assert [end.wait() for end in group.ends[1:]] == [DataError.exit_code] * 2
    assert capfd.readouterr().err == ""


def test_an_error_for_want_of_a_partner_is_not_what_is_said(group: Group, capfd: pytest.CaptureFixture[str]) -> None:
    group.kill(1)
    group.first.failed(RuntimeError("gloo: connection closed by peer"))
    assert group.ends[0].wait() == GroupError.exit_code
    assert group.ends[2].wait() == GroupError.exit_code
    said = capfd.readouterr().err
    assert "rank 1" in said
    assert "gloo" not in said


def test_processes_that_are_done_may_go_in_any_order(group: Group, capfd: pytest.CaptureFixture[str]) -> None:
    group.further[1].finished()
    group.kill(2)
    group.first.finished()
    group.kill(0)
    time.sleep(0.3)
    group.further[0].finished()
    assert [end.code for end in group.ends] == [None] * 3
    assert capfd.readouterr().err == ""


def test_strangers_are_not_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PATIENCE_S", 0.3)
    first = First(2, RUN, "127.0.0.1", Ends())
    with socket.create_connection(("127.0.0.1", first.port)) as stranger:
        stranger.sendall(b'{"rank": 1, "token": "guessed"}\n')
        with pytest.raises(GroupError, match="rank 1"):
            first.start()
