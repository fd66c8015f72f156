"""Estimators and data as plain values: to store what was compared, and to notice a change."""

import inspect
import platform
import re
import sys
import sysconfig
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from numbers import Number
from pathlib import Path, PurePath

import joblib
import numpy as np

from imbemotion import __version__
from imbemotion.images import ImageArray
from imbemotion.images.blocks import blocks_of

__all__ = [
    "custom_code",
    "describe",
    "fingerprint",
    "versions",
    "without_address",
]

_PACKAGE = Path(__file__).parents[1]
_INSTALLED = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]


_PACKAGES = (
    "numpy", "scikit-learn", "imbalanced-learn", "torch", "torchvision", "skorch",
    "opencv-python-headless", "pillow",
)  # fmt: skip


def versions():
    """Give the versions of Python, of this library and of what it computes with."""
    found = {"python": platform.python_version(), "imbemotion": __version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def describe(value):
    """Describe a value by strings, numbers, lists and dicts, equal for equal values."""
    # Estimators become their parameters. Code that is not installed from a package is described by
    # a digest of its source, and functions by what they hold as well; arrays and unknown objects
    # by a digest of their content.
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Number | np.generic):
        return _plain_number(value)
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
    if inspect.isclass(value) or inspect.isroutine(value):
        return _code(value)
    if _has_parameters(value):
        return _code(type(value)) | describe(value.get_params(deep=False))
    return _code(type(value)) | _content(value)


def custom_code(*values):
    """Find the code in values that comes from no installed package."""
    sources = {}
    for value in values:
        for code in _walk(value):
            if _is_custom(code):
                module = sys.modules.get(code.__module__)
                path = getattr(module, "__file__", None)
                name = Path(path).name if path else f"{code.__qualname__}.py"
                sources[name] = _source(module if path else code) or "source not available\n"
    return sources


def without_address(text):
    """Take out where an object lies in memory, which differs from process to process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def fingerprint(X, *, files=True):
    """Compute a digest of data: of pixels, values, or the content of files."""
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
    if files and isinstance(values, list) and all(isinstance(v, str | Path) for v in values):
        return _digest_of_files(values)
    return joblib.hash(values)


def _digest_of_files(names):
    """Digest names, and the content of those that are files."""
    digest = blake2b(digest_size=16)
    for name in names:
        digest.update(f"{name}\n".encode())
        path = Path(name)
        if len(str(name)) < 1024 and path.is_file():
            digest.update(blake2b(path.read_bytes()).digest())
    return digest.hexdigest()


def _plain_number(value):
    value = value.item() if isinstance(value, np.generic) else value
    is_plain = isinstance(value, int | float) and np.isfinite(value)
    return value if is_plain else str(value)


def _has_parameters(value):
    """Tell estimators from transforms of torchvision, whose get_params is something else."""
    return hasattr(value, "get_params") and not hasattr(value, "state_dict")


def _content(value):
    """Describe an object that has no parameters."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):  # its pickle is never the same
        return {"digest": joblib.hash(value.detach().cpu().double().numpy())}
    if torch is not None and isinstance(value, torch.nn.Module):
        return {"content": describe(vars(value))}
    with suppress(Exception):
        return {"digest": joblib.hash(value)}
    with suppress(TypeError, RecursionError):  # it can't be pickled; a function inside, perhaps
        return {"content": describe(vars(value))}
    return {"digest": None}


def _code(code):
    """Describe a class or a function, and what the function holds beside its source."""
    found = _name_and_source(code)
    if inspect.ismethod(code):
        found["self"] = describe(code.__self__)
    if inspect.isfunction(code):
        held = dict(zip(code.__code__.co_freevars, _contents(code.__closure__), strict=True))
        if _is_custom(code):
            held["defaults"] = [code.__defaults__, code.__kwdefaults__]
        found |= {name: _plainly(value) for name, value in held.items() if value != [None, None]}
    return found


def _contents(cells):
    """Give what the variables hold that a function takes from around it."""
    for cell in cells or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not set yet
            yield None


def _plainly(value):
    """Describe a held value; of a function no more than its source, as it may hold itself."""
    is_code = inspect.isclass(value) or inspect.isroutine(value)
    return _name_and_source(value) if is_code else describe(value)


def _name_and_source(code):
    name = f"{code.__module__}.{getattr(code, '__qualname__', type(code).__qualname__)}"
    if not _is_custom(code):
        return {"code": name}
    source = _source(code) or repr(_bytecode(code))
    return {"code": name, "source": blake2b(source.encode(), digest_size=16).hexdigest()}


def _bytecode(code):
    """Give what there is of code that was typed at a prompt and has no source."""
    if inspect.isclass(code):
        members = vars(code).items()
        return {name: _bytecode(member) for name, member in members if inspect.isfunction(member)}
    code = getattr(code, "__code__", code)
    if not inspect.iscode(code):
        return describe(code) if isinstance(code, tuple | frozenset | str | Number) else None
    return [code.co_code.hex(), code.co_names, [_bytecode(part) for part in code.co_consts]]


def _is_custom(code):
    """Tell whether code is the user's own."""
    path = getattr(sys.modules.get(code.__module__), "__file__", None)
    if path is None:
        return code.__module__ == "__main__"
    return not any(Path(path).is_relative_to(home) for home in (*_INSTALLED, _PACKAGE))


def _source(thing):
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        return None


def _walk(value):
    """Give every class and function in a value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _walk(item)
    elif isinstance(value, partial):
        yield from _walk([value.func, value.args, value.keywords])
    elif inspect.isclass(value) or inspect.isroutine(value):
        yield value
    elif not isinstance(value, str | Number | np.generic | None):
        yield type(value)
        if _has_parameters(value):
            yield from _walk(value.get_params(deep=False))
