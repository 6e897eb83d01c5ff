"""Two stages a row of the table: one trains or adapts an encoder, one scores it, so that other target data or another
protocol trains nothing again. Only scoring reads target labels, but for the oracle, which shows what labels would give.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sa3dhp_core.atomic import read_json, read_tensors, write_atomic, write_json, write_tensors
from sa3dhp_core.engine.checkpoint import WEIGHTS, load_weights, save_weights
from sa3dhp_core.errors import DataError, RecipeError, nearest
from sa3dhp_core.evaluation import FrameFacts, counts_any, is_told, load_protocol
from sa3dhp_core.protocols.data import facts_of
from sa3dhp_core.protocols.method import StageContext
from sa3dhp_core.runner import write_records
from sa3dhp_core.store import ArrayImages
from sa3dhp_self_adaptation.adapting import AdaptationTask
from sa3dhp_self_adaptation.config import Adaptation, Augmentation, Row
from sa3dhp_self_adaptation.latent_stages import DISTANCES, SCALES, load_networks, pose_views
from sa3dhp_self_adaptation.scoring import (
    BATCH,
    ConstantPose,
    EncodedPoses,
    Predictor,
    inside_outside,
    predict_all,
    predictor,
    score,
    smooth_clips,
)
from sa3dhp_self_adaptation.supervised import ImageDraw, SupervisedTask, restandardise
from sa3dhp_self_adaptation.synthesis import SYNTHESISED
from sa3dhp_self_adaptation.views import Augmented, Blend

if TYPE_CHECKING:
    from sa3dhp_self_adaptation.method import SelfAdaptation

STATISTICS_BATCHES = 40
CONSTANT = "constant.safetensors"
TRACKS = "tracks.safetensors"
SKIPPED = "skipped.json"
"""Left by a row that could not be computed, with the reason."""

_log = logging.getLogger(__name__)


def train_row(method: SelfAdaptation, row: Row, context: StageContext) -> None:
    """Make what the row predicts with: an encoder's weights, or one pose.

    A row that needs target labels where there are none is left out: it says so, and so does every row that begins
    from it.
    """
    from sa3dhp_self_adaptation.method import row_stage

    first = context.engine.fabric.is_global_zero
    if reason := _obstacle(method, row, context):
        if first:
            _log.warning("row %r is left out: %s", row.name, reason)
            write_json(context.folder / SKIPPED, {"row": row.name, "reason": reason})
        return
    if row.kind == "constant":
        pose = torch.cat([b.poses for b in _labelled(method, context, "source", "train").batches(1024)]).mean(dim=0)
        if first:
            write_tensors(context.folder / CONSTANT, {"pose": pose})
        return
    if row.kind == "again":
        if first:
            _copy(context.of(row_stage(row.start)), context.folder)
        return
    method.space.load_pose_prior(context.of("pose_prior"), context.engine.device, context.engine.dtype)
    _train_encoder(method, row, context)


def score_row(method: SelfAdaptation, row: Row, context: StageContext) -> None:
    """Score the row on target validation, target test and source test, and keep its predictions of the target."""
    from sa3dhp_self_adaptation.method import row_stage

    if not context.engine.fabric.is_global_zero:
        return
    trained = context.of(row_stage(row.name))
    if (trained / SKIPPED).is_file():
        write_records(context.folder, [])
        return
    method.space.load_pose_prior(context.of("pose_prior"), context.engine.device)
    _score(method, row, context, predictor_of(method, trained, context.engine.device, row.mirror_average))


def _copy(trained: Path, folder: Path) -> None:
    """What a row predicts with, for another row."""
    for path in (trained / name for name in (WEIGHTS, CONSTANT)):
        if path.is_file():
            write_atomic(folder / path.name, partial(shutil.copyfile, path))


def trained_model(method: SelfAdaptation, trained: Path, mirror_average: bool) -> nn.Module:
    """What a finished row predicts with, crops to poses, in evaluation mode; the pose prior is loaded."""
    if (trained / CONSTANT).is_file():
        return ConstantPose(read_tensors(trained / CONSTANT)["pose"])
    encoder = method.space.encoder()
    load_weights(trained, {"encoder": encoder})
    return EncodedPoses(encoder.eval(), method.space.pose_prior, mirror_average)


def predictor_of(method: SelfAdaptation, trained: Path, device: torch.device, mirror_average: bool) -> Predictor:
    """What a finished row predicts with, on a device."""
    return predictor(trained_model(method, trained, mirror_average), device)


def _obstacle(method: SelfAdaptation, row: Row, context: StageContext) -> str | None:
    """Why the row cannot be computed, or None."""
    from sa3dhp_self_adaptation.method import row_stage

    if row.start and (context.of(row_stage(row.start)) / SKIPPED).is_file():
        return f"it begins from {row.start!r}, which was left out"
    if row.kind == "oracle" and truth_of(method, context, "target", "train") is None:
        return "an oracle learns from target labels, and the target's training split has none"
    return None


def truth_of(method: SelfAdaptation, context: StageContext, role: str, split: str) -> Any:
    """The split as `LabelledImages`, or None where the data set has no such split or no truth for it.

    Raises:
        DataError: the split is damaged; that is no missing truth.
    """
    data, folder = method.data[role], context.of(f"data-{role}")
    if split not in data.splits:
        return None
    data.clips(folder, split)
    try:
        return data.labelled(folder, split)
    except DataError:
        return None


def _train_encoder(method: SelfAdaptation, row: Row, context: StageContext) -> None:
    encoder = method.space.encoder()
    if row.start:
        from sa3dhp_self_adaptation.method import row_stage

        load_weights(context.of(row_stage(row.start)), {"encoder": encoder})
    device = context.engine.device
    if row.kind == "statistics":
        _restandardise(method, encoder.to(device), context)
        if context.engine.fabric.is_global_zero:
            save_weights(context.folder, {"encoder": encoder})
        return
    task: Any
    if row.kind == "source":
        task = source_task(method, row, encoder, context)
    elif row.kind == "oracle":
        task = _oracle_task(method, row, encoder, context)
    else:
        task = adaptation_task(method, row, encoder, context)
    context.engine.train(task, context.name, context.folder)


def source_task(method: SelfAdaptation, row: Row, encoder: nn.Module, context: StageContext) -> SupervisedTask:
    """The training of a row of kind `source`."""
    config = method.config.source
    return SupervisedTask(
        encoder,
        method.space.pose_prior,
        source_draw(method, row, context),
        steps=config.steps,
        batch=config.batch,
        learning_rate=config.learning_rate,
        ema=config.ema,
        latent=config.latent,
        crops=_crop_keys(method, "source"),
    )


def _oracle_task(method: SelfAdaptation, row: Row, encoder: nn.Module, context: StageContext) -> SupervisedTask:
    """Target labels with the adaptation's budget of steps and images."""
    config = row.adaptation or method.config.adaptation
    return SupervisedTask(
        encoder,
        method.space.pose_prior,
        Augmented(_labelled(method, context, "target", "train"), _augmentation(method, row.images)),
        steps=config.steps,
        batch=config.labelled or config.clips * method.config.frames + config.source,
        learning_rate=config.learning_rate,
        ema=config.ema,
        key=f"{_table_of(method, row)}.labelled",
        crops=_crop_keys(method, "target"),
    )


def _table_of(method: SelfAdaptation, row: Row) -> str:
    """The recipe's table that says how a row learns from the target."""
    if row.adaptation is None:
        return "settings.adaptation"
    return f"rows.{[one.name for one in method.rows].index(row.name)}.adaptation"


def _crop_keys(method: SelfAdaptation, role: str) -> dict[str, int]:
    """The recipe's key that says the side of a role's crops, where its data set has one, and what it holds."""
    size = getattr(method.host.config("image_data", method.recipe.data[role], f"data.{role}"), "size", None)
    return {f"data.{role}.size": size} if isinstance(size, int) else {}


def adaptation_task(method: SelfAdaptation, row: Row, encoder: nn.Module, context: StageContext) -> AdaptationTask:
    """The training of a row of kind `adapt`; `encoder` has the weights that it begins from."""
    config: Adaptation = row.adaptation or method.config.adaptation
    space, device, dtype = method.space, context.engine.device, context.engine.dtype
    if space.motion_prior is not None:
        space.load_motion_prior(context.of("motion_prior"), device, dtype)
    if config.restandardise:
        _restandardise(method, encoder.to(device), context)
    scales = {k: v.to(device, dtype) for k, v in read_tensors(context.of("latent") / SCALES).items()}
    feature: int = encoder.feature  # type: ignore[assignment]
    networks = load_networks(method, context.of, device, dtype)
    parts = space.parts(networks, scales["scale"], scales["motion_scale"], feature)
    losses = []
    for number, name in enumerate(selected(method, row, read_json(context.of("latent") / DISTANCES))):
        table = {**method.loss_table(name)}
        if name in row.weights:
            table["weight"] = row.weights[name]
        torch.manual_seed(context.seed)  # heads begin alike in every row
        loss = method.host.build("alignment_loss", table, f"losses[{number}]", parts=parts)
        losses.append(loss.to(device))
    clips = method.data["target"].clips(context.of("data-target"), "train")
    labelled = {"source": (source_draw(method, row, context), config.source)}
    if any("tracks" in loss.labelled for loss in losses):
        from sa3dhp_self_adaptation.method import tracks_stage

        seen = clips.tracked(read_tensors(context.of(tracks_stage(row.start)) / TRACKS)["poses"])
        labelled["tracks"] = (Augmented(seen, method.config.tracks), method.config.tracks.images)
    upright = pose_views(method, context.of, "train", False, dtype)
    gather = context.engine.gather
    places = (_table_of(method, row), _crop_keys(method, "target"))
    return AdaptationTask(encoder, losses, space.relations, clips, upright.poses, labelled, config, gather, *places)


def selected(method: SelfAdaptation, row: Row, distances: Sequence[Mapping[str, Any]]) -> list[str]:
    """The row's losses without those of relations that are nearer than ``settings.least_distance`` (METHOD 1.3).

    Raises:
        RecipeError: none is left.
    """
    least = method.config.least_distance
    near = {entry["relation"]: entry["relative"] for entry in distances if entry["relative"] < least}
    kept = []
    for name in row.losses:
        relation = method.loss_table(name).get("relation", "")
        if method.loss_table(name)["use"] == "relation" and relation in near:
            _log.warning("row %r leaves out %r: latent distance %.2f < %g", row.name, name, near[relation], least)
        else:
            kept.append(name)
    if not kept:
        raise RecipeError(
            f"the selection leaves row {row.name!r} without a loss",
            where="settings.least_distance",
            found=least,
            expected=f"at most {max(near.values()):.2f}",
        )
    return kept


def _restandardise(method: SelfAdaptation, encoder: nn.Module, context: StageContext) -> None:
    clips = method.data["target"].clips(context.of("data-target"), "train")
    restandardise(encoder, clips.batches(BATCH), STATISTICS_BATCHES, context.engine.device)


def _augmentation(method: SelfAdaptation, name: str) -> Augmentation:
    return {"weak": method.config.weak, "strong": method.config.strong, "rehearsal": method.config.rehearsal}[name]


def save_tracks(method: SelfAdaptation, start: str, context: StageContext) -> None:
    """Keep what a finished row sees in the target's training clips, averaged as ``settings.tracks`` says."""
    from sa3dhp_self_adaptation.method import row_stage

    trained, config = context.of(row_stage(start)), method.config.tracks
    if not context.engine.fabric.is_global_zero or (trained / SKIPPED).is_file():
        return
    device = context.engine.device
    method.space.load_pose_prior(context.of("pose_prior"), device)
    clips = method.data["target"].clips(context.of("data-target"), "train")
    predict = predictor_of(method, trained, device, config.mirror_average)
    seen = torch.cat([predict(images) for images in clips.batches(BATCH)])
    write_tensors(context.folder / TRACKS, {"poses": smooth_clips(seen, clips.clip_index(), config.smooth)})


def _labelled(method: SelfAdaptation, context: StageContext, role: str, split: str) -> Any:
    return method.data[role].labelled(context.of(f"data-{role}"), split)


def source_draw(method: SelfAdaptation, row: Row, context: StageContext) -> ImageDraw:
    """Labelled source images under the row's augmentation, with its share of synthesised ones."""
    data: Any = _labelled(method, context, "source", "train")
    if row.synthesised:
        data = Blend(data, ArrayImages(context.of(SYNTHESISED), "train"), row.synthesised)
    return Augmented(data, _augmentation(method, row.images))


def _predicted(predict: Predictor, row: Row, data: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions averaged as the row says, truth ``(N, J, 3)`` and the clip of each frame ``(N,)``."""
    clips = data.clip_index()
    prediction, truth = predict_all(predict, data)
    return smooth_clips(prediction, clips, row.smooth), truth, clips


def predictions_file(split: str) -> str:
    """Where a score stage keeps its predictions of a target split."""
    return f"predictions-{split}.safetensors"


HEADLINE = "target-test"
"""The split that the recipe's protocols are made for; another split is scored by those whose frames it can tell."""


def _fitting(protocols: Sequence[str], facts: FrameFacts | None, count: int) -> list[str]:
    """Those protocols whose frames the data can tell, and that count one of them."""
    cards = [(name, load_protocol(name)) for name in protocols]
    return [name for name, card in cards if is_told(card, facts) and counts_any(card, facts, count)]


def _score(method: SelfAdaptation, row: Row, context: StageContext, predict: Predictor) -> None:
    protocols = method.recipe.evaluation.protocols
    skeleton = method.space.skeleton
    known = method.data["poses"].sequences(context.of("data-poses"), "train").families()
    records: list[dict[str, object]] = []
    for role, split in (("target", "validation"), ("target", "test"), ("source", "test")):
        data = truth_of(method, context, role, split)
        if data is None:  # footage without ground truth: there is nothing to score
            continue
        name = f"{role}-{split}"
        prediction, truth, clips = _predicted(predict, row, data)
        facts = facts_of(data)
        cards = protocols if name == HEADLINE else _fitting(protocols, facts, len(truth))
        records += score(row.name, name, prediction, truth, cards, skeleton, clips, facts)
        for part, mask in inside_outside(data, known).items() if role == "target" else ():
            some = None if facts is None else facts.of(mask)
            fitting = _fitting(cards, some, int(mask.sum()))
            chosen = (prediction[mask], truth[mask], fitting, skeleton, clips[mask], some)
            records += score(row.name, f"{name}:{part}", *chosen)
        if role == "target":
            write_tensors(context.folder / predictions_file(split), {"poses": prediction})
    write_records(context.folder, records)


def evaluate_elsewhere(
    method: SelfAdaptation, folders: Mapping[str, Path], engine: Any, data: str, protocol: str
) -> list[dict[str, object]]:
    """Score every finished row on ``source-<split>``, ``target-<split>`` or a folder of footage with truth files.

    Raises:
        RecipeError: `data` is neither, or there is no such protocol.
        DataError: there is no ground truth, or the footage cannot be read.
    """
    from sa3dhp_self_adaptation.method import row_stage

    load_protocol(protocol)
    method.space.load_pose_prior(folders["pose_prior"], engine.device)
    records: list[dict[str, object]] = []
    with _elsewhere(method, folders, data) as labelled:
        for row in method.rows:
            folder = folders[row_stage(row.name)]
            if (folder / SKIPPED).is_file():
                continue
            predict = predictor_of(method, folder, engine.device, row.mirror_average)
            prediction, truth, clips = _predicted(predict, row, labelled)
            own = (method.space.skeleton, clips, facts_of(labelled))
            records += score(row.name, data, prediction, truth, (protocol,), *own)
    return records


@contextmanager
def _elsewhere(method: SelfAdaptation, folders: Mapping[str, Path], data: str) -> Iterator[Any]:
    """The data to score on; crops of a folder live in a temporary place, nothing is written beside the footage."""
    role, _, split = data.partition("-")
    if role in ("source", "target") and split in method.data[role].splits:
        yield method.data[role].labelled(folders[f"data-{role}"], split)
        return
    if not Path(data).is_dir():
        known = [f"{r}-{s}" for r in ("source", "target") for s in method.data[r].splits]
        raise RecipeError(
            "neither data of this run nor a folder",
            found=data,
            expected=f"a folder of videos with truth files, or one of {', '.join(known)}",
            hint=nearest(data, known),
        )
    footage = method.host.build("image_data", _footage(method, folders, data), "--data")
    with tempfile.TemporaryDirectory(prefix="sa3dhp-eval-") as room:
        footage.prepare(Path(room))
        yield footage.labelled(Path(room), "train")


def _footage(method: SelfAdaptation, folders: Mapping[str, Path], path: str) -> dict[str, Any]:
    """A folder of videos as one split, cropped like the run's target where that is footage too, at the run's size."""
    table = dict(method.recipe.data["target"])
    if table["use"] != "video-folder":
        table = {"use": "video-folder"}
    whole = {"validation": 0.0, "test": 0.0, "validation_videos": [], "test_videos": []}
    return table | whole | {"path": path, "size": crop_size(method, folders)}


def crop_size(method: SelfAdaptation, folders: Mapping[str, Path]) -> int:
    """Side of the crops that the run was made with, pixels."""
    images = next(iter(method.data["target"].clips(folders["data-target"], "train").batches(1)))
    return int(images.shape[-1])
