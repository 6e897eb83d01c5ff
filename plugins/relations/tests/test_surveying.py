"""A survey of exact priors and exact networks says what the algebra says; strangers' relations are looked at alike."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import torch
from torch import Tensor, nn

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import RunError
from sa3dhp_core.protocols.latent import TrainedLatent
from sa3dhp_core.protocols.relation import Relation
from sa3dhp_core.protocols.selection import Survey
from sa3dhp_relations import config
from sa3dhp_relations.geometric import geometric
from sa3dhp_relations.limb_exchange import limb_exchange
from sa3dhp_relations.redundancy import predicted
from sa3dhp_relations.surveying import elements, held_out_pairs, survey
from sa3dhp_relations.through_pose import ThroughPoseNetwork

BODY = skeleton()
FRAMES = 6
EXPRESSIONS = {
    "flip": "flip",
    "near": "rotate(5)",
    "far": "rotate(50)",
    "orbit": "flip? @ rotate(-45..45)",
    "back": "backward",
}


class Reversed(nn.Module):
    """The exact network of `backward`: motion embeddings decoded, reversed, encoded."""

    def __init__(self, motion_prior: Any) -> None:
        super().__init__()
        self._prior = (motion_prior,)

    def forward(self, embedding: Tensor, condition: Tensor) -> Tensor:
        (prior,) = self._prior
        return prior.encode(prior.decode(embedding).flip(-2))


def network(relation: Relation, pose_prior: Any) -> nn.Module:
    made = ThroughPoseNetwork(pose_prior.latent, relation.condition, pose_prior)
    made.task(relation, pose_prior, None, None, FRAMES)  # type: ignore[arg-type]
    return made


@pytest.fixture(scope="module")
def latent(pose_prior: Any, motion_prior: Any, draw_poses: Any, draw_motion: Any) -> TrainedLatent:
    relations: dict[str, Any] = {n: geometric(text, BODY, n) for n, text in EXPRESSIONS.items()}
    relations["arms"] = limb_exchange(config.LimbExchange(name="arms"), BODY)
    networks = {n: network(r, pose_prior) for n, r in relations.items() if n not in ("back", "arms")}
    networks["back"] = Reversed(motion_prior)
    device = torch.device("cpu")
    return TrainedLatent(pose_prior, motion_prior, FRAMES, relations, networks, draw_poses, draw_motion, "test", device)


@pytest.fixture(scope="module")
def found(latent: TrainedLatent) -> Survey:
    return survey(latent)


def test_a_survey_of_exact_networks(found: Survey, latent: TrainedLatent) -> None:
    assert [one.name for one in found.relations] == list(latent.relations)
    for name in latent.networks:
        one = found.of(name)
        assert one.errors_mm is not None and one.residuals is not None and one.relative is not None
        assert one.errors_mm.network < 1.0 and one.errors_mm.floor < 1.0 < one.errors_mm.identity
        assert one.residuals.pose < 0.02 < one.residuals.mean or name == "back", (
            "this prior holds needles and still motions"
        )
    back = found.of("back").residuals
    assert back is not None and back.mean < 1e-5, "a still motion runs backward as it runs"
    assert found.of("near").relative < found.of("far").relative  # type: ignore[operator]
    assert found.redundancy["near"]["far"] > 0.9 > found.redundancy["flip"]["far"]
    assert {space for one in found.relations for space in one.space} == {"z", "v"}


def test_what_has_no_matrix_or_no_network_is_left_out_of_the_algebra(found: Survey) -> None:
    arms = found.of("arms")
    assert arms.elements is None and arms.alone is None and arms.errors_mm is None and arms.relative is not None
    assert "arms" not in found.redundancy and found.left_open(["arms"]).fixed_dimension == 3 * (len(BODY) - 1)
    assert found.left_open(["flip", "arms"]) == found.of("flip").alone


def test_a_family_is_known_by_a_few_elements(found: Survey) -> None:
    orbit = found.of("orbit")
    assert orbit.elements is not None and len(orbit.elements) <= 3
    assert orbit.alone == found.left_open(["flip", "far"])
    back = found.of("back").alone
    assert back is not None and back.fixed_kind == "any" and back.count is None


def test_a_strangers_relation_is_known_by_what_it_does() -> None:
    @attrs.frozen
    class Stranger:
        """Says one matrix and does what it likes."""

        factor: float
        name: str = "stranger"
        condition: int = 0
        acts_on_time: bool = False

        def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Any:
            return geometric("tilt(20)", BODY).draw(shape, generator)

        def on_poses(self, poses: Tensor, spatial: Any) -> Tensor:
            return self.factor * geometric("tilt(20)", BODY).on_poses(poses, spatial)

    honest: Any = Stranger(1.0)
    matrices = elements(honest, BODY)
    assert matrices is not None and matrices.shape == (1, 3, 3) and matrices.dtype == torch.float64
    other: Any = Stranger(1.1)
    assert elements(other, BODY) is None


def test_a_survey_repeats(latent: TrainedLatent, found: Survey) -> None:
    assert survey(latent) == found


def test_a_run_without_networks_says_how_to_get_them(latent: TrainedLatent) -> None:
    with pytest.raises(RunError, match='networks = "all"'):
        survey(attrs.evolve(latent, networks={}))


def test_motion_relations_are_not_measured_without_a_motion_prior(latent: TrainedLatent) -> None:
    still = attrs.evolve(latent, motion_prior=None, networks={"flip": latent.networks["flip"]})
    back = survey(still).of("back")
    assert back.relative is None and back.errors_mm is None and back.alone is not None


def test_pairs_are_anchors_and_partners_on_held_out_motion(latent: TrainedLatent) -> None:
    pairs = held_out_pairs(latent, latent.relations["flip"])
    assert torch.allclose(latent.pose_prior.encode(pairs.poses), pairs.partner)
    moved = held_out_pairs(latent, latent.relations["back"])
    assert moved.anchor.shape[-1] == latent.motion_prior.latent  # type: ignore[union-attr]


def test_regression_predicts_what_follows_and_nothing_else() -> None:
    generator = torch.Generator().manual_seed(0)
    given, other = torch.randn(2, 1000, 6, generator=generator)
    mixed = given @ torch.randn(6, 4, generator=generator)
    assert predicted(given, mixed) > 0.99 and predicted(given, other) < 0.05
    half = torch.cat((mixed, other[:, :4] * mixed.std()), dim=-1)
    assert predicted(given, half) == pytest.approx(0.5, abs=0.1)
    assert predicted(given[:, :1] * 0, mixed) == 0.0
