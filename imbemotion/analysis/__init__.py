"""What the data and the results say: distributions, advice, confidence, scores, statistics."""

from imbemotion.analysis._advice import Advice, advise
from imbemotion.analysis._confidence import ConfidenceAnalysis, analyze_confidence
from imbemotion.analysis._distribution import Distribution, analyze_distribution
from imbemotion.analysis._paired import (
    corrected_interval,
    corrected_t_test,
    holm,
    holm_levels,
    probability_of_gain,
)
from imbemotion.analysis._preview import TargetPreview, preview_targets
from imbemotion.analysis._statistics import macro_f1_scorer

__all__ = [
    "Advice",
    "ConfidenceAnalysis",
    "Distribution",
    "TargetPreview",
    "advise",
    "analyze_confidence",
    "analyze_distribution",
    "corrected_interval",
    "corrected_t_test",
    "holm",
    "holm_levels",
    "macro_f1_scorer",
    "preview_targets",
    "probability_of_gain",
]
