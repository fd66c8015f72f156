"""Published networks of torchvision and timm, and the search for networks by name."""

from bisect import bisect
from difflib import get_close_matches
from functools import partial
from itertools import chain, takewhile
from os import PathLike

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from imbemotion._base.registry import NETWORKS
from imbemotion._base.validation import brief
from imbemotion.networks import _checkpoints
from imbemotion.networks._cnns import FeatureNetwork

_N_COLORS = 3
_TIMM = "timm/"  # prefix of the names of timm's models
_HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# Their weights expect pixels from -1 to 1, and have auxiliary classifiers for training.
_INCEPTIONS = ("googlenet", "inception_v3")
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")


def _suggest(name, known):
    near = get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def _check_torchvision(name):
    """Raise unless torchvision has a classification model of this name."""
    from torchvision import models

    names = models.list_models(module=models)
    if name not in names:  # which lack those for detection, segmentation or video
        ours = "".join(f"{known!r}, " for known in NETWORKS)
        raise ValueError(
            f"The network must be {ours}a classification model of torchvision or 'timm/NAME', "
            f"got {name!r:.90}.{_suggest(str(name), [*NETWORKS, *names])}"
        )


def _import_timm(name):
    """Import timm, and raise unless it has a model of this name."""
    try:
        import timm
    except ImportError as error:
        raise ImportError(
            f"{name!r:.90} needs timm. Run: python -m pip install 'imbemotion[timm]'"
        ) from error
    architecture, _, tag = name.removeprefix(_TIMM).partition(".")
    if not timm.is_model(architecture):
        near = _suggest(_TIMM + architecture, [_TIMM + known for known in timm.list_models()])
        raise ValueError(
            f"The name after {_TIMM} must be a model of timm, got {name!r:.90}.{near}"
        )
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise ValueError(
            f"The weights of {_TIMM}{architecture} must be one of {tags}, got {brief(tag)}."
        )
    return timm


def _check_weights(name, weights, known):
    if weights is not None and weights not in known and not _checkpoints.is_path(weights):
        raise ValueError(
            f"weights of {name} must be one of {known}, a file's path or None, "
            f"got {brief(weights)}."
        )


def make_backbone(name, weights, n_more=0):
    """Return a network without its classifier; the mean, std and image size of its weights."""
    build = _from_timm if str(name).startswith(_TIMM) else _from_torchvision
    return build(name, weights, n_more)  # n_more: channels after RGB


def _from_torchvision(name, weights, n_more):
    from torchvision import models

    _check_torchvision(name)
    presets = models.get_model_weights(name)
    known = list(presets.__members__)
    _check_weights(name, weights, known)
    is_name = weights in known
    auxiliary = {"aux_logits": False, "init_weights": True} if name in _INCEPTIONS else {}
    module = models.get_model(name, weights=None, **auxiliary)
    skip = (f"{_drop_classifier(module)}.", *_AUXILIARY)
    widen(module, n_more)
    preset = presets[weights if is_name else "DEFAULT"]
    if weights is not None:
        read = _checkpoints.download_state if is_name else _checkpoints.read_state
        source = preset if is_name else weights
        _checkpoints.load_state(module, read(source), str(source), skip)
    transform = preset.transforms()
    mean, std = _HALVES if name in _INCEPTIONS else (transform.mean, transform.std)
    side = getattr(module, "image_size", 224)
    return module, mean, std, (side, side)


def _drop_classifier(module):
    """Remove the classifier and its dropout, and return its name."""
    # What normalizes the features before its first linear layer stays. Features are averaged over
    # the whole image, where some networks keep a grid of 7 x 7 for huge layers.
    name, classifier = list(module.named_children())[-1]
    layers = list(classifier) if isinstance(classifier, nn.Sequential) else [classifier]
    kept = list(takewhile(lambda layer: not isinstance(layer, nn.Linear | nn.Conv2d), layers))
    kept = [layer for layer in kept if not isinstance(layer, nn.Dropout)]
    if any(isinstance(layer, nn.Conv2d) for layer in layers):
        kept = [nn.AdaptiveAvgPool2d(1)]
    setattr(module, name, nn.Sequential(*kept))
    if isinstance(getattr(module, "dropout", None), nn.Dropout):
        module.dropout = nn.Identity()  # our head has one
    if isinstance(getattr(module, "avgpool", None), nn.AdaptiveAvgPool2d):
        module.avgpool = nn.AdaptiveAvgPool2d(1)
    return name


def _from_timm(name, weights, n_more):
    timm = _import_timm(name)
    _check_weights(name, weights, ["DEFAULT"])
    module = _create_timm(timm, name.removeprefix(_TIMM), pretrained=weights == "DEFAULT")
    widen(module, n_more)
    settings = module.pretrained_cfg
    if _checkpoints.is_path(weights):
        classifiers = settings.get("classifier") or ()
        classifiers = (classifiers,) if isinstance(classifiers, str) else classifiers
        skip = tuple(f"{classifier}." for classifier in classifiers)
        _checkpoints.load_state(module, _checkpoints.read_state(weights), str(weights), skip)
    return module, settings["mean"], settings["std"], settings["input_size"][1:]


def _create_timm(timm, name, pretrained):
    if pretrained and not timm.is_model_pretrained(name):
        raise ValueError(
            f"timm has no weights for {name!r:.90}. Set weights to None or a file's path."
        )
    try:
        if pretrained:
            _checkpoints.check_hub(timm.get_pretrained_cfg(name))
        return timm.create_model(name, pretrained=pretrained, num_classes=0)
    except Exception as error:
        if pretrained and _checkpoints.is_failed_download(error):
            raise _checkpoints.download_error(f"{_TIMM}{name}", error) from error
        raise


def widen(module, n_more):
    """Let a network take more channels, which at first have no influence."""
    if not n_more:
        return
    first = next((m for m in module.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None or first.in_channels != _N_COLORS or first.groups != 1:
        raise ValueError(
            f"channels must be 1 or 3 for a network that begins as {type(module).__name__} does, "
            f"got {n_more} more. Use ImageLoader to convert images to gray or RGB."
        )
    new = first.weight.new_zeros(len(first.weight), n_more, *first.kernel_size)
    first.weight = nn.Parameter(torch.cat([first.weight.detach(), new], dim=1))
    first.in_channels += n_more


def n_features_of(module, channels, height, width):
    """Count the features of an image without computing them; 0 if the size does not fit."""
    named = chain(module.named_parameters(), module.named_buffers())
    shapes_only = {name: tensor.to("meta") for name, tensor in named}
    images = torch.empty(2, channels, height, width, device="meta")
    try:
        with torch.no_grad():
            return functional_call(module, shapes_only, (images,)).flatten(1).shape[1]
    except (RuntimeError, ValueError, AssertionError):
        return 0


class _PretrainedFeatures(nn.Module):
    """Normalize images of any number of channels, and compute the features of a backbone."""

    def __init__(self, name, weights, channels, normalize, enlarge):
        super().__init__()
        if channels < 1:
            raise ValueError(f"channels must be 1 or more, got {channels}.")
        self.name = name
        self.channels = channels
        self.n_more = channels - (_N_COLORS if channels >= _N_COLORS else 1)
        self.backbone, mean, std, size = make_backbone(name, weights, self.n_more)
        scales = torch.tensor([mean, std] if normalize else [[0.0] * _N_COLORS, [1.0] * _N_COLORS])
        for part, values in zip(("mean", "std"), scales, strict=True):
            # the average for the channels after the colors
            values = torch.cat([values, values.mean().expand(self.n_more)])
            self.register_buffer(part, values[:, None, None])  # (3 + n_more, 1, 1)
        self.known_size = max(size)
        self.enlarge = weights is not None if enlarge is None else enlarge
        self.n_features = n_features_of(self.backbone, _N_COLORS + self.n_more, *size)

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        _checkpoints.resize_vit(self.backbone, state_dict, f"{prefix}backbone.")
        self.known_size = getattr(self.backbone, "image_size", self.known_size)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def forward(self, images):
        """Compute features, (n, channels, H, W) -> (n, n_features)."""
        if images.shape[1] != self.channels:
            raise ValueError(
                f"{self.name} was built for images of shape (n, {self.channels}, height, width), "
                f"got {tuple(images.shape)}. Set channels to {images.shape[1]}."
            )
        colors, more = images.tensor_split([self.channels - self.n_more], dim=1)
        # Gray is equal red, green and blue. Weights summed over the colors would not be exact,
        # because convolutions pad with zeros after the normalization.
        colors = colors.expand(-1, _N_COLORS, -1, -1)
        images = (torch.cat([colors, more], dim=1) - self.mean) / self.std
        if self.enlarge and (factor := self.known_size / min(images.shape[2:])) > 1:
            size = [round(factor * side) for side in images.shape[2:]]
            images = functional.interpolate(images, size, mode="bilinear", align_corners=False)
        try:
            features = self.backbone(images.contiguous(memory_format=torch.channels_last))
        except (RuntimeError, ValueError, AssertionError) as error:
            self._check_size(images, error)
            raise
        return features.flatten(1)

    def _check_size(self, images, error):
        """Raise an error that names the smallest size, if the size is what is wrong."""
        _, channels, height, width = images.shape
        if n_features_of(self.backbone, channels, height, width):
            return
        sizes = range(1, self.known_size)
        size = 1 + bisect(sizes, 0, key=lambda n: n_features_of(self.backbone, channels, n, n))
        # The known size is often the only one.
        hint = "it takes" if size == self.known_size else "the smallest size is"
        raise ValueError(
            f"{self.name} cannot take images of {height} x {width} pixels; {hint} {size} x "
            f"{size}. Resize them, as with ImageLoader(size={size})."
        ) from error


class PretrainedCNN(FeatureNetwork):
    """A published network with pretrained weights and a new head.

    With few images, train the head alone first, then more layers (:meth:`set_trainable`).

    Parameters
    ----------
    name : str, default="shufflenet_v2_x1_0"
        A classification model of ``torchvision.models``, or ``"timm/NAME"`` or
        ``"timm/NAME.TAG"`` of timm (``pip install 'imbemotion[timm]'``).
    n_classes : int
        Number of logits.
    channels : int, default=1
        1 for gray, 3 for RGB; more are appended to these.
    weights : str, Path or None, default="DEFAULT"
        ``"DEFAULT"`` or a name of torchvision's weights, downloaded on first use; the path of a
        state dict of the backbone or a whole PretrainedCNN, in a .safetensors or ``torch.save``
        file, whose code is never run; None for random weights.
    enlarge : bool, default=None
        Whether smaller images are enlarged to the size that the weights were trained on, mostly
        224 pixels, which costs time. None does so if there are weights.
    normalize : bool, default=True
        Whether to normalize pixels from 0 to 1 as the weights expect. False is for floats that
        are standardized already.
    hidden : int or None, default=128
        Units of a hidden layer in the head; None for no such layer.
    dropout, trainable : float, default=0.25 and 1.0
        Dropout rate of features and hidden units, and share for :meth:`set_trainable`.

    Attributes
    ----------
    features, head : nn.Module
        From images to features (n, d), by the published network ``features.backbone``, and from
        these to logits.

    Raises
    ------
    ValueError
        If the name or the weights are unknown, or do not fit each other.
    OSError
        If the file does not exist, or the download fails.
    ImportError
        If timm is needed and not installed.

    Notes
    -----
    A gray image is used as equal red, green and blue, each normalized for its color. Channels
    after gray or RGB, such as alpha, start with weights of zero. Many networks need images of 32
    pixels, AlexNet 63 and Inception 75; ViT and MaxViT take only the size of their weights.

    Examples
    --------
    >>> network = PretrainedCNN("shufflenet_v2_x0_5", weights=None, n_classes=8, hidden=None)
    >>> network.features(torch.zeros(2, 1, 48, 48)).shape
    torch.Size([2, 1024])
    """

    default_backbone_lr = 3e-4

    def __init__(
        self, name: str = "shufflenet_v2_x1_0", *, n_classes: int, channels: int = 1,
        weights: str | PathLike | None = "DEFAULT", enlarge: bool | None = None,
        normalize: bool = True, hidden: int | None = 128, dropout: float = 0.25,
        trainable: float = 1.0,
    ):  # fmt: skip
        super().__init__()
        self.features = _PretrainedFeatures(name, weights, channels, normalize, enlarge)
        n_features = self.features.n_features
        layers = [nn.BatchNorm1d(n_features), nn.Dropout(dropout)]
        if hidden is not None:
            linear = nn.Linear(n_features, hidden, bias=False)  # the normalization has a bias
            layers += [linear, nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(dropout)]
            n_features = hidden
        self.head = nn.Sequential(*layers, nn.Linear(n_features, n_classes))
        self.to(memory_format=torch.channels_last)
        self.set_trainable(trainable)


def find_pretrained(name):
    """Return the network of torchvision or timm of a name, and refuse unknown names."""
    (_import_timm if name.startswith(_TIMM) else _check_torchvision)(name)
    return partial(PretrainedCNN, name)
