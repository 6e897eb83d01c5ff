"""The hook specifications (their documentation and plugins are held by `tests/contracts/test_hooks.py`)."""

from __future__ import annotations

import pluggy

from sa3dhp_core import hookspecs


def test_each_hook_collects_what_every_plugin_returns() -> None:
    class Plugin:
        @hookspecs.hookimpl
        def sa3dhp_sinks(self) -> list[str]:
            return ["x"]

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(Plugin())
    manager.register(Plugin())
    manager.check_pending()
    for hook in hookspecs.HOOKS.values():
        assert getattr(manager.hook, hook)() == ([["x"], ["x"]] if hook == "sa3dhp_sinks" else [])
