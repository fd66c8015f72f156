"""From the path of a data set to names, labels and groups."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imbemotion.datasets import load_image_folder, load_legend, load_npz

__all__ = ["read_source"]


class _Source(NamedTuple):
    X: Any  # paths, (n,), or images
    y: np.ndarray  # (n,)
    paths: np.ndarray  # (n,), or names of rows
    groups: np.ndarray | None


def read_source(path):
    """Read a source: a folder, a legend or an archive.

    Parameters
    ----------
    path : str or Path
        The source.

    Returns
    -------
    source : tuple
        With ``X`` (paths, or images of an archive), ``y``, ``paths`` (or names of rows) and
        ``groups`` (or None).

    Raises
    ------
    FileNotFoundError
        If it does not exist.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Name a folder, a CSV or an .npz file.")
    if path.suffix == ".npz":
        data = load_npz(path, size=None)
        names = data.filenames
        names = (
            np.array([f"row {row}" for row in range(len(data.target))]) if names is None else names
        )
        return _Source(data.data, data.target, names, data.groups)
    legend = path / "legend.csv" if path.is_dir() else path
    data = load_legend(legend) if legend.is_file() else load_image_folder(path)
    return _Source(data.filenames, data.target, data.filenames, data.groups)
