"""Recipe keys of part-guided synthesis. Imports no torch."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, le


@attrs.frozen
class PuppetConfig:
    """How labelled images are taken apart and put together again."""

    pool: int = attrs.field(
        default=12000, validator=ge(1), metadata={"help": "labelled images that limbs and backdrops are cut from"}
    )
    candidates: float = attrs.field(
        default=0.5,
        validator=[gt(0.0), le(1.0)],
        metadata={"help": "share of the pool, drawn anew for each few images, where the nearest pose is looked for"},
    )
    girth: float = attrs.field(
        default=0.13, validator=ge(0.0), metadata={"help": "people grow thicker or thinner: deviation of the logarithm"}
    )
    margin: float = attrs.field(
        default=1.15, validator=ge(1.0), metadata={"help": "how much wider the crop is than the person's circle"}
    )
