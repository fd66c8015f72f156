"""Networks by their names."""

from functools import partial

import torch
from torch import nn

from imbemotion.networks._backbones import (
    TIMM,
    check_timm,
    check_torchvision,
    make_backbone,
    n_features_of,
    smallest_size,
)
from imbemotion.networks._checkpoints import take_size
from imbemotion.networks._cnns import DeepCNN, FeatureNetwork, ResidualCNN, SmallCNN

__all__ = [
    "NETWORKS",
    "PretrainedCNN",
    "find_network",
]

_COLOURS = 3


class _PretrainedFeatures(nn.Module):
    """Normalise images of any number of channels, and compute the features of a backbone."""

    def __init__(self, name, weights, channels, normalize):
        super().__init__()
        if channels < 1:
            raise ValueError(f"channels must be 1 or more, got {channels}.")
        self.name = name
        self.channels = channels
        self.n_more = channels - (_COLOURS if channels >= _COLOURS else 1)
        backbone = make_backbone(name, weights, self.n_more)
        self.backbone = backbone.module
        mean = torch.tensor(backbone.mean) if normalize else torch.zeros(_COLOURS)
        std = torch.tensor(backbone.std) if normalize else torch.ones(_COLOURS)
        self.register_buffer("mean", self._per_channel(mean))
        self.register_buffer("std", self._per_channel(std))
        self.known_size = max(backbone.size)
        self.n_features = n_features_of(self.backbone, _COLOURS + self.n_more, *backbone.size)

    def _per_channel(self, values):
        """Append the average for the channels after the colours, (3,) -> (3 + n_more, 1, 1)."""
        return torch.cat([values, values.mean().expand(self.n_more)])[:, None, None]

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        take_size(self.backbone, state_dict, f"{prefix}backbone.")
        self.known_size = getattr(self.backbone, "image_size", self.known_size)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def forward(self, images):
        """Compute features, (n, channels, H, W) -> (n, n_features)."""
        if images.shape[1] != self.channels:
            raise ValueError(
                f"{self.name} was made for images of shape (n, {self.channels}, height, width), "
                f"got {tuple(images.shape)}. Set channels to {images.shape[1]}."
            )
        colours, more = images.tensor_split([self.channels - self.n_more], dim=1)
        colours = colours.expand(-1, _COLOURS, -1, -1)  # grey is red, green and blue
        images = (torch.cat([colours, more], dim=1) - self.mean) / self.std
        try:
            features = self.backbone(images.contiguous(memory_format=torch.channels_last))
        except (RuntimeError, ValueError, AssertionError) as error:
            self._check_size(images, error)
            raise
        return features.flatten(1)

    def _check_size(self, images, error):
        """Say what is wrong where it is the size."""
        _, channels, height, width = images.shape
        if n_features_of(self.backbone, channels, height, width):
            return
        size = smallest_size(self.backbone, channels, self.known_size)
        known = size == self.known_size  # then often the only one
        hint = "it takes" if known else "the smallest it takes are of"
        raise ValueError(
            f"{self.name} can't take images of {height} x {width} pixels; {hint} "
            f"{size} x {size}. Resize them, for example by ImageLoader(size={size})."
        ) from error


class PretrainedCNN(FeatureNetwork):
    """A published network with pretrained weights, and a new head with batch normalisation.

    Its features, averaged over the image, go into a small head that is learnt. With few
    images let the head learn alone first (``trainable=0``), then more and more layers
    (:meth:`set_trainable`).

    Parameters
    ----------
    name : str, default="shufflenet_v2_x1_0"
        A classification model of ``torchvision.models``, or ``"timm/NAME"`` with any model
        of timm, which is installed by ``pip install 'imbemotion[timm]'``. ``"timm/NAME.TAG"``
        chooses among its weights.

    n_classes : int
        Number of logits.

    channels : int, default=1
        Channels of the images: 1 grey, 2 grey and another, 3 RGB, 4 RGB and another.

    weights : str, Path or None, default="DEFAULT"
        ``"DEFAULT"`` or a name among torchvision's weights, which are downloaded on first
        use; or the path of a state dict of this network, of its backbone or of a whole
        PretrainedCNN: a .safetensors file, or what ``torch.save`` wrote. Code in a file is
        not run, and its classifier is not needed. None starts from random weights.

    normalize : bool, default=True
        Whether pixels come from 0 to 1, as ``CNNClassifier`` hands on those of dtype uint8,
        and are to be normalised as the weights expect. False takes them as they come, which
        is for floats that were standardised before.

    hidden : int or None, default=128
        Units of a hidden layer in the head. None has no such layer.

    dropout : float, default=0.25
        Share of the features, and of the hidden units, that is left out in training.

    trainable : float, default=1.0
        Share of the layers that train at first, from 0 (the head alone) to 1 (all).

    Attributes
    ----------
    features : nn.Module
        From images to features (n, d); its ``backbone`` is the published network.

    head : nn.Module
        From features to logits.

    Raises
    ------
    ValueError
        If there is no network of that name, it is not for classification, or the weights
        are not its own.

    OSError
        If the file does not exist, or weights can't be downloaded.

    ImportError
        If timm is needed and not installed.

    Notes
    -----
    A grey image goes in as red, green and blue alike, each normalised by the mean and
    deviation of its colour. Where the means are equal, that is the same as summing the
    weights of the first convolution over the colours; where they differ, as ImageNet's do,
    no such sum is exact, because convolutions pad with zeros after the normalisation. So the
    weights stay as they are, and fit grey images and colour ones. Channels after grey or RGB,
    such as alpha, start with weights of zero and change nothing at first.

    Mean and deviation are those of the weights where torchvision or timm give them, and of
    the network's default weights for a file. The helpers of GoogLeNet and Inception, which
    serve training only, are left out.

    Not all networks take images of any size: many need 32 pixels, AlexNet 63 and Inception 75,
    and ViT and MaxViT take just those that their weights were trained on.

    Examples
    --------
    >>> import torch
    >>> network = PretrainedCNN("shufflenet_v2_x0_5", weights=None, n_classes=8, hidden=None)
    >>> network(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 8])
    >>> network.features(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 1024])
    >>> network.set_trainable(0).head
    Sequential(
      (0): BatchNorm1d(1024, eps=1e-05, ...)
      (1): Dropout(p=0.25, inplace=False)
      (2): Linear(in_features=1024, out_features=8, bias=True)
    )
    """

    def __init__(
        self,
        name="shufflenet_v2_x1_0",
        *,
        n_classes,
        channels=1,
        weights="DEFAULT",
        normalize=True,
        hidden=128,
        dropout=0.25,
        trainable=1.0,
    ):
        super().__init__()
        self.features = _PretrainedFeatures(name, weights, channels, normalize)
        self.head = _head(self.features.n_features, hidden, dropout, n_classes)
        self.to(memory_format=torch.channels_last)
        self.set_trainable(trainable)


def _head(n_features, hidden, dropout, n_classes):
    layers = [nn.BatchNorm1d(n_features), nn.Dropout(dropout)]
    if hidden is not None:
        layers += [
            nn.Linear(n_features, hidden, bias=False),  # the normalisation has a bias
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
        ]
        n_features = hidden
    return nn.Sequential(*layers, nn.Linear(n_features, n_classes))


NETWORKS = {"small_cnn": SmallCNN, "deep_cnn": DeepCNN, "residual_cnn": ResidualCNN}


def find_network(name):
    """Find the network of a name.

    Parameters
    ----------
    name : str
        ``"small_cnn"``, ``"deep_cnn"`` or ``"residual_cnn"``; the name of a classification
        model of ``torchvision.models``; or ``"timm/NAME"``.

    Returns
    -------
    network : callable
        Makes the network when it is given ``n_classes`` and ``channels``. It can be pickled.
        A model of torchvision or timm is a :class:`PretrainedCNN` of that name, whose
        weights are downloaded unless ``weights`` says otherwise.

    Raises
    ------
    TypeError
        If name is not a string.

    ValueError
        If there is no such network.

    ImportError
        If timm is needed and not installed.

    Examples
    --------
    >>> find_network("deep_cnn").__name__
    'DeepCNN'
    >>> network = find_network("shufflenet_v2_x1_0")(n_classes=8, channels=3, weights=None)
    >>> type(network).__name__
    'PretrainedCNN'
    """
    if not isinstance(name, str):
        raise TypeError(f"The name of a network must be a string, got {type(name).__name__}.")
    if name in NETWORKS:
        return NETWORKS[name]
    if name.startswith(TIMM):
        check_timm(name)
    else:
        check_torchvision(name, others=NETWORKS)
    return partial(PretrainedCNN, name)
