"""Metrics by protocol card: what exactly a reported number is. Runs no model and chooses no split.

A card in ``registry/protocols`` says all that a number depends on, as data; `evaluate` computes it for single poses.
"""

from sa3dhp_core.evaluation.poses import Accumulator, Evaluation, evaluate, spread
from sa3dhp_core.evaluation.protocol import Matching, Protocol, Selection, load_protocol, protocol_from_card
from sa3dhp_core.evaluation.selection import FrameFacts

__all__ = [
    "Accumulator",
    "Evaluation",
    "FrameFacts",
    "Matching",
    "Protocol",
    "Selection",
    "evaluate",
    "load_protocol",
    "protocol_from_card",
    "spread",
]
