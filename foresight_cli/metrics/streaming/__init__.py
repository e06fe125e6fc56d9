"""Measures for rows that do not fit in memory: ``torchmetrics.Metric`` classes that can be merged across workers."""

from foresight_cli.metrics.streaming.cka import LinearCKA
from foresight_cli.metrics.streaming.moments import Moments, MomentsResult
from foresight_cli.metrics.streaming.pair import SpacePair, StreamedPair
from foresight_cli.metrics.streaming.probe import LinearProbe, StreamedProbe, hashed_folds
from foresight_cli.metrics.streaming.rsa import RSA, StreamedRSA
from foresight_cli.metrics.streaming.spectrum import EffectiveRank, ParticipationRatio, PCADimension

__all__ = [
    "RSA",
    "EffectiveRank",
    "LinearCKA",
    "LinearProbe",
    "Moments",
    "MomentsResult",
    "PCADimension",
    "ParticipationRatio",
    "SpacePair",
    "StreamedPair",
    "StreamedProbe",
    "StreamedRSA",
    "hashed_folds",
]
