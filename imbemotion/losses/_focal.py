"""Focal loss."""

import torch
from torch.nn import functional

from imbemotion.losses._reduction import WeightedLoss

__all__ = ["FocalLoss"]


class FocalLoss(WeightedLoss):
    r"""Cross-entropy that counts well-classified images less.

    .. math:: \ell_i = -w_{y_i} (1 - p_{i, y_i})^\gamma \log p_{i, y_i}

    where p is the softmax of the logits. The probability is the unweighted one: weights
    multiply the loss and do not change what counts as well classified.

    Parameters
    ----------
    weight : Tensor of shape (n_classes,), default=None
        Weight of every class; None means 1.

    gamma : float, default=2.0
        How much less well-classified images count. At 0 the loss is weighted cross-entropy.

    reduction : {"mean", "sum", "none"}, default="mean"
        As in ``torch.nn.CrossEntropyLoss``: the mean is divided by the sum of the weights.

    Raises
    ------
    ValueError
        If gamma is negative or the reduction is unknown.

    References
    ----------
    .. [1] T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollar, "Focal Loss for Dense Object
       Detection", ICCV 2017.

    Examples
    --------
    >>> from torch import nn
    >>> logits, target = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    >>> FocalLoss(gamma=0.0)(logits, target) == nn.CrossEntropyLoss()(logits, target)
    tensor(True)
    """

    def __init__(self, weight=None, *, gamma=2.0, reduction="mean"):
        super().__init__(weight, reduction)
        if not gamma >= 0:
            raise ValueError(f"gamma must be 0 or more, got {gamma}.")
        self.gamma = gamma

    def forward(self, logits, target):
        """Compute the loss, (n, n_classes) and (n,) -> scalar, or (n,) unreduced."""
        log_p = functional.log_softmax(logits, dim=1)
        log_p = log_p.gather(1, target[:, None])[:, 0]  # (n,), of the true class
        # 1 - p without cancellation; its power has no gradient at 0, so stay just above
        wrong = (-torch.expm1(log_p)).clamp_min(torch.finfo(logits.dtype).tiny)
        return self._reduce(-(wrong**self.gamma) * log_p, target)
