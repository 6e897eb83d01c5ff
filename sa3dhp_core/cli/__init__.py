"""The command line ``sa3dhp``: arguments in, messages and exit codes out. It computes nothing itself."""

from sa3dhp_core.cli.app import main, make_app

__all__ = ["main", "make_app"]
