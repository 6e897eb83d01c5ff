"""The descriptors: light to import, buildable, with a help text for every key."""

from __future__ import annotations

import subprocess
import sys

import attrs
import pytest

from sa3dhp_core.components import NOUNS
from sa3dhp_priors import config, plugin

COMPONENTS = [*plugin.sa3dhp_pose_priors(), *plugin.sa3dhp_motion_priors()]


def test_listing_imports_no_torch() -> None:
    code = "import sys, sa3dhp_priors.plugin, sa3dhp_priors.config; sys.exit('torch' in sys.modules)"
    path = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=path, check=False).returncode == 0


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: c.id)
def test_descriptors_load(component: object) -> None:
    assert component.noun in NOUNS
    assert attrs.has(component.load_config())
    assert callable(component.load_target())
    assert all(field.metadata.get("help") for field in attrs.fields(component.load_config()))


@pytest.mark.parametrize(
    "wrong", [{"latent": 2}, {"body": "forest"}, {"batch": 0}, {"whitening": 1.5}, {"bound": 0.0}, {"mirror": "yes"}]
)
def test_values_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        config.PoseAae(**wrong)
