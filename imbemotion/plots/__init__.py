"""Displays: what a person should see, drawn as scikit-learn's displays are."""

from imbemotion.plots._class_sizes import ClassDistributionDisplay
from imbemotion.plots._comparison_display import ComparisonDisplay
from imbemotion.plots._confidence_display import ConfidenceDisplay
from imbemotion.plots._curves import TrainingCurveDisplay
from imbemotion.plots._grid import ImageGridDisplay

__all__ = [
    "ClassDistributionDisplay",
    "ComparisonDisplay",
    "ConfidenceDisplay",
    "ImageGridDisplay",
    "TrainingCurveDisplay",
]
