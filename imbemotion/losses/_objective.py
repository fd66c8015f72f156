"""Loss of a batch: class weights, and labels that may be weighted, mixed or smoothed."""

from collections.abc import Mapping
from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imbemotion._base.validation import shorten


def _effective(counts, beta):
    # expm1, because 1 - beta**count cancels for beta near 1
    return 1 / -np.expm1(counts * np.log(beta)) if beta > 0 else np.ones(len(counts))


_CLASS_WEIGHTS = {
    "balanced": lambda counts, beta: 1 / counts,
    "sqrt": lambda counts, beta: 1 / np.sqrt(counts),
    "effective": _effective,
}


def class_weights(
    class_weight: str | Mapping | None, classes: NDArray, counts: NDArray, *, beta: float = 0.999
) -> NDArray | None:
    """Compute class weights from the class sizes."""
    # Y. Cui, M. Jia, T.-Y. Lin, Y. Song, S. Belongie, "Class-Balanced Loss Based on Effective
    # Number of Samples", CVPR 2019.
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        return _named_weights(class_weight, counts, beta)
    labels = classes.tolist()
    unknown = [label for label in class_weight if label not in labels]
    # A fold may lack a class, so unknown labels are an error only where others are missing.
    if unknown and any(label not in class_weight for label in labels):
        raise ValueError(
            f"The labels in class_weight must be classes of y ({shorten(map(repr, labels))}), got "
            f"{shorten(map(repr, unknown))}."
        )
    weights = [class_weight.get(label, 1.0) for label in labels]
    if not all(isinstance(w, Real) and 0 < w < np.inf for w in weights):
        raise ValueError(f"Class weights must be positive numbers, got {class_weight}.")
    return np.array(weights, dtype=np.float32)


def _named_weights(name, counts, beta):
    if name not in _CLASS_WEIGHTS:
        raise ValueError(f"class_weight must be one of {shorten(_CLASS_WEIGHTS)}, got {name!r}.")
    if not 0 <= beta < 1:
        raise ValueError(f"beta must be in [0, 1), got {beta}.")
    weights = _CLASS_WEIGHTS[name](np.maximum(counts, 1), beta)
    weights = np.where(counts > 0, weights, 0)  # finite above, since counts were at least 1
    return (weights * (counts.sum() / (weights * counts).sum())).astype(np.float32)


class Target(NamedTuple):
    """Labels of a batch in one part of its loss; mixed images have two parts.

    Parameters
    ----------
    labels, weights : Tensor of shape (n,)
        Encoded labels, and the weight of each image; None means 1.
    share : float, default=1.0
        Share of this part in the loss.
    """

    labels: Tensor
    weights: Tensor | None = None
    share: float = 1.0

    def to(self, device: torch.device | str) -> "Target":
        """Return the target on another device."""
        weights = None if self.weights is None else self.weights.to(device)
        return self._replace(labels=self.labels.to(device), weights=weights)


def batch_loss(
    criterion: nn.Module,
    logits: Tensor,
    targets: list[Target],
    *,
    label_smoothing: float = 0.0,
    class_shares: Tensor | None = None,
) -> Tensor:
    """Compute the loss of a batch."""
    losses = ((part, criterion(logits, part.labels)) for part in targets)
    loss = sum(part.share * _weighted_mean(criterion, values, part) for part, values in losses)
    if not label_smoothing:
        return loss
    smooth = _expected_loss(criterion, logits, targets, class_shares.to(logits))
    return (1 - label_smoothing) * loss + label_smoothing * smooth


def _weighted_mean(criterion, loss, target):
    """Average losses weighted by class and image, (n,) -> scalar, unless the loss is reduced."""
    if loss.ndim == 0:
        return loss
    class_weights = getattr(criterion, "weight", None)
    total = torch.ones_like(loss) if class_weights is None else class_weights[target.labels]
    if target.weights is not None:
        loss, total = loss * target.weights, total * target.weights
    # A batch may hold only images of weight 0.
    return loss.sum() / total.sum().clamp_min(torch.finfo(loss.dtype).tiny)


def _expected_loss(criterion, logits, targets, class_shares):
    """Average the losses over labels drawn from the class shares."""
    n, n_classes = logits.shape
    labels = torch.arange(n_classes, device=logits.device)  # each image once with each label
    losses = criterion(logits.repeat_interleave(n_classes, dim=0), labels.repeat(n))
    drawn = losses.view(n, n_classes) @ class_shares  # (n,)
    return sum(part.share * _weighted_mean(criterion, drawn, part) for part in targets)
