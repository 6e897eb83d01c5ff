"""Does what `sa3dhp relations rank` measures predict what a relation gains in adaptation?

    OMP_NUM_THREADS=1 python benchmarks/relation_gain.py [--seed 0 --seed 1 …] [--steps 60] [--out FOLDER]
        [--stages FOLDER]

The embedded world at quickstart's size. Every row begins from the source-only encoder and adapts alike: rehearsal of
lightly augmented source images, prior matching on unmoved views, and the energies of its relations with stopped
teacher anchors, whose weights add up to one. A row's gain is the drop in target MPJPE against the row without any
relation. Validation is what is ranked; test is scored once and shown. Prints Spearman's rank correlation of the gain
with each measure, for single relations and for sets, each seed and their mean; appends the records to
results/relation_gain.jsonl and writes the tables to results/relation_gain.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations, permutations
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import typer
from _machine import command, machine
from scipy.stats import spearmanr

from sa3dhp_core.atomic import write_text
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.selection import Survey
from sa3dhp_core.recipe import Recipe, load_recipe, recipe_from, to_plain
from sa3dhp_core.runner import run, trained_latent
from sa3dhp_relations.fixed_points import FixedPoints
from sa3dhp_relations.surveying import survey

RESULTS = Path(__file__).parent / "results"
PROTOCOL, SPLITS = "mpjpe-root", ("target-validation", "target-test")

RELATIONS = {
    "rotate-5": "rotate(5)",
    "rotate-20": "rotate(20)",
    "rotate-45": "rotate(45)",
    "rotate-70": "rotate(70)",
    "rotate-family": "rotate(-45..45)",
    "flip": "flip",
    "flip-20": "flip @ rotate(20)",
    "flip-45": "flip @ rotate(45)",
    "flip-family": "flip @ rotate(-45..45)",
    "orbit": "flip? @ rotate(-45..45)",
    "tilt-5": "tilt(5)",
    "pan-5": "pan(5)",
}
SETS = (
    ("rotate-5", "rotate-20"),
    ("rotate-45", "rotate-70"),
    ("flip", "flip-45"),
    ("flip", "rotate-45"),
    ("flip", "pan-5"),
    ("orbit", "tilt-5"),
    ("flip", "rotate-45", "tilt-5"),
    ("flip-20", "rotate-20", "pan-5"),
)
ENDLESS = 1000.0
"""Ranks above every finite number of invisible maps, and is a number in JSON."""
ALL = (*((name,) for name in RELATIONS), *SETS)
REPEATED: tuple[tuple[str, ...], ...] = ((), ("flip",), ("orbit",))
"""Rows that are trained twice, with other batches: what chance does."""
CONTROLS = ("rotate-5", "rotate-45", "orbit")
"""Relations whose images are compared as if nothing had moved: what the energy gains without its geometry."""
START, WITHOUT, AGAIN, UNMOVED = "source-only", "without relation", ", again", ", answered by the identity"


def row_name(relations: tuple[str, ...]) -> str:
    """What the table calls a single relation or a set."""
    return " + ".join(relations) or WITHOUT


def recipe_of(seed: int, steps: int) -> Recipe:
    """All rows of one seed, as a change of quickstart."""
    plain = to_plain(load_recipe("quickstart"))
    energy = {"use": "relation", "anchor": "teacher", "per_frame": True, "stride": 10}
    matching = {"use": "prior-matching", "name": "prior", "photometric": "strong", "stride": 10, "weight": 0.3}
    rows = [{"name": START, "kind": "source"}, _row(WITHOUT, ())]
    rows += [_row(row_name(names), names) for names in ALL]
    rows += [_row(f"{row_name(names)}{AGAIN}", names) for names in REPEATED]
    rows += [_row(f"{name}{UNMOVED}", (f"{name}{UNMOVED}",)) for name in CONTROLS]
    energies = [{**energy, "name": name, "relation": name} for name in RELATIONS]
    energies += [{**energy, "name": f"{name}{UNMOVED}", "relation": name, "answer": "identity"} for name in CONTROLS]
    changes = {
        "id": "relation-gain",
        "summary": "what every relation gains alone and in sets, beside the same adaptation without any",
        "seed": seed,
        "data": {role: {**table, "seed": seed} for role, table in plain["data"].items()},
        "relations": [{"use": "geometric", "name": name, "expression": text} for name, text in RELATIONS.items()],
        "losses": [*energies, matching, {"use": "rehearsal"}],
        "settings": {**plain["settings"], "adaptation": {**plain["settings"]["adaptation"], "steps": steps}},
        "rows": rows,
        "sinks": [],
    }
    return recipe_from({**plain, **changes})


def _row(name: str, relations: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "adapt",
        "start": START,
        "augmentation": "weak",
        "losses": [*relations, "prior", "rehearsal"],
        "weights": {relation: 1 / len(relations) for relation in relations},
    }


def measures(seed_run: Path, host: Host) -> dict[str, dict[str, float]]:
    """What is known of every row's relations before any adaptation, by row."""
    latent = trained_latent(seed_run, host)
    found, fixed = survey(latent), FixedPoints(latent)
    return {row_name(names): _measured(found, fixed, names) for names in ALL}


def _measured(found: Survey, fixed: FixedPoints, names: tuple[str, ...]) -> dict[str, float]:
    known = [found.of(name) for name in names]
    least = known[0].residuals if len(known) == 1 else fixed.of(names)
    assert least is not None  # every relation has a network here
    left = found.left_open(names)
    shares = [found.redundancy[a][b] for a, b in permutations(names, 2)]
    return {
        "latent distance": mean(one.distance for one in known if one.distance is not None),
        "relative distance": mean(one.relative for one in known if one.relative is not None),
        "least residual at a pose": least.pose,
        "least residual in range": least.latent,
        "network error": mean(one.errors_mm.network for one in known if one.errors_mm is not None),
        "fixed dimension": float(left.fixed_dimension),
        "invisible maps": ENDLESS if left.count is None else float(left.count),
        **({"redundancy": mean(shares)} if shares else {}),
    }


def records_of(
    seed: int, content: Mapping[str, Any], known: Mapping[str, dict[str, float]]
) -> Iterator[dict[str, Any]]:
    """One record a row: its error on both splits and what is known of its relations."""
    for row in dict.fromkeys(record["row"] for record in content["records"]):
        errors = {
            split: next(
                (
                    record["value"]
                    for record in content["records"]
                    if (record["row"], record["protocol"], record["split"]) == (row, PROTOCOL, split)
                ),
                None,
            )
            for split in SPLITS
        }
        if errors[SPLITS[0]] is not None:
            given = {"seed": seed, "recipe_digest": content["digest"], "protocol": PROTOCOL, "unit": "mm"}
            yield {"row": row, **given, **errors, "measures": known.get(row.removesuffix(AGAIN), {})}


def gains(records: Sequence[Mapping[str, Any]], split: str) -> dict[str, float]:
    """Millimetres that each row of one seed gains over the row without relation (the mean of its two trainings)."""
    errors = {record["row"]: record[split] for record in records}
    base = mean((errors[WITHOUT], errors[WITHOUT + AGAIN]))
    return {row: base - value for row, value in errors.items()}


def correlations(records: Sequence[Mapping[str, Any]], rows: Sequence[str], split: str) -> dict[str, float]:
    """Spearman's rank correlation of the gain with each measure over `rows` of one seed."""
    gained, known = gains(records, split), {record["row"]: record["measures"] for record in records}
    found = {}
    for measure in known[rows[0]]:
        values = [known[row][measure] for row in rows]
        if len(set(values)) > 1:  # what is the same for all ranks nothing
            found[measure] = float(spearmanr(values, [gained[row] for row in rows]).statistic)
    return found


def page(by_seed: Mapping[int, Sequence[Mapping[str, Any]]], **facts: str) -> str:
    """Both tables."""
    seeds = list(by_seed)
    lines = [f"# relation_gain\n\n`{facts['command']}`, {facts['date']}, {facts['machine']}\n"]
    lines += ["## Gain over the same adaptation without relation, mm of MPJPE (mpjpe-root)\n"]
    heads = [f"{split.removeprefix('target-')}, seed {seed}" for split in SPLITS for seed in seeds]
    lines += ["| row | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(heads)]
    gained = {(split, seed): gains(by_seed[seed], split) for split in SPLITS for seed in seeds}
    for row in gained[SPLITS[0], seeds[0]]:
        lines.append(f"| {row} | " + " | ".join(f"{gained[key][row]:+.1f}" for key in gained) + " |")
    for title, rows in (("single relations", list(RELATIONS)), ("sets", [row_name(names) for names in SETS])):
        lines += [f"\n## Spearman's rank correlation of the gain with each measure, {len(rows)} {title}\n"]
        lines += ["| measure | " + " | ".join([*heads, "validation, mean"]) + " |"]
        lines += ["| --- |" + " ---: |" * (len(heads) + 1)]
        found = {(split, seed): correlations(by_seed[seed], rows, split) for split in SPLITS for seed in seeds}
        for measure in found[SPLITS[0], seeds[0]]:
            values = [found[key].get(measure, float("nan")) for key in found]
            cells = [f"{value:+.2f}" for value in [*values, mean(values[: len(seeds)])]]
            lines.append(f"| {measure} | " + " | ".join(cells) + " |")
        lines += [f"\n{agreement(by_seed, rows)}"]
    return "\n".join(lines) + "\n"


def agreement(by_seed: Mapping[int, Sequence[Mapping[str, Any]]], rows: Sequence[str]) -> str:
    """How well gains agree with themselves, which no measure can be expected to beat by much."""
    gained = {(split, seed): gains(records, split) for split in SPLITS for seed, records in by_seed.items()}
    words = []
    for (first, one), (second, other) in combinations(gained.items(), 2):
        if first[0] == second[0] or first[1] == second[1]:
            value = spearmanr([one[row] for row in rows], [other[row] for row in rows]).statistic
            words.append(f"{first[0]}, seed {first[1]} and {second[0]}, seed {second[1]}: {value:+.2f}")
    return "Rank correlation of the gains with one another: " + "; ".join(words) + "."


def main(
    seeds: Annotated[list[int], typer.Option("--seed", help="repeat for several seeds")] = [0, 1],  # noqa: B006
    steps: Annotated[int, typer.Option(help="steps of every adaptation")] = 60,
    out: Annotated[Path, typer.Option(help="folder of the runs")] = Path("runs/relation-gain"),
    stages: Annotated[Path | None, typer.Option(help="folder of stages shared between runs")] = None,
) -> None:
    """Run, measure, print, record."""
    host = Host.load()
    by_seed = {}
    for seed in seeds:
        content = run(recipe_of(seed, steps), host, out / f"seed-{seed}", store=stages or out / "stages")
        by_seed[seed] = list(records_of(seed, content, measures(out / f"seed-{seed}", host)))
    facts = {"command": command(), "date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": f"{machine()}, 1 thread"}
    text = page(by_seed, **facts)
    print(text)
    write_text(RESULTS / "relation_gain.md", text)
    with (RESULTS / "relation_gain.jsonl").open("a", encoding="utf-8") as file:
        for record in (one for records in by_seed.values() for one in records):
            file.write(json.dumps({**facts, **record}) + "\n")


if __name__ == "__main__":
    typer.run(main)
