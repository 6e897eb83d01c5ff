"""One process of a group talks, whoever started it."""

from __future__ import annotations

import pytest

from sa3dhp_core.ranks import is_first


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"RANK": "", "SLURM_PROCID": "0"}, True),
        ({"RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0"}, True),
        ({"RANK": "8", "LOCAL_RANK": "0", "GROUP_RANK": "1"}, False),  # torchrun on a second machine
        ({"NODE_RANK": "1"}, False),  # Fabric's own launcher on a second machine
        ({"NODE_RANK": "0", "LOCAL_RANK": "1"}, False),
        ({"SLURM_PROCID": "3", "SLURM_LOCALID": "0"}, False),
    ],
)
def test_the_first_of_a_group(environment: dict[str, str], first: bool) -> None:
    assert is_first(environment) == first
