"""What the data and the results say: distributions, advice, confidence, scores, statistics."""

from imbemotion.analysis._advice import Advice, TargetPreview, advise, preview_targets
from imbemotion.analysis._calibration import ConfidenceAnalysis, analyze_confidence
from imbemotion.analysis._distribution import (
    Distribution,
    analyze_distribution,
    sample_labels as sample_labels,
)
from imbemotion.analysis._statistics import (
    corrected_interval as corrected_interval,
    corrected_t_test as corrected_t_test,
    holm as holm,
    holm_levels as holm_levels,
    make_macro_f1_scorer,
    probability_of_gain as probability_of_gain,
)

__all__ = [
    "Advice", "ConfidenceAnalysis", "Distribution", "TargetPreview", "advise",
    "analyze_confidence", "analyze_distribution", "make_macro_f1_scorer", "preview_targets",
]  # fmt: skip
