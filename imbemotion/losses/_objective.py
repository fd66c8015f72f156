"""The loss of a batch: class weights, and labels that may be weighted, mixed or smoothed."""

from numbers import Real
from typing import NamedTuple

import numpy as np
import torch

from imbemotion._base.validation import shorten

__all__ = [
    "CLASS_WEIGHTS",
    "Target",
    "batch_loss",
    "class_weights",
]


def _balanced(counts, beta):
    return 1 / counts


def _square_root(counts, beta):
    return 1 / np.sqrt(counts)


def _effective(counts, beta):
    """Weigh by the effective number of images, without cancellation for beta near 1."""
    return 1 / -np.expm1(counts * np.log(beta)) if beta > 0 else np.ones(len(counts))


CLASS_WEIGHTS = {"balanced": _balanced, "sqrt": _square_root, "effective": _effective}


def class_weights(class_weight, classes, counts, *, beta=0.999):
    """Compute the weight of every class from the sizes of the classes.

    Parameters
    ----------
    class_weight : {"balanced", "sqrt", "effective"}, dict or None
        ``"balanced"`` is inversely proportional to the class sizes, as in scikit-learn;
        ``"sqrt"`` to their square roots; ``"effective"`` to ``1 - beta ** count``, the
        effective number of images [1]_. A dict gives weights by label, 1 for those it does
        not name; None is no weights.

    classes : ndarray of shape (n_classes,)
        The labels.

    counts : ndarray of int of shape (n_classes,)
        Images of each class in training; a class without any gets weight 0.

    beta : float, default=0.999
        For ``"effective"``, in [0, 1): 0 weighs all classes alike, nearly 1 as
        ``"balanced"`` does.

    Returns
    -------
    weights : ndarray of float32 of shape (n_classes,) or None
        The weights. Those by name have a mean of 1 over the training images.

    Raises
    ------
    ValueError
        If a name or a class in a dict is unknown, a weight is no positive number, or beta is
        out of its range.

    References
    ----------
    .. [1] Y. Cui, M. Jia, T.-Y. Lin, Y. Song, S. Belongie, "Class-Balanced Loss Based on
       Effective Number of Samples", CVPR 2019.

    Examples
    --------
    >>> class_weights("balanced", np.array(["fear", "joy"]), np.array([1, 3]))
    array([2.       , 0.6666667], dtype=float32)
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        return _by_name(class_weight, counts, beta)
    labels = classes.tolist()
    unknown = [label for label in class_weight if label not in labels]
    if unknown and any(label not in class_weight for label in labels):  # a fold may lack a class
        raise ValueError(
            f"class_weight names {shorten(map(repr, unknown))}, which y does not hold "
            f"(it holds {shorten(map(repr, labels))})."
        )
    weights = [class_weight.get(label, 1.0) for label in labels]
    if not all(isinstance(w, Real) and 0 < w < np.inf for w in weights):
        raise ValueError(f"Class weights must be positive numbers, got {class_weight}.")
    return np.array(weights, dtype=np.float32)


def _by_name(name, counts, beta):
    if name not in CLASS_WEIGHTS:
        raise ValueError(f"class_weight must be one of {shorten(CLASS_WEIGHTS)}, got {name!r}.")
    if not 0 <= beta < 1:
        raise ValueError(f"beta must be in [0, 1), got {beta}.")
    weights = CLASS_WEIGHTS[name](np.maximum(counts, 1), beta)
    weights = np.where(counts > 0, weights, 0)
    return (weights * (counts.sum() / (weights * counts).sum())).astype(np.float32)


class Target(NamedTuple):
    """What the images of a batch should be taken for, in one part of the loss.

    Parameters
    ----------
    labels : Tensor of int of shape (n,)
        Encoded labels.

    weights : Tensor of shape (n,), default=None
        Weight of every image; None means 1.

    share : float, default=1.0
        Share of this part in the loss; mixed images have two parts.
    """

    labels: torch.Tensor
    weights: torch.Tensor | None = None
    share: float = 1.0

    def to(self, device):
        """Give the same on another device."""
        weights = None if self.weights is None else self.weights.to(device)
        return self._replace(labels=self.labels.to(device), weights=weights)


def batch_loss(criterion, logits, targets, *, label_smoothing=0.0, class_shares=None):
    """Compute the loss of a batch.

    Parameters
    ----------
    criterion : nn.Module
        The loss, from logits and labels. With image weights or label smoothing its
        reduction has to be "none".

    logits : Tensor of shape (n, n_classes)
        Output of the network.

    targets : list of Target
        The parts of the loss.

    label_smoothing : float, default=0.0
        Probability with which every label is taken for one drawn from the class shares;
        the loss is the expectation over such draws.

    class_shares : Tensor of shape (n_classes,), default=None
        Shares of the classes in training.

    Returns
    -------
    loss : Tensor
        A scalar.
    """
    losses = [part.share * _part(criterion, logits, part) for part in targets]
    if not label_smoothing:
        return sum(losses)
    smooth = _expected(criterion, logits, targets, class_shares.to(logits))
    return (1 - label_smoothing) * sum(losses) + label_smoothing * smooth


def _part(criterion, logits, target):
    loss = criterion(logits, target.labels)
    return loss if loss.ndim == 0 else _mean(criterion, loss, target)


def _mean(criterion, loss, target):
    """Average what was not reduced, (n,) -> scalar, as a weighted mean of the images."""
    class_weights = getattr(criterion, "weight", None)
    total = torch.ones_like(loss) if class_weights is None else class_weights[target.labels]
    if target.weights is not None:
        loss, total = loss * target.weights, total * target.weights
    return loss.sum() / total.sum().clamp_min(torch.finfo(loss.dtype).tiny)


def _expected(criterion, logits, targets, class_shares):
    """Average over labels drawn from the class shares, as if each image had every label."""
    n, n_classes = logits.shape
    every = torch.arange(n_classes, device=logits.device)
    losses = criterion(logits.repeat_interleave(n_classes, dim=0), every.repeat(n))
    drawn = losses.view(n, n_classes) @ class_shares  # (n,)
    return sum(part.share * _mean(criterion, drawn, part) for part in targets)
