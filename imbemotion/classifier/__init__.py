"""The scikit-learn classifier around a network."""

from imbemotion.classifier._classifier import CNNClassifier

__all__ = ["CNNClassifier"]
