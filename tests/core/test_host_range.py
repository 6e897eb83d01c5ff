"""Declared host ranges: the quick look agrees with `packaging`, which is imported for doubtful requirements alone."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement, Requirement

from sa3dhp_core.host_range import missed_range

RELEASES = st.lists(st.integers(0, 2), min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts)))
VERSIONS = st.builds("{}{}".format, RELEASES, st.sampled_from(["", "", "", "rc1", ".dev0", ".post1", "+local"]))
NAMES = st.sampled_from(["sa3dhp", "sa3dhp", "sa3dhp", "sa3dhp-world", "sa3dhp_world", "sa3dhpx", "numpy"])
BOUNDS = st.builds("{}{}".format, st.sampled_from([">=", ">=", " >= ", "<", "==", "~=", "!=", ">", "==="]), RELEASES)
MARKERS = ["", "", "; extra == 'more'", '; extra == "more"', "; python_version >= '3'", "; python_version < '3'"]
MARKERS += ["; extra == 'more' or python_version >= '3'", "; extra == 'more' and python_version >= '3'", "; nonsense"]
REQUIREMENTS = st.builds(
    "{}{}{}{}".format,
    NAMES,
    st.sampled_from(["", "", "[testing]"]),
    st.lists(BOUNDS, max_size=2).map(",".join),
    st.sampled_from(MARKERS),
)


def by_the_book(requirements: list[str], version: str) -> str | None:
    for line in requirements:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        if wanted.name != "sa3dhp" or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        if not wanted.specifier.contains(version, prereleases=True):
            return str(wanted.specifier)
    return None


@given(st.lists(REQUIREMENTS, max_size=3), VERSIONS)
def test_the_quick_look_agrees_with_packaging(requirements: list[str], version: str) -> None:
    assert missed_range(requirements, version) == by_the_book(requirements, version)


@pytest.mark.parametrize(
    ("requirement", "asked"),
    [
        ("sa3dhp>=0.1", False),
        ("sa3dhp[testing]; extra == 'testing'", False),
        ("numpy>=1.26", False),
        ("sa3dhp>=0.1,<0.3", True),
        ("sa3dhp>=9", True),
    ],
)
def test_packaging_is_imported_only_where_it_is_in_doubt(requirement: str, asked: bool) -> None:
    code = (
        "import sys; from sa3dhp_core.host_range import missed_range; "
        f"missed_range([{requirement!r}], '0.2.0'); print('packaging' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(asked)
