"""What the data and the results say: distributions, advice, confidence, scores, statistics."""

from imbemotion.analysis._advice import Advice, TargetPreview, advise, preview_targets
from imbemotion.analysis._calibration import ConfidenceAnalysis, analyze_confidence
from imbemotion.analysis._distribution import (
    Distribution,
    analyze_distribution,
    count_groups as count_groups,
    describe_few_groups as describe_few_groups,
    effective_size as effective_size,
    sample_labels as sample_labels,
)
from imbemotion.analysis.statistics import make_macro_f1_scorer

__all__ = [
    "Advice", "ConfidenceAnalysis", "Distribution", "TargetPreview", "advise",
    "analyze_confidence", "analyze_distribution", "make_macro_f1_scorer", "preview_targets",
]  # fmt: skip
