"""The network of a classifier: by name or class, and its settings."""

from functools import partial
from inspect import Parameter, signature

import numpy as np
import torch

from imbemotion._training import input_scale
from imbemotion._validation import shorten
from imbemotion.networks import PretrainedCNN, find_network
from imbemotion.networks._base import _Network

__all__ = ["find_module", "module_settings", "without_weights"]


def without_weights(module):
    """Give the setting that spares a network of ours its pretrained weights.

    Parameters
    ----------
    module : str, class or callable
        As ``CNNClassifier`` takes it.

    Returns
    -------
    settings : dict
        Of the net; empty where there is nothing to spare.
    """
    kind = _class(module)
    takes = issubclass(kind, _Network) and "weights" in signature(kind).parameters
    return {"module__weights": None} if takes else {}


def _class(module):
    """Give the class of a network, or ``object`` where a function makes it."""
    module = find_module(module)
    while isinstance(module, partial):
        module = module.func
    return module if isinstance(module, type) else object


def _normalizes(module):
    """Whether a network normalises pixels itself, and can be told not to."""
    kind = _class(module)
    if not issubclass(kind, PretrainedCNN):
        return False
    parameters = signature(kind).parameters
    hands_on = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values())
    return hands_on or "normalize" in parameters


def find_module(module):
    """Give the class or function of a network.

    Parameters
    ----------
    module : str, class or callable
        As ``CNNClassifier`` takes it.

    Returns
    -------
    module : callable
        Makes the network.

    Raises
    ------
    TypeError
        If it is an instance, whose weights would be lost.

    ValueError
        If there is no network of that name.
    """
    if isinstance(module, torch.nn.Module):
        raise TypeError(
            "module must be a name, a class or a function that makes a network, got an instance "
            f"of {type(module).__name__}. Give the class, and its settings as module_params."
        )
    return find_network(module) if isinstance(module, str) else module


def _checked(classifier):
    """Check the names in ``module_params``."""
    params = classifier.module_params or {}
    known = signature(find_module(classifier.module)).parameters
    unknown = [name for name in params if name not in known]
    if unknown and not any(p.kind is Parameter.VAR_KEYWORD for p in known.values()):
        own = [name for name in known if name not in ("n_classes", "channels")]
        raise ValueError(
            f"module_params gives the network {shorten(unknown)}, but module="
            f"{classifier.module!r} takes {shorten(own) or 'no settings'}."
        )
    return params


def module_settings(classifier, task):
    """Find the settings of the net that belong to the network and its input.

    Parameters
    ----------
    classifier : CNNClassifier
        Its parameters and ``classes_`` are used.

    task : Task
        What is to be trained on.

    Returns
    -------
    settings : dict
        Keywords of ``ImageNeuralNetClassifier``.
    """
    X = task.X
    mean, scale = task.input_scale or input_scale(X[task.train])
    params = {
        "n_classes": len(classifier.classes_),
        "channels": X.shape[3] if X.ndim == 4 else 1,
    }
    if X.dtype != np.uint8 and _normalizes(classifier.module):
        params["normalize"] = False  # floats are standardised already
    params |= _checked(classifier)
    settings = {f"module__{name}": value for name, value in params.items()}
    return {**settings, "input_mean": mean, "input_scale": scale}
