"""Loss functions for skewed classes."""

from imbemotion.losses._losses import (
    BalancedSoftmaxLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    SoftF1Loss,
    Target,
    batch_loss as batch_loss,
    check_targets as check_targets,
    label_loss as label_loss,
    weighted_mean as weighted_mean,
)

__all__ = [
    "BalancedSoftmaxLoss", "FocalLoss", "LDAMLoss", "LogitAdjustedLoss", "SoftF1Loss", "Target",
]  # fmt: skip
