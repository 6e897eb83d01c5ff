"""Processes of one run watch one another, so that none waits for ever for one that is gone.

Each keeps a connection to the first. The system closes it when a process ends, however it ends; whoever sees that
without a farewell ends too, and says how to go on. Nothing here looks at what the processes compute.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sa3dhp_core.errors import GroupError, Sa3dhpError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

GRACE_S = 3.0
"""What fails on one process mostly fails on all: so long the first one has to say it by itself."""
NOTICE_S = 1.0
"""A lost connection is seen here as soon as a collective operation fails of it; so long that one keeps quiet."""
PATIENCE_S = 30.0
"""How long processes wait for one another where no answer would mean that one is gone."""
SILENT = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
"""A machine that no longer answers counts as gone after 30 s."""


@contextmanager
def watched(fabric: Fabric, out: Path) -> Iterator[None]:
    """Watch the other processes of a group while something runs; nothing to do for one that is alone.

    Args:
        fabric: launched.
        out: the run directory, for what is said.
    """
    if fabric.world_size == 1:
        yield
        return
    watch: First | Further
    if fabric.global_rank == 0:
        watch = First(fabric.world_size, out, "" if fabric.strategy.num_nodes > 1 else "127.0.0.1")  # type: ignore[attr-defined]
        fabric.broadcast((watch.port, watch.token))
        watch.start()
    else:
        port, token = fabric.broadcast((0, ""))
        host = fabric.strategy.cluster_environment.main_address  # type: ignore[attr-defined]
        speaks = fabric.local_rank == (1 if fabric.node_rank == 0 else 0)
        watch = Further(fabric.global_rank, (host, port), token, out, speaks)
    try:
        yield
    except BaseException as error:
        watch.failed(error)
        raise
    watch.finished()


def end_process(code: int) -> None:
    """End at once: the main thread may be waiting inside a collective operation, where nothing reaches it."""
    sys.stderr.flush()
    os._exit(code)


class First:
    """The first process's end: hears of each other one that it fails, is done, or is gone.

    Args:
        world: number of processes.
        out: the run directory.
        host: address to listen at; empty for all.
        end: what ends this process.
    """

    def __init__(self, world: int, out: Path, host: str = "", end: Callable[[int], None] = end_process) -> None:
        self._world, self._out, self._end = world, out, end
        self._server = socket.create_server((host, 0), backlog=world)
        self.port: int = self._server.getsockname()[1]
        self.token = secrets.token_hex(16)
        self._open: dict[int, tuple[socket.socket, Iterator[dict[str, Any]]]] = {}
        self._done = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Let the others in.

        Raises:
            GroupError: some do not come.
        """
        self._server.settimeout(PATIENCE_S)
        while len(self._open) < self._world - 1:
            try:
                connection, _ = self._server.accept()
            except TimeoutError as error:
                missing = sorted(set(range(1, self._world)) - self._open.keys())
                raise _gone(missing, self._world, self._out) from error
            messages = _messages(connection)
            hello = next(messages, {})
            if hello.get("token") == self.token:
                self._open[int(hello["rank"])] = connection, messages
        for rank, (connection, messages) in self._open.items():
            connection.settimeout(None)
            _keep_alive(connection)
            threading.Thread(target=self._listen, args=(rank, messages), daemon=True).start()

    def _listen(self, rank: int, messages: Iterator[dict[str, Any]]) -> None:
        for message in messages:
            if "failed" in message:
                if not self._done.wait(GRACE_S):
                    self._last_words(f"rank {rank}: {message['failed']}", message["code"])
            return
        if not self._done.is_set():
            error = _gone([rank], self._world, self._out)
            self._last_words(error.render(), error.exit_code)

    def _last_words(self, text: str, code: int) -> None:
        with self._lock:
            if self._done.is_set():
                return
            self._done.set()
            print(text, file=sys.stderr)
            self._tell("spoken", code)
        self._end(code)

    def failed(self, error: BaseException) -> None:
        """This process ends by an error, which it says itself; unless it comes of another that is gone."""
        if not _is_told(error) and self._done.wait(NOTICE_S):
            time.sleep(GRACE_S)  # the listening thread has spoken and ends the process
        self._done.set()
        self._tell("spoken", _code(error))

    def finished(self) -> None:
        """This process is done."""
        self._done.set()
        self._tell("finished", 0)

    def _tell(self, word: str, code: int) -> None:
        for connection, _ in self._open.values():
            _send(connection, {word: True, "code": code})
        self._server.close()


class Further:
    """Another process's end.

    Args:
        rank: its number.
        address: of the first one.
        token: what the first one let be known.
        out: the run directory.
        speaks: whether it says so if the first one is gone; one a machine is enough.
        end: what ends this process.
    """

    def __init__(
        self,
        rank: int,
        address: tuple[str, int],
        token: str,
        out: Path,
        speaks: bool = True,
        end: Callable[[int], None] = end_process,
    ) -> None:
        self._out, self._speaks, self._end = out, speaks, end
        self._connection = socket.create_connection(address, timeout=PATIENCE_S)
        self._connection.settimeout(None)
        _keep_alive(self._connection)
        _send(self._connection, {"rank": rank, "token": token})
        self._leaving, self._spoken = False, False
        self._first_ended = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        last: dict[str, Any] = {}
        for last in _messages(self._connection):
            self._spoken = "spoken" in last
        self._first_ended.set()
        if self._leaving or "finished" in last:
            return
        error = _gone([0], None, self._out)
        if self._speaks and not self._spoken:
            print(error.render(), file=sys.stderr)
        self._end(last.get("code", error.exit_code))

    def failed(self, error: BaseException) -> None:
        """Tell the first process the error; ends here once that one has said it and ended, or returns if it has not."""
        if not _is_told(error) and self._first_ended.wait(NOTICE_S):
            time.sleep(GRACE_S)  # as above
        self._leaving = True
        text = error.render() if isinstance(error, Sa3dhpError) else f"{type(error).__name__}: {error}"
        _send(self._connection, {"failed": text, "code": _code(error)})
        if self._first_ended.wait(2 * GRACE_S) and self._spoken:
            self._end(_code(error))

    def finished(self) -> None:
        """This process is done."""
        self._leaving = True
        _send(self._connection, {"finished": True})


def _gone(ranks: list[int], world: int | None, out: Path) -> GroupError:
    many = len(ranks) > 1
    return GroupError(
        f"{'processes' if many else 'a process'} of this run {'have' if many else 'has'} ended before the end",
        where=str(out),
        found=f"no more of rank {', '.join(map(str, ranks))}: killed, out of memory, or its machine is gone",
        expected=None if world is None else f"{world} processes",
        hint=f"sa3dhp resume {out}; it goes on from the last checkpoint, with any number of processes",
    )


def _is_told(error: BaseException) -> bool:
    """Whether an error has a cause of its own; any other may be that of a collective operation without its partner."""
    return isinstance(error, (Sa3dhpError, KeyboardInterrupt))


def _code(error: BaseException) -> int:
    if isinstance(error, Sa3dhpError):
        return error.exit_code
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in SILENT.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    with suppress(OSError):  # it may be gone already
        connection.sendall(json.dumps(message).encode() + b"\n")


def _messages(connection: socket.socket) -> Iterator[dict[str, Any]]:
    """What the other end says, until it is gone."""
    with suppress(OSError, ValueError), connection.makefile("rb") as lines:
        for line in lines:
            yield json.loads(line)
