"""The scikit-learn classifier around a network."""

from imbemotion.classifier._classifier import CNNClassifier
from imbemotion.classifier._parameters import CNN_PRESETS as CNN_PRESETS

__all__ = ["CNNClassifier"]
