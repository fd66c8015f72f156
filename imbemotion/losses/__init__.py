"""Loss functions for skewed classes, and the class weights that go into them."""

from imbemotion.losses._losses import (
    BalancedSoftmaxLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    SoftF1Loss,
    Target,
    batch_loss as batch_loss,
    class_weights as class_weights,
)

__all__ = [
    "BalancedSoftmaxLoss", "FocalLoss", "LDAMLoss", "LogitAdjustedLoss", "SoftF1Loss", "Target",
]  # fmt: skip
