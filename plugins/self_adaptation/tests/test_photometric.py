"""Photometric jitter: in range, by the generator alone, and of known kinds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_core.errors import RecipeError
from sa3dhp_self_adaptation.photometric import KINDS, Kinds, kind_of


def images(seed: int, count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 999))
@settings(max_examples=8, deadline=None)
def test_jitter_stays_in_range_and_follows_its_generator(kind: str, seed: int) -> None:
    given_ = images(seed)
    kept = given_.clone()
    first = kind_of(kind)(given_, torch.Generator().manual_seed(seed))
    torch.manual_seed(seed + 1)  # the default generator plays no part
    assert torch.equal(first, kind_of(kind)(given_, torch.Generator().manual_seed(seed)))
    assert first.shape == given_.shape and 0 <= float(first.min()) and float(first.max()) <= 1
    assert torch.equal(given_, kept), "the images that came in are left as they were"


def test_none_changes_nothing_and_the_others_do() -> None:
    changed = {}
    for kind in KINDS:
        result = kind_of(kind)(images(0, 64), torch.Generator().manual_seed(0))
        changed[kind] = float((result - images(0, 64)).abs().amax(dim=(1, 2, 3)).gt(1e-6).float().mean())
    assert changed["none"] == 0
    assert 0.5 < changed["weak"] < 1, "each of four draws spares two thirds of the images"
    assert changed["strong"] > 0.9


def test_a_draw_has_a_kind_and_a_number() -> None:
    assert Kinds()["weak:1"] is KINDS["weak"]
    with pytest.raises(RecipeError, match="did you mean 'strong'"):
        kind_of("stron:0")


@pytest.mark.skipif(not torch.accelerator.is_available(), reason="noise is drawn elsewhere only where there is another")
def test_noise_is_drawn_where_the_images_are_and_follows_the_same_generator() -> None:
    there = images(0, 64).to(torch.accelerator.current_accelerator())
    first, again, other = (kind_of("strong")(there, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.device == there.device
