"""Progress of cutting is written now and then and at an interruption, not after every single picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sa3dhp_core.atomic import write_json
from sa3dhp_core.errors import DataError
from sa3dhp_datasets import shot_images
from sa3dhp_datasets.lsp import EXTENDED, lsp_extended_images
from sa3dhp_datasets.lsp_config import LspExtendedImagesConfig
from sa3dhp_datasets.lsp_example import write_set


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of shots that progress was written of, which it is after every second one."""
    numbers: list[int] = []

    def write(path: Path, content: Any) -> None:
        numbers.extend([content["shots"]] if "shots" in content else [])
        write_json(path, content)

    monkeypatch.setattr(shot_images, "write_json", write)
    monkeypatch.setattr(shot_images, "SAVED_FRAMES", 2)
    return numbers


def test_progress_is_written_now_and_then_and_at_an_interruption(tmp_path: Path, written: list[int]) -> None:
    write_set(tmp_path / "set", EXTENDED)
    data = lsp_extended_images(LspExtendedImagesConfig(path=str(tmp_path / "set"), size=16))
    data.prepare(tmp_path / "whole")
    assert written == [2, 4, 5]
    picture = tmp_path / "set" / "images" / "im00004.jpg"
    content = picture.read_bytes()
    picture.write_bytes(content[:900])
    with pytest.raises(DataError, match="im00004.jpg: the image is damaged"):
        data.prepare(tmp_path / "out")
    assert written[3:] == [2, 3]
    picture.write_bytes(content)
    (tmp_path / "set" / "images" / "im00001.jpg").write_bytes(
        (tmp_path / "set" / "images" / "im00001.jpg").read_bytes()[:900]
    )
    data.prepare(tmp_path / "out")
    assert written[5:] == [5], "what was cut is not cut again, though it could not be any more"
    one, two = (next(data.clips(tmp_path / name, "train").batches(9)) for name in ("whole", "out"))
    assert torch.equal(one, two)
