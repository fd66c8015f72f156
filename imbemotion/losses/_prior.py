"""Losses that know how frequent the classes are: balanced softmax and logit adjustment."""

import torch
from torch.nn import functional

from imbemotion.losses._reduction import WeightedLoss

__all__ = ["BalancedSoftmaxLoss", "LogitAdjustedLoss", "check_counts"]


def check_counts(class_counts):
    """Give class counts as a float tensor, 1 for a class that training lacks, (n_classes,)."""
    counts = torch.as_tensor(class_counts).float()
    if counts.ndim != 1 or len(counts) < 2 or not torch.isfinite(counts).all():
        raise ValueError(f"class_counts must be numbers per class, got {class_counts}.")
    if (counts < 0).any() or not counts.any():
        raise ValueError(f"class_counts must be 0 or more and not all 0, got {class_counts}.")
    return torch.where(counts > 0, counts, 1.0)


class LogitAdjustedLoss(WeightedLoss):
    r"""Cross-entropy of logits to which the logarithm of the class shares is added.

    .. math:: \ell_i = -w_{y_i} \log
        \frac{e^{z_{i, y_i} + \tau \log \pi_{y_i}}}{\sum_c e^{z_{i, c} + \tau \log \pi_c}}

    with the logits z and the shares of the classes in training. The network need not learn
    the shares, so that its own probabilities, without them, treat all classes alike.

    Parameters
    ----------
    class_counts : array-like of shape (n_classes,)
        Training images of every class, or their shares; 0 counts as 1.

    weight : Tensor of shape (n_classes,), default=None
        Weight of every class; None means 1.

    tau : float, default=1.0
        How much of the shares is added. At 0 the loss is weighted cross-entropy.

    reduction : {"mean", "sum", "none"}, default="mean"
        As in ``torch.nn.CrossEntropyLoss``: the mean is divided by the sum of the weights.

    Raises
    ------
    ValueError
        If counts are negative or tau is no finite number.

    See Also
    --------
    BalancedSoftmaxLoss : The same with tau = 1.

    References
    ----------
    .. [1] A. K. Menon, S. Jayasumana, A. S. Rawat, H. Jain, A. Veit, S. Kumar, "Long-tail
       learning via logit adjustment", ICLR 2021.

    Examples
    --------
    >>> logits, target = torch.tensor([[1.0, 1.0]]), torch.tensor([1])
    >>> LogitAdjustedLoss([3, 1])(logits, target).exp()
    tensor(4.)
    """

    def __init__(self, class_counts, weight=None, *, tau=1.0, reduction="mean"):
        super().__init__(weight, reduction)
        if not -float("inf") < tau < float("inf"):
            raise ValueError(f"tau must be a finite number, got {tau}.")
        counts = check_counts(class_counts)
        self.register_buffer("adjustment", tau * torch.log(counts / counts.sum()))

    def forward(self, logits, target):
        """Compute the loss, (n, n_classes) and (n,) -> scalar, or (n,) unreduced."""
        adjusted = logits + self.adjustment
        return self._reduce(functional.cross_entropy(adjusted, target, reduction="none"), target)


class BalancedSoftmaxLoss(LogitAdjustedLoss):
    r"""Cross-entropy of a softmax in which every class counts by its frequency.

    .. math:: \ell_i = -w_{y_i} \log
        \frac{n_{y_i} e^{z_{i, y_i}}}{\sum_c n_c e^{z_{i, c}}}

    with the logits z and the training images n of the classes: logit adjustment with
    tau = 1. With equal counts it is weighted cross-entropy.

    Parameters
    ----------
    class_counts : array-like of shape (n_classes,)
        Training images of every class, or their shares; 0 counts as 1.

    weight : Tensor of shape (n_classes,), default=None
        Weight of every class; None means 1.

    reduction : {"mean", "sum", "none"}, default="mean"
        As in ``torch.nn.CrossEntropyLoss``: the mean is divided by the sum of the weights.

    Raises
    ------
    ValueError
        If counts are negative.

    See Also
    --------
    LogitAdjustedLoss : The same with less or more of it.

    References
    ----------
    .. [1] J. Ren, C. Yu, S. Sheng, X. Ma, H. Zhao, S. Yi, H. Li, "Balanced Meta-Softmax for
       Long-Tailed Visual Recognition", NeurIPS 2020.

    Examples
    --------
    >>> logits, target = torch.tensor([[1.0, 1.0]]), torch.tensor([1])
    >>> BalancedSoftmaxLoss([3, 1])(logits, target).exp()
    tensor(4.)
    """

    def __init__(self, class_counts, weight=None, *, reduction="mean"):
        super().__init__(class_counts, weight, tau=1.0, reduction=reduction)
