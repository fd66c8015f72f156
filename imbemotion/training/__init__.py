"""The skorch net for images; the other modules are what its training needs."""

from imbemotion.training._net import ImageNeuralNetClassifier

__all__ = ["ImageNeuralNetClassifier"]
