"""The scikit-learn classifier around a network; importing it does not load PyTorch."""

from imbemotion.classifier._classifier import CNNClassifier
from imbemotion.classifier._parameters import OWN_CONSTRAINTS as OWN_CONSTRAINTS
from imbemotion.classifier._parameters import OWN_DEFAULTS as OWN_DEFAULTS

__all__ = ["CNNClassifier"]
