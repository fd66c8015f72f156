"""Convolutional networks to train from scratch, and the base class of all networks."""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from math import ceil
from numbers import Integral
from os import PathLike

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from imbemotion._base.registry import NETWORKS
from imbemotion.networks._checkpoints import load_features

_GRID = 4  # features are averaged over a grid of 4 x 4, whatever the size of the images
_PLAIN_GRID, _LARGEST, _STEM = 3, 80, 16  # of PlainCNN: cells, pixels, channels


class FeatureNetwork(nn.Module):
    """Base class of networks that consist of features and a head.

    The constructor of a subclass takes ``n_classes`` and ``channels``, and sets the modules
    ``features``, (n, C, H, W) -> (n, d), and ``head``, (n, d) -> (n, n_classes).

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

    default_lr = 1e-3  # of Adam
    _frozen = ()  # modules kept in eval mode; stored, because each step asks for them

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits, (n, C, H, W) -> (n, n_classes)."""
        images = images.contiguous(memory_format=torch.channels_last)
        # The last training batch may hold one image, whose statistics mean nothing.
        modules = self.modules() if self.training and len(images) == 1 else ()
        norms = [m for m in modules if isinstance(m, _BatchNorm) and m.training]
        try:
            for norm in norms:
                norm.training = False
            return self.head(self.features(images))
        finally:
            for norm in norms:
                norm.training = True

    def set_trainable(self, share: float) -> "FeatureNetwork":
        """Freeze the first layers of the features; the head always trains.

        Frozen layers keep their parameters, and stay in eval mode after ``train()``.

        Parameters
        ----------
        share : float
            Share of the layers (modules with parameters of their own) that train, the last ones:
            from 0 (the head alone) to 1 (the whole network).

        Returns
        -------
        self : FeatureNetwork
            The network.

        Raises
        ------
        ValueError
            If share is not from 0 to 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share must be from 0 (the head alone) to 1 (all), got {share}.")
        layers = [m for m in self.features.modules() if list(m.parameters(recurse=False))]
        n_frozen = len(layers) - ceil(share * len(layers))
        for number, layer in enumerate(layers):
            for parameter in layer.parameters(recurse=False):
                parameter.requires_grad = number >= n_frozen
                if number < n_frozen:
                    parameter.grad = None  # or an optimizer would use it in its next step
        self._frozen = tuple(_frozen_modules(self.features))
        return self.train(self.training)

    def train(self, mode: bool = True) -> "FeatureNetwork":
        """Set the mode of the network, except for frozen layers, which stay in eval mode."""
        super().train(mode)
        for module in self._frozen:
            module.training = False
        return self


def _frozen_modules(features):
    """Yield the modules without trainable parameters."""
    # A module without parameters follows the layer before it, the first ones the layer after.
    frozen = not next((p.requires_grad for p in features.parameters()), True)
    for module in features.modules():
        trains = {parameter.requires_grad for parameter in module.parameters()}
        if len(trains) == 1:  # else it has none, or contains the border
            frozen = not trains.pop()
        if frozen and True not in trains:
            yield module


class _Convolutions(nn.Sequential):
    """Convolutions and poolings, trained in the layout of oneDNN on a CPU."""

    def forward(self, images):
        """Compute features, (n, C, H, W) -> (n, d)."""
        if not (self.training and _suits_onednn(images)):
            return super().forward(images)
        *blocks, _, flatten = self
        images = images.to_mkldnn()
        for block in blocks:
            images = block(images)
        maps = images.to_dense().flatten(2)  # (n, channels, H * W)
        return flatten(maps @ _pooling_matrix(*images.shape[2:]))


@lru_cache(maxsize=8)
def _pooling_matrix(height, width):
    """Return AdaptiveAvgPool2d as a matrix, (H * W, grid * grid)."""
    # One product is several times faster than the pooling and its gradient.
    rows, columns = (
        functional.adaptive_avg_pool1d(torch.eye(size, dtype=torch.float32), _GRID)
        for size in (height, width)
    )
    return torch.kron(rows, columns)


def _suits_onednn(images):
    kind = images.device.type, images.dtype, torch.is_grad_enabled()
    autocast = torch.is_autocast_enabled("cpu")
    is_plain = kind == ("cpu", torch.float32, True) and not autocast
    return is_plain and torch.backends.mkldnn.is_available()


def _plain_features(channels, widths):
    """Return a convolution and a pooling for each width, and average over the grid."""
    layers = []
    for before, width in pairwise((channels, *widths)):
        layers += [
            nn.Conv2d(before, width, 3, padding=1),
            nn.MaxPool2d(2, ceil_mode=True),  # ceil: images one pixel high stay so
            nn.ReLU(),  # same result as before the pooling, at a quarter of the work
        ]
    return _Convolutions(*layers, nn.AdaptiveAvgPool2d(_GRID), nn.Flatten())


class SmallCNN(FeatureNetwork):
    """One convolution, one pooling and a linear layer: the simplest baseline.

    Parameters
    ----------
    n_classes : int
        Number of logits.
    channels : int, default=1
        Channels of the images, which may be of any size.
    width : int, default=32
        Channels of the convolution.

    Examples
    --------
    >>> SmallCNN(n_classes=8)(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 8])
    """

    def __init__(self, n_classes: int, channels: int = 1, *, width: int = 32):
        super().__init__()
        self.features = _plain_features(channels, (width,))
        self.head = nn.Linear(width * _GRID**2, n_classes)
        self.to(memory_format=torch.channels_last)


class DeepCNN(FeatureNetwork):
    """Three convolutions with pooling, and a head with a hidden layer and dropout.

    Parameters
    ----------
    n_classes, channels : int
        As in :class:`SmallCNN`.
    widths : tuple of int, default=(16, 32, 64)
        Channels of the convolutions.
    hidden, dropout : int, default=128; float, default=0.25
        Units of the head's hidden layer, and dropout rate before and after it.

    Examples
    --------
    >>> DeepCNN(n_classes=8, channels=3)(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 8])
    """

    def __init__(
        self, n_classes: int, channels: int = 1, *, widths: tuple[int, ...] = (16, 32, 64),
        hidden: int = 128, dropout: float = 0.25,
    ):  # fmt: skip
        super().__init__()
        self.features = _plain_features(channels, widths)
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear((channels, *widths)[-1] * _GRID**2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, n_classes),
        )
        self.to(memory_format=torch.channels_last)


class PlainCNN(FeatureNetwork):
    """Convolutions with batch normalization and pooling: fast, and strong on small data.

    Poolings follow the convolutions until the maps are about 3 pixels wide. Images of more than
    80 pixels are first halved by convolutions.

    Parameters
    ----------
    n_classes, channels : int
        As in :class:`SmallCNN`.
    image_size : int, default=48
        Smaller side of the images, which may also be of any other size.
    widths : tuple of int, default=(32, 64, 96, 128)
        Channels of the convolutions.
    dropout : float, default=0.2
        Dropout rate of the features.
    weights : str, Path or None, default=None
        As in :class:`ResidualCNN`.

    Examples
    --------
    >>> PlainCNN(n_classes=8)(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 8])
    """

    default_lr = 5e-3

    def __init__(
        self, n_classes: int, channels: int = 1, *, image_size: int = 48,
        widths: tuple[int, ...] = (32, 64, 96, 128), dropout: float = 0.2,
        weights: str | PathLike | None = None,
    ):  # fmt: skip
        super().__init__()
        layers = [nn.BatchNorm2d(channels, affine=False)]  # whatever the scale of the pixels
        before, side = channels, image_size
        while side > _LARGEST:
            layers += [*_normalized(before, _STEM, stride=2), nn.ReLU(inplace=True)]
            before, side = _STEM, -(-side // 2)
        for width in widths:
            layers += _normalized(before, width)
            before = width
            if side > _PLAIN_GRID:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
                side = -(-side // 2)
            layers.append(nn.ReLU(inplace=True))  # same result as before the pooling, in less time
        n_cells = min(side, _PLAIN_GRID)
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(n_cells), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(before * n_cells**2, n_classes))
        if weights is not None:
            load_features(self, weights)
        self.to(memory_format=torch.channels_last)


def _normalized(before, width, stride=1):
    """Return a convolution and its normalization."""
    return nn.Conv2d(before, width, 3, stride, padding=1, bias=False), nn.BatchNorm2d(width)


class ResidualCNN(FeatureNetwork):
    """A small residual network for images of 32 to 96 pixels.

    It is narrow where the maps are large, to train on a CPU. Pixels may have any scale.

    Parameters
    ----------
    n_classes, channels : int
        As in :class:`SmallCNN`.
    widths : tuple of int, default=(16, 32, 64, 128, 256)
        Channels of the first convolution and of the stages, each of which halves the size.
    depth : int or tuple of int, default=1
        Residual blocks per stage.
    dropout : float, default=0.2
        Dropout rate of the features.
    weights : str, Path or None, default=None
        File of initial features, of ``CNNClassifier.save`` or a state dict; None is random.

    References
    ----------
    .. [1] K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    .. [2] T. He, Z. Zhang, H. Zhang, Z. Zhang, J. Xie, M. Li, "Bag of Tricks for Image
       Classification with Convolutional Neural Networks", CVPR 2019: the averaging shortcut.

    Examples
    --------
    >>> ResidualCNN(n_classes=8)(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 8])
    """

    default_lr = 4e-3

    def __init__(
        self, n_classes: int, channels: int = 1, *,
        widths: tuple[int, ...] = (16, 32, 64, 128, 256), depth: int | tuple[int, ...] = 1,
        dropout: float = 0.2, weights: str | PathLike | None = None,
    ):  # fmt: skip
        super().__init__()
        stem = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        normalized = nn.BatchNorm2d(channels, affine=False)  # whatever the scale of the pixels
        layers = [normalized, stem, nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
        n_stages = len(widths) - 1
        depths = (depth,) * n_stages if isinstance(depth, Integral) else tuple(depth)
        if len(depths) != n_stages:
            raise ValueError(
                f"depth must be one number, or one for each of the {n_stages} stages, got {depth}."
            )
        for (before, width), n_blocks in zip(pairwise(widths), depths, strict=True):
            layers.append(_Block(before, width, stride=2))
            layers += [_Block(width, width) for _ in range(n_blocks - 1)]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(widths[-1], n_classes))
        if weights is not None:
            load_features(self, weights)
        self.to(memory_format=torch.channels_last)


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
        nn.init.zeros_(self.residual[-1].weight)  # a new block is the identity
        shortcut = [nn.AvgPool2d(stride, ceil_mode=True)] if stride > 1 else []
        if before != width:
            shortcut += [nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)]
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, images):
        """Add the output of the convolutions to their input."""
        return functional.relu(self.shortcut(images) + self.residual(images), inplace=True)


def find_network(name: str) -> Callable[..., nn.Module]:
    """Return the network of a name.

    Parameters
    ----------
    name : str
        A registered name, such as ``"deep_cnn"``, or a name of a :class:`PretrainedCNN`.

    Returns
    -------
    network : callable
        Builds the network from ``n_classes`` and ``channels``; can be pickled.

    Raises
    ------
    TypeError
        If name is not a string.
    ValueError
        If the name is unknown.
    ImportError
        If timm is needed and not installed.

    Examples
    --------
    >>> find_network("deep_cnn").__name__
    'DeepCNN'
    """
    if not isinstance(name, str):
        raise TypeError(f"The name of a network must be a string, got {type(name).__name__}.")
    if name in NETWORKS:
        return NETWORKS.load(name)
    from imbemotion.networks._pretrained import find_pretrained  # which builds on this module

    return find_pretrained(name)
