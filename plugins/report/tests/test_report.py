"""The page is whole with every part, honest with parts missing, closed to the network and to markup in names."""

from __future__ import annotations

import html.parser
import json
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sa3dhp_core.errors import RunError
from sa3dhp_core.tables import summarise
from sa3dhp_report import figures, inputs
from sa3dhp_report.build import build_report
from sa3dhp_report.config import ReportConfig
from sa3dhp_report.headline import cast, headline
from sa3dhp_report.pictures import png
from sa3dhp_report.scenes import scenes

SECTIONS = ("headline", "table", "samples", "curves", "joints", "relations", "recipe", "environment")
Runs = Callable[..., Path]
Records = Callable[..., list[dict[str, object]]]


class Page(html.parser.HTMLParser):
    """Elements, addresses and the text of each section, of one that is well nested."""

    VOID = frozenset({"meta", "img", "input", "br"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.scripts: dict[str, str] = {}
        self.text: dict[str, str] = {}
        self.section = self.script = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == [], f"unclosed: {self.open}"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        facts = dict(attributes)
        self.tags.append(tag)
        self.addresses += [facts[name] or "" for name in ("src", "href", "action", "data", "poster") if name in facts]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = facts["id"] or ""
        if tag == "script":
            self.script = facts.get("id") or f"script{len(self.scripts)}"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "section":
            self.section = ""

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[self.script] = self.scripts.get(self.script, "") + data
        elif self.section:
            self.text[self.section] = self.text.get(self.section, "") + data

    @property
    def data(self) -> dict[str, object]:
        return json.loads(self.scripts["data"])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, whole_run: Runs) -> Path:
    return whole_run(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    return Page(build_report(run))


def test_every_section_has_content(page: Page) -> None:
    assert tuple(page.text) == SECTIONS
    assert "run directory has no" not in "".join(page.text.values())
    assert "79.0 mm" in page.text["headline"] and "139.1 mm of source-only" in page.text["headline"]
    assert "Strong augmentation of the source alone, without adaptation, has 84.9 mm" in page.text["headline"]
    assert "statistics re-estimated" in page.text["table"] and "Latent stages, test" in page.text["table"]
    assert "row-adapted" in page.text["curves"]
    assert "flip @ rotate(50)" in page.text["relations"]
    assert '[[losses]]\nuse = "non-local"' in page.text["recipe"]
    assert "packages.torch" in page.text["environment"] and "2.13.0+cpu" in page.text["environment"]
    assert page.tags.count("canvas") == page.tags.count("figure") == 8
    assert set(page.data["plots"]) == {"ladder", "joints", "distances"}


def test_nothing_comes_from_the_network(run: Path, page: Page) -> None:
    assert page.addresses
    assert [a for a in page.addresses if not a.startswith(("#", "data:image/png;base64,"))] == []
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert "link" not in page.tags and "iframe" not in page.tags
    own = [script for script in page.scripts.values() if "plotly.js v" not in script[:200]]
    style = text[text.index("<style>") : text.index("</style>")]
    assert len(own) == 2
    assert [part for part in (*own, style) if re.search(r"https?://|@import|\bfetch\(|XMLHttpRequest", part)] == []


def test_the_script_of_the_charts_is_there_once_and_the_file_is_no_larger_than_it_must_be(
    run: Path, page: Page
) -> None:
    assert sum("plotly.js v" in script[:200] for script in page.scripts.values()) == 1
    assert (run / "report.html").stat().st_size < 8_000_000


@pytest.mark.parametrize("missing", inputs.FILES)
def test_a_missing_part_costs_its_section_alone(tmp_path: Path, whole_run: Runs, missing: str) -> None:
    run = whole_run(tmp_path / "run", crops=2)
    (run / missing).unlink()
    page = Page(build_report(run))
    said = f"The run directory has no {missing}."
    assert tuple(page.text) == SECTIONS
    where = {name for name, text in page.text.items() if said in text}
    expected = {
        inputs.RESULTS: {"headline", "table"},
        inputs.METRICS: {"curves"},
        inputs.PER_JOINT: {"joints"},
        inputs.LATENT: {"relations"},
        inputs.SAMPLES: {"samples"},
        inputs.RECIPE: {"recipe"},
        inputs.ENVIRONMENT: {"environment"},
    }
    assert where == expected[missing]


@pytest.mark.parametrize("damaged", [name for name in inputs.FILES if name != inputs.METRICS])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe{", b"[1, 2", b'{"records": [{"row": "x"}], "x": 3}'])
def test_a_damaged_part_is_named(tmp_path: Path, whole_run: Runs, damaged: str, content: bytes) -> None:
    run = whole_run(tmp_path / "run", crops=1)
    (run / damaged).write_bytes(content)
    page = Page(build_report(run))
    if not (damaged == inputs.ENVIRONMENT and content.startswith(b"{")) and not (
        damaged == inputs.RECIPE and not content
    ):
        assert re.search(rf"{re.escape(damaged)} (cannot be read|is damaged)", "".join(page.text.values()))


def test_metrics_cut_short_keep_their_whole_lines(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(
        '{"stage": "a", "step": 1, "loss": 2}\n{"stage": "a", "step": 2, "loss": null}\n[3]\n{"stage": "a", "st'
    )
    assert inputs.curves(tmp_path).value == {"a": {"loss": ([1], [2.0])}}


def test_poses_of_the_wrong_shape_are_refused(tmp_path: Path, whole_run: Runs) -> None:
    run = whole_run(tmp_path, crops=2)
    with np.load(run / inputs.SAMPLES) as file:
        arrays = dict(file)
    np.savez(run / inputs.SAMPLES, **{**arrays, "pred/adapted": arrays["truth"][:, :5]})
    assert "pred/adapted" not in (reason := inputs.samples(run).reason) and "adapted has shape (2, 5, 3)" in reason


@pytest.mark.parametrize("content", ["pickled", "empty"])
def test_samples_that_could_run_code_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "analysis").mkdir()
    joints = np.array([{"a": 1}], dtype=object) if content == "pickled" else np.array([])
    np.savez(
        tmp_path / inputs.SAMPLES, images=np.zeros((1, 2, 2, 3), np.uint8), truth=np.zeros((1, 1, 3)), joints=joints
    )
    assert inputs.samples(tmp_path).value is None


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run directory"):
        build_report(tmp_path)
    with pytest.raises(RunError, match="no such run directory"):
        build_report(tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []


def test_names_are_text_wherever_they_come_from(tmp_path: Path, whole_run: Runs) -> None:
    evil = '</script><img src=x onerror=alert(1)>"&amp;'
    run = whole_run(tmp_path, crops=1)
    results = json.loads((run / "results.json").read_text())
    results["recipe"] = results["digest"] = evil
    results["records"] += [
        {**results["records"][0], "row": evil, "protocol": evil, "unit": evil, "split": s}
        for s in ("target-test", evil)
    ]
    (run / "results.json").write_text(json.dumps(results))
    (run / "environment.json").write_text(json.dumps({evil: evil}))
    (run / "recipe.toml").write_text(f"# {evil}\n['{evil}']\nname = '{evil}'\n")
    (run / "metrics.jsonl").write_text(json.dumps({"stage": evil, "step": 1, evil: 1.0}))
    (run / inputs.LATENT).write_text(json.dumps([{"relation": evil, "space": evil, "distance": 1, "relative": 1}]))
    (run / inputs.PER_JOINT).write_text(json.dumps({evil: {"joints": [evil], "mpjpe_mm": [1.0]}}))
    with np.load(run / inputs.SAMPLES) as file:
        arrays = dict(file)
    np.savez(run / inputs.SAMPLES, **arrays, **{"pred/<b>odd": arrays["truth"]})
    page = Page(build_report(run))
    assert page.tags.count("img") == 1
    assert all(evil in page.text[section] for section in ("table", "curves", "relations", "recipe", "environment"))
    assert page.data["plots"]["joints"]["data"][0]["name"] == evil
    assert list(page.data["curves"]) == [evil]


def test_the_limits_of_the_config_hold(tmp_path: Path, whole_run: Runs) -> None:
    page = Page(build_report(whole_run(tmp_path), ReportConfig(samples=3, curve_points=10)))
    assert page.tags.count("canvas") == len(page.data["scenes"]["samples"]) == 3
    assert {len(line["x"]) for lines in page.data["curves"].values() for line in lines} == {10}
    assert "no samples" in Page(build_report(tmp_path, ReportConfig(samples=0))).text["samples"]


def test_validation_chooses_the_row_and_not_the_test(made_up_records: Records) -> None:
    records = made_up_records()
    for record in records:
        if record["row"] == "adapted +z" and record["split"] == "target-validation":
            record["value"] = 50.0
    summary = summarise(records)
    assert cast(summary, records, {}).chosen == "adapted +z"
    without = [r for r in records if r["split"] != "target-validation"]
    assert cast(summarise(without), without, {}).chosen == "adapted"
    declared = {"rows": [{"name": "published +all", "kind": "adapt", "headline": True}]}
    assert cast(summary, records, declared).chosen == "published +all"


def test_the_cast_follows_the_recipe_where_names_say_nothing() -> None:
    def record(row: str, value: float) -> dict[str, object]:
        return {"row": row, "protocol": "mpjpe-root", "split": "target-test", "value": value, "unit": "mm", "seed": 0}

    records = [record("source-only", 140), record("aug", 90), record("ours", 85), record("oracle", 70)]
    recipe = {"rows": [{"name": "aug", "kind": "source", "augmentation": "strong"}, {"name": "ours", "kind": "adapt"}]}
    players = cast(summarise(records), records, recipe)
    assert (players.chosen, players.source, players.strong, players.oracle) == ("ours", "source-only", "aug", "oracle")
    found = headline(summarise(records), players)
    assert found is not None and (found.facts[0].value, found.facts[0].tail) == ("79", "%")
    assert "71 %" in found.facts[0].remark
    assert headline(summarise(records[:2]), cast(summarise(records[:2]), records[:2], recipe)) is None


def test_collapse_is_marked_and_a_missing_control_is_said(made_up_records: Records) -> None:
    records = [r for r in made_up_records() if r["row"] != "strong source augmentation"]
    for record in records:
        if (record["row"], record["protocol"]) == ("adapted", "spread"):
            record["value"] = 0.3
    summary = summarise(records)
    found = headline(summary, cast(summary, records, {}))
    assert found is not None
    assert [fact.warning for fact in found.facts] == [False, False, False, False, True]
    assert "missing from this run" in found.sentence


def test_skeletons_are_rooted_and_their_errors_are_mean_distances(tmp_path: Path, whole_run: Runs) -> None:
    samples = inputs.samples(whole_run(tmp_path, crops=2)).value
    assert samples is not None
    content = scenes(samples, dict.fromkeys(samples.predictions, 0), ("adapted",), 1)
    assert len(content["bones"]) == len(samples.joints) - 1
    assert [row["name"] for row in content["rows"] if row["shown"]] == ["adapted"]
    truth, index = samples.truth[0] - samples.truth[0, 0], list(samples.predictions).index("adapted")
    assert np.allclose(content["samples"][0]["truth"], truth, atol=1e-4)
    prediction = samples.predictions["adapted"][0] - samples.predictions["adapted"][0, 0]
    by_hand = sum(np.sqrt(((p - t) ** 2).sum()) for p, t in zip(prediction, truth, strict=True)) / len(truth) * 1000
    assert content["samples"][0]["errors"][index] == pytest.approx(by_hand, abs=0.06)


def test_thinned_curves_keep_means_and_the_last_step() -> None:
    steps, values = figures.thin(range(1, 1001), [float(v) for v in range(1, 1001)], 10)
    assert steps == list(range(100, 1001, 100))
    assert values == [50.5 + 100 * k for k in range(10)]
    assert figures.thin([1, 2], [0.5, 0.25], 2) == ([1, 2], [0.5, 0.25])


def test_png_holds_the_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    encoded = png(image)
    assert encoded[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, rest = {}, encoded[8:]
    while rest:
        length, kind = struct.unpack(">I4s", rest[:8])
        chunks[kind], checksum = rest[8 : 8 + length], struct.unpack(">I", rest[8 + length : 12 + length])[0]
        assert zlib.crc32(kind + chunks[kind]) == checksum
        rest = rest[12 + length :]
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (7, 5, 8, 2, 0, 0, 0)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(5, 22)
    assert (rows[:, 0] == 0).all() and np.array_equal(rows[:, 1:].reshape(5, 7, 3), image)
    with pytest.raises(ValueError, match="uint8"):
        png(image.astype(float))
