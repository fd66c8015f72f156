"""Small convolutional networks: from images (n, C, H, W) to logits (n, n_classes)."""

from functools import lru_cache

import torch
from torch import nn
from torch.nn import functional

from imbemotion.networks._base import _Network

__all__ = ["DeepCNN", "SmallCNN"]

_GRID = 4  # features are averaged over a grid of 4 x 4, whatever the size of the images


class _Convolutions(nn.Sequential):
    """Convolutions and poolings, trained on a processor in the layout that suits oneDNN best."""

    def forward(self, images):
        """Compute features, (n, C, H, W) -> (n, d)."""
        if not (self.training and _suits_onednn(images)):
            return super().forward(images)
        *blocks, _, flatten = self
        images = images.to_mkldnn()
        for block in blocks:
            images = block(images)
        maps = images.to_dense().flatten(2)  # (n, channels, H * W)
        return flatten(maps @ _averaging(*images.shape[2:]))


@lru_cache(maxsize=8)
def _averaging(height, width):
    """Give the matrix by which AdaptiveAvgPool2d averages maps, (H * W, grid * grid).

    One product is several times faster than the pooling and its gradient.
    """
    rows, columns = (
        functional.adaptive_avg_pool1d(torch.eye(size, dtype=torch.float32), _GRID)
        for size in (height, width)
    )
    return torch.kron(rows, columns)


def _suits_onednn(images):
    return (
        images.device.type == "cpu"
        and images.dtype == torch.float32
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
    )


class SmallCNN(_Network):
    """One convolution, one pooling, ReLU and a linear layer.

    The first network of a student study of skewed facial emotions, kept as the simplest
    reference. It takes images of any size.

    Parameters
    ----------
    n_classes : int
        Number of logits.

    channels : int, default=1
        Channels of the images.

    width : int, default=32
        Channels of the convolution.

    Examples
    --------
    >>> import torch
    >>> SmallCNN(n_classes=8)(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 8])
    """

    def __init__(self, n_classes, channels=1, *, width=32):
        super().__init__()
        self.features = _Convolutions(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(_GRID),
            nn.Flatten(),
        )
        self.head = nn.Linear(width * _GRID**2, n_classes)
        self.to(memory_format=torch.channels_last)  # on which convolutions are faster


class DeepCNN(_Network):
    """Three convolutions, a pooling after each, dropout before and in the head.

    The final network of the same study. It takes images of any size.

    Parameters
    ----------
    n_classes : int
        Number of logits.

    channels : int, default=1
        Channels of the images.

    widths : tuple of int, default=(16, 32, 64)
        Channels of the convolutions, one each.

    hidden : int, default=128
        Units of the hidden layer of the head.

    dropout : float, default=0.25
        Share of the features, and of the hidden units, that is left out in training.

    Examples
    --------
    >>> import torch
    >>> DeepCNN(n_classes=8, channels=3)(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 8])
    """

    def __init__(self, n_classes, channels=1, *, widths=(16, 32, 64), hidden=128, dropout=0.25):
        super().__init__()
        layers = []
        for width in widths:
            layers += [
                nn.Conv2d(channels, width, 3, padding=1),
                nn.MaxPool2d(2, ceil_mode=True),  # ceil: images one pixel high stay so
                nn.ReLU(),  # the same after the pooling as before it, at a quarter of the work
            ]
            channels = width
        self.features = _Convolutions(*layers, nn.AdaptiveAvgPool2d(_GRID), nn.Flatten())
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(channels * _GRID**2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, n_classes),
        )
        self.to(memory_format=torch.channels_last)
