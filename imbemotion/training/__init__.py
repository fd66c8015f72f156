"""The skorch net for images; ``batches`` and ``machine`` are what its training needs."""

from imbemotion.training._net import ImageNeuralNetClassifier

__all__ = ["ImageNeuralNetClassifier"]
