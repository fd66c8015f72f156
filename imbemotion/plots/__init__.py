"""Displays, in the manner of scikit-learn: numbers in, drawings of them out."""

from imbemotion.plots._class_sizes import ClassDistributionDisplay
from imbemotion.plots._curves import TrainingCurveDisplay
from imbemotion.plots._grid import ImageGridDisplay
from imbemotion.plots.comparison_views import ComparisonDisplay
from imbemotion.plots.predictions import ConfidenceDisplay

__all__ = [
    "ClassDistributionDisplay", "ComparisonDisplay", "ConfidenceDisplay", "ImageGridDisplay",
    "TrainingCurveDisplay",
]  # fmt: skip
