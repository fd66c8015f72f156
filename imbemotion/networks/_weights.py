"""Weights of networks: read from files, downloaded, and fitted into a network."""

import re
import sys
from contextlib import redirect_stdout
from pathlib import Path

import torch

from imbemotion._validation import shorten

__all__ = ["download_state", "load_features", "load_state", "read_state"]

_FEATURES = "features."
_OWN = "features.backbone."  # in the state of a PretrainedCNN, before the names of its backbone
_SAVED = "network."  # in a file of CNNClassifier.save, before the names of the network
_WRAPPERS = ("state_dict", "model")  # under which training scripts store the state
# as densenets named their layers when their weights were published
_OLD_NAME = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..+)")


def read_state(path):
    """Read the tensors of a file, without running anything that is in it.

    Parameters
    ----------
    path : str or Path
        A .safetensors file, such as ``CNNClassifier.save`` writes, or a state dict that
        ``torch.save`` wrote.

    Returns
    -------
    state : dict
        Tensors by name.

    Raises
    ------
    FileNotFoundError
        If there is no such file.

    ValueError
        If the file is damaged, or holds anything but tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file of weights at {path}. Give weights the path of a .safetensors "
            'or PyTorch file, "DEFAULT" to download them, or None for random ones.'
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
    if any(name.startswith(_SAVED) for name in state):
        state = {
            name.removeprefix(_SAVED): value
            for name, value in state.items()
            if name.startswith(_SAVED)
        }
    others = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if others or not state:
        raise _unreadable(path, f"it holds no tensor under {shorten(others, 3) or 'any name'}")
    return state


def _read(path):
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _unreadable(path, reason):
    return ValueError(
        f"{path} is no file of weights that can be used: {reason}. Expected a .safetensors file, "
        "or a state dict of tensors that torch.save wrote; code in a file is never run."
    )


def download_state(weights):
    """Download the tensors of torchvision's weights, or find them where they were kept.

    Parameters
    ----------
    weights : torchvision.models.WeightsEnum
        Which ones.

    Returns
    -------
    state : dict
        Tensors by name.

    Raises
    ------
    OSError
        If they can't be downloaded.
    """
    try:
        with redirect_stdout(sys.stderr):  # PyTorch prints that it downloads
            return weights.get_state_dict(
                progress=False, check_hash=True, map_location="cpu", weights_only=True
            )
    except Exception as error:  # no network, no space, another file than expected
        raise no_download(str(weights), error) from error


def no_download(weights, error):
    """Make the error of a download that failed.

    Parameters
    ----------
    weights : str
        What was to be downloaded.

    error : Exception
        Why it was not.

    Returns
    -------
    error : OSError
        One sentence, and what to do.
    """
    reason = str(getattr(error, "reason", error)).strip().partition("\n")[0].rstrip(".")
    return OSError(
        f"The weights {weights} can't be downloaded: {reason or type(error).__name__}. Check the "
        "network; or give weights the path of a file, or None for random ones."
    )


def load_state(backbone, state, origin, skip):
    """Copy tensors into a backbone.

    Parameters
    ----------
    backbone : nn.Module
        The network without its classifier.

    state : dict
        Tensors by name: of the whole network, of the network without its classifier, or of
        a PretrainedCNN.

    origin : str
        Where they come from, for the error.

    skip : tuple of str
        How names of tensors begin that may be there but are not needed.

    Raises
    ------
    ValueError
        If tensors are missing, unknown, or of other shapes.
    """
    own = {name[len(_OWN) :]: value for name, value in state.items() if name.startswith(_OWN)}
    state = {_OLD_NAME.sub(r"\1\2", name): value for name, value in (own or state).items()}
    expected = backbone.state_dict()
    for name in expected:
        if name.endswith("num_batches_tracked"):  # which old files lack
            state.setdefault(name, expected[name])
    known = {name: value for name, value in state.items() if name in expected}
    _check_names(expected, known, origin)
    unknown = [name for name in state if name not in expected and not name.startswith(skip)]
    if unknown:
        raise _misfit(origin, f"{len(unknown)} tensors that it has not: {shorten(unknown, 3)}")
    backbone.load_state_dict(known)


def load_features(network, path):
    """Start the features of one of our networks from those of a trained one.

    Parameters
    ----------
    network : nn.Module
        With a part ``features``.

    path : str or Path
        See :func:`read_state`. The head that is in the file, if any, is not used.

    Raises
    ------
    FileNotFoundError
        If there is no such file.

    ValueError
        If the file is damaged, or of another network.
    """
    state, expected = read_state(path), network.features.state_dict()
    own = {n.removeprefix(_FEATURES): v for n, v in state.items() if n.startswith(_FEATURES)}
    unknown = [name for name in own if name not in expected]
    if unknown:
        raise _misfit(path, f"{len(unknown)} tensors that it has not: {shorten(unknown, 3)}")
    _check_names(expected, own, path)
    network.features.load_state_dict(own)


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
