"""Tables against figures worked out by hand, and the laws of recovery and deviation."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from sa3dhp_core.tables import MPJPE, PA_MPJPE, Cell, caption, header, markdown_table, render_table, summarise


def record(row: str, value: float, protocol: str = MPJPE, split: str = "target-test", **other: Any) -> dict[str, Any]:
    unit = "" if protocol == "spread" else "mm"
    return {"row": row, "protocol": protocol, "split": split, "value": value, "unit": unit, "seed": 0, **other}


def text_of(table: object, width: int = 120) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_recovery_by_hand() -> None:
    summary = summarise([record("source-only", 140), record("adapted", 84), record("oracle", 70)])
    adapted = summary.find("adapted")
    assert adapted is not None
    assert adapted.recovery[MPJPE].mean == pytest.approx(100 * (140 - 84) / (140 - 70))
    assert [row.recovery for row in summary.rows if row.key != "adapted"] == [{}, {}]


def test_recovery_is_paired_within_a_seed() -> None:
    values = {0: (140.0, 80.0, 60.0), 1: (200.0, 120.0, 100.0)}
    records = [
        record(row, value, seed=seed)
        for seed, triple in values.items()
        for row, value in zip(("source-only", "adapted", "oracle"), triple, strict=True)
    ]
    adapted = summarise(records).rows[1]
    assert adapted.recovery[MPJPE].mean == pytest.approx((75.0 + 80.0) / 2)
    assert adapted.recovery[MPJPE].deviation == pytest.approx(math.sqrt(2 * 2.5**2))
    assert adapted.cells[MPJPE].text == "100.0 ± 28.3"


def test_single_seed_oracle_serves_all_seeds() -> None:
    records = [record("source-only", 140 + s, seed=s) for s in range(3)] + [record("oracle", 70)]
    records += [record("adapted", 80, seed=s) for s in range(3)]
    samples = summarise(records).rows[-1].recovery[MPJPE].samples
    expected = [100 * (60 + s) / (70 + s) for s in range(3)]
    assert [samples[s, ""] for s in range(3)] == pytest.approx(expected)


def test_no_recovery_where_the_oracle_is_no_better() -> None:
    summary = summarise([record("source-only", 60.9), record("adapted", 65), record("oracle", 60)])
    assert summary.recovered == ()
    assert not any("recovery" in head for head in header(summary))


def test_ratios_have_no_recovery() -> None:
    rows = [record(row, value, "spread") for row, value in (("source-only", 0.7), ("adapted", 0.9), ("oracle", 0.6))]
    assert summarise(rows).recovered == ()


def test_rows_stand_in_order_of_first_appearance_and_columns_in_the_house_order() -> None:
    records = [record("b", 1, "pck-150"), record("b", 2, "spread"), record("a", 3, PA_MPJPE), record("b", 4)]
    summary = summarise(records)
    assert [row.name for row in summary.rows] == ["b", "a"]
    assert summary.protocols == (MPJPE, PA_MPJPE, "spread", "pck-150")


def test_the_later_of_two_equal_records_counts() -> None:
    assert summarise([record("a", 1), record("a", 2)]).rows[0].cells[MPJPE].samples == {(0, ""): 2.0}
    assert len(summarise([record("a", 1), record("a", 2, recipe_digest="x")]).rows[0].cells[MPJPE].samples) == 2


def test_source_test_stands_in_the_main_table_and_other_splits_do_not() -> None:
    records = [
        record("adapted", 80),
        record("adapted", 79, split="target-validation"),
        record("source-test", 50, split="source-test"),
        record("pose auto-encoder", 20, split="latent"),
    ]
    assert [(row.name, row.split) for row in summarise(records).rows] == [
        ("adapted", "target-test"),
        ("source-test", "source-test"),
    ]
    assert [row.name for row in summarise(records, "latent").rows] == ["pose auto-encoder"]
    assert summarise(records[1:]).split == "target-validation"
    lifted = [
        record("student", 70, split=split) for split in ("keypoints-train", "keypoints-test:S9", "keypoints-test")
    ]
    assert summarise(lifted).split == "keypoints-test"


def test_markdown_by_hand() -> None:
    records = [record("source-only", 140), record("a|b", 84), record("oracle", 70), record("a|b", 0.9, "spread")]
    assert markdown_table(records) == (
        "| row | MPJPE (mm) | spread | recovery (%) |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| source-only | 140.0 | – | – |\n"
        "| a\\|b | 84.0 | 0.90 | 80 |\n"
        "| oracle | 70.0 | – | – |\n"
        "\nsplit target-test; MPJPE is mpjpe-root; seed 0\n"
    )


def test_rendered_table_shows_every_row_and_survives_markup_in_names() -> None:
    rows = [record("source-only", 140), record("[bold]odd[/nonsense]", 84), record("oracle", 70)]
    text = text_of(render_table(rows))
    assert "[bold]odd[/nonsense]" in text
    assert "84.0" in text and "80" in text and "mpjpe-root" in text


def test_empty_records_give_an_empty_table() -> None:
    summary = summarise([])
    assert (summary.rows, summary.protocols, caption(summary)) == ((), (), "no records")
    assert "no records" in text_of(render_table([]))
    assert markdown_table([]).startswith("| row |")


@settings(max_examples=50, deadline=None)
@given(source=st.floats(100, 200), oracle=st.floats(20, 90), share=st.floats(-1, 2), scale=st.floats(0.2, 10))
def test_recovery_does_not_depend_on_the_unit_length(source: float, oracle: float, share: float, scale: float) -> None:
    row = source - share * (source - oracle)
    records = [record("source-only", source * scale), record("x", row * scale), record("oracle", oracle * scale)]
    assert summarise(records).rows[1].recovery[MPJPE].mean == pytest.approx(100 * share, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 300), min_size=2, max_size=6))
def test_mean_and_deviation_agree_with_the_textbook(values: list[float]) -> None:
    cell = Cell({(k, ""): value for k, value in enumerate(values)}, "mm")
    mean = sum(values) / len(values)
    assert cell.mean == pytest.approx(mean, abs=1e-9)
    assert cell.deviation == pytest.approx((sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5, abs=1e-6)
    assert Cell({(0, ""): values[0]}).deviation is None
