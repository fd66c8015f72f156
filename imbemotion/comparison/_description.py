"""Estimators, code and data as plain values, equal for what gives equal results."""

import ast
import inspect
import json
import platform
import re
import sys
import sysconfig
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from numbers import Integral, Number
from pathlib import Path, PurePath
from textwrap import dedent
from uuid import uuid4

import joblib
import numpy as np
from sklearn.frozen import FrozenEstimator

from imbemotion import __version__
from imbemotion.analysis import count_groups
from imbemotion.images import ImageArray, blocks_of
from imbemotion.loading import ImageLoader

_PACKAGE = Path(__file__).parents[1]
_INSTALLED = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]
_PACKAGES = (
    "numpy", "scikit-learn", "imbalanced-learn", "torch", "torchvision", "skorch",
    "opencv-python-headless", "pillow",
)  # fmt: skip


def versions():
    """Return the versions of Python, this library and the packages it computes with."""
    found = {"python": platform.python_version(), "imbemotion": __version__}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def without_address(text):
    """Remove memory addresses, which differ between processes."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def describe(value):
    """Describe a value by strings, numbers, lists and dicts, equal for equal values."""
    # Estimators become their parameters, arrays and unknown objects a digest of their content.
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Number | np.generic):
        value = value.item() if isinstance(value, np.generic) else value
        is_plain = isinstance(value, int | float) and np.isfinite(value)
        return value if is_plain else str(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(map(describe, value), key=repr)  # their own order differs between processes
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, partial):
        called = {"args": describe(value.args), "keywords": describe(value.keywords)}
        return _code(value.func) | called
    if _is_code(value):
        return _code(value)
    if _has_parameters(value):
        return _code(type(value)) | describe(value.get_params(deep=False))
    return _code(type(value)) | _content(value)


def describe_fit(estimator):
    """Return a text that is equal for estimators whose fits on the same rows are equal."""
    parts = estimator.get_params(deep=True).values()
    frozen = [id(part) for part in (estimator, *parts) if isinstance(part, FrozenEstimator)]
    text = json.dumps([describe(estimator), frozen])
    return f"{text} {uuid4()}" if '"digest": null' in text else text  # its content is unknown


def _has_parameters(value):
    """Distinguish estimators from torchvision's transforms, which have another get_params."""
    return hasattr(value, "get_params") and not hasattr(value, "state_dict")


def _content(value):
    """Describe an object that has no parameters."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):  # its pickle differs every time
        return {"digest": joblib.hash(value.detach().cpu().double().numpy())}
    if torch is None or not isinstance(value, torch.nn.Module):
        with suppress(Exception):
            return {"digest": joblib.hash(value)}
    with suppress(TypeError, RecursionError):  # an object with a local function, for example
        return {"content": describe(vars(value))}
    return {"digest": None}


def _code(code):
    """Describe a class or function, and the values that the function holds."""
    found = _identify(code)
    if inspect.ismethod(code):
        found["self"] = describe(code.__self__)
    if inspect.isfunction(code):
        held = {}
        with suppress(ValueError):  # a variable from around it that is not set yet
            held |= inspect.getclosurevars(code).nonlocals
        if _is_custom(code):
            held["defaults"] = [code.__defaults__, code.__kwdefaults__]
        found |= {
            # code by its source only, as a function may hold itself
            name: _identify(value) if _is_code(value) else describe(value)
            for name, value in held.items()
            if value != [None, None]
        }
    return found


def _is_code(value):
    return inspect.isclass(value) or inspect.isroutine(value)


def _identify(code):
    """Return the name of code and, unless it is of an installed package, a digest of it."""
    name = f"{code.__module__}.{getattr(code, '__qualname__', type(code).__qualname__)}"
    if not _is_custom(code):
        return {"code": name}
    text = repr(_instructions(code))
    if getattr(code, "__name__", None) != "<lambda>":  # whose source is that of a whole line
        with suppress(OSError, TypeError, SyntaxError):  # typed at a prompt, or edited meanwhile
            text = ast.dump(ast.parse(dedent(inspect.getsource(code))))
    return {"code": name, "source": blake2b(text.encode(), digest_size=16).hexdigest()}


def _is_custom(code):
    """Check whether code belongs to no installed package."""
    path = getattr(sys.modules.get(code.__module__), "__file__", None)
    if path is None:
        return code.__module__ == "__main__"
    return not any(Path(path).is_relative_to(home) for home in (*_INSTALLED, _PACKAGE))


def _instructions(code):
    """Return the instructions, names and constants of code without source."""
    if inspect.isclass(code):
        members = vars(code).items()
        return {k: _instructions(member) for k, member in members if inspect.isfunction(member)}
    code = getattr(code, "__code__", code)
    if not inspect.iscode(code):
        is_constant = isinstance(code, tuple | frozenset | str | bytes | Number)
        return describe(code) if is_constant else None
    return [code.co_code.hex(), code.co_names, [_instructions(part) for part in code.co_consts]]


def custom_code(*values):
    """Return the source of all code in values that belongs to no installed package."""
    sources = {}
    for code in _walk(values):
        if _is_custom(code):
            module = sys.modules.get(code.__module__)
            path = getattr(module, "__file__", None)
            name = Path(path).name if path else f"{code.__qualname__}.py"
            sources[name] = "source not available\n"
            with suppress(OSError, TypeError):
                sources[name] = inspect.getsource(module if path else code)
    return sources


def _walk(value):
    """Yield every class and function in a value."""
    if isinstance(value, partial):
        value = [value.func, value.args, value.keywords]
    elif isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _walk(item)
    elif _is_code(value):
        yield value
    elif not isinstance(value, str | Number | np.generic | None):
        yield type(value)
        if _has_parameters(value):
            yield from _walk(value.get_params(deep=False))


def fingerprint(X, *, files=True):
    """Return a digest of data: of pixels, values, or the content of files."""
    if X is None:
        return None
    if files and isinstance(X, np.ndarray) and X.dtype.kind == "U" and X.ndim == 1:
        X = X.tolist()
    if isinstance(X, ImageArray) or (isinstance(X, np.ndarray) and not X.dtype.hasobject):
        digest = blake2b(f"{X.shape} {X.dtype}".encode(), digest_size=16)
        for _, block in blocks_of(X):
            digest.update(np.ascontiguousarray(block))
        return digest.hexdigest()
    values = list(X) if np.ndim(X) == 1 else X
    if not (files and isinstance(values, list) and all(isinstance(v, str | Path) for v in values)):
        return joblib.hash(values)
    digest = blake2b(digest_size=16)
    for name in values:  # the content counts where it is that of a file
        digest.update(f"{name}\n".encode())
        if len(str(name)) < 1024 and Path(name).is_file():
            digest.update(blake2b(Path(name).read_bytes()).digest())
    return digest.hexdigest()


def describe_comparison(estimator, strategies, models, folders, data, *, cv, folds, **others):
    """Describe everything that results depend on."""
    return {
        "format": 1,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "strategies": {
            name: {"folder": folders[name], "parameters": describe(parameters)}
            for name, parameters in strategies.items()
        },
        "estimator": describe(estimator), "data": _describe_data(data),
        "classes": np.unique(data.y), "cv": _describe_cv(cv, folds),
        "splitter": _describe_splitter(cv), "redrawn": isinstance(cv, Integral),
        "n_folds": len({fold.number for fold in folds}),
        "n_repeats": len({fold.repeat for fold in folds}),
        "precision": _precision(models.values(), data.X), "versions": versions(),
        **others,
    }  # fmt: skip


def _describe_data(data):
    X, y, external, _, groups = data
    of_classes = {} if groups is None else count_groups(y, groups)
    return {
        "n_samples": len(y), "shape": list(getattr(X, "shape", ())[1:]),
        "dtype": str(getattr(X, "dtype", type(X).__name__)),
        "counts": {str(label): n for label, n in Counter(y.tolist()).items()},
        "n_groups": None if groups is None else len(set(groups.tolist())),
        "class_groups": {str(label): found for label, found in of_classes.items()},
        "images": fingerprint(X), "labels": fingerprint(y, files=False),
        "groups": fingerprint(groups, files=False),
        "external_test": external and [
            fingerprint(external[0]), fingerprint(external[1], files=False),
        ],
    }  # fmt: skip


def _describe_cv(cv, folds):
    """Describe a number or a splitter as such, other folds by their content."""
    if isinstance(cv, Integral):
        return int(cv)
    if hasattr(cv, "get_n_splits"):
        return without_address(repr(cv))
    return joblib.hash([(fold.train, fold.test) for fold in folds])


def _describe_splitter(cv):
    """Describe the attributes of a splitter, which its repr may omit; None for other folds."""
    # Generators change as they are drawn from; the folds of the first start are kept anyhow.
    if not hasattr(cv, "get_n_splits"):
        return None
    if not hasattr(cv, "__dict__"):
        return describe(cv)
    drawn = np.random.RandomState | np.random.Generator
    held = {name: value for name, value in vars(cv).items() if not isinstance(value, drawn)}
    return describe(type(cv)) | {"holds": describe(held)}


def _precision(models, X):
    """Return the precision and device of the first network; None without networks."""
    # It depends on the machine; what strategies set themselves is compared with their parameters.
    steps = [[model, *model.get_params(deep=True).values()] for model in models]
    found = [(step, parts) for parts in steps for step in parts
             if type(step).__module__.startswith("imbemotion.classifier")]  # fmt: skip
    if not found:
        return None
    from imbemotion.training.machine import pick_device, pick_precision

    (network, parts), shape = found[0], getattr(X, "shape", ())[1:3]
    sizes = [part.size for part in parts if isinstance(part, ImageLoader) and part.size]
    sizes = [np.broadcast_to(size, 2) for size in sizes] or ([(1, *shape)[-2:]] if shape else [])
    device = pick_device("auto") if network.device == "auto" else network.device
    name = network.get_params().get("net__precision", "auto")
    return f"{pick_precision(name, device, *sizes[-1:])} on {device}"
