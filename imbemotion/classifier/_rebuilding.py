"""From a fitted classifier to tensors and JSON, and back to a classifier that predicts."""

import json
import warnings
from contextlib import suppress
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from skorch.history import History

from imbemotion._base.validation import DataWarning, shorten
from imbemotion.classifier._archive import (
    Lost,
    NotPlainError,
    UnknownClassError,
    damaged,
    decode,
    decode_or_lose,
    encode,
    encode_or_lose,
)
from imbemotion.classifier._composition import Task, compose_net
from imbemotion.training import pick_device, seeded

__all__ = ["FITTED_ATTRIBUTES", "describe", "rebuild"]

# What fit leaves besides net_; those that are absent are skipped.
FITTED_ATTRIBUTES = (
    "_dtype_kind",
    "_random_state",
    "_split_seed",
    "class_counts_",
    "classes_",
    "feature_names_in_",
    "image_shape_",
    "n_features_in_",
    "n_iter_",
    "training_prior_",
    "validation_indices_",
)
_SHAPE_THE_NETWORK = ("module", "module_params", "net_params")
_SETTINGS_OF = {
    "loss": "criterion__",
    "loss_params": "criterion__",
    "optimizer": "optimizer__",
}
# Parameters of a classifier whose net only predicts.
_WITHOUT_TRAINING = {
    "augmentation": None,
    "batch_sampling": None,
    "callbacks": None,
    "freezing": None,
    "gradient_clipping": None,
    "lr_schedule": None,
    "mixup": 0.0,
    "validation_fraction": None,
    "verbose": 0,
    "weight_averaging": 0.0,
    "weight_from": 0.0,
}
_NETWORK, _HISTORY = "network.", "history"


def describe(classifier):
    """Turn a fitted classifier into tensors and JSON."""
    net = classifier.net_
    _check_unchanged(classifier)
    tensors = {_NETWORK + name: value for name, value in _state(net.module_).items()}
    history = json.dumps(encode(list(net.history), otherwise=repr), allow_nan=False)
    tensors[_HISTORY] = torch.frombuffer(bytearray(history.encode()), dtype=torch.uint8)
    parameters = classifier.get_params(deep=False)
    return tensors, {
        "parameters": {name: encode_or_lose(value) for name, value in parameters.items()},
        "attributes": _attributes(classifier),
        "input": [encode(net.input_mean), encode(net.input_scale)],
    }


def _check_unchanged(classifier):
    """Refuse parameters that were set after the training and would make another network."""
    net = classifier.net_
    fitted, now = map(_making, (net, _compose(classifier, (net.input_mean, net.input_scale))))
    differing = sorted(name for name in fitted | now if fitted.get(name) != now.get(name))
    if differing:
        raise ValueError(
            f"The network must be that of the parameters to be saved, but {shorten(differing)} "
            "changed after the training. Set module, module_params and net_params as they were, "
            "or fit again."
        )


def _making(net):
    """Say how a network is made, except for the weights that it starts from."""
    settings = {"module": net.module, **net.get_params_for("module")}
    return {name: encode_or_lose(settings[name]) for name in settings if name != "weights"}


def _state(module):
    """Give the tensors of a network, on the CPU, none of which shares memory."""
    state = module.state_dict()
    strange = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if strange:
        raise ValueError(
            f"The state of a network must be tensors, got others in {shorten(strange, 3)}. "
            "Save this classifier by joblib.dump."
        )
    return {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
    }


def _attributes(classifier):
    found = {}
    for name in [name for name in FITTED_ATTRIBUTES if name in vars(classifier)]:
        try:
            found[name] = encode(getattr(classifier, name))
        except NotPlainError as error:
            raise ValueError(
                f"{name} must hold numbers or text to be saved, got {error}. "
                "Save this classifier by joblib.dump."
            ) from error
    return found


def rebuild(kind, path, tensors, content, given):
    """Make a fitted classifier of tensors and JSON."""
    saved, attributes, scale, history = _read(path, tensors, content)
    saved.update(given)
    lost = {name: value.name for name, value in saved.items() if isinstance(value, Lost)}
    _check_parameters(kind, path, saved, lost)
    classifier = kind(**{name: value for name, value in saved.items() if name not in lost})
    classifier._validate_params()
    vars(classifier).update(attributes)
    state = {k.removeprefix(_NETWORK): v for k, v in tensors.items() if k.startswith(_NETWORK)}
    device = pick_device(classifier.device) if "device" in given else _device(classifier.device)
    try:
        net = rebuild_net(classifier, path, state, scale, device, lost)
    except (AttributeError, KeyError, TypeError) as error:
        if given:
            raise  # what was given is at least as likely to be wrong
        raise ValueError(_damaged_by(path, error)) from error
    net.history_ = history
    classifier.net_ = net
    _warn_of(classifier, lost)
    return classifier


def _read(path, tensors, content):
    """Decode a file; whatever is wrong in it was not written by ``describe``."""
    try:
        parameters = {k: decode_or_lose(v) for k, v in content["parameters"].items()}
        known = content["attributes"].keys() & set(FITTED_ATTRIBUTES)
        attributes = {name: decode(content["attributes"][name]) for name in known}
        mean, scale = (decode(part) for part in content["input"])
        history = History(decode(json.loads(tensors[_HISTORY].numpy().tobytes())))
        whole = _is_whole(**{name.strip("_"): value for name, value in attributes.items()})
    except UnknownClassError:
        raise
    except Exception as error:
        raise ValueError(_damaged_by(path, error)) from error
    if not whole:
        raise ValueError(damaged(path))
    return parameters, attributes, (mean, scale), history


def _is_whole(*, classes, class_counts, image_shape, dtype_kind, **_):
    counted = classes.shape == class_counts.shape == (len(classes),)
    return counted and 0 < len(image_shape) < 4 and dtype_kind in ("u", "f")


def _damaged_by(path, error):
    return f"{damaged(path)} What went wrong: {type(error).__name__}: {error}"


def _warn_of(classifier, lost):
    for name, what in lost.items():
        warnings.warn(
            f"{name}={what} is code or state that is never saved, so that {name} is "
            f"{getattr(classifier, name)!r} now. Predictions are the same; before another fit "
            f"call set_params({name}=...), or give it to load.",
            DataWarning,
            stacklevel=4,  # that of load
        )


def _check_parameters(kind, path, saved, lost):
    unknown = sorted(set(saved) - set(kind._get_param_names()))
    if unknown:
        raise ValueError(
            f"A {kind.__name__} has no parameter {shorten(unknown)}, which load was given or "
            f"{path} holds. Correct the name, or update imbemotion."
        )
    for name in _SHAPE_THE_NETWORK:
        if name in lost:
            raise ValueError(
                f"{path} was trained with {name}={lost[name]}, which is code and never saved. "
                f"Give it, as in {kind.__name__}.load(path, {name}=...)."
            )


@dataclass
class _Blank:
    """Takes the place of training images where a net is composed after its training."""

    shape: tuple
    dtype: np.dtype

    @property
    def ndim(self):
        return len(self.shape)


def rebuild_net(classifier, path, state, scale, device, lost=()):
    """Compose the net of a classifier again, with its weights, in evaluation mode."""
    with seeded(0, device):
        net = _compose(classifier, scale, device, lost).initialize()
    net.classes_inferred_ = np.arange(len(classifier.classes_))
    _load_state(net, path, state)
    return net


def _compose(classifier, scale, device="cpu", lost=()):
    stand_in = _for_prediction(classifier, lost)
    kind = np.uint8 if classifier._dtype_kind == "u" else np.float32
    nothing = np.empty(0, dtype=np.int64)
    task = Task(
        X=_Blank((0, *classifier.image_shape_), np.dtype(kind)),
        y=None,
        sample_weight=None,
        train=nothing,
        valid=nothing,
        device=device,
        seed=0,
        input_scale=scale,
    )
    return compose_net(stand_in, task, fresh=False).set_params(train_split=None)


def _for_prediction(classifier, lost):
    """Copy a classifier, without what a net that is not trained has no use for."""
    strange = ("callbacks__", *(prefix for name, prefix in _SETTINGS_OF.items() if name in lost))
    settings = classifier.net_params or {}
    stand_in = copy(classifier)
    for name, value in _WITHOUT_TRAINING.items():
        setattr(stand_in, name, value)
    stand_in.net_params = {k: v for k, v in settings.items() if not k.startswith(strange)}
    if "loss" in lost or "loss_params" in lost:
        stand_in.loss, stand_in.loss_params = "cross_entropy", None
    return stand_in


def _load_state(net, path, state):
    with suppress(RuntimeError):  # some networks take the size of images that the state is for
        net.module_.load_state_dict(state, strict=False)
    parts = net.module_.state_dict(keep_vars=True)
    shapes = [{name: tuple(part.shape) for name, part in side.items()} for side in (parts, state)]
    names = sorted(set(parts) | set(state))
    differing = [name for name in names if shapes[0].get(name) != shapes[1].get(name)]
    if differing:
        here, there = (side.get(differing[0], "absent") for side in shapes)
        raise ValueError(
            f"The network {type(net.module_).__name__} does not fit {path}: it differs in "
            f"{shorten(differing, 3)}, of which the first must be {there}, got {here}. Give the "
            "network and its settings as they were in training."
        )
    for name, part in parts.items():
        part.data = part.data.to(state[name].dtype)  # a network may have been made double
    net.module_.load_state_dict(state)
    net.module_.eval()


def _device(name):
    """Give a device that is here: the CPU where that of the training is not."""
    try:
        return pick_device(name)
    except ValueError:
        return "cpu"
