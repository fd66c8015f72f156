"""From what was named on the command line to images, labels and groups."""

import warnings
from typing import Any, NamedTuple

import numpy as np

from imbemotion._validation import DataWarning
from imbemotion.cli._options import GroupBy

__all__ = ["Images", "find_groups", "load_source"]


class Images(NamedTuple):
    """Labelled images of one source or several."""

    X: Any  # ImageArray
    y: np.ndarray
    filenames: np.ndarray | None
    groups: np.ndarray | None


def load_source(source, additional=(), images=None, **settings):
    """Load a source, and further ones that are added to it.

    Parameters
    ----------
    source : Path
        A folder, a CSV or an archive.

    additional : list of Path, default=()
        Further sources.

    images : Path, default=None
        Folder of the images of a CSV.

    **settings : object
        For the loaders.

    Returns
    -------
    images : Images
        All of them.

    Raises
    ------
    FileNotFoundError
        If a source does not exist.

    ValueError
        If it is no source, or sources do not fit together.
    """
    parts = [_load_one(source, images, settings)]
    parts += [_load_one(path, None, settings) for path in additional or ()]
    if len(parts) == 1:
        return parts[0]
    return Images(
        np.concatenate([part.X for part in parts]),
        np.concatenate([part.y for part in parts]),
        _join([part.filenames for part in parts]),
        _join([part.groups for part in parts]),
    )


def _join(arrays):
    """Join what every source has; None where one lacks it."""
    return None if any(array is None for array in arrays) else np.concatenate(arrays)


def _load_one(source, images, settings):
    from imbemotion.datasets import load_image_folder, load_legend, load_npz

    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist. Name a folder, a CSV or an .npz file.")
    legend = source / "legend.csv" if source.is_dir() else source
    if legend.suffix == ".npz":
        data = load_npz(legend, **settings)
    elif legend.suffix == ".csv" and legend.is_file():
        data = load_legend(legend, images, **settings)
    elif source.is_dir():
        data = load_image_folder(source, **settings)
    else:
        raise ValueError(f"{source} is neither a folder nor a .csv or .npz file.")
    return Images(data.data, data.target, data.filenames, data.groups)


def find_groups(data, group_by):
    """Find what must stay together.

    Parameters
    ----------
    data : Images
        The images.

    group_by : list of GroupBy or None
        What was asked for; images that have any of it in common are one group.

    Returns
    -------
    groups : ndarray of shape (n_samples,) or None
        The groups.

    Raises
    ------
    ValueError
        If the source does not tell.
    """
    from imbemotion.splitting import join_groups

    if not group_by:
        return None
    found = [_find_groups(data, kind) for kind in group_by]
    return found[0] if len(found) == 1 else join_groups(*found)


def _find_groups(data, kind):
    from imbemotion.splitting import duplicate_groups, name_groups

    if kind == GroupBy.duplicates:
        return duplicate_groups(data.X)
    wanted = {"name": data.filenames, "groups": data.groups}[kind]
    if wanted is None:
        column = {"name": "file names", "groups": "groups"}[kind]
        raise ValueError(
            f"--group-by {kind} needs {column}, and the source holds none. Leave it out, or "
            "add them to the source (an array files or groups in an .npz)."
        )
    groups = name_groups(wanted) if kind == GroupBy.name else wanted
    if len(set(groups)) == len(groups):
        warnings.warn(
            f"Every image is a group of its own, so --group-by {kind} keeps nothing together; "
            "persons are read from names such as Ann_Lee_0001.jpg.",
            DataWarning,
            stacklevel=2,
        )
    return groups
