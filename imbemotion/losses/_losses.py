"""Loss functions for skewed classes, and the loss of a batch."""

from functools import partial
from typing import NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from imbemotion._base.validation import cut_label, shorten

_IGNORED = -100  # PyTorch's label of images without one


def check_targets(logits, target, sizes=(), ignored=_IGNORED):
    """Refuse logits, targets, and numbers of class weights that do not belong together."""
    shape, got = tuple(logits.shape), tuple(target.shape)
    if len(shape) != 2:
        raise ValueError(f"A loss needs logits of shape (n, n_classes), got shape {shape}.")
    is_soft = target.is_floating_point()
    if got != (shape if is_soft else shape[:1]):
        raise ValueError(
            f"Logits of shape {shape} need integer labels of shape {shape[:1]} or class "
            f"probabilities of shape {shape}, got {target.dtype} of shape {got}."
        )
    if any(size != shape[1] for size in sizes):
        raise ValueError(
            f"weight and class_counts must have one number per class, got {shorten(sizes)} "
            f"numbers for {shape[1]} logits."
        )
    if is_soft or target.device.type != "cpu":  # reading them would stall a GPU at every step
        return
    wrong = target[(target != ignored) & ((target < 0) | (target >= shape[1]))]
    if len(wrong):
        raise ValueError(
            f"The network returns {shape[1]} logits, so labels must be 0 to {shape[1] - 1}, or "
            f"{ignored} for images to ignore, got {wrong[0].item()}."
        )


def _known(target, ignored):
    """Return which images count, and their labels, 0 for the others."""
    known = target != ignored
    return known, target.where(known, torch.zeros_like(target)).long()


def _of_every_label(losses, logits):
    """Compute the loss of each image with each label, (n, n_classes) -> (n, n_classes)."""
    n, n_classes = logits.shape
    labels = torch.arange(n_classes, device=logits.device).repeat(n)
    return losses(logits.repeat_interleave(n_classes, dim=0), labels).view(n, n_classes)


class _ClassLoss(nn.CrossEntropyLoss):
    """A loss of single images, weighted and reduced as by ``torch.nn.CrossEntropyLoss``."""

    def __init__(self, weight=None, *, class_counts=None, reduction="mean"):
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r:.90}.")
        super().__init__(weight, reduction=reduction)
        self.counts = None if class_counts is None else _check_counts(class_counts)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss, (n, n_classes) and (n,) or (n, n_classes) -> scalar or (n,)."""
        given = [part for part in (self.weight, self.counts) if part is not None]
        check_targets(logits, target, [part.numel() for part in given], self.ignore_index)
        weight = logits.new_ones(logits.shape[1]) if self.weight is None else self.weight
        if target.is_floating_point():
            weights = target * weight.to(logits)  # (n, n_classes)
            loss = (weights * _of_every_label(self._losses, logits)).sum(dim=1)
            total = len(loss)
        else:
            known, labels = _known(target, self.ignore_index)
            weights = weight.to(logits)[labels] * known
            loss = torch.where(known, weights * self._losses(logits, labels), 0.0)  # (n,)
            total = weights.sum()
        if self.reduction == "mean":
            return loss.sum() / total  # as torch does: not by the number of images
        return loss.sum() if self.reduction == "sum" else loss


class FocalLoss(_ClassLoss):
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
        if not gamma >= 0:
            raise ValueError(f"gamma must be 0 or more, got {gamma}.")
        self.gamma = gamma

    def _losses(self, logits, labels):
        log_p = -functional.cross_entropy(logits, labels, reduction="none")
        # 1 - p without cancellation; its power has no gradient at 0, so stay just above
        wrong = (-torch.expm1(log_p)).clamp_min(torch.finfo(logits.dtype).tiny)
        return -(wrong**self.gamma) * log_p


def _check_counts(class_counts):
    """Return class counts as float64, 1 for a class that training lacks, (n_classes,)."""
    try:
        counts = torch.as_tensor(class_counts).double()
    except (TypeError, ValueError, RuntimeError):  # texts, lists of several lengths
        counts = torch.zeros(0)
    is_valid = counts.ndim == 1 and len(counts) > 1 and torch.isfinite(counts).all()
    if not (is_valid and (counts >= 0).all() and counts.any()):
        raise ValueError(
            "class_counts must be numbers per class, 0 or more and not all 0, got "
            f"{cut_label(class_counts, 80)}."
        )
    return torch.where(counts > 0, counts, 1.0)


class LogitAdjustedLoss(_ClassLoss):
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
        super().__init__(weight, class_counts=class_counts, reduction=reduction)
        if not -float("inf") < tau < float("inf"):
            raise ValueError(f"tau must be a finite number, got {tau}.")
        # float64, so no buffer: these take the precision of the network
        self.adjustment = tau * torch.log(self.counts / self.counts.sum())

    def _losses(self, logits, labels):
        shifted = logits + self.adjustment.to(logits)
        return functional.cross_entropy(shifted, labels, reduction="none")


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


class LDAMLoss(_ClassLoss):
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
    >>> LDAMLoss([16, 1]).margins.tolist()
    [0.25, 0.5]
    """

    def __init__(
        self, class_counts: ArrayLike, weight: Tensor | None = None, *, max_margin: float = 0.5,
        scale: float = 1.0, reduction: str = "mean",
    ):  # fmt: skip
        super().__init__(weight, class_counts=class_counts, reduction=reduction)
        if not 0 <= max_margin < float("inf"):
            raise ValueError(f"max_margin must be 0 or more, got {max_margin}.")
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale must be positive, got {scale}.")
        self.scale = scale
        self.margins = max_margin * (self.counts.min() / self.counts) ** 0.25

    def _losses(self, logits, labels):
        true = functional.one_hot(labels, logits.shape[1]).bool()
        shifted = self.scale * torch.where(true, logits - self.margins.to(logits), logits)
        return functional.cross_entropy(shifted, labels, reduction="none")


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
        """Compute the loss, (n, n_classes) and (n,) or (n, n_classes) -> scalar."""
        check_targets(logits, target, [] if self.weight is None else [self.weight.numel()])
        weight = None if self.weight is None else self.weight.to(logits)
        p, true = torch.softmax(logits, dim=1), target  # (n, n_classes)
        if not target.is_floating_point():
            known, labels = _known(target, _IGNORED)
            p, true = p * known[:, None], functional.one_hot(labels, logits.shape[1]).to(p)
            true, target = true * known[:, None], target.long()
        f1 = 2 * (p * true).sum(dim=0) / (p + true).sum(dim=0).clamp_min(1e-12)  # (n_classes,)
        soft = 1 - f1[true.any(dim=0)].mean()  # a class without images has no F1
        entropy = functional.cross_entropy(logits, target, weight)
        return self.cross_entropy * entropy + (1 - self.cross_entropy) * soft


class Target(NamedTuple):
    """Labels of a batch in one part of its loss; mixed images have two parts.

    Parameters
    ----------
    labels : Tensor of int of shape (n,) or of float of shape (n, n_classes)
        Encoded labels, -100 for images to ignore; or class probabilities.
    weights : Tensor of shape (n,), default=None
        Weight of each image; None means 1.
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
    class_shares: ArrayLike | None = None,
) -> Tensor:  # fmt: skip
    """Compute the loss of a batch, whose labels may be mixed, weighted and smoothed."""
    losses = ((part, label_loss(criterion, logits, part.labels)) for part in targets)
    loss = sum(part.share * weighted_mean(criterion, values, part) for part, values in losses)
    if not label_smoothing:
        return loss
    # averaged over labels drawn from the class shares
    drawn = _of_every_label(partial(label_loss, criterion), logits)  # (n, n_classes)
    drawn = drawn @ torch.as_tensor(class_shares).to(logits)  # (n,)
    smooth = sum(part.share * weighted_mean(criterion, drawn, part) for part in targets)
    return (1 - label_smoothing) * loss + label_smoothing * smooth


def label_loss(criterion: nn.Module, logits: Tensor, labels: Tensor) -> Tensor:
    """Check the labels and call a loss; of several values of an image, return the mean."""
    check_targets(logits, labels, ignored=getattr(criterion, "ignore_index", _IGNORED))
    if isinstance(criterion, nn.NLLLoss):  # which takes logarithms of probabilities
        logits = functional.log_softmax(logits, dim=1)
    loss = criterion(logits, labels if labels.is_floating_point() else labels.long())
    return loss.flatten(1).mean(dim=1) if loss.ndim > 1 else loss


def weighted_mean(criterion: nn.Module, loss: Tensor, target: Target) -> Tensor:
    """Average losses weighted by class and image, (n,) -> scalar, unless the loss is reduced."""
    if loss.ndim == 0:
        return loss
    total, class_weights = torch.ones_like(loss), getattr(criterion, "weight", None)
    if not target.labels.is_floating_point():  # torch averages those of probabilities by number
        known, labels = _known(target.labels, getattr(criterion, "ignore_index", _IGNORED))
        total = total if class_weights is None else class_weights[labels]
        loss, total = torch.where(known, loss, 0.0), total * known
    if target.weights is not None:
        loss, total = loss * target.weights, total * target.weights
    # A batch may hold only images of weight 0.
    return loss.sum() / total.sum().clamp_min(torch.finfo(loss.dtype).tiny)
