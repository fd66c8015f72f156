"""Augmentation: policies of random changes, applied under the seed of each row."""

from imbemotion.augmentation._augmentation import (
    Augmentation,
    apply_policy as apply_policy,
    check_policy as check_policy,
    with_limits as with_limits,
    with_range as with_range,
)

__all__ = ["Augmentation"]
