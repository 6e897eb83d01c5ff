"""What all commands of one call share: the host, loaded once, and how to fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import attrs
import typer

from sa3dhp_core.cli import console
from sa3dhp_core.errors import PluginError, Sa3dhpError
from sa3dhp_core.host import Host
from sa3dhp_core.ranks import is_first


@attrs.define
class Session:
    """One call of ``sa3dhp``.

    Attributes:
        host: the loaded plugins.
        debug: whether errors show their traceback.
    """

    host: Host
    debug: bool = False

    def settle(self, debug: bool, strict: bool) -> Host:
        """Take a command's own options; returns the host, and says on stderr if plugins are broken.

        Raises:
            PluginError: `strict` and a plugin is broken.
        """
        self.debug = self.debug or debug
        if self.host.broken:
            listing = "\n".join(plugin.render() for plugin in self.host.broken)
            if strict:
                raise PluginError(f"{len(self.host.broken)} problem(s) with plugins\n{listing}")
            if is_first():
                names = ", ".join(sorted({plugin.distribution for plugin in self.host.broken}))
                console.err().print(f"broken plugins are left out ({names}): sa3dhp plugins list")
        return self.host


class Stopped(Sa3dhpError):
    """The user stopped a run."""

    exit_code = 130


def session(context: typer.Context) -> Session:
    """The call that a command belongs to."""
    return cast(Session, context.find_root().obj)


@contextmanager
def interruptible(out: Path) -> Iterator[None]:
    """Turn Ctrl-C into a message that says how to go on with the run in `out`."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Stopped("stopped", hint=f"resume with: sa3dhp resume {out}") from error
