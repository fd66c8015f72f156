"""Loss functions for skewed classes, class weights, and the loss of a batch."""

from collections.abc import Mapping
from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

from imbemotion._base.validation import shorten


class FocalLoss(nn.CrossEntropyLoss):
    r"""Cross-entropy that down-weights well-classified images.

    .. math:: \ell_i = -w_{y_i} (1 - p_{i, y_i})^\gamma \log p_{i, y_i}

    where p is the softmax of the logits.

    Parameters
    ----------
    weight : Tensor of shape (n_classes,), default=None
        Class weights; None means 1.
    gamma : float, default=2.0
        Strength of the down-weighting; 0 is weighted cross-entropy.
    reduction : {"mean", "sum", "none"}, default="mean"
        As in ``torch.nn.CrossEntropyLoss``.

    Raises
    ------
    ValueError
        If gamma is negative or the reduction is unknown.

    References
    ----------
    .. [1] T.-Y. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.

    Examples
    --------
    >>> logits, target = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    >>> FocalLoss(gamma=0.0)(logits, target) == nn.CrossEntropyLoss()(logits, target)
    tensor(True)
    """

    def __init__(
        self, weight: Tensor | None = None, *, gamma: float = 2.0, reduction: str = "mean"
    ):
        super().__init__(weight, reduction=reduction)
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}.")
        if not gamma >= 0:
            raise ValueError(f"gamma must be 0 or more, got {gamma}.")
        self.gamma = gamma

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss, (n, n_classes) and (n,) -> scalar, or (n,) unreduced."""
        log_p = functional.log_softmax(logits, dim=1)
        log_p = log_p.gather(1, target[:, None])[:, 0]  # (n,), of the true class
        # 1 - p without cancellation; its power has no gradient at 0, so stay just above
        wrong = (-torch.expm1(log_p)).clamp_min(torch.finfo(logits.dtype).tiny)
        weight = torch.ones_like(log_p) if self.weight is None else self.weight[target]
        loss = -weight * wrong**self.gamma * log_p  # (n,)
        if self.reduction == "mean":
            return loss.sum() / weight.sum()  # as torch does: not by the number of images
        return loss.sum() if self.reduction == "sum" else loss


def _check_counts(class_counts):
    """Return class counts as floats, 1 for a class that training lacks, (n_classes,)."""
    counts = torch.as_tensor(class_counts).float()
    is_valid = counts.ndim == 1 and len(counts) > 1 and torch.isfinite(counts).all()
    if not (is_valid and (counts >= 0).all() and counts.any()):
        raise ValueError(
            f"class_counts must be numbers per class, 0 or more and not all 0, got {class_counts}."
        )
    return torch.where(counts > 0, counts, 1.0)


class LogitAdjustedLoss(nn.CrossEntropyLoss):
    r"""Cross-entropy of logits plus the log class prior.

    .. math:: \ell_i = -w_{y_i} \log
        \frac{e^{z_{i, y_i} + \tau \log \pi_{y_i}}}{\sum_c e^{z_{i, c} + \tau \log \pi_c}}

    with the logits z and the training shares :math:`\pi`. The network need not learn the shares,
    so its own softmax treats all classes equally.

    Parameters
    ----------
    class_counts : array-like of shape (n_classes,)
        Training images per class, or class shares; 0 counts as 1.
    tau : float, default=1.0
        Strength of the adjustment; 0 is weighted cross-entropy.
    weight, reduction
        As in :class:`FocalLoss`.

    Raises
    ------
    ValueError
        If counts are negative or tau is not finite.

    References
    ----------
    .. [1] A. K. Menon et al., "Long-tail learning via logit adjustment", ICLR 2021.

    Examples
    --------
    >>> logits, target = torch.tensor([[1.0, 1.0]]), torch.tensor([1])
    >>> LogitAdjustedLoss([3, 1])(logits, target).exp()
    tensor(4.)
    """

    def __init__(
        self, class_counts: ArrayLike, weight: Tensor | None = None, *, tau: float = 1.0,
        reduction: str = "mean",
    ):  # fmt: skip
        super().__init__(weight, reduction=reduction)
        if not -float("inf") < tau < float("inf"):
            raise ValueError(f"tau must be a finite number, got {tau}.")
        counts = _check_counts(class_counts)
        self.register_buffer("adjustment", tau * torch.log(counts / counts.sum()))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss, (n, n_classes) and (n,) -> scalar, or (n,) unreduced."""
        return super().forward(logits + self.adjustment, target)


class BalancedSoftmaxLoss(LogitAdjustedLoss):
    r"""Cross-entropy of a softmax in which classes count by their frequency.

    .. math:: \ell_i = -w_{y_i} \log \frac{n_{y_i} e^{z_{i, y_i}}}{\sum_c n_c e^{z_{i, c}}}

    with the logits z and the training images n per class: :class:`LogitAdjustedLoss` with
    tau = 1.

    Parameters
    ----------
    class_counts, weight, reduction
        As in :class:`LogitAdjustedLoss`.

    Raises
    ------
    ValueError
        If counts are negative.

    References
    ----------
    .. [1] J. Ren et al., "Balanced Meta-Softmax for Long-Tailed Visual Recognition", NeurIPS 2020.

    Examples
    --------
    >>> logits, target = torch.tensor([[1.0, 1.0]]), torch.tensor([1])
    >>> BalancedSoftmaxLoss([3, 1])(logits, target).exp()
    tensor(4.)
    """

    def __init__(
        self, class_counts: ArrayLike, weight: Tensor | None = None, *, reduction: str = "mean"
    ):
        super().__init__(class_counts, weight, tau=1.0, reduction=reduction)


class LDAMLoss(nn.CrossEntropyLoss):
    r"""Cross-entropy with a margin for the true class, larger for rarer classes.

    .. math:: \ell_i = -w_{y_i} \log \frac{e^{s (z_{i, y_i} - \Delta_{y_i})}}
        {e^{s (z_{i, y_i} - \Delta_{y_i})} + \sum_{c \neq y_i} e^{s z_{i, c}}},
        \qquad \Delta_c = \Delta_{max} \, (\min_k n_k / n_c)^{1/4}

    with the logits z, the training images n per class and the scale s. It works best with
    class weights that start late in training.

    Parameters
    ----------
    max_margin : float, default=0.5
        Margin of the rarest class; 0 is weighted cross-entropy.
    scale : float, default=1.0
        Factor of the logits; the paper scales cosines by 30.
    class_counts, weight, reduction
        As in :class:`LogitAdjustedLoss`.

    Raises
    ------
    ValueError
        If counts or the margin are negative, or the scale is not positive.

    References
    ----------
    .. [1] K. Cao, C. Wei, A. Gaidon, N. Arechiga, T. Ma, "Learning Imbalanced Datasets with
       Label-Distribution-Aware Margin Loss", NeurIPS 2019.

    Examples
    --------
    >>> LDAMLoss([16, 1]).margins
    tensor([0.2500, 0.5000])
    """

    def __init__(
        self, class_counts: ArrayLike, weight: Tensor | None = None, *, max_margin: float = 0.5,
        scale: float = 1.0, reduction: str = "mean",
    ):  # fmt: skip
        super().__init__(weight, reduction=reduction)
        if not 0 <= max_margin < float("inf"):
            raise ValueError(f"max_margin must be 0 or more, got {max_margin}.")
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale must be positive, got {scale}.")
        counts = _check_counts(class_counts)
        self.scale = scale
        self.register_buffer("margins", max_margin * (counts.min() / counts) ** 0.25)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss, (n, n_classes) and (n,) -> scalar, or (n,) unreduced."""
        true = functional.one_hot(target, logits.shape[1]).bool()
        shifted = torch.where(true, logits - self.margins, logits)
        return super().forward(self.scale * shifted, target)


class SoftF1Loss(nn.Module):
    r"""One minus the macro-F1 of a batch, computed from probabilities instead of counts.

    .. math:: \ell = a H + (1 - a) \Bigl(1 - \frac{1}{|B|} \sum_{c \in B}
        \frac{2 \sum_i p_{i, c} [y_i = c]}{\sum_i p_{i, c} + \sum_i [y_i = c]}\Bigr)

    with the softmax p of the logits, the classes B of the batch and the weighted
    cross-entropy H, which provides a gradient while a class is never predicted. Use batches with
    several images of each class: the mean over batches is not the macro-F1 of a set.

    Parameters
    ----------
    weight : Tensor of shape (n_classes,), default=None
        Class weights in the cross-entropy; None means 1.
    cross_entropy : float, default=0.5
        Share a of the cross-entropy, from 0 to 1; 1 is weighted cross-entropy.

    Raises
    ------
    ValueError
        If the share is not from 0 to 1.

    References
    ----------
    .. [1] J. Pastor-Pellicer, F. Zamora-Martinez, S. Espana-Boquera, M. J. Castro-Bleda,
       "F-Measure as the Error Function to Train Neural Networks", IWANN 2013.

    Examples
    --------
    >>> logits = torch.tensor([[50.0, 0.0], [0.0, 50.0], [0.0, 50.0]])
    >>> SoftF1Loss(cross_entropy=0.0)(logits, torch.tensor([0, 1, 1]))
    tensor(0.)
    """

    def __init__(self, weight: Tensor | None = None, *, cross_entropy: float = 0.5):
        super().__init__()
        if not 0 <= cross_entropy <= 1:
            raise ValueError(f"cross_entropy must be from 0 to 1, got {cross_entropy}.")
        self.cross_entropy = cross_entropy
        self.register_buffer("weight", weight)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss, (n, n_classes) and (n,) -> scalar."""
        p = torch.softmax(logits, dim=1)
        true = functional.one_hot(target, logits.shape[1]).to(p.dtype)  # (n, n_classes)
        f1 = 2 * (p * true).sum(dim=0) / (p + true).sum(dim=0).clamp_min(1e-12)  # (n_classes,)
        soft = 1 - f1[true.any(dim=0)].mean()  # a class without images has no F1
        entropy = functional.cross_entropy(logits, target, self.weight)
        return self.cross_entropy * entropy + (1 - self.cross_entropy) * soft


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
    criterion: nn.Module, logits: Tensor, targets: list[Target], *, label_smoothing: float = 0.0,
    class_shares: Tensor | None = None,
) -> Tensor:  # fmt: skip
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
