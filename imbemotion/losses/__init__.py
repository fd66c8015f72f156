"""Losses for skewed classes, and the class weights that go into them."""

from torch import nn

from imbemotion.losses._losses import (
    BalancedSoftmaxLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    SoftF1Loss,
)
from imbemotion.losses._objective import CLASS_WEIGHTS as CLASS_WEIGHTS
from imbemotion.losses._objective import Target, batch_loss, class_weights

__all__ = [
    "BalancedSoftmaxLoss",
    "FocalLoss",
    "LDAMLoss",
    "LogitAdjustedLoss",
    "SoftF1Loss",
    "Target",
    "batch_loss",
    "class_weights",
]

LOSSES = {
    "cross_entropy": nn.CrossEntropyLoss,
    "focal": FocalLoss,
    "balanced_softmax": BalancedSoftmaxLoss,
    "logit_adjusted": LogitAdjustedLoss,
    "ldam": LDAMLoss,
    "soft_f1": SoftF1Loss,
}
