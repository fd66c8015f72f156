"""From the path of a data set to names, labels and groups."""

import os
from typing import Any, NamedTuple

import numpy as np

from imbemotion.datasets import load_source

__all__ = ["read_source"]


class _Source(NamedTuple):
    X: Any  # paths, (n,), or images
    y: np.ndarray  # (n,)
    filenames: np.ndarray | None  # (n,)
    groups: np.ndarray | None


def read_source(path):
    """Read a source; the pixels only where it holds no files."""
    data = load_source(path, load_content=False)
    names = data.filenames
    is_list = names is not None and all(map(os.path.isfile, names))
    X = names if is_list else load_source(path, size=None).data
    return _Source(X, data.target, names, data.groups)
