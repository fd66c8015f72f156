"""What the data and the results say: scores and statistics."""

from imbemotion.analysis._paired import (
    corrected_interval,
    corrected_t_test,
    holm,
    holm_levels,
    probability_of_gain,
)
from imbemotion.analysis._statistics import macro_f1_scorer

__all__ = [
    "corrected_interval",
    "corrected_t_test",
    "holm",
    "holm_levels",
    "macro_f1_scorer",
    "probability_of_gain",
]
