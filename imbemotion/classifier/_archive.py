"""The file of a saved classifier: tensors and JSON under a SHA-256; reading it runs no code."""

import hashlib
import inspect
import json
import math
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path, PurePath

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from imbemotion import __version__
from imbemotion._base.files import publish_file
from imbemotion._base.validation import cut_label
from imbemotion.augmentation import Augmentation

_RETRY = "Take another copy of it, or save the classifier again."
DAMAGED = f"is damaged: its content is not what was saved. {_RETRY}"
_TAG = "$"  # the key of a tagged value, by which it differs from a dict
_LOST = "lost"  # the tag of a Lost
_PLAIN = (bool, int, float, str, type(None))
_HOMES = ("imbemotion.losses", "imbemotion.networks", "torch.nn", "torch.optim")
_FORMAT, _VERSION = "imbemotion.CNNClassifier", 1
_KINDS = "biufUO"  # of arrays
_MOST_TEXT = 2**26  # bytes of an array of texts, each of which takes as much as the longest
_DIGITS = 9  # of a version
_MT_WORDS = 624  # of the state of MT19937


class NotPlainError(TypeError):
    """JSON cannot represent a value; the message is the value's name."""


class UnknownClassError(ValueError):
    """A file names a class that is not known here."""


class Lost(str):
    """The name of code, which is never saved."""


def _refuse(value):
    named = value if hasattr(value, "__qualname__") else type(value)
    raise NotPlainError(f"{named.__module__}.{named.__qualname__}")


def encode(value, otherwise=_refuse):
    """Turn a value into what JSON can represent."""
    kind = type(value)
    if kind in _PLAIN and not (kind is float and not math.isfinite(value)):
        return value
    if kind is list:
        return [encode(item, otherwise) for item in value]
    if kind is dict and all(type(key) is str and key != _TAG for key in value):
        return {key: encode(item, otherwise) for key, item in value.items()}
    for tag, (kinds, write, _) in _FORMS.items():
        if isinstance(value, kinds):
            return {_TAG: tag, "value": encode(write(value), otherwise)}
    return otherwise(value)


def encode_or_lose(value):
    """Turn a value into what JSON can represent, or into its name."""
    try:
        return encode(value)
    except NotPlainError as error:
        return {_TAG: _LOST, "value": str(error)}


def describe(value):
    """Turn a parameter into JSON; code into its name, its source and plain values it holds."""
    with suppress(NotPlainError):
        return encode(value)
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, partial):
        return describe([value.func, value.args, value.keywords])
    kind = value if hasattr(value, "__qualname__") else type(value)
    source = ""
    with suppress(OSError, TypeError):  # typed at a prompt
        source = inspect.getsource(kind)
    if kind is not value:  # its containers and state may have changed since the first fit
        held = {
            name: encode_or_lose(item)
            for name, item in getattr(value, "__dict__", {}).items()
            if not name.endswith("_") and not isinstance(item, list | dict | set)
        }
    else:
        held = [encode_or_lose(getattr(value, "__defaults__", None))]
        for cell in getattr(value, "__closure__", None) or ():
            with suppress(ValueError):  # empty until a name around it is set
                held.append(encode_or_lose(cell.cell_contents))
    return [kind.__module__, kind.__qualname__, source, held]


def decode(plain):
    """Turn JSON back into the value."""
    if isinstance(plain, list):
        return [decode(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if _TAG in plain:
        return _FORMS[plain[_TAG]][2](decode(plain["value"]))
    return {key: decode(item) for key, item in plain.items()}


def decode_or_lose(plain):
    """Turn JSON back into the value, or into a ``Lost``, which is never part of a value."""
    if isinstance(plain, dict) and plain.get(_TAG) == _LOST:
        return Lost(plain["value"])
    return decode(plain)


def _array_to_plain(array):
    if array.dtype.kind not in _KINDS or (array.dtype.kind == "f" and array.itemsize > 8):
        raise NotPlainError(f"numpy.ndarray of {array.dtype}")
    return [array.dtype.str, list(array.shape), array.ravel().tolist()]


def _array(plain):
    dtype, shape, values = plain
    kind = np.dtype(dtype)
    is_huge = kind.kind == "U" and kind.itemsize * len(values) > _MOST_TEXT
    if kind.kind not in _KINDS or is_huge:  # a few bytes in a file could ask for gigabytes
        raise ValueError(f"an array of {len(values)} values of dtype {cut_label(dtype)}")
    # unlike np.array it never guesses: texts in an array of objects stay what they are
    return np.fromiter(values, dtype=kind, count=len(values)).reshape(shape)


def _tensor_to_plain(tensor):
    try:
        return tensor.detach().cpu().numpy()
    except (TypeError, RuntimeError) as error:  # NumPy has no such type, or it is sparse
        raise NotPlainError(f"torch.Tensor of {tensor.dtype}") from error


def _class_to_plain(kind):
    # only names that load finds again; a class in a module of the user is code
    homes = [home for home in _HOMES if getattr(import_module(home), kind.__name__, None) is kind]
    return [homes[0], kind.__name__] if homes else _refuse(kind)


def _class(plain):
    home, name = plain
    kind = getattr(import_module(home), name, None) if home in _HOMES else None
    if not (isinstance(kind, type) and issubclass(kind, (torch.nn.Module, torch.optim.Optimizer))):
        raise UnknownClassError(f"The file names the class {home}.{name}, which is unknown here.")
    return kind


def _random_state_to_plain(generator):
    state = generator.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":  # only a generator of the same kind takes its state
        raise NotPlainError(f"numpy.random.RandomState of {state['bit_generator']}")
    return state


def _random_state(state):
    if not 0 <= state["state"]["pos"] <= _MT_WORDS:  # NumPy would read beyond the state
        raise ValueError(f"a random state at position {cut_label(state['state']['pos'])}")
    generator = np.random.RandomState()
    generator.set_state(state)
    return generator


# tag: the types, then from the value to something simpler, and back; scalars before floats.
# Older versions do not know a new tag, so add one only together with a new _VERSION.
_FORMS = {
    "scalar": (np.generic, np.asarray, lambda array: array[()]),
    "float": (float, repr, float),  # infinite or NaN
    "tuple": (tuple, list, tuple),
    "dict": (dict, lambda items: [list(pair) for pair in items.items()], dict),
    "array": (np.ndarray, _array_to_plain, _array),
    "tensor": (torch.Tensor, _tensor_to_plain, torch.as_tensor),
    "path": (PurePath, str, Path),
    "augmentation": (
        Augmentation,
        lambda policy: policy.get_params() if type(policy) is Augmentation else _refuse(policy),
        lambda params: Augmentation(**params),
    ),
    "random_state": (np.random.RandomState, _random_state_to_plain, _random_state),
    "class": (type, _class_to_plain, _class),
    "partial": (
        partial,
        lambda call: [call.func, list(call.args), call.keywords],
        lambda parts: partial(parts[0], *parts[1], **parts[2]),
    ),
}


def write_archive(path, tensors, content):
    """Write tensors and JSON into one file, atomically."""
    metadata = {"format": _FORMAT, "format_version": str(_VERSION)}
    metadata |= {"library_version": __version__, "content": json.dumps(content, allow_nan=False)}
    metadata["sha256"] = _digest(tensors, metadata)
    with publish_file(path) as building:
        save_file(tensors, building, metadata=metadata)


def read_archive(path):
    """Read and verify a file of ``write_archive``."""
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}. Correct the path.")
    if not path.is_file():
        raise ValueError(f"Only files of CNNClassifier.save can be loaded, got the folder {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            _check_format(path, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged, or no file of CNNClassifier.save, got: {error}. {_RETRY}"
        ) from error
    try:
        if metadata.pop("sha256", None) == _digest(tensors, metadata):
            return tensors, json.loads(metadata["content"])
    except (KeyError, ValueError, RuntimeError, RecursionError) as error:
        raise ValueError(f"{path} {DAMAGED}") from error
    raise ValueError(f"{path} {DAMAGED}")


def _check_format(path, metadata):
    if metadata.get("format") != _FORMAT:
        raise ValueError(
            f"{path} must be a file of CNNClassifier.save, got a safetensors file "
            f"of format {cut_label(repr(metadata.get('format')))}."
        )
    version = metadata.get("format_version", "")
    if not version.isdecimal() or len(version) > _DIGITS:
        raise ValueError(f"{path} {DAMAGED}")
    if int(version) > _VERSION:
        writer = cut_label(metadata.get("library_version"))
        raise ValueError(
            f"{path} is of format {version}, written by imbemotion {writer}, but imbemotion "
            f"{__version__} reads formats up to {_VERSION}. Update imbemotion."
        )


def _digest(tensors, metadata):
    """Compute the SHA-256 of names, types, shapes and values."""
    # names and metadata as well, since a flipped bit in the header may leave it readable
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
