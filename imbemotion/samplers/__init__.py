"""Samplers for images, in imbalanced-learn's manner."""

from imbemotion._targets import at_least
from imbemotion.samplers._augmentation import AugmentationSampler
from imbemotion.samplers._flatten import FlattenSampler
from imbemotion.samplers._interpolation import ImageADASYN, ImageSMOTE
from imbemotion.samplers._random import RandomSampler

__all__ = [
    "AugmentationSampler",
    "FlattenSampler",
    "ImageADASYN",
    "ImageSMOTE",
    "RandomSampler",
    "at_least",
]
