"""Backbones that each break one promise, beside one that keeps all."""

from __future__ import annotations

from sa3dhp_core.conformance import Subject
from sa3dhp_core.conformance.plain import PlainBackbone
from tests.broken.vision import FAULTS, Misnumbered


def subject(kind: type[PlainBackbone]) -> Subject:
    """A backbone of this class, built anew for every check."""
    return Subject("backbone", kind.__name__.lower(), lambda bench: kind())


GOOD = [subject(PlainBackbone), Subject.given(PlainBackbone(), id="built")]
BROKEN = {
    "maps-images-to-features": subject(Misnumbered),
    **{name: subject(kind) for name, kind in FAULTS.items()},
}
