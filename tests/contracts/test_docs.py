"""The documents say what the code does: generated parts, links, commands, recipes and every noun's own example."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import numpy as np
import pytest
import torch
import typer
from PIL import Image

from sa3dhp_core.cards import card_ids, skeleton
from sa3dhp_core.cli import main
from sa3dhp_core.components import NOUNS
from sa3dhp_core.conformance import Bench, Subject, checks_for, run_checks
from sa3dhp_core.errors import RecipeError, RunError, Sa3dhpError
from sa3dhp_core.geometry import procrustes
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.alignment import Encoded, LossInput, LossParts
from sa3dhp_core.protocols.selection import ErrorsMm, RelationFigures, Residuals, Survey
from sa3dhp_core.recipe import COMPONENT_LISTS, COMPONENTS, KEYS, Recipe, check, data_noun, load_recipe, recipe_from
from sa3dhp_core.results import Record, write_results
from sa3dhp_core.types import WHOLE

ROOT = Path(__file__).resolve().parents[2]
BONES = skeleton()


def script(name: str) -> ModuleType:
    """A script of the documents: the one that writes the generated parts, or the one that makes the pictures."""
    spec = importlib.util.spec_from_file_location(f"sa3dhp_docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DOCS, DRAWN = script("generate"), script("make_pictures")
HOST: Host = DOCS.host()
DOCUMENTS = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
        *(ROOT / "plugins").glob("[!_]*/README.md"),
    ]
)
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)


def blocks(text: str, *languages: str) -> list[str]:
    """Contents of the fenced blocks in these languages ("" for none), in order."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [content for language, content in found if language in languages]


def commands(text: str) -> list[list[str]]:
    """Words of the shell commands in fenced blocks, lines that end in a backslash joined, comments left out."""
    lines = "\n".join(blocks(text, "", "sh", "bash")).replace("\\\n", " ").splitlines()
    lines = [line.strip().removeprefix("$ ").removeprefix(".venv/bin/") for line in lines]
    found = []
    for line in lines:
        if re.match(r"(sa3dhp|make|python) ", line) and not line.startswith("sa3dhp needs"):
            found.append(shlex.split(re.split(r"\s+·\s+|\s\|\s", line)[0], comments=True))
    return found


def command_problem(words: list[str], tree: Any) -> str | None:
    """Why the command line would refuse these words of a `sa3dhp` call, or None; nothing is run."""
    command, path, rest = tree, ["sa3dhp"], words[1:]
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        if rest[0] not in command.commands:
            return f"{' '.join(path)} has no command {rest[0]!r}"
        command, path, rest = command.commands[rest[0]], [*path, rest[0]], rest[1:]
    if "--help" in rest or "--version" in rest:
        return None
    try:
        command.make_context(" ".join(path), list(rest))
    except Exception as error:  # the usage errors of typer and of click are different classes
        return f"{' '.join(words)}: {getattr(error, 'message', error)}"
    if words[1:2] == ["run"] and words[2] in card_ids("recipes"):
        try:
            changes = [value for option, value in zip(words, words[1:], strict=False) if option == "--set"]
            recipe = load_recipe(words[2], changes)
            check(recipe, HOST)
        except Sa3dhpError as error:
            return f"{' '.join(words)}: {error}"
        if missing := unknown_relations(recipe):
            return f"{' '.join(words)}: a loss names {missing}, which is no relation of the recipe"
    return None


def mentions(text: str) -> list[list[str]]:
    """Words of the calls and commands named inside a line, in single backquotes."""
    spans = re.findall(r"(?<!`)`(sa3dhp [a-z][^`]*)`(?!`)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [shlex.split(span) for span in spans]


def mention_problem(words: list[str], tree: Any) -> str | None:
    """Why there is no such command or option; a mention need not be a whole call."""
    command, rest = tree, words[1:]
    while hasattr(command, "commands") and rest and not rest[0].startswith("-") and rest[0] != "COMMAND":
        if rest[0] not in command.commands:
            return f"no command {' '.join(words)!r}"
        command, rest = command.commands[rest[0]], rest[1:]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known]
    return f"{' '.join(words)!r} has an unknown option {unknown[0]}" if unknown else None


def unknown_relations(recipe: Recipe) -> list[str]:
    """Relations that losses name and the recipe lacks; a swapped relation must keep its name."""
    tables = [(table, f"relations[{number}]") for number, table in enumerate(recipe.relations)]
    names = [HOST.build("relation", table, place, skeleton=BONES).name for table, place in tables]
    return [table["relation"] for table in recipe.losses if table.get("relation") and table["relation"] not in names]


def recipe_problem(text: str, host: Host) -> str | None:
    """Why a TOML block is no fragment of a recipe, or None; blocks with other top-level keys need only parse."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return str(error)
    if not set(content) <= {*KEYS, "extends"}:
        return None
    try:
        for role, table in content.get("data", {}).items():
            if "use" in table:
                host.config(data_noun(role), table, f"data.{role}")
        for key, noun in COMPONENTS.items():
            for table, wanted in ((content.get(key, {}), noun), (content.get(key, {}).get("backbone", {}), "backbone")):
                if "use" in table:
                    host.config(wanted, table, key)
        for key, noun in COMPONENT_LISTS.items():
            for index, table in enumerate(content.get(key, ())):
                host.config(noun, table, f"{key}[{index}]")
        whole = {"method": "sa3dhp", **content} if content.get("settings") or content.get("rows") else content
        if "method" in whole:
            whole.pop("extends", None)
            check(recipe_from({"id": "fragment", **whole}), host)
        elif content.get("engine") or content.get("evaluation"):
            recipe_from({"id": "fragment", "method": "sa3dhp", **content})
    except Sa3dhpError as error:
        return str(error)
    return None


def dead_links(path: Path, root: Path = ROOT) -> list[str]:
    """Targets of a document's relative links that do not exist, headings included."""
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        known = place.exists() and place.is_relative_to(root)
        if known and anchor and place.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", place.read_text("utf-8"), re.MULTILINE)
            known = anchor in {DOCS.slug(heading) for heading in headings}
        if not known:
            dead.append(target)
    return dead


@pytest.mark.parametrize("page", DOCS.pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_generated_parts_are_what_the_code_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == DOCS.regenerated(text), "run: python docs/generate.py"


@pytest.mark.parametrize("noun", NOUNS)
def test_a_noun_has_a_page_with_its_components(noun: str) -> None:
    page = ROOT / "docs" / "nouns" / f"{noun}.md"
    text = page.read_text(encoding="utf-8")
    assert f"<!-- generated: components {noun} -->" in text
    headings = ("## What it promises", "## In a recipe", "## One of your own", "## Shipped")
    assert [heading for heading in headings if heading not in text] == []


def test_the_pages_of_nouns_are_those_of_the_nouns() -> None:
    assert {path.stem for path in (ROOT / "docs" / "nouns").glob("*.md")} == set(NOUNS)


def shown_names() -> list[tuple[str, str]]:
    """Rows of the table of canonical names on the page of the algebra."""
    text = (ROOT / "docs" / "relations.md").read_text(encoding="utf-8")
    table = text[text.index("| written | canonical name |") :].partition("\n\n")[0]
    return re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", table, re.MULTILINE)


@pytest.mark.parametrize(("written", "name"), shown_names())
def test_the_canonical_names_shown_are_those_of_the_code(written: str, name: str) -> None:
    relation = HOST.build("relation", {"use": "geometric", "expression": written}, "page", skeleton=BONES)
    assert relation.name == name


def test_the_page_of_the_algebra_explains_every_factor_and_shows_the_real_error() -> None:
    text = (ROOT / "docs" / "relations.md").read_text(encoding="utf-8")
    (shown,) = blocks(text, "text")
    with pytest.raises(RecipeError) as caught:
        table = {"use": "geometric", "expression": "flip @ rotat(50)"}
        HOST.build("relation", table, "relations[1]", skeleton=BONES)
    assert shown.rstrip("\n") == str(caught.value)
    factors = str(caught.value.expected).removeprefix("one of: ").split(", ")
    assert len(shown_names()) >= 10 and len(factors) >= 10
    assert [name for name in factors if not re.search(rf"^\|.*`{re.escape(name)}[(`].* \|", text, re.MULTILINE)] == []


@each_document
def test_no_link_is_dead(document: Path) -> None:
    assert dead_links(document) == []


def test_the_index_leads_to_every_page() -> None:
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")} - {"index.md"}
    assert sorted(page for page in pages if f"]({page})" not in text) == []


@each_document
def test_commands_exist_with_their_options(document: Path) -> None:
    tree, makefile = DOCS.command_tree(), (ROOT / "Makefile").read_text(encoding="utf-8")
    problems = []
    for words in commands(document.read_text(encoding="utf-8")):
        if words[0] == "sa3dhp":
            problems.append(command_problem(words, tree))
        elif words[0] == "make" and not re.search(rf"^{re.escape(words[1])}:", makefile, re.MULTILINE):
            problems.append(f"make has no target {words[1]!r}")
        elif words[0] == "python" and words[1].endswith(".py") and not (ROOT / words[1]).is_file():
            problems.append(f"no script {words[1]!r}")
    problems += [mention_problem(words, tree) for words in mentions(document.read_text(encoding="utf-8"))]
    assert [problem for problem in problems if problem is not None] == []


@each_document
def test_shown_output_is_what_the_command_prints(
    document: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SA3DHP_PLUGINS", ",".join(DOCS.first_party()))
    for block in blocks(document.read_text(encoding="utf-8"), "console"):
        call, _, shown = block.partition("\n")
        words = shlex.split(call)
        assert words[:2] == ["$", "sa3dhp"], f"a console block begins with a call: {call}"
        with pytest.raises(SystemExit):
            main(words[2:])
        printed = capsys.readouterr()
        lines = [line.rstrip() for line in (printed.out + printed.err).splitlines()]
        assert [line for line in shown.splitlines() if line != "…" and line not in lines] == []
        assert "…" in shown or lines == shown.splitlines()


@each_document
def test_recipe_fragments_are_valid(document: Path, example: Callable[..., Host]) -> None:
    text = document.read_text(encoding="utf-8")
    host = example(text) if "# my_package/" in text else HOST
    problems = [recipe_problem(block, host) for block in blocks(text, "toml")]
    assert [problem for problem in problems if problem is not None] == []


def test_every_key_of_a_recipe_is_explained() -> None:
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `\[*([\w.]+)", text, re.MULTILINE)
    assert sorted({*KEYS, "extends"} - {name.partition(".")[0] for name in named}) == []


def test_the_checks_reject_what_they_should(tmp_path: Path) -> None:
    tree = DOCS.command_tree()
    assert command_problem(["sa3dhp", "recipes", "list"], tree) is None
    assert command_problem(shlex.split("sa3dhp world show --out x.png --look mild"), tree) is None
    for wrong in (
        "sa3dhp rum quickstart",
        "sa3dhp recipes lst",
        "sa3dhp run quickstart",
        "sa3dhp run quickstart --out x --fast",
        "sa3dhp run quickstart --out x --set encoder.backbone.use=smal-cnn",
        "sa3dhp run quickstart --out x --set relations.0.use=flip",
        "sa3dhp world show --out x.png --rows many",
    ):
        assert command_problem(wrong.split(), tree), wrong
    assert recipe_problem("[pose_prior]\nuse = 'pose-aae'\nstep = 3\n", HOST)
    assert recipe_problem("[settings]\nframe = 3\n", HOST)
    assert recipe_problem("[pose_prior\n", HOST)
    assert recipe_problem("[pose_prior]\nuse = 'pose-aae'\n", HOST) is None
    page = tmp_path / "page.md"
    page.write_text("# A `b` c\n[x](#a-b-c) [y](page.md) [z](https://example.org) [u](gone.md) [v](#d)\n")
    assert dead_links(page, tmp_path) == ["gone.md", "#d"]
    assert commands("```\n$ sa3dhp run a \\\n  --out b  # c\nother\n```\n`sa3dhp no`") == [
        ["sa3dhp", "run", "a", "--out", "b"]
    ]
    stale = "<!-- generated: engine -->\nof yore\n<!-- /generated -->"
    assert "of yore" not in DOCS.regenerated(stale) and "checkpoint_every" in DOCS.regenerated(stale)
    assert mentions("see `sa3dhp report runs/a` and ``sa3dhp x``") == [["sa3dhp", "report", "runs/a"]]
    assert mention_problem(["sa3dhp", "run"], tree) is None
    assert mention_problem(["sa3dhp", "relations", "rnk"], tree)
    assert mention_problem(["sa3dhp", "run", "--quick"], tree)
    table = "<!-- table:a -->\n1\n<!-- /table -->"
    assert DOCS.filled(table, "table", "a", "2") == table.replace("1", "2")
    with pytest.raises(ValueError, match="no part"):
        DOCS.filled(table, "table", "b", "2")


def test_the_readme_can_be_filled_from_runs(tmp_path: Path) -> None:
    page, printed = tmp_path / "page.md", tmp_path / "printed.txt"
    page.write_text("<!-- table:a -->\n<!-- /table -->\n<!-- output:b -->\nold\n<!-- /output -->\n", encoding="utf-8")
    printed.write_text("5 passed\n", encoding="utf-8")
    for seed, value in ((0, 80.0), (1, 84.0)):
        record = Record("adapted", "mpjpe-root", "target-test", value, "mm", seed, "d")
        write_results(tmp_path / str(seed), "toy", "d", seed, [record])
    DOCS.main(["--table", "a", str(tmp_path / "0"), str(tmp_path / "1")], page)
    DOCS.main(["--output", "b", str(printed)], page)
    text = page.read_text(encoding="utf-8")
    assert "| adapted | 82.0 ± 2.8 |" in text and "seeds 0, 1" in text
    assert "```\n5 passed\n```\n<!-- /output -->" in text and "old" not in text


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "pictures").glob("*")), ids=lambda path: path.name)
def test_pictures_are_small_and_shown(picture: Path) -> None:
    assert picture.suffix == ".png" and picture.stat().st_size < 200_000
    assert any(f"pictures/{picture.name})" in document.read_text(encoding="utf-8") for document in DOCUMENTS)


@pytest.mark.parametrize("name", sorted(DRAWN.SHEETS))
def test_the_sheets_of_the_algebra_show_what_the_relations_do(name: str) -> None:
    with Image.open(ROOT / "docs" / "pictures" / f"{name}.png") as image:
        shown = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1) / 255
    made = DRAWN.SHEETS[name]()
    assert made.shape == shown.shape
    visible = (made - shown).abs().amax(dim=0) > 0.2  # the palette changes colours a little
    assert float(visible.float().mean()) < 5e-4, "run: python docs/make_pictures.py"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Host]]:
    """``example(page)`` installs the package that a page shows; the host has it beside the shipped plugins.

    ``example(*pages)`` installs those of several pages, each under a name of its own.
    """
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))

    def install(*pages: str) -> Host:
        names = ["my_package"] if len(pages) == 1 else [f"my_package_{number}" for number in range(len(pages))]
        for name, text in zip(names, pages, strict=True):
            install_package(site, name, text)
        importlib.invalidate_caches()
        own = [name.replace("_", "-") for name in names]
        return Host.load(strict=True, only=(*own, *DOCS.first_party()))

    yield install
    for name in [name for name in sys.modules if name.startswith("my_package")]:
        del sys.modules[name]


def install_package(site: Path, name: str, text: str) -> None:
    """Write the files that a page shows, as a distribution with an entry point."""
    package, info, distribution = site / name, site / f"{name}-1.0.dist-info", name.replace("_", "-")
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").touch()
    for block in blocks(text, "python"):
        if found := re.match(r"# my_package/(\w+\.py)\n", block):
            assert max(map(len, block.splitlines())) <= 120, found[1]
            (package / found[1]).write_text(block.replace("my_package", name), encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[sa3dhp]\n{distribution} = {name}.plugin\n", encoding="utf-8")


@attrs.frozen
class Example:
    """An installed example: its host, its own component's table, and a folder to write in."""

    host: Host
    noun: str
    table: dict[str, Any]
    folder: Path

    def build(self, **parts: Any) -> Any:
        """The component, built as a recipe's table would."""
        return self.host.build(self.noun, self.table, self.noun, **parts)


def poses(*shape: int) -> torch.Tensor:
    """Root-relative poses that differ."""
    drawn = 0.4 * torch.randn(*shape, len(BONES), 3, generator=torch.Generator().manual_seed(5))
    return drawn - drawn[..., [BONES.index(BONES.root)], :]


class FlatPrior:
    """A pose prior for the examples of others: z is the pose."""

    latent, skeleton = 3 * len(BONES), BONES

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return z.unflatten(-1, (len(BONES), 3))


def try_relation(example: Example) -> None:
    relation, given = example.build(skeleton=BONES), torch.Generator()
    anchor = poses(2, 4)
    spatial = relation.draw((2, 4), given)
    assert spatial.matrix.shape == (2, 4, 3, 3) and spatial.condition.shape == (2, 4, relation.condition)
    moved = relation.on_poses(anchor, spatial)
    assert torch.allclose(moved.norm(dim=-1), anchor.norm(dim=-1), atol=1e-5)
    assert not torch.allclose(moved, anchor, atol=1e-2)
    camera = torch.tensor([[40.0, 0, 8], [0, 40, 8], [0, 0, 1]])
    image = torch.rand(3, 16, 16, generator=given.manual_seed(0))
    turned = relation.on_images(image, relation.draw((), given), camera)
    inner = slice(4, 12)  # half a revolution is a flip along both axes
    assert torch.allclose(turned[:, inner, inner], image.flip(-1, -2)[:, inner, inner], atol=1e-3)
    assert relation.temporal(3).partner == (0, 1, 2) and relation.name == "upside-down"


def try_relation_network(example: Example) -> None:
    network = example.build(width=6, condition=3, bound=torch.tanh, pose_prior=None)
    z = torch.randn(5, 6)
    assert torch.equal(network(z, torch.zeros(5, 3)), z)
    assert network.task(None, None, None, None, 30).modules == {"network": network}


def try_alignment_loss(example: Example) -> None:
    one = torch.ones(())
    parts = LossParts(BONES, FlatPrior(), None, {}, {}, one, one, 6, FlatPrior.latent, 0, 8)
    loss = example.build(parts=parts)
    still = poses(2, 1).expand(2, 6, -1, -1).flatten(-2)

    def value(z: torch.Tensor) -> torch.Tensor:
        views = {view: Encoded(z, torch.zeros(2, 6, 8), None) for view in loss.views}
        result: torch.Tensor = loss(LossInput(views, poses(4), {}, torch.Generator(), 0, 10))
        return result

    assert float(value(still)) == pytest.approx(0.0, abs=1e-5)
    shaken = (still + 0.1 * torch.randn(still.shape, generator=torch.Generator().manual_seed(1))).requires_grad_()
    value(shaken).backward()
    assert float(value(shaken.detach())) > 0.1 and shaken.grad is not None
    assert (loss.weight, loss.window, loss.labelled, loss.name) == (0.1, 6, (), "my-smooth")


def try_backbone(example: Example) -> None:
    backbone = example.build().eval()
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    features = backbone(images)
    assert features.shape == (3, backbone.channels, 8, 8) and list(backbone.blocks) == ["cut", "mix"]
    assert torch.allclose(backbone(images[:1]), features[:1], atol=1e-5)


def try_image_encoder(example: Example) -> None:
    backbone = example.host.build("backbone", example.table["backbone"], "backbone")
    encoder = example.build(backbone=backbone, latent=7, bound=torch.tanh).eval()
    encoding = encoder(torch.rand(2, 3, 64, 64))
    assert encoding.z.shape == (2, 7) and encoding.feature.shape == (2, encoder.feature)
    assert float(encoding.z.detach().abs().max()) < 1 and {"res1", "head"} <= set(encoder.blocks)


def try_pose_prior(example: Example) -> None:
    prior, drawn = example.build(skeleton=BONES), poses(3, 2)
    z = prior.encode(drawn)
    assert z.shape == (3, 2, prior.latent) and torch.allclose(prior.decode(z), drawn)
    sample = prior.sample(4, torch.Generator().manual_seed(0))
    assert sample.shape == (4, prior.latent) and torch.equal(sample, prior.sample(4, torch.Generator().manual_seed(0)))
    assert float(prior.bound(100 * sample).abs().max()) <= prior.reach_m
    assert list(prior.task(None).modules) == ["prior"]


def try_motion_prior(example: Example) -> None:
    prior, z = example.build(pose_prior=FlatPrior(), frames=6), torch.randn(2, 6, FlatPrior.latent)
    v = prior.encode(z)
    assert v.shape == (2, prior.latent) and prior.frames == 6 and torch.equal(prior.decode(v), z)
    assert list(prior.task(None).modules) == ["prior"]


def try_relation_score(example: Example) -> None:
    score, anchor = example.build(), torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    assert score(anchor, anchor) == 0.0 and 0.2 < score(anchor, anchor.flip(0)) < 0.8
    with pytest.raises(ValueError, match="differ in shape"):
        score(anchor, anchor[:3])


def try_relation_selection(example: Example) -> None:
    figures = [
        RelationFigures(name, "z", None, None, 1.0, 1.0, ErrorsMm(error, 200.0, 5.0), Residuals(0.1, 0.0, 1.0))
        for name, error in (("far", 30.0), ("near", 10.0), ("middle", 20.0))
    ]
    survey = Survey("test", BONES, tuple(figures), Residuals(0.1, 0.0, 1.0), {})
    assert [choice.name for choice in example.build()(survey, 2)] == ["near", "middle"]
    untrained = attrs.evolve(survey, relations=(attrs.evolve(figures[0], errors_mm=None),))
    with pytest.raises(RunError, match="no network"):
        example.build()(untrained, 1)


def try_lifter(example: Example) -> None:
    lifter = example.build(skeleton=BONES)
    lifted = lifter(torch.randn(2, 4, len(BONES), 2))
    assert (
        lifted.shape == (2, 4, len(BONES), 3)
        and float(lifted[..., BONES.index(BONES.root), :].detach().abs().max()) == 0
    )


def try_detector(example: Example) -> None:
    images = torch.zeros(2, 3, 40, 60)
    images[0, :, 10:30, 20:25] = 1.0
    first, second = example.build()(images)
    assert first.boxes.tolist() == [[20, 10, 5, 20]] and first.scores.tolist() == [1] and len(second.boxes) == 0


def try_image_synthesis(example: Example) -> None:
    table = {"use": "world", "role": "source", "train_clips": 2, "validation_clips": 1, "test_clips": 1, "frames": 1}
    data = example.host.build("image_data", table, "data.source")
    data.prepare(example.folder)
    make = example.build(source=data.labelled(example.folder, "train"), generator=torch.Generator())
    batch = make(poses(3), torch.Generator())
    assert batch.images.shape == (3, 3, 64, 64) and batch.intrinsics.shape == (3, 3, 3)
    assert torch.allclose(procrustes(batch.poses, poses(3), scale=False), poses(3), atol=1e-4)
    column, row = batch.keypoints.long().unbind(-1)
    assert bool((batch.images[torch.arange(3)[:, None], :, row, column] == 1).all())
    assert 1 / 64**2 < float((batch.images == 1).float().mean()) <= len(BONES) / 64**2


def try_sink(example: Example) -> None:
    sink = example.build(folder=example.folder)
    sink.stage_started("source", 10)
    sink.progress("source", 10, {"loss": 1.0})
    sink.stage_finished("source", 1.0, False)
    sink.result({"row": "adapted", "protocol": "mpjpe-root", "value": 82.9})
    sink.close()
    lines = (example.folder / "table.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["row,protocol,split,value,unit,seed,recipe_digest", "adapted,mpjpe-root,,82.9,,,"]


def try_pose_data(example: Example) -> None:
    data = example.build()
    data.prepare(example.folder)
    data.prepare(example.folder)
    opened = data.sequences(example.folder, "train")
    (whole,) = opened.sequences()
    assert whole.shape == (60, len(BONES), 3)
    head, ankle = (whole[:, BONES.index(joint), 2] for joint in ("head", "left_ankle"))
    assert float(head.min()) > 0.5 and float(ankle.max()) < -0.5
    assert opened.draw(3, 5, torch.Generator().manual_seed(0), WHOLE).shape == (3, 5, len(BONES), 3)


def try_keypoint_data(example: Example) -> None:
    data = example.build(host=example.host)
    data.prepare(example.folder)
    opened = data.keypoints(example.folder, "train")
    points, truth = next(iter(opened.batches(100))), data.truth(example.folder, "train")
    assert points.shape == (12, len(BONES), 2) and truth.shape == (12, len(BONES), 3)
    assert torch.allclose(points * (truth[..., 2:] + 4.0), truth[..., :2], atol=1e-5)
    assert opened.draw(3, 5, torch.Generator().manual_seed(0), WHOLE).shape == (3, 5, len(BONES), 2)


def try_image_data(example: Example) -> None:
    data = example.build()
    data.prepare(example.folder)
    batch = data.labelled(example.folder, "validation").draw(4, torch.Generator().manual_seed(0))
    assert batch.images.shape == (4, 3, 64, 64) and batch.poses.shape == (4, len(BONES), 3)
    assert 0 <= float(batch.images.min()) and float(batch.images.max()) <= 1
    clips = data.clips(example.folder, "train").draw(2, 5, torch.Generator().manual_seed(0))
    assert clips.images.shape == (2, 5, 3, 64, 64)


def try_method(example: Example) -> None:
    from sa3dhp_core.runner import run

    recipe = recipe_from(example.table)
    results = run(recipe, example.host, example.folder)
    (record,) = results["records"]
    assert 100 < record["value"] < 1000 and record["split"] == "poses:train" and record["unit"] == "mm"
    assert json.loads((example.folder / "results.json").read_text(encoding="utf-8")) == results


def try_command(example: Example) -> None:
    app = example.host.find("command", "my-joints").load_target()
    command: Any = typer.main.get_command(app)
    assert command.main(args=[], prog_name="my-joints", standalone_mode=False) in (None, 0)
    with pytest.raises(RecipeError, match="no card"):
        command.main(args=["--card", "nobody"], standalone_mode=False)


TRIALS = {name.removeprefix("try_"): value for name, value in list(globals().items()) if name.startswith("try_")}


@pytest.mark.parametrize("noun", NOUNS)
def test_the_example_of_ones_own_works(noun: str, example: Callable[..., Host], tmp_path: Path) -> None:
    text = (ROOT / "docs" / "nouns" / f"{noun}.md").read_text(encoding="utf-8")
    host = example(text)
    (own,) = [offer.component for offer in host.components() if offer.distribution == "my-package"]
    assert own.noun == noun and all(field.metadata.get("help") for field in attrs.fields(own.load_config()))
    tables = [tomllib.loads(block) for block in blocks(text, "toml") if own.id in block]
    table = named_table(tables[-1], own.id) if tables and noun != "method" else {"use": own.id}
    folder = tmp_path / "folder"
    folder.mkdir()
    TRIALS[noun](Example(host, noun, tables[-1] if noun == "method" else table, folder))


CHECKED = [noun for noun in NOUNS if importlib.util.find_spec(f"sa3dhp_core.conformance.nouns.{noun}")]
"""Nouns that the conformance kit has checks of."""


@pytest.mark.slow
@pytest.mark.parametrize("noun", CHECKED)
def test_the_example_of_ones_own_passes_the_kit(noun: str, example: Callable[..., Host]) -> None:
    host = example((ROOT / "docs" / "nouns" / f"{noun}.md").read_text(encoding="utf-8"))
    (own,) = [offer.component for offer in host.components() if offer.distribution == "my-package"]
    outcomes = list(run_checks([Subject.offered(own)], Bench(host=host)))
    assert [(o.check, o.reason) for o in outcomes if o.failed] == []
    assert any(check.noun == noun for check in checks_for(Subject.offered(own)))


@pytest.mark.parametrize("noun", CHECKED)
def test_the_page_of_a_noun_lists_the_checks_of_the_kit(noun: str) -> None:
    text = (ROOT / "docs" / "nouns" / f"{noun}.md").read_text(encoding="utf-8")
    assert "## Which checks hold it to that\n" in text and f"<!-- generated: checks {noun} -->\n" in text


def named_table(content: Any, use: str) -> dict[str, Any]:
    """The table with this ``use``, however deep it lies."""
    if isinstance(content, dict) and content.get("use") == use:
        return content
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    return next((found for item in inner if (found := named_table(item, use))), {})


def test_every_trial_builds_the_example() -> None:
    assert set(TRIALS) == set(NOUNS)
    for noun, trial in TRIALS.items():
        assert "assert" in inspect.getsource(trial), noun


OWN = """
id = "own"
method = "sa3dhp"
data.source = { use = "world", role = "source", train_clips = 1, validation_clips = 1, test_clips = 1, size = 32 }
data.target = { use = "world", look = "mild", train_clips = 1, validation_clips = 1, test_clips = 1, size = 32 }
data.poses = { use = "my-turntable", frames = 60 }
encoder = { use = "my-pooled", backbone = { use = "my-patches", size = 4 } }
pose_prior.use = "my-plain"
motion_prior.use = "my-whole"
relation_network.use = "my-unmoved"
relations = [{ use = "my-upside-down" }]
losses = [{ use = "my-smooth", weight = 0.1 }, { use = "relation", name = "turned", relation = "upside-down" }]
sinks = [{ use = "my-csv" }]
settings.samples = 1
settings.synthesis = { images = 8, by = { use = "my-dots" } }
settings.source = { steps = 2, batch = 8 }
settings.adaptation = { steps = 2, clips = 1, prior = 8 }
rows = [
  { name = "source-only", kind = "source" },
  { name = "dotted", kind = "source", start = "source-only", synthesised = 0.5 },
  { name = "adapted", kind = "adapt", start = "source-only", losses = ["my-smooth", "turned"] },
]
"""
"""A recipe of the pages' own components, wherever one has a part in a run; two steps each."""


WITHOUT_A_PART = (
    "command",
    "detector",
    "image_data",
    "keypoint_data",
    "lifter",
    "method",
    "relation_score",
    "relation_selection",
)
"""Nouns that have no part in a run of the method `sa3dhp`, or whose example is no part of it."""


@pytest.mark.slow
def test_the_examples_together_make_a_run(example: Callable[..., Host], tmp_path: Path) -> None:
    from sa3dhp_core.runner import run

    nouns = [noun for noun in NOUNS if noun not in WITHOUT_A_PART]
    host = example(*((ROOT / "docs" / "nouns" / f"{noun}.md").read_text(encoding="utf-8") for noun in nouns))
    own = {offer.component.id for offer in host.components() if offer.distribution.startswith("my-package")}
    assert [id for id in own if f'"{id}"' not in OWN] == []
    results = run(recipe_from(tomllib.loads(OWN)), host, tmp_path / "run")
    rows = {record["row"]: record["value"] for record in results["records"] if record["protocol"] == "mpjpe-root"}
    assert {"pose prior", "motion prior", "relation upside-down", "source-only", "dotted", "adapted"} == set(rows)
    assert rows["pose prior"] == pytest.approx(0.0, abs=1e-3) and rows["relation upside-down"] > 500
    lines = (tmp_path / "run" / "results.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(results["records"])
