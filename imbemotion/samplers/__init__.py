"""Samplers for images, in imbalanced-learn's manner."""

from imbemotion.samplers._random import RandomSampler
from imbemotion.samplers._targets import at_least

__all__ = ["RandomSampler", "at_least"]
