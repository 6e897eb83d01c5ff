"""All that the noun promises, and all that the plugin claims, held by the conformance kit."""

from __future__ import annotations

from sa3dhp_core.conformance import BoundCheck, parametrize_with_checks
from sa3dhp_core.host import Host
from sa3dhp_template import plugin


@parametrize_with_checks(plugin.sa3dhp_relations(), host=Host.load())
def test_conformance(check: BoundCheck) -> None:
    check()
