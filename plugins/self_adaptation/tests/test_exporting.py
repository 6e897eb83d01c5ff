"""Which row's model a run gives; the model itself is tested on a run, in `tests/recipes`."""

from __future__ import annotations

import pytest

from sa3dhp_core.errors import RecipeError
from sa3dhp_self_adaptation.config import Row
from sa3dhp_self_adaptation.exporting import chosen

CONSTANT, ORACLE = Row("constant pose", "constant"), Row("oracle", "oracle", start="source-only")
SOURCE, STRONG = Row("source-only", "source"), Row("strong", "source")
FIRST, SECOND = Row("first", "adapt", start="strong"), Row("second", "adapt", start="strong")
HEADLINE = Row("best", "adapt", start="strong", headline=True)


@pytest.mark.parametrize(
    ("rows", "main"),
    [
        ((CONSTANT, SOURCE, HEADLINE, FIRST, ORACLE), HEADLINE),
        ((CONSTANT, SOURCE, FIRST, SECOND, ORACLE), SECOND),
        ((CONSTANT, SOURCE, STRONG, ORACLE), SOURCE),
        ((CONSTANT,), CONSTANT),
    ],
)
def test_the_main_row_is_the_headline_or_the_last_adapted_or_the_first_source_row(
    rows: tuple[Row, ...], main: Row
) -> None:
    assert chosen(rows, None) == main
    assert [chosen(rows, row.name) for row in rows] == list(rows)


def test_a_row_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match="no such row(.|\n)*did you mean 'source-only'"):
        chosen((CONSTANT, SOURCE), "source-olny")
    with pytest.raises(RecipeError, match="no such row"):
        chosen((), None)
