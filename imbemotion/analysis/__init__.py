"""What the data and the results say: scores and statistics."""

from imbemotion.analysis._statistics import corrected_interval, macro_f1_scorer

__all__ = ["corrected_interval", "macro_f1_scorer"]
