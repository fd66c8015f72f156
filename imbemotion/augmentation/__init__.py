"""Augmentation: policies of random changes, applied under the seed of each row."""

from imbemotion.augmentation._augmentation import Augmentation, apply_policy as apply_policy

__all__ = ["Augmentation"]
