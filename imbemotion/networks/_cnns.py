"""Convolutional networks to train from scratch: images (n, C, H, W) to logits."""

from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from math import ceil
from numbers import Integral

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from imbemotion.networks._checkpoints import load_features

__all__ = ["DeepCNN", "FeatureNetwork", "ResidualCNN", "SmallCNN"]


class FeatureNetwork(nn.Module):
    """Base class of networks that consist of features and a head.

    Subclasses set the modules ``features``, (n, C, H, W) -> (n, d), and ``head``, (n, d) ->
    (n, n_classes), in their constructor, which takes ``n_classes`` and ``channels``. The base
    class runs one after the other, and freezes layers of the features.

    Examples
    --------
    >>> class LinearNetwork(FeatureNetwork):
    ...     def __init__(self, n_classes, channels=1):
    ...         super().__init__()
    ...         self.features = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    ...         self.head = nn.Linear(16 * channels, n_classes)
    >>> LinearNetwork(n_classes=8)(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 8])
    """

    takes_channels_last = True  # images in the order of memory that convolutions are fast on
    _frozen = ()  # modules that stand as in prediction, known before since each step asks

    def forward(self, images):
        """Compute the logits, (n, C, H, W) -> (n, n_classes)."""
        # The statistics of one image mean nothing to batch normalisation, so a training batch of
        # one, which the last of an epoch may be, is normalised as in prediction.
        images = images.contiguous(memory_format=torch.channels_last)
        if self.training and len(images) == 1:
            with _batch_norms_at_rest(self):
                return self.head(self.features(images))
        return self.head(self.features(images))

    def set_trainable(self, share):
        """Freeze the first layers and let the last share of them train, and the head always."""
        # A frozen layer keeps its parameters and stands as in prediction: batch normalisation does
        # not gather statistics, dropout drops nothing. It stays so after ``train()``.
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
        """Set the mode of the network, except that frozen layers stay as in prediction."""
        super().train(mode)
        for module in self._frozen:
            module.training = False
        return self


def _frozen_modules(features):
    """Find the modules without a parameter that trains."""
    # One without any parameters does as the layer before it, the first as the one after it.
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
    """Give the matrix by which AdaptiveAvgPool2d averages maps, (H * W, grid * grid)."""
    # One product is several times faster than the pooling and its gradient.
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


class SmallCNN(FeatureNetwork):
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


class DeepCNN(FeatureNetwork):
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


class ResidualCNN(FeatureNetwork):
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
