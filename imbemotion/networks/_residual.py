"""A small residual network for images of 32 to 96 pixels."""

from itertools import pairwise
from numbers import Integral

import torch
from torch import nn
from torch.nn import functional

from imbemotion.networks._base import _Network
from imbemotion.networks._weights import load_features

__all__ = ["ResidualCNN"]


class ResidualCNN(_Network):
    """A convolution, then residual blocks that halve the size of the image.

    It is made for 32 to 96 pixels, and narrow where the maps are large, so that it can be
    trained on a processor. It takes images of any size, and of any scale of the pixels.

    Parameters
    ----------
    n_classes : int
        Number of logits.

    channels : int, default=1
        Channels of the images.

    widths : tuple of int, default=(16, 32, 64, 128, 256)
        Channels of the first convolution, and of the stages after it; each stage halves
        height and width.

    depth : int or tuple of int, default=1
        Residual blocks of each stage.

    dropout : float, default=0.2
        Share of the features that the head does not see in training.

    weights : str, Path or None, default=None
        A file to take the features from: one that ``CNNClassifier.save`` wrote, or a state
        dict. The head starts afresh, for whatever classes. None starts with random ones.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition",
       CVPR 2016.

    .. [2] T. He, Z. Zhang, H. Zhang, Z. Zhang, J. Xie, M. Li, "Bag of Tricks for Image
       Classification with Convolutional Neural Networks", CVPR 2019: the averaging shortcut.

    Examples
    --------
    >>> import torch
    >>> ResidualCNN(n_classes=8)(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 8])
    """

    def __init__(
        self,
        n_classes,
        channels=1,
        *,
        widths=(16, 32, 64, 128, 256),
        depth=1,
        dropout=0.2,
        weights=None,
    ):
        super().__init__()
        depths = _depths(depth, n_stages=len(widths) - 1)
        stem = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        normalised = nn.BatchNorm2d(channels, affine=False)  # whatever the scale of the pixels
        layers = [normalised, stem, nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
        for (before, width), n_blocks in zip(pairwise(widths), depths, strict=True):
            layers.append(_Block(before, width, stride=2))
            layers += [_Block(width, width) for _ in range(n_blocks - 1)]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(widths[-1], n_classes))
        if weights is not None:
            load_features(self, weights)
        self.to(memory_format=torch.channels_last)  # on which convolutions are faster


def _depths(depth, n_stages):
    depths = (depth,) * n_stages if isinstance(depth, Integral) else tuple(depth)
    if len(depths) != n_stages:
        raise ValueError(
            f"depth must be a number, or one for each of the {n_stages} stages, got {depth}. "
            "There is a stage for each of the widths after the first."
        )
    return depths


class _Block(nn.Module):
    """Two convolutions whose result is added to the input, (n, C, H, W) -> (n, W, H/s, W/s)."""

    def __init__(self, before, width, stride=1):
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        nn.init.zeros_(self.residual[-1].weight)  # a new block only hands on its input
        shortcut = [nn.AvgPool2d(stride, ceil_mode=True)] if stride > 1 else []
        if before != width:
            shortcut += [nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)]
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, images):
        """Add what the convolutions make of the images to the images."""
        return functional.relu(self.shortcut(images) + self.residual(images), inplace=True)
