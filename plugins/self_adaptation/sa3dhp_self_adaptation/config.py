"""Recipe keys of the method: ``[settings]`` and ``[[rows]]``. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs
from attrs.validators import deep_mapping, ge, gt, in_, instance_of, le


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@attrs.frozen
class Viewpoints:
    """How unpaired poses, which know only gravity, are brought into cameras."""

    elevation: tuple[float, float] = attrs.field(default=(-5.0, 45.0), metadata=_help("camera elevation, degrees"))
    roll: float = attrs.field(default=5.0, validator=ge(0.0), metadata=_help("upright poses: roll within +-, degrees"))
    prior_roll: float = attrs.field(
        default=80.0, validator=ge(0.0), metadata=_help("poses that train the priors: roll within +-, degrees")
    )
    tilt: float = attrs.field(
        default=0.0, validator=ge(0.0), metadata=_help("turn whole bodies by a random rotation within +-, degrees")
    )


@attrs.frozen
class Augmentation:
    """What happens to labelled images before they are learned from."""

    photometric: str = attrs.field(default="weak", metadata=_help("kind of photometric jitter: none, weak, strong"))
    rotation: float = attrs.field(
        default=0.0, validator=ge(0.0), metadata=_help("in-plane rotation within +-, degrees")
    )
    mirror: bool = attrs.field(default=True, metadata=_help("mirror with probability one half"))


@attrs.frozen
class StrongAugmentation(Augmentation):
    """The same keys with the strong-source control's defaults, so that giving one key leaves the others strong."""

    photometric: str = attrs.field(default="strong", metadata=_help("kind of photometric jitter: none, weak, strong"))
    rotation: float = attrs.field(
        default=63.0, validator=ge(0.0), metadata=_help("in-plane rotation within +-, degrees")
    )


@attrs.frozen
class RehearsalAugmentation(Augmentation):
    """The same keys with the defaults of rehearsal."""

    rotation: float = attrs.field(
        default=63.0, validator=ge(0.0), metadata=_help("in-plane rotation within +-, degrees")
    )


@attrs.frozen
class Tracks(Augmentation):
    """What an earlier encoder sees in the target's training clips, and how `distillation` learns from it."""

    photometric: str = attrs.field(default="strong", metadata=_help("kind of photometric jitter: none, weak, strong"))
    rotation: float = attrs.field(
        default=30.0, validator=ge(0.0), metadata=_help("in-plane rotation within +-, degrees")
    )
    images: int = attrs.field(default=80, validator=ge(1), metadata=_help("target frames a step"))
    mirror_average: bool = attrs.field(default=True, metadata=_help("see the mean over the crop and its mirror image"))
    smooth: int = attrs.field(
        default=15, validator=ge(0), metadata=_help("average each clip over time by a Hann window of this many frames")
    )


@attrs.frozen
class Synthesis:
    """Labelled images made from source images and unpaired poses, for rows that ask for a share of them."""

    by: Mapping[str, Any] = attrs.field(
        metadata={"component": "image_synthesis", **_help("table of the component that makes them")}
    )
    images: int = attrs.field(default=20000, validator=ge(1), metadata=_help("how many are made"))
    recombined: float = attrs.field(
        default=0.0,
        validator=[ge(0.0), le(1.0)],
        metadata=_help("share of poses whose limbs are taken from several poses: motions that no sequence shows"),
    )


@attrs.frozen
class SourceTraining:
    """Supervised training of an encoder through the frozen pose decoder."""

    steps: int = attrs.field(default=1200, validator=ge(1), metadata=_help("training steps"))
    batch: int = attrs.field(default=64, validator=ge(1), metadata=_help("images a step"))
    learning_rate: float = attrs.field(default=1e-3, validator=gt(0.0), metadata=_help("peak; AdamW, cosine"))
    ema: float = attrs.field(default=0.99, validator=[ge(0.0), le(1.0)], metadata=_help("decay of averaged weights"))
    latent: float = attrs.field(
        default=1.0, validator=ge(0.0), metadata=_help("weight of the latent's error beside the pose's; published: 0")
    )


@attrs.frozen
class Adaptation:
    """How target clips are learned from."""

    steps: int = attrs.field(default=300, validator=ge(1), metadata=_help("training steps"))
    clips: int = attrs.field(default=3, validator=ge(1), metadata=_help("target windows a step"))
    source: int = attrs.field(default=64, validator=ge(1), metadata=_help("labelled source images a step, if needed"))
    labelled: int = attrs.field(
        default=0,
        validator=ge(0),
        metadata=_help("labelled target images a step of an oracle; 0: clips x frames + source, all that a step draws"),
    )
    prior: int = attrs.field(default=540, validator=ge(1), metadata=_help("unpaired poses a step"))
    learning_rate: float = attrs.field(default=5e-4, validator=gt(0.0), metadata=_help("peak"))
    learning_rates: dict[str, float] = attrs.field(
        factory=dict,
        validator=deep_mapping(instance_of(str), gt(0.0)),
        metadata=_help("other peaks by loss; for `alternating`, where each loss has its own Adam"),
    )
    warm_up: int = attrs.field(default=20, validator=ge(0), metadata=_help("steps of linear warm-up"))
    floor: float = attrs.field(default=0.1, validator=[ge(0.0), le(1.0)], metadata=_help("final learning-rate factor"))
    clip_norm: float = attrs.field(default=1.0, validator=gt(0.0), metadata=_help("gradient norm to clip to"))
    ema: float = attrs.field(default=0.98, validator=[ge(0.0), le(1.0)], metadata=_help("decay of averaged weights"))
    teacher: float = attrs.field(
        default=0.99, validator=[ge(0.0), le(1.0)], metadata=_help("decay of the teacher that losses may ask for")
    )
    schedule: Literal["joint", "alternating"] = attrs.field(
        default="joint",
        validator=in_(("joint", "alternating")),
        metadata=_help("one planned update for all losses, or (as published) one loss and one Adam at a time"),
    )
    planning: Literal["whole", "lean"] = attrs.field(
        default="whole",
        validator=in_(("whole", "lean")),
        metadata=_help(
            "one pass and one backward for all views, or the fewest frames and the least memory: shorter windows are "
            "the middle of longer ones, and views are back-propagated as soon as their last loss is known"
        ),
    )
    chunk: int = attrs.field(
        default=0,
        validator=ge(0),
        metadata=_help("images that an encoder sees at a time, which spares memory in between; 0: all of a pass"),
    )
    train_only: tuple[str, ...] = attrs.field(
        default=(), metadata=_help("encoder blocks to train (published: res3 and the heads); all if empty")
    )
    restandardise: bool = attrs.field(
        default=False, metadata=_help("begin from normalisation statistics re-estimated on target clips")
    )


@attrs.frozen
class Row:
    """One row of the table."""

    name: str = attrs.field(metadata=_help("as printed"))
    kind: Literal["constant", "source", "statistics", "oracle", "adapt", "again"] = attrs.field(
        validator=in_(("constant", "source", "statistics", "oracle", "adapt", "again")),
        metadata=_help(
            "constant pose; source training; re-estimated statistics; training on target labels; adaptation by losses; "
            "the encoder of `start`, scored otherwise"
        ),
    )
    start: str = attrs.field(default="", metadata=_help("row whose encoder this one begins from"))
    augmentation: Literal["", "weak", "strong", "rehearsal"] = attrs.field(
        default="",
        validator=in_(("", "weak", "strong", "rehearsal")),
        metadata=_help("of labelled images; if empty: weak, or for an adaptation that of rehearsal"),
    )
    synthesised: float = attrs.field(
        default=0.0,
        validator=[ge(0.0), le(1.0)],
        metadata=_help("share of synthesised images among the labelled source images (settings.synthesis)"),
    )
    losses: tuple[str, ...] = attrs.field(default=(), metadata=_help("names of the losses of an adaptation"))
    weights: dict[str, float] = attrs.field(factory=dict, metadata=_help("other weights of losses, by name"))
    adaptation: Adaptation | None = attrs.field(default=None, metadata=_help("other settings of this adaptation"))
    mirror_average: bool = attrs.field(
        default=False, metadata=_help("evaluate the mean over the crop and its mirror image")
    )
    smooth: int = attrs.field(
        default=0,
        validator=ge(0),
        metadata=_help("average a clip's predictions over time by a Hann window of this many frames"),
    )
    headline: bool = attrs.field(default=False, metadata=_help("the row that the report puts first"))

    @property
    def images(self) -> str:
        """Name of the augmentation of labelled images that this row's kind implies."""
        return self.augmentation or ("rehearsal" if self.kind == "adapt" else "weak")


@attrs.frozen
class Settings:
    """The method's own keys."""

    row_config: ClassVar[type[Any]] = Row

    frames: int = attrs.field(default=30, validator=ge(2), metadata=_help("length T of a motion sequence"))
    viewpoints: Viewpoints = attrs.field(factory=Viewpoints, metadata=_help("cameras for unpaired poses"))
    source: SourceTraining = attrs.field(factory=SourceTraining, metadata=_help("training of source encoders"))
    adaptation: Adaptation = attrs.field(factory=Adaptation, metadata=_help("adaptation, unless a row says otherwise"))
    weak: Augmentation = attrs.field(factory=Augmentation, metadata=_help("augmentation of plain source training"))
    strong: StrongAugmentation = attrs.field(
        factory=StrongAugmentation, metadata=_help("augmentation of the strong-source control")
    )
    rehearsal: RehearsalAugmentation = attrs.field(
        factory=RehearsalAugmentation, metadata=_help("augmentation of rehearsed source images")
    )
    tracks: Tracks = attrs.field(
        factory=Tracks, metadata=_help("what rows with a loss like `distillation` learn from the row they begin from")
    )
    synthesis: Synthesis | None = attrs.field(
        default=None, metadata=_help("labelled images of unpaired poses, for rows that are told `synthesised`")
    )
    networks: Literal["used", "all"] = attrs.field(
        default="used",
        validator=in_(("used", "all")),
        metadata=_help("relation networks to train: those that some row's loss asks for, or of every relation"),
    )
    least_distance: float = attrs.field(
        default=0.0,
        validator=ge(0.0),
        metadata=_help("rows leave out relation losses of a smaller latent distance, in units of that of random pairs"),
    )
    samples: int = attrs.field(default=8, validator=ge(0), metadata=_help("crops shown in the report"))
