"""Samplers for images, in imbalanced-learn's manner."""

from imbemotion.samplers._augmentation import AugmentationSampler
from imbemotion.samplers._random import RandomSampler
from imbemotion.samplers._targets import at_least

__all__ = ["AugmentationSampler", "RandomSampler", "at_least"]
