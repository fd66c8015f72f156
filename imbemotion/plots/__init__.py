"""Displays: what a person should see, drawn as scikit-learn's displays are."""

from imbemotion.plots._comparison import ComparisonDisplay
from imbemotion.plots._confidence import ConfidenceDisplay
from imbemotion.plots._curves import TrainingCurveDisplay
from imbemotion.plots._distribution import ClassDistributionDisplay
from imbemotion.plots._grid import ImageGridDisplay

__all__ = [
    "ClassDistributionDisplay",
    "ComparisonDisplay",
    "ConfidenceDisplay",
    "ImageGridDisplay",
    "TrainingCurveDisplay",
]
