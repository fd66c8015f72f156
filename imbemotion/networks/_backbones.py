"""Networks of torchvision and timm without their classifiers."""

from bisect import bisect
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain, takewhile

import torch
from torch import nn
from torch.func import functional_call

from imbemotion.networks._checkpoints import (
    download_state,
    is_path,
    load_state,
    no_download,
    read_state,
)

__all__ = [
    "TIMM",
    "Backbone",
    "check_timm",
    "check_torchvision",
    "like",
    "make_backbone",
    "n_features_of",
    "smallest_size",
    "torchvision_names",
    "widen",
]

TIMM = "timm/"  # before the names of timm's models


def torchvision_names():
    """Give the names of torchvision's classification models, sorted."""
    from torchvision import models

    return models.list_models(module=models)


def like(name, names):
    """Say which names are nearest to one that is not known."""
    near = get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def check_torchvision(name, others=()):
    """Refuse what is no classification model of torchvision."""
    from torchvision import models

    names = torchvision_names()
    if name in models.list_models() and name not in names:
        raise ValueError(
            f"The network must classify images, got {name!r}, which torchvision has for another "
            f"purpose. Name a classification model, for example {names[-1]!r}."
        )
    if name not in names:
        own = "".join(f"{other!r}, " for other in others)
        raise ValueError(
            f"The network must be {own}a classification model of torchvision or 'timm/NAME', "
            f"got {name!r}.{like(str(name), [*others, *names])}"
        )


def check_timm(name):
    """Import timm, and refuse what is none of its models."""
    try:
        import timm
    except ImportError as error:
        raise ImportError(
            f"{name!r} needs the package timm, which is not installed. "
            "Run: python -m pip install 'imbemotion[timm]'"
        ) from error
    architecture, _, tag = name.removeprefix(TIMM).partition(".")
    if not timm.is_model(architecture):
        near = like(TIMM + architecture, [TIMM + known for known in timm.list_models()])
        raise ValueError(f"timm has no model of the name that follows {TIMM}, got {name!r}.{near}")
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise ValueError(
            f"The weights of {TIMM}{architecture} must be one of {tags}, got the tag {tag!r}."
        )
    return timm


_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# Their weights expect -1 to 1, and helpers for training stand beside the classifier.
_INCEPTIONS = ("googlenet", "inception_v3")
_HELPERS = ("aux1.", "aux2.", "AuxLogits.")
_TIMM_FILES = ("model.safetensors", "pytorch_model.bin")
# How packages begin whose errors are those of a download; not all of them are OSErrors.
_DOWNLOADERS = ("_pickle", "http", "huggingface_hub", "requests", "safetensors", "urllib3")
_PATIENCE = 5  # seconds for an answer of the hub


@dataclass
class Backbone:
    """A network without its classifier, and what its weights expect."""

    module: nn.Module  # from normalised images (n, 3, H, W) to features (n, d)
    mean: tuple  # of the colours, with pixels from 0 to 1
    std: tuple  # of the colours, with pixels from 0 to 1
    size: tuple = (224, 224)  # a height and width that it takes


def make_backbone(name, weights, n_more=0):
    """Build a network without its classifier."""
    build = _from_timm if str(name).startswith(TIMM) else _from_torchvision
    return build(name, weights, n_more)


def _unknown_weights(name, weights, known):
    return ValueError(
        f"weights of {name} must be one of {known}, the path of a file or None, got {weights!r}."
    )


def _from_torchvision(name, weights, n_more):
    from torchvision import models

    check_torchvision(name)
    presets = models.get_model_weights(name)
    is_name = isinstance(weights, str) and weights in presets.__members__
    if not is_name and weights is not None and not is_path(weights):
        raise _unknown_weights(name, weights, list(presets.__members__))
    helpers = {"aux_logits": False, "init_weights": True} if name in _INCEPTIONS else {}
    module = models.get_model(name, weights=None, **helpers)
    skip = (f"{_drop_classifier(module)}.", *_HELPERS)
    widen(module, n_more)
    preset = presets[weights if is_name else "DEFAULT"]
    if is_name:
        load_state(module, download_state(preset), str(preset), skip)
    elif weights is not None:
        load_state(module, read_state(weights), str(weights), skip)
    transform = preset.transforms()
    mean, std = _HALVES if name in _INCEPTIONS else (transform.mean, transform.std)
    side = getattr(module, "image_size", 224)
    return Backbone(module, tuple(mean), tuple(std), (side, side))


def _drop_classifier(module):
    """Take away the classifier and what comes with it, and give its name."""
    # What normalises the features before its first linear layer stays. Features are averaged over
    # the whole image, where some networks keep a grid of 7 x 7 for huge layers.
    name, classifier = list(module.named_children())[-1]
    layers = list(classifier) if isinstance(classifier, nn.Sequential) else [classifier]
    kept = list(takewhile(lambda layer: not isinstance(layer, nn.Linear | nn.Conv2d), layers))
    kept = [layer for layer in kept if not isinstance(layer, nn.Dropout)]
    if any(isinstance(layer, nn.Conv2d) for layer in layers):
        kept = [nn.AdaptiveAvgPool2d(1)]
    setattr(module, name, nn.Sequential(*kept))
    if isinstance(getattr(module, "dropout", None), nn.Dropout):
        module.dropout = nn.Identity()  # the head has one
    if isinstance(getattr(module, "avgpool", None), nn.AdaptiveAvgPool2d):
        module.avgpool = nn.AdaptiveAvgPool2d(1)
    return name


def _from_timm(name, weights, n_more):
    timm = check_timm(name)
    model_name = name.removeprefix(TIMM)
    if weights == "DEFAULT":
        module = _timm_with_weights(timm, model_name)
    elif weights is None or is_path(weights):
        module = timm.create_model(model_name, pretrained=False, num_classes=0)
    else:
        raise _unknown_weights(name, weights, ["DEFAULT"])
    widen(module, n_more)
    settings = module.pretrained_cfg
    if weights not in (None, "DEFAULT"):
        classifiers = settings.get("classifier") or ()
        classifiers = (classifiers,) if isinstance(classifiers, str) else classifiers
        skip = tuple(f"{classifier}." for classifier in classifiers)
        load_state(module, read_state(weights), str(weights), skip)
    mean, std = settings.get("mean", _IMAGENET[0]), settings.get("std", _IMAGENET[1])
    return Backbone(module, tuple(mean), tuple(std), tuple(settings["input_size"][1:]))


def _timm_with_weights(timm, name):
    if not timm.is_model_pretrained(name):
        raise ValueError(
            f"timm has no weights for {name!r}. Give weights the path of a file, or None for "
            "random ones."
        )
    try:
        _check_hub(timm.get_pretrained_cfg(name))
        return timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:
        if _failed_download(error):
            raise no_download(f"{TIMM}{name}", error) from error
        raise


def _failed_download(error):
    """Whether there was no network, no space, or a file that is damaged."""
    foreign = any(kind.__module__.startswith(_DOWNLOADERS) for kind in type(error).__mro__)
    other_file = "invalid hash" in str(error)  # a RuntimeError of torch.hub
    return isinstance(error, OSError | EOFError) or foreign or other_file


def _check_hub(settings):
    """Raise soon where the hub does not answer: timm itself would try for most of a minute."""
    import huggingface_hub as hub

    kept = (hub.try_to_load_from_cache(settings.hf_hub_id, file) for file in _TIMM_FILES)
    if settings.hf_hub_id and not any(isinstance(path, str) for path in kept):
        hub.utils.get_session().head(hub.constants.ENDPOINT, timeout=_PATIENCE)


def widen(module, n_more):
    """Let a network take more channels, which at first have no influence."""
    if not n_more:
        return
    first = next((m for m in module.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None or first.in_channels != 3 or first.groups != 1:
        raise ValueError(
            f"channels must be 1 or 3 for a network that begins as {type(module).__name__} does, "
            f"got {n_more} more. Use ImageLoader to make grey or RGB images."
        )
    new = first.weight.new_zeros(len(first.weight), n_more, *first.kernel_size)
    first.weight = nn.Parameter(torch.cat([first.weight.detach(), new], dim=1))
    first.in_channels += n_more


def n_features_of(module, channels, height, width):
    """Count the features that a network makes of an image, without computing them."""
    named = chain(module.named_parameters(), module.named_buffers())
    shapes_only = {name: tensor.to("meta") for name, tensor in named}
    images = torch.empty(2, channels, height, width, device="meta")
    try:
        with torch.no_grad():
            return functional_call(module, shapes_only, (images,)).flatten(1).shape[1]
    except (RuntimeError, ValueError, AssertionError):
        return 0


def smallest_size(module, channels, limit):
    """Find the smallest square images that a network takes."""
    sizes = range(1, limit)
    return 1 + bisect(sizes, 0, key=lambda size: n_features_of(module, channels, size, size))
