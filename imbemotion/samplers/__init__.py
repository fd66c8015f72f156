"""Samplers for images, in imbalanced-learn's manner."""

from imbemotion.samplers._flattening import FlattenSampler
from imbemotion.samplers._interpolation import ImageADASYN, ImageSMOTE
from imbemotion.samplers._random import AugmentationSampler, RandomResampler
from imbemotion.targets import at_least

__all__ = [
    "AugmentationSampler", "FlattenSampler", "ImageADASYN", "ImageSMOTE", "RandomResampler",
    "at_least",
]  # fmt: skip
