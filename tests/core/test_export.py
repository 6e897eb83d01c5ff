"""Models taken home: files that compute what the model does, say what they are, and are not written otherwise."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from sa3dhp_core.atomic import read_json
from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import RunError
from sa3dhp_core.export import FACTS, FORMATS, format_of, place_in, write_model
from sa3dhp_core.protocols.exportable import Exportable, Port

BODY = skeleton()
KEYPOINTS = Port("keypoints", ("batch", "joint", "xy"), "places on the camera plane, NaN where unseen")
MADE_BY = {"run": "a", "digest": "0123"}


class Lift(nn.Module):
    """Keypoints ``(B, J, 2)``, NaN where unseen, to poses."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.norm = nn.Linear(2 * len(BODY), 3 * len(BODY)), nn.BatchNorm1d(3 * len(BODY))

    def forward(self, keypoints: Tensor) -> Tensor:
        flat = keypoints.to(self.layer.weight.dtype).nan_to_num(0.5).flatten(1)
        poses: Tensor = self.norm(self.layer(flat)).unflatten(1, (len(BODY), 3))
        return poses


class Liar(Lift):
    """Its graph computes something else, by a centimetre."""

    def forward(self, keypoints: Tensor) -> Tensor:
        return super().forward(keypoints) + (0.01 if torch.compiler.is_compiling() else 0.0)


class Deciding(Lift):
    """What it computes is decided in Python, by values."""

    def forward(self, keypoints: Tensor) -> Tensor:
        return super().forward(keypoints) * (2.0 if bool(keypoints.isnan().any()) else 1.0)


class Fixed(Lift):
    """Made for one size of batches."""

    def forward(self, keypoints: Tensor) -> Tensor:
        return super().forward(keypoints) + torch.ones(len(keypoints), 1, 1)


class Silent(Lift):
    """Numbers that are none."""

    def forward(self, keypoints: Tensor) -> Tensor:
        return super().forward(keypoints) * torch.nan


class Flat(Lift):
    """No poses."""

    def forward(self, keypoints: Tensor) -> Tensor:
        return super().forward(keypoints).flatten(1)


def draw(count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    points = torch.randn(count, len(BODY), 2, generator=generator)
    points[0, 3] = torch.nan
    return (points,)


def exportable(module: nn.Module) -> Exportable:
    licences, facts = {"keypoints": "own work"}, {"stage": "student-12"}
    return Exportable(module, (KEYPOINTS,), draw, BODY, "the keypoints' camera", "student", licences, facts)


def computed(form: str, path: Path, keypoints: Tensor) -> Tensor:
    """What a file makes of keypoints, run as its user would."""
    if form == "onnx":
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return torch.from_numpy(session.run(["poses"], {"keypoints": keypoints.numpy()})[0])
    poses: Tensor = torch.export.load(path).module()(keypoints)
    return poses


def told_inside(form: str, path: Path) -> dict[str, Any]:
    """The facts inside a file."""
    if form == "onnx":
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        facts: dict[str, Any] = json.loads(session.get_modelmeta().custom_metadata_map[FACTS])
        return facts
    extra = {FACTS: ""}
    torch.export.load(path, extra_files=extra)
    facts = json.loads(extra[FACTS])
    return facts


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("form", FORMATS)
def test_a_file_computes_in_float32_what_the_model_does_and_says_what_it_is(
    form: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    module = Lift().to(dtype).train()
    path = tmp_path / "new" / f"student{FORMATS[form].suffix}"
    told = write_model(path, form, exportable(module), MADE_BY)
    assert module.training and module.layer.weight.dtype == dtype, "the model itself is left as it is"
    reference = Lift().to(dtype).float().eval()
    for count in (1, 3, 4, 33):
        (points,) = draw(count, torch.Generator().manual_seed(count))
        found = computed(form, path, points)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, reference(points), atol=1e-5, rtol=1e-5)
    content = path.read_bytes()
    assert told == read_json(tmp_path / "new" / f"{path.name}.json")
    assert (told["format"], told["file"], told["bytes"]) == (form, path.name, len(content))
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    assert told["checked"]["batches"] == [1, 2, 5] and told["checked"]["largest_difference_m"] < 1e-5
    inside = told_inside(form, path)
    assert inside == {key: value for key, value in told.items() if key in inside} and "checked" not in inside
    assert inside["made_by"]["digest"] == "0123" and inside["licences"] == {"keypoints": "own work"}
    assert tuple(inside["joints"]) == BODY.joints and tuple(inside["parents"]) == BODY.parent_indices
    assert (inside["skeleton"], inside["unit"], inside["row"], inside["stage"]) == (
        BODY.id,
        "m",
        "student",
        "student-12",
    )
    (taken,), (given,) = inside["inputs"], inside["outputs"]
    assert (taken["name"], taken["shape"]) == ("keypoints", ["batch", len(BODY), 2]) and "NaN" in taken["meaning"]
    assert (given["name"], given["shape"]) == ("poses", ["batch", len(BODY), 3]) and "keypoints' camera" in given[
        "meaning"
    ]


@pytest.mark.slow
def test_files_hold_neither_inputs_of_the_check_nor_places_of_the_source(tmp_path: Path) -> None:
    for form, kind in FORMATS.items():
        path = tmp_path / f"model{kind.suffix}"
        write_model(path, form, exportable(Lift()), MADE_BY)
        assert Path(__file__).name.encode() not in path.read_bytes()
    with zipfile.ZipFile(tmp_path / "model.pt2") as archive:
        samples = [entry for entry in archive.infolist() if "sample_inputs" in entry.filename]
        assert sum(entry.file_size for entry in samples) == 0
    model = onnx.load(tmp_path / "model.onnx")
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert [axis.dim_param for axis in model.graph.input[0].type.tensor_type.shape.dim] == ["batch", "", ""]
    weights = sum(parameter.numel() for parameter in Lift().parameters()) * 4
    assert weights < (tmp_path / "model.onnx").stat().st_size < weights + 10_000


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Liar(), "as torch-export computes something else than the model, and is not written"),
        (Deciding(), "row 'student' cannot be written as torch-export"),
        (Fixed(), "row 'student' cannot be written as torch-export"),
        (Silent(), "makes no poses"),
        (Flat(), "makes no poses"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_model_that_the_file_would_not_be_is_not_written(module: nn.Module, said: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=said):
        write_model(tmp_path / "new" / "a.pt2", "torch-export", exportable(module), MADE_BY)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_onnx_that_computes_something_else_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"as onnx computes something else(.|\n)*10 mm apart in a batch of 1"):
        write_model(tmp_path / "a.onnx", "onnx", exportable(Liar()), MADE_BY)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.pt2", "a.pt2.json"])
def test_what_is_there_stays(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(RunError, match="left as it is"):
        write_model(tmp_path / "a.pt2", "torch-export", exportable(Lift()), MADE_BY)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_formats_that_there_are_not_and_libraries_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match="no such format(.|\n)*did you mean 'onnx'"):
        format_of("onxx")
    for library in ("onnxruntime", "onnxscript"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(RunError, match=r"no onnxruntime, onnxscript(.|\n)*pip install \"sa3dhp\[export\]\""):
        format_of("onnx")
    assert format_of("torch-export").suffix == ".pt2"


@pytest.mark.parametrize(
    ("row", "name"),
    [("adapted", "adapted.pt2"), ("strong source, 2x", "strong-source-2x.pt2"), ("../x", "x.pt2"), ("", "model.pt2")],
)
def test_rows_get_file_names(row: str, name: str, tmp_path: Path) -> None:
    assert place_in(tmp_path, row, "torch-export") == tmp_path / "export" / name
