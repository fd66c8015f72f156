"""The scikit-learn classifier around a network; importing it does not load PyTorch."""

from imbemotion.classifier._classifier import CNNClassifier

__all__ = ["CNNClassifier"]
