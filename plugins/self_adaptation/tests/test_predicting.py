"""Which row predicts; what comes out of films is tested on a run, in tests/recipes/test_predict_video.py."""

from __future__ import annotations

from typing import Any

import pytest

from sa3dhp_core.errors import RecipeError
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import recipe_from
from sa3dhp_self_adaptation.example import recipe
from sa3dhp_self_adaptation.method import SelfAdaptation
from sa3dhp_self_adaptation.predicting import row_of

HOST = Host.load()
CONSTANT = {"name": "constant", "kind": "constant"}
SOURCE = {"name": "source", "kind": "source"}
STRONG = {"name": "strong", "kind": "source"}
ORACLE = {"name": "oracle", "kind": "oracle", "start": "source"}


def method(tmp_path: Any, *rows: dict[str, Any]) -> SelfAdaptation:
    content = {"id": "small", "method": "sa3dhp", **recipe(tmp_path), "rows": list(rows)}
    made = recipe_from(content, "small.toml")
    return HOST.build("method", {"use": "sa3dhp", **made.settings}, "settings", recipe=made, host=HOST)


def test_the_headline_predicts_or_else_the_last_row_that_is_no_control(tmp_path: Any) -> None:
    assert row_of(method(tmp_path, CONSTANT, {**SOURCE, "headline": True}, STRONG), None).name == "source"
    assert row_of(method(tmp_path, CONSTANT, SOURCE, STRONG, ORACLE), None).name == "strong"
    assert row_of(method(tmp_path, CONSTANT, SOURCE, ORACLE), "oracle").name == "oracle"
    with pytest.raises(RecipeError, match="did you mean 'strong'"):
        row_of(method(tmp_path, SOURCE, STRONG), "strnog")
    with pytest.raises(RecipeError, match="predicts from images"):
        row_of(method(tmp_path, CONSTANT), None)
