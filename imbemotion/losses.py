"""Losses for skewed classes, and the class weights that go into them."""

from numbers import Real

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from imbemotion._validation import shorten

__all__ = ["LOSSES", "FocalLoss", "class_weights"]


class FocalLoss(nn.Module):
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
    >>> logits, target = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    >>> FocalLoss(gamma=0.0)(logits, target) == nn.CrossEntropyLoss()(logits, target)
    tensor(True)
    """

    def __init__(self, weight=None, *, gamma=2.0, reduction="mean"):
        super().__init__()
        if not gamma >= 0:
            raise ValueError(f"gamma must be 0 or more, got {gamma}.")
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}.")
        self.gamma = gamma
        self.reduction = reduction
        self.register_buffer("weight", weight)

    def forward(self, logits, target):
        """Compute the loss, (n, n_classes) and (n,) -> scalar, or (n,) unreduced."""
        log_p = functional.log_softmax(logits, dim=1)
        log_p = log_p.gather(1, target[:, None])[:, 0]  # (n,), of the true class
        # 1 - p without cancellation; its power has no gradient at 0, so stay just above
        wrong = (-torch.expm1(log_p)).clamp_min(torch.finfo(logits.dtype).tiny)
        weight = torch.ones_like(log_p) if self.weight is None else self.weight[target]
        loss = -weight * wrong**self.gamma * log_p
        if self.reduction == "mean":
            return loss.sum() / weight.sum()
        return loss.sum() if self.reduction == "sum" else loss


LOSSES = {"cross_entropy": nn.CrossEntropyLoss, "focal": FocalLoss}


def class_weights(class_weight, classes, counts):
    """Compute the weight of every class from the sizes of the classes.

    Parameters
    ----------
    class_weight : {"balanced"}, dict or None
        ``"balanced"`` is ``n_samples / (n_classes * count)``, as in scikit-learn; a dict
        gives weights by label, 1 for those it does not name; None is no weights.

    classes : ndarray of shape (n_classes,)
        The labels.

    counts : ndarray of int of shape (n_classes,)
        Images of each class in training; a class without any gets weight 0.

    Returns
    -------
    weights : ndarray of float32 of shape (n_classes,) or None
        The weights.

    Raises
    ------
    ValueError
        If a dict names an unknown class or a weight is no positive number.

    Examples
    --------
    >>> class_weights("balanced", np.array(["fear", "joy"]), np.array([1, 3]))
    array([2.       , 0.6666667], dtype=float32)
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        present = counts > 0
        weights = counts.sum() / (present.sum() * np.maximum(counts, 1))
        return np.where(present, weights, 0).astype(np.float32)
    labels = classes.tolist()
    unknown = [label for label in class_weight if label not in labels]
    if unknown:
        raise ValueError(
            f"class_weight names {shorten(map(repr, unknown))}, which y does not hold "
            f"(it holds {shorten(map(repr, labels))})."
        )
    weights = [class_weight.get(label, 1.0) for label in labels]
    if not all(isinstance(w, Real) and 0 < w < np.inf for w in weights):
        raise ValueError(f"Class weights must be positive numbers, got {class_weight}.")
    return np.array(weights, dtype=np.float32)
