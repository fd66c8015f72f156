"""Weights of networks: read from files, downloaded, and fitted into a network."""

import re
import sys
from contextlib import redirect_stdout
from math import isqrt
from os import PathLike
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from imbemotion._base.validation import shorten

__all__ = [
    "download_state",
    "is_path",
    "load_features",
    "load_state",
    "no_download",
    "read_state",
    "take_size",
]

_COLOURS = 3
_FEATURES = "features."
_OWN = "features.backbone."  # in the state of a PretrainedCNN, before the names of its backbone
_SAVED = "network."  # in a file of CNNClassifier.save, before the names of the network
_HISTORY = {"history"}  # in such a file, besides
_PARALLEL = "module."  # in the state of a DataParallel, before all names
_WRAPPERS = ("state_dict", "model")  # under which training scripts store the state
# as densenets named their layers when their weights were published
_OLD_NAME = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..+)")


def is_path(weights):
    """Tell the path of a file from a name of weights."""
    if isinstance(weights, str):
        return bool(Path(weights).suffix) or Path(weights).is_file()
    return isinstance(weights, PathLike)


def read_state(path):
    """Read the tensors of a file, without running anything that is in it."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file of weights at {path}. Give weights the path of a .safetensors or "
            "PyTorch file, or None for random ones."
        )
    try:
        state = _read(path)
    except Exception as error:  # unpickling what is damaged or foreign raises nearly anything
        raise _unreadable(path, f"reading it failed with {type(error).__name__}") from error
    for wrapper in _WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict):
        raise _unreadable(path, f"it holds one {type(state).__name__}")
    odd = [name for name in state if not isinstance(name, str)]
    if odd:
        raise _unreadable(path, f"its names must be text, but one is {odd[0]!r}")
    state = _without_prefixes(state)
    others = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if others or not state:
        raise _unreadable(path, f"it holds no tensor under {shorten(others, 3) or 'any name'}")
    return state


def _read(path):
    with path.open("rb") as file:
        start = file.read(9)
        header = start[8:] == b"{"  # of safetensors, after its length, which is any eight bytes
        if start.startswith((b"PK", b"\x80")) and not header:
            file.seek(0)  # not the path, since torch.load goes by suffixes
            return torch.load(file, map_location="cpu", weights_only=True)
    from safetensors.torch import load_file

    return load_file(path)


def _without_prefixes(state):
    """Name tensors as the network does: without what wrapped it when it was saved."""
    if all(name.startswith(_PARALLEL) for name in state):
        return {name.removeprefix(_PARALLEL): value for name, value in state.items()}
    own = {n.removeprefix(_SAVED): v for n, v in state.items() if n.startswith(_SAVED)}
    others = {name for name in state if not name.startswith(_SAVED)}
    return own if others == _HISTORY else state  # networks of timm have such names, too


def _unreadable(path, reason):
    return ValueError(
        f"{path} is no file of weights that can be used: {reason}. Expected a .safetensors file, "
        "or a state dict of tensors that torch.save wrote; code in a file is never run."
    )


def download_state(weights):
    """Download the tensors of torchvision's weights, or find them where they were kept."""
    try:
        with redirect_stdout(sys.stderr):  # PyTorch prints that it downloads
            return weights.get_state_dict(
                progress=False, check_hash=True, map_location="cpu", weights_only=True
            )
    except Exception as error:  # no network, no space, another file than expected
        raise no_download(str(weights), error) from error


def no_download(weights, error):
    """Make the error of a download that failed."""
    reason = str(getattr(error, "reason", error)).strip().partition("\n")[0].rstrip(".")
    return OSError(
        f"The weights {weights} can't be downloaded: {reason or type(error).__name__}. Check the "
        "network; or give weights the path of a file, or None for random ones."
    )


def load_state(backbone, state, origin, skip):
    """Copy tensors into a backbone."""
    own = {name[len(_OWN) :]: value for name, value in state.items() if name.startswith(_OWN)}
    state = {_OLD_NAME.sub(r"\1\2", name): value for name, value in (own or state).items()}
    take_size(backbone, state)
    expected = backbone.state_dict()
    for name in expected:
        if name.endswith("num_batches_tracked"):  # which old files lack
            state.setdefault(name, expected[name])
    state = _widened(state, backbone)
    known = {name: value for name, value in state.items() if name in expected}
    _check_names(expected, known, origin)
    unknown = [name for name in state if name not in expected and not name.startswith(skip)]
    if unknown:
        raise _misfit(origin, f"{len(unknown)} tensors that it has not: {shorten(unknown, 3)}")
    backbone.load_state_dict(known)


def _first_convolution(module):
    """Give the name of the tensor that meets the channels of the images, or None."""
    named = module.named_modules()
    return next((f"{name}.weight" for name, m in named if isinstance(m, nn.Conv2d)), None)


def _widened(state, module):
    """Give weights of colours zeros for the channels that a widened network takes besides."""
    name = _first_convolution(module)
    weight = state.get(name)
    if weight is None or weight.ndim != 4 or weight.shape[1] != _COLOURS:
        return state
    n_more = module.state_dict()[name].shape[1] - _COLOURS
    if n_more <= 0:
        return state
    return {**state, name: functional.pad(weight, (0, 0, 0, 0, 0, n_more))}


def take_size(module, state, prefix=""):
    """Let a ViT of torchvision take images of the size that a state was trained on."""
    places = state.get(f"{prefix}encoder.pos_embedding")
    own = getattr(getattr(module, "encoder", None), "pos_embedding", None)
    if places is None or own is None or not hasattr(module, "image_size"):
        return
    side = isqrt(max(places[0].shape[0] - 1, 0))  # one place is that of the class
    if places.shape != own.shape and places.shape == (1, side**2 + 1, own.shape[2]):
        module.image_size, module.seq_length = side * module.patch_size, places.shape[1]
        own.data = own.new_zeros(places.shape)  # the same parameter, which optimizers may know


def load_features(network, path):
    """Start the features of one of our networks from those of a trained one."""
    if not is_path(path) and (path in ("", "DEFAULT") or not isinstance(path, str)):
        raise ValueError(
            f"weights of a {type(network).__name__} must be the path of a file, or None for "
            f"random ones, got {path!r}. There are none to download."
        )
    state = read_state(path)
    own = {n.removeprefix(_FEATURES): v for n, v in state.items() if n.startswith(_FEATURES)}
    _check_channels(network.features, own or state, path)
    load_state(network.features, own or state, path, skip=())


def _check_channels(features, state, origin):
    name = _first_convolution(features)
    weight, expected = state.get(name), features.state_dict()[name]
    if weight is None or weight.ndim != 4 or weight.shape[1] == expected.shape[1]:
        return
    n, channels = weight.shape[1], expected.shape[1]
    raise ValueError(
        f"{origin} is of images with {n} channel{'s' * (n > 1)}, got channels={channels}. Make "
        "the images alike, for example by ImageLoader, or start with other weights."
    )


def _check_names(expected, known, origin):
    missing = [name for name in expected if name not in known]
    if missing:
        raise _misfit(origin, f"no tensors for {len(missing)} names: {shorten(missing, 3)}")
    for name, value in known.items():
        if value.shape != expected[name].shape:
            shape, wanted = tuple(value.shape), tuple(expected[name].shape)
            raise _misfit(origin, f"a tensor {name} of shape {shape}, expected {wanted}")


def _misfit(origin, what):
    return ValueError(
        f"{origin} does not fit the network: it holds {what}. "
        "Name the network that these weights are of."
    )
