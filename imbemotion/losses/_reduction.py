"""What all losses share: weights of classes, and how the losses of a batch become one."""

import torch
from torch import nn

__all__ = ["WeightedLoss"]

_REDUCTIONS = ("mean", "sum", "none")


class WeightedLoss(nn.Module):
    """A loss that is one number per image; subclasses hand it to ``_reduce``.

    Parameters
    ----------
    weight : Tensor of shape (n_classes,) or None
        Weight of every class; None means 1.

    reduction : {"mean", "sum", "none"}
        As in ``torch.nn.CrossEntropyLoss``: the mean is divided by the sum of the weights.
    """

    def __init__(self, weight, reduction):
        super().__init__()
        if reduction not in _REDUCTIONS:
            raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}.")
        self.reduction = reduction
        self.register_buffer("weight", weight)

    def _reduce(self, loss, target):
        """Weight and reduce unweighted losses, (n,) and (n,) -> scalar, or (n,) unreduced."""
        weight = torch.ones_like(loss) if self.weight is None else self.weight[target]
        loss = weight * loss
        if self.reduction == "mean":
            return loss.sum() / weight.sum()
        return loss.sum() if self.reduction == "sum" else loss
