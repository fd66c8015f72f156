"""Augmentation: policies of random changes, applied under the seed of each row."""

from imbemotion.augmentation._applying import apply_policy
from imbemotion.augmentation._augmentation import Augmentation

__all__ = ["Augmentation", "apply_policy"]
