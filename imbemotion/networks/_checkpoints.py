"""Weights of networks: read from files, downloaded, and loaded into a network."""

import re
import sys
from contextlib import redirect_stdout
from math import isqrt
from os import PathLike
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from imbemotion._base.files import check_torch_file
from imbemotion._base.validation import cut_label, shorten

_N_COLORS = 3
_FEATURES = "features."
_OWN = "features.backbone."  # prefix of the backbone in the state of a PretrainedCNN
_SAVED = "network."  # prefix of the network in a file of CNNClassifier.save
_HISTORY = {"history"}  # the other tensor of such a file
_PARALLEL = "module."  # prefix of all names in the state of a DataParallel
_WRAPPERS = ("state_dict", "model")  # keys under which training scripts store the state
# names of layers in the published weights of DenseNets
_OLD_NAME = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..+)")
_TIMM_FILES = ("model.safetensors", "pytorch_model.bin")
# Packages whose errors in a download need not be OSErrors.
_DOWNLOADERS = ("_pickle", "http", "huggingface_hub", "requests", "safetensors", "urllib3")
_PATIENCE = 5  # seconds to wait for the hub


def is_path(weights):
    """Return whether weights are given as the path of a file, which may be missing."""
    if isinstance(weights, str):
        return bool(Path(weights).suffix) or Path(weights).is_file()
    return isinstance(weights, PathLike)


def read_state(path):
    """Read the tensors of a file, without running code that it may contain."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Weight file not found: {path}. None means random weights.")
    try:
        state = _read(path)
    except Exception as error:  # unpickling a damaged or foreign file raises nearly anything
        raise _unusable(path, f"reading it failed with {type(error).__name__}") from error
    for wrapper in _WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict):
        raise _unusable(path, f"it contains one {type(state).__name__}")
    for name in state:
        if not isinstance(name, str):
            raise _unusable(path, f"its names must be strings, got {cut_label(name)}")
    state = _strip_prefixes(state)
    others = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if others or not state:
        names = shorten(map(cut_label, others), 3)
        raise _unusable(path, f"it has no tensor under {names or 'any name'}")
    n_bytes = path.stat().st_size
    huge = [k for k, v in state.items() if v.numel() * v.element_size() > n_bytes]
    if huge:  # one value may be shown as any number of them, until it is copied
        names = shorten(map(cut_label, huge), 3)
        raise _unusable(path, f"it has {n_bytes} bytes, fewer than its tensor {names}")
    return state


def _read(path):
    with path.open("rb") as file:
        start = file.read(9)
        # A safetensors file starts with eight bytes of length, which may look like a pickle.
        is_safetensors = start[8:] == b"{"
        if start.startswith((b"PK", b"\x80")) and not is_safetensors:
            check_torch_file(file)  # the file, not the path, because torch.load goes by suffixes
            return torch.load(file, map_location="cpu", weights_only=True)
    from safetensors.torch import load_file

    return load_file(path)


def _strip_prefixes(state):
    """Remove prefixes of what wrapped the network when it was saved."""
    if all(name.startswith(_PARALLEL) for name in state):
        return {name.removeprefix(_PARALLEL): value for name, value in state.items()}
    own = {n.removeprefix(_SAVED): v for n, v in state.items() if n.startswith(_SAVED)}
    others = {name for name in state if not name.startswith(_SAVED)}
    return own if others == _HISTORY else state  # timm uses the prefix, too


def _unusable(path, reason):
    return ValueError(
        f"{path} is not a usable weight file: {reason}. Expected a .safetensors file or a state "
        "dict of tensors that torch.save wrote; code in a file is never run."
    )


def download_state(weights):
    """Download weights of torchvision, or read them from its cache."""
    try:
        with redirect_stdout(sys.stderr):  # PyTorch prints that it downloads
            return weights.get_state_dict(
                progress=False, check_hash=True, map_location="cpu", weights_only=True
            )
    except Exception as error:  # no network, no space, another file than expected
        raise download_error(str(weights), error) from error


def download_error(weights, error):
    """Build the error of a failed download."""
    reason = str(getattr(error, "reason", error)).strip().partition("\n")[0].rstrip(".")
    return OSError(
        f"The weights {weights} cannot be downloaded: {reason or type(error).__name__}. Check the "
        "network, or set weights to the path of a file or to None for random weights."
    )


def is_failed_download(error):
    """Return whether an error means no network, no space or a damaged file."""
    foreign = any(kind.__module__.startswith(_DOWNLOADERS) for kind in type(error).__mro__)
    other_file = "invalid hash" in str(error)  # a RuntimeError of torch.hub
    return isinstance(error, OSError | EOFError) or foreign or other_file


def check_hub(settings):
    """Raise soon if the hub does not answer: timm would retry for most of a minute."""
    import huggingface_hub as hub

    cached = (hub.try_to_load_from_cache(settings.hf_hub_id, file) for file in _TIMM_FILES)
    if settings.hf_hub_id and not any(isinstance(path, str) for path in cached):
        hub.utils.get_session().head(hub.constants.ENDPOINT, timeout=_PATIENCE)


def load_state(module, state, origin, skip=()):
    """Load a state into a network, except for names that start with `skip`."""
    own = {name[len(_OWN) :]: value for name, value in state.items() if name.startswith(_OWN)}
    state = {_OLD_NAME.sub(r"\1\2", name): value for name, value in (own or state).items()}
    resize_vit(module, state)
    expected = module.state_dict()
    _widen(state, expected, _first_convolution(module))
    counts = "num_batches_tracked"  # missing in old files
    missing = [name for name in expected if name not in state and not name.endswith(counts)]
    if missing:
        raise _mismatch(origin, f"it has no {shorten(missing, 3)}")
    unknown = [name for name in state if name not in expected and not name.startswith(skip)]
    if unknown:
        raise _mismatch(origin, f"the network has no {shorten(unknown, 3)}")
    try:
        module.load_state_dict(state, strict=False)
    except RuntimeError as error:  # shapes; the second line names the first tensor
        raise _mismatch(origin, str(error).splitlines()[1].strip(" \t.")) from error


def _first_convolution(module):
    """Return the name of the weights that meet the channels of the images, or None."""
    named = module.named_modules()
    return next((f"{name}.weight" for name, m in named if isinstance(m, nn.Conv2d)), None)


def _channels_in(state, name):
    """Return the channels that weights of a convolution take; 0 if there are none."""
    weight = state.get(name)
    return weight.shape[1] if weight is not None and weight.ndim == 4 else 0


def _widen(state, expected, name):
    """Append zeros to weights of colors, for the further channels of a widened network."""
    if _channels_in(state, name) == _N_COLORS:
        n_more = max(expected[name].shape[1] - _N_COLORS, 0)
        state[name] = functional.pad(state[name], (0, 0, 0, 0, 0, n_more))


def _mismatch(origin, reason):
    return ValueError(f"{origin} does not fit the network: {reason}. Name the one it belongs to.")


def resize_vit(module, state, prefix=""):
    """Set a ViT of torchvision to the image size that a state was trained on."""
    embedding = state.get(f"{prefix}encoder.pos_embedding")
    own = getattr(getattr(module, "encoder", None), "pos_embedding", None)
    if embedding is None or own is None or not hasattr(module, "image_size"):
        return
    side = isqrt(max(embedding[0].shape[0] - 1, 0))  # one position is that of the class token
    if embedding.shape != own.shape and embedding.shape == (1, side**2 + 1, own.shape[2]):
        module.image_size, module.seq_length = side * module.patch_size, embedding.shape[1]
        own.data = own.new_zeros(embedding.shape)  # the same parameter, known to optimizers


def load_features(network, path):
    """Load the features of a trained network into one of ours."""
    if not is_path(path) and (path in ("", "DEFAULT") or not isinstance(path, str)):
        raise ValueError(
            f"weights of a {type(network).__name__} must be the path of a file, or None for "
            f"random weights, got {path!r:.90}. It has no weights to download."
        )
    state = read_state(path)
    own = {n.removeprefix(_FEATURES): v for n, v in state.items() if n.startswith(_FEATURES)}
    state = own or state
    name = _first_convolution(network.features)
    n, channels = _channels_in(state, name), network.features.state_dict()[name].shape[1]
    if n not in (0, channels):
        raise ValueError(
            f"{path} was trained on images with {n} channel{'s' * (n > 1)}, got "
            f"channels={channels}. Convert the images, as with ImageLoader."
        )
    load_state(network.features, state, path)
