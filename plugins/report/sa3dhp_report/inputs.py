"""What a run directory offers to a report. Reads its files, tolerates that any is missing or damaged, computes nothing.

Every reader returns a `Found`: the content, or the reason why there is none.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import attrs
import numpy as np

RECIPE, ENVIRONMENT, RESULTS, METRICS = "recipe.toml", "environment.json", "results.json", "metrics.jsonl"
LATENT, PER_JOINT, SAMPLES = "analysis/latent_distance.json", "analysis/per_joint.json", "analysis/samples.npz"
FILES = (RECIPE, ENVIRONMENT, RESULTS, METRICS, LATENT, PER_JOINT, SAMPLES)

T = TypeVar("T")


@attrs.frozen
class Found(Generic[T]):
    """The content of a file, or why there is none."""

    value: T | None
    reason: str = ""


@attrs.frozen(eq=False)
class Samples:
    """Crops with poses: ``images (K, H, W, 3)`` uint8, ``truth (K, J, 3)`` and predictions by row in metres."""

    images: np.ndarray
    truth: np.ndarray
    predictions: dict[str, np.ndarray]
    joints: tuple[str, ...]
    parents: tuple[int, ...]


def _read(run: Path, name: str, parse: Callable[[Path], T]) -> Found[T]:
    path = run / name
    if not path.is_file():
        return Found(None, f"The run directory has no {name}.")
    try:
        return Found(parse(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        return Found(None, f"{name} cannot be read: {type(error).__name__}: {error}")
    except Exception as error:  # zipfile.BadZipFile and zlib.error have no base of their own
        return Found(None, f"{name} is damaged: {error}")


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def recipe(run: Path) -> Found[tuple[str, dict[str, Any]]]:
    """The resolved recipe: its text and its content."""

    def parse(path: Path) -> tuple[str, dict[str, Any]]:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)

    return _read(run, RECIPE, parse)


def environment(run: Path) -> Found[dict[str, Any]]:
    """Versions, git state, hardware."""
    return _read(run, ENVIRONMENT, lambda path: dict(_json(path)))


def results(run: Path) -> Found[dict[str, Any]]:
    """Recipe id, digest, seed, and records, whose needed keys are checked."""

    def parse(path: Path) -> dict[str, Any]:
        content = dict(_json(path))
        records = []
        for record in content["records"]:
            value = float(record["value"])
            if math.isfinite(value):
                records.append({**record, **{k: str(record[k]) for k in ("row", "protocol", "split")}, "value": value})
        return {**content, "records": records}

    return _read(run, RESULTS, parse)


def curves(run: Path) -> Found[dict[str, dict[str, tuple[list[int], list[float]]]]]:
    """By stage and scalar name: steps and values, in the order of the file; unfinished lines are left out."""

    def parse(path: Path) -> dict[str, dict[str, tuple[list[int], list[float]]]]:
        stages: dict[str, dict[str, tuple[list[int], list[float]]]] = {}
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
                stage, step = str(record.pop("stage")), int(record.pop("step"))
            except (ValueError, KeyError, AttributeError, TypeError):
                continue
            record.pop("time", None)
            for name, value in record.items():
                if isinstance(value, (int, float)) and math.isfinite(value):
                    steps, values = stages.setdefault(stage, {}).setdefault(name, ([], []))
                    steps.append(step)
                    values.append(float(value))
        return stages

    return _read(run, METRICS, parse)


def latent_distances(run: Path) -> Found[list[dict[str, Any]]]:
    """Relations with their latent distances, as stored."""

    def parse(path: Path) -> list[dict[str, Any]]:
        return [
            {
                "relation": str(entry["relation"]),
                "space": str(entry.get("space", "z")),
                "distance": float(entry["distance"]),
                "relative": float(entry["relative"]),
                "network_error_mm": None if (error := entry.get("network_error_mm")) is None else float(error),
            }
            for entry in _json(path)
        ]

    return _read(run, LATENT, parse)


def per_joint(run: Path) -> Found[dict[str, dict[str, list[Any]]]]:
    """By row: joint names and their errors in mm."""

    def parse(path: Path) -> dict[str, dict[str, list[Any]]]:
        rows: dict[str, dict[str, list[Any]]] = {}
        for row, entry in dict(_json(path)).items():
            joints, errors = [str(j) for j in entry["joints"]], [float(e) for e in entry["mpjpe_mm"]]
            if len(joints) != len(errors):
                raise ValueError(f"row {row!r} has {len(joints)} joints and {len(errors)} errors")
            rows[str(row)] = {"joints": joints, "mpjpe_mm": errors}
        return rows

    return _read(run, PER_JOINT, parse)


def samples(run: Path) -> Found[Samples]:
    """Sample crops with true and predicted poses; their shapes are checked."""

    def parse(path: Path) -> Samples:
        with np.load(path, allow_pickle=False) as file:
            images, truth = file["images"], file["truth"].astype(float)
            joints, parents = tuple(map(str, file["joints"])), tuple(map(int, file["parents"]))
            found = {key.removeprefix("pred/"): file[key].astype(float) for key in file.files if key[:5] == "pred/"}
        expected = (len(images), len(joints), 3)
        for name, poses in {"truth": truth, **found}.items():
            if poses.shape != expected:
                raise ValueError(f"{name} has shape {poses.shape}, expected {expected}")
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(f"images are {images.dtype} {images.shape}, expected uint8 (K, H, W, 3)")
        if len(parents) != len(joints) or any(parent >= len(joints) for parent in parents):
            raise ValueError(f"parents {parents} do not fit {len(joints)} joints")
        return Samples(images, truth, found, joints, parents)

    return _read(run, SAMPLES, parse)
