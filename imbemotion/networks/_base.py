"""What all networks share: features, then a head; and layers that can be frozen."""

from contextlib import contextmanager
from math import ceil

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["_Network"]


class _Network(nn.Module):
    """A network of `features`, (n, C, H, W) -> (n, d), and a `head`, (n, d) -> logits."""

    takes_channels_last = True  # images in the order of memory that convolutions are fast on
    _frozen = ()  # modules that stand as in prediction, known before since each step asks

    def forward(self, images):
        """Compute the logits, (n, C, H, W) -> (n, n_classes).

        The statistics of one image mean nothing to batch normalisation, so a training batch
        of one, which the last of an epoch may be, is normalised as in prediction.
        """
        images = images.contiguous(memory_format=torch.channels_last)
        if self.training and len(images) == 1:
            with _batch_norms_at_rest(self):
                return self.head(self.features(images))
        return self.head(self.features(images))

    def set_trainable(self, share):
        """Freeze the first layers and let the last share of them train, and the head always.

        A frozen layer keeps its parameters and stands as in prediction: batch normalisation
        does not gather statistics, dropout drops nothing. It stays so after ``train()``.

        Parameters
        ----------
        share : float
            Share of the layers of `features` that train, from 0 (the head alone) to 1 (the
            whole network). A layer is a module with parameters of its own.

        Returns
        -------
        self : object
            The network.

        Raises
        ------
        ValueError
            If share is not from 0 to 1.

        Examples
        --------
        >>> from imbemotion import DeepCNN
        >>> network = DeepCNN(n_classes=8).set_trainable(0)
        >>> [name for name, p in network.named_parameters() if p.requires_grad]
        ['head.1.weight', 'head.1.bias', 'head.4.weight', 'head.4.bias']
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share must be from 0 (the head alone) to 1 (all), got {share}.")
        layers = [m for m in self.features.modules() if list(m.parameters(recurse=False))]
        n_frozen = len(layers) - ceil(share * len(layers))
        for number, layer in enumerate(layers):
            for parameter in layer.parameters(recurse=False):
                parameter.requires_grad = number >= n_frozen
                if number < n_frozen:
                    parameter.grad = None  # with which an optimizer would make one more step
        self._frozen = tuple(_frozen_modules(self.features))
        return self.train(self.training)

    def train(self, mode=True):
        """Set the mode of the network, except that frozen layers stay as in prediction.

        Parameters
        ----------
        mode : bool, default=True
            Whether to train.

        Returns
        -------
        self : object
            The network.
        """
        super().train(mode)
        for module in self._frozen:
            module.training = False
        return self


def _frozen_modules(features):
    """Find the modules without a parameter that trains.

    One without any parameters does as the layer before it, the first as the one after it.
    """
    frozen = not next((p.requires_grad for p in features.parameters()), True)
    for module in features.modules():
        trains = {parameter.requires_grad for parameter in module.parameters()}
        if len(trains) == 1:  # else it has none, or holds the border
            frozen = not trains.pop()
        if frozen and True not in trains:
            yield module


@contextmanager
def _batch_norms_at_rest(network):
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.training]
    for norm in norms:
        norm.training = False
    try:
        yield
    finally:
        for norm in norms:
            norm.training = True
