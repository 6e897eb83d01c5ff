"""The keys of ``[engine]`` and ``[evaluation]``."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from sa3dhp_core.cards import card_ids
from sa3dhp_core.engine_config import EngineConfig, EvaluationConfig


@pytest.mark.parametrize("key", ["devices", "nodes", "threads", "checkpoint_every", "log_every"])
def test_counts_are_positive(key: str) -> None:
    def config(count: int) -> EngineConfig:
        values: dict[str, Any] = {key: count}
        return EngineConfig(**values)

    assert getattr(config(1), key) == 1
    with pytest.raises(ValueError, match=key):
        config(0)


def test_something_is_measured_by_protocols_that_have_cards() -> None:
    with pytest.raises(ValueError, match="protocols"):
        EvaluationConfig(protocols=())
    assert set(EvaluationConfig().protocols) <= set(card_ids("protocols"))


@pytest.mark.parametrize("config", [EngineConfig, EvaluationConfig])
def test_every_key_is_explained(config: type) -> None:
    assert all(field.metadata.get("help") for field in attrs.fields(config))
