"""The state of a net in training, as tensors and plain values, taken and put back."""

from contextlib import suppress

import numpy as np
import torch
from skorch.history import History

# What callbacks derive anew: whether there is a terminal, and which layers are frozen.
_ANEW = {"shown_", "share_"}
_ARRAY = "$array"  # the key of an array, which torch.load would refuse
_PLAIN = (bool, int, float, str, type(None))


def _refuse(value):
    raise TypeError(f"it would contain an object of type {type(value).__name__}")


def _pack(value, otherwise=_refuse):
    """Turn a value into what torch.load accepts without running code."""
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return {_ARRAY: torch.from_numpy(value)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: _pack(item, otherwise) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [_pack(item, otherwise) for item in value]
        return items if isinstance(value, list) else tuple(items)
    plain = type(value) in _PLAIN or isinstance(value, torch.Tensor)
    return value if plain else otherwise(value)


def _unpack(value):
    if isinstance(value, dict):
        is_array = _ARRAY in value
        return value[_ARRAY].numpy() if is_array else {k: _unpack(v) for k, v in value.items()}
    return type(value)(map(_unpack, value)) if isinstance(value, list | tuple) else value


def state_of(net, dataset):
    """Return all that the rest of a training depends on, after an epoch of a training set."""
    generators = [torch.get_rng_state()]
    if str(net.device).startswith("cuda"):
        generators.append(torch.cuda.get_rng_state(net.device))
    return {
        "history": _pack(list(net.history), otherwise=repr),
        "steps_left": net._n_steps_left,
        "module": _pack(net.module_.state_dict()),
        "criterion": _pack(net.criterion_.state_dict()),
        "optimizer": _pack(net.optimizer_.state_dict()),
        "callbacks": {name: _attributes(callback) for name, callback in net.callbacks_},
        "rows": [_generators(owner) for owner in _owners(net, dataset)],
        "generators": generators,
    }


def put_back(net, state):
    """Set the state of a net whose training begins, after its callbacks have set theirs."""
    net.history, net._n_steps_left = History(_unpack(state["history"])), state["steps_left"]
    net.module_.load_state_dict(state["module"])
    # class weights are absent until they are due
    net.criterion_.load_state_dict(state["criterion"], strict=False)
    net.optimizer_.load_state_dict(state["optimizer"])
    for name, callback in net.callbacks_:
        for attribute, value in state["callbacks"].get(name, {}).items():
            if not _is_fitted(attribute):  # a file must not set paths, or replace methods
                raise ValueError(f"{name} has no fitted attribute {attribute!r:.90}")
            part = getattr(callback, attribute, None)
            if hasattr(part, "load_state_dict"):  # a learning rate schedule
                part.load_state_dict(value)
            else:
                setattr(callback, attribute, _unpack(value))
    torch.set_rng_state(state["generators"][0])
    for generator in state["generators"][1:]:
        torch.cuda.set_rng_state(generator, net.device)


def put_back_rows(net, dataset, state):
    """Set the generators that draw and change rows, which exist once an epoch begins."""
    for owner, values in zip(_owners(net, dataset), state["rows"], strict=True):
        for name, value in values.items():
            if isinstance(value, int) and isinstance(getattr(owner, name), int):
                setattr(owner, name, value)
            else:
                getattr(owner, name).bit_generator.state = value


def _is_fitted(name):
    return name.endswith("_") and not name.startswith("__")


def _attributes(callback):
    """Return the fitted attributes of a callback that are tensors, arrays or plain values."""
    found = {}
    for name, value in vars(callback).items():
        if not _is_fitted(name) or name in _ANEW:
            continue
        if hasattr(value, "load_state_dict") and not isinstance(value, type):
            found[name] = _pack(value.state_dict())
        else:
            with suppress(TypeError):
                found[name] = _pack(value)
    return found


def _owners(net, dataset):
    """Return what changes the rows of an epoch, and what draws them unless PyTorch does."""
    sampler = getattr(net, "iterator_train__sampler", None)
    return [dataset] if sampler is None else [dataset, sampler]


def _generators(owner):
    """Return the states of generators, and counters of epochs."""
    values = {k: v for k, v in vars(owner).items() if isinstance(v, int | np.random.Generator)}
    return {k: v if isinstance(v, int) else v.bit_generator.state for k, v in values.items()}
