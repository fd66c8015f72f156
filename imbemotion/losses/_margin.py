"""LDAM: larger margins for rarer classes."""

import torch
from torch.nn import functional

from imbemotion.losses._prior import check_counts
from imbemotion.losses._reduction import WeightedLoss

__all__ = ["LDAMLoss"]


class LDAMLoss(WeightedLoss):
    r"""Cross-entropy in which the logit of the true class has to win by a margin.

    .. math:: \ell_i = -w_{y_i} \log \frac{e^{s (z_{i, y_i} - \Delta_{y_i})}}
        {e^{s (z_{i, y_i} - \Delta_{y_i})} + \sum_{c \neq y_i} e^{s z_{i, c}}},
        \qquad \Delta_c = \Delta_{max} \, (\min_k n_k / n_c)^{1/4}

    with the logits z, the training images n of the classes and the scale s. It is at its
    best with class weights that start late in training.

    Parameters
    ----------
    class_counts : array-like of shape (n_classes,)
        Training images of every class, or their shares; 0 counts as 1.

    weight : Tensor of shape (n_classes,), default=None
        Weight of every class; None means 1.

    max_margin : float, default=0.5
        Margin of the rarest class. At 0 the loss is weighted cross-entropy.

    scale : float, default=1.0
        The paper scales cosines by 30; logits of an ordinary layer find their own scale.

    reduction : {"mean", "sum", "none"}, default="mean"
        As in ``torch.nn.CrossEntropyLoss``: the mean is divided by the sum of the weights.

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

    def __init__(self, class_counts, weight=None, *, max_margin=0.5, scale=1.0, reduction="mean"):
        super().__init__(weight, reduction)
        if not 0 <= max_margin < float("inf"):
            raise ValueError(f"max_margin must be 0 or more, got {max_margin}.")
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale must be positive, got {scale}.")
        counts = check_counts(class_counts)
        self.scale = scale
        self.register_buffer("margins", max_margin * (counts.min() / counts) ** 0.25)

    def forward(self, logits, target):
        """Compute the loss, (n, n_classes) and (n,) -> scalar, or (n,) unreduced."""
        true = functional.one_hot(target, logits.shape[1]).bool()
        moved = torch.where(true, logits - self.margins, logits)
        loss = functional.cross_entropy(self.scale * moved, target, reduction="none")
        return self._reduce(loss, target)
