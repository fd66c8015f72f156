"""Soft macro-F1: the score itself as a loss, with probabilities in the place of counts."""

import torch
from torch import nn
from torch.nn import functional

__all__ = ["SoftF1Loss"]


class SoftF1Loss(nn.Module):
    r"""One minus the macro-F1 of a batch, in which probabilities are counted.

    .. math:: \ell = a H + (1 - a) \Bigl(1 - \frac{1}{|B|} \sum_{c \in B}
        \frac{2 \sum_i p_{i, c} [y_i = c]}{\sum_i p_{i, c} + \sum_i [y_i = c]}\Bigr)

    with the softmax p of the logits, the classes B of the batch and the weighted
    cross-entropy H. By itself it has hardly any gradient where a class is never predicted,
    as at the start; the share of cross-entropy trains from there.

    Parameters
    ----------
    weight : Tensor of shape (n_classes,), default=None
        Weight of every class in the cross-entropy; None means 1.

    cross_entropy : float, default=0.5
        Share a of cross-entropy, from 0 to 1. At 1 the loss is weighted cross-entropy.

    Raises
    ------
    ValueError
        If the share is not from 0 to 1.

    Notes
    -----
    Macro-F1 is a score of a whole set; its mean over small batches is another one. Batches
    should hold several images of every class.

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

    def __init__(self, weight=None, *, cross_entropy=0.5):
        super().__init__()
        if not 0 <= cross_entropy <= 1:
            raise ValueError(f"cross_entropy must be from 0 to 1, got {cross_entropy}.")
        self.cross_entropy = cross_entropy
        self.register_buffer("weight", weight)

    def forward(self, logits, target):
        """Compute the loss, (n, n_classes) and (n,) -> scalar."""
        p = torch.softmax(logits, dim=1)
        true = functional.one_hot(target, logits.shape[1]).to(p.dtype)  # (n, n_classes)
        f1 = 2 * (p * true).sum(dim=0) / (p + true).sum(dim=0).clamp_min(1e-12)  # (n_classes,)
        present = true.any(dim=0)
        soft = 1 - f1[present].mean()
        entropy = functional.cross_entropy(logits, target, self.weight)
        return self.cross_entropy * entropy + (1 - self.cross_entropy) * soft
