"""Metrics by protocol card: what exactly a reported number is. Runs no model and chooses no split.

A card in ``registry/protocols`` says all that a number depends on, as data. `evaluate` computes it for poses one by
one, `evaluate_people` for frames with several people, `evaluate_keypoints` for keypoints of an image.
"""

from sa3dhp_core.evaluation.keypoints import evaluate_keypoints
from sa3dhp_core.evaluation.people import People, PeopleEvaluation, evaluate_people, match_people
from sa3dhp_core.evaluation.poses import Accumulator, Evaluation, evaluate
from sa3dhp_core.evaluation.protocol import Matching, Protocol, Selection, load_protocol, protocol_from_card
from sa3dhp_core.evaluation.selection import counts_any, is_told
from sa3dhp_core.evaluation.variation import spread
from sa3dhp_core.types import FrameFacts

__all__ = [
    "Accumulator",
    "Evaluation",
    "FrameFacts",
    "Matching",
    "People",
    "PeopleEvaluation",
    "Protocol",
    "Selection",
    "counts_any",
    "evaluate",
    "evaluate_keypoints",
    "evaluate_people",
    "is_told",
    "load_protocol",
    "match_people",
    "protocol_from_card",
    "spread",
]
