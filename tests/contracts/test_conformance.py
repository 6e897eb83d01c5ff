"""Every shipped component keeps its noun's promises and its own claims: the kit, run as a stranger would run it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sa3dhp_core.conformance import parametrize_with_checks
from tests.contracts.test_hooks import HOST

ROOMS = ("relation", "keypoint_data")


@pytest.mark.slow
@parametrize_with_checks([offer for noun in ROOMS for offer in HOST.components(noun)], host=HOST)
def test_a_shipped_component_keeps_its_promises(check: Callable[[], None]) -> None:
    check()
