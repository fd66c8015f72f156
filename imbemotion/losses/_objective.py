"""The loss of a batch whose labels may be weighted, mixed or smoothed."""

from typing import NamedTuple

import torch

__all__ = ["Target", "batch_loss"]


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
