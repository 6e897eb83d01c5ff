"""Every shipped component keeps its noun's promises and its own claims: the kit, run as a stranger would run it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sa3dhp_core.components import NOUNS
from sa3dhp_core.conformance import Bench, Subject, checks_for, parametrize_with_checks
from sa3dhp_core.host import Offer
from tests.contracts.test_hooks import HOST

MOCAP = Path(__file__).resolve().parents[3] / "shared" / "data" / "mocap" / "bandai_namco_1.npz"
PRIORS = [offer for noun in ("pose_prior", "motion_prior") for offer in HOST.components(noun)]


@pytest.mark.slow
@parametrize_with_checks([offer for noun in NOUNS for offer in HOST.components(noun)], host=HOST)
def test_a_shipped_component_keeps_its_promises(check: Callable[[], None]) -> None:
    check()


@pytest.mark.slow
@pytest.mark.parametrize("offer", PRIORS, ids=lambda offer: offer.component.id)
def test_a_shipped_prior_keeps_what_it_claims_on_real_motion_too(offer: Offer) -> None:
    if not MOCAP.is_file():
        pytest.skip(f"no motion capture at {MOCAP}")
    bench = Bench(host=HOST, motion_table={"use": "mocap-npz", "path": str(MOCAP)})
    subject = Subject.offered(offer.component)
    claimed = [check for check in checks_for(subject) if check.needs]
    assert claimed
    for check in claimed:
        check.run(subject, bench)
