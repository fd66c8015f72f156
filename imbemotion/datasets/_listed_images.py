"""Images that a list names, each once (a legend) or a row per row (a table)."""

import os
import re
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from imbemotion._base.validation import brief, check_labels, shorten, warn
from imbemotion.datasets._bunch import (
    ImageSettings,
    SourceKind,
    is_file_named,
    is_file_of,
    make_bunch,
    normalize,
)
from imbemotion.datasets._lists import LABEL_COLUMNS, READERS, list_rows, without_conflicts

# Columns that are taken if none is named.
_LEGEND_FILES = ("image", "file", "filename", "path", "name", "img")
_FILES = tuple(name for name in _LEGEND_FILES if name != "name")  # which may be a person's
_FILES += ("file_path", "image_path", "img_path", "image_file", "image_name")
_LABELS = (*LABEL_COLUMNS, "class_name", "label_name")
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")  # 01 is a name, not a number


def load_legend(
    legend: str | os.PathLike, folder: str | os.PathLike | None = None, *,
    image_column: str | None = None, label_column: str | None = None,
    group_column: str | None = None, **settings: Unpack[ImageSettings],
) -> Bunch | Any:  # fmt: skip
    r"""Load each image that a list names, once, with its label.

    Labels become lower case with single spaces. An image that is listed twice is loaded once,
    since its copies could end up in training and test; one that is listed with different labels
    is left out. Both are reported.

    Parameters
    ----------
    legend : str or Path
        List with a header, as :func:`load_table` reads it, or a folder with a ``legend.csv``.
    folder : str or Path, default=None
        Folder of the images. None looks for each in ``images`` next to the list, then next to
        the list itself.
    image_column : str, default=None
        Column of file names. None takes the first of image, file, filename, path, name and
        img, in any case.
    label_column : str, default=None
        Column of labels. None takes the first of emotion, label, class, expression, target
        and category, in any case.
    group_column : str, default=None
    **settings : size, mode, resize, n_jobs, labels, label_map, errors, load_content, return_X_y
        As in :func:`load_table`.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        As :func:`load_source` returns it, in the order of the list.

    Raises
    ------
    FileNotFoundError
        If the list or folder does not exist.
    ValueError
        If the list cannot be read, a column is missing, or an image cannot be used.

    Warns
    -----
    DataWarning
        If images are listed more than once or left out, or an expected class has none.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "1.png").touch()
    ...     legend = Path(folder, "legend.csv")
    ...     _ = legend.write_text("image,emotion\n1.png,HAPPY\n")
    ...     load_legend(legend, load_content=False).target.tolist()
    ['happy']
    """
    path = Path(legend, "legend.csv") if Path(legend).is_dir() else Path(legend)
    columns = image_column, label_column, group_column
    listing, reasons = list_rows(path, folder, columns, _LEGEND_FILES, LABEL_COLUMNS)
    listing = listing.leave_out(reasons, settings.get("errors", "raise"))
    # Only now, since a missing label would become the text "none".
    listing = listing._replace(labels=np.array([normalize(label) for label in listing.labels]))
    listing = _first_rows(without_conflicts(listing))
    return make_bunch(listing, legend, clean=normalize, **settings)


def _first_rows(listing):
    is_repeat = pd.Series(listing.images).duplicated().to_numpy()
    if is_repeat.any():
        repeated = [Path(path).name for path in np.unique(listing.names[is_repeat])]
        warn(f"Loaded once, though listed more than once: {shorten(repeated)}.")
    return listing.take(np.flatnonzero(~is_repeat))


def load_table(
    path: str | os.PathLike, folder: str | os.PathLike | None = None, *,
    image_column: str | None = None, label_column: str | None = None,
    group_column: str | None = None, **settings: Unpack[ImageSettings],
) -> Bunch | Any:  # fmt: skip
    r"""Load the images of a table, a row per row of it.

    Text labels become lower case with single spaces; integers stay integers. A balanced table
    may name an image more than once: its rows share one image, which ``ImageArray.parents``
    and ``duplicate_groups`` recognize. An image with different labels is left out.

    Parameters
    ----------
    path : str or Path
        Table of files: CSV or TSV in UTF-8 with a header (separated by commas, semicolons,
        tabs or bars), JSON (a list of objects), JSON lines (``.jsonl``) or Parquet, whose
        images may be cells of bytes, or of ``{"bytes", "path"}`` as in Hugging Face's data sets.
    folder : str or Path, default=None
        Folder that paths are relative to. None looks for each file in ``images`` next to the
        table, then next to the table itself, then in the current folder.
    image_column : str, default=None
        Column of paths. None takes the one called image, file, filename, path, img, file_path,
        image_path, img_path, image_file or image_name, in any case, with or without ``_``.
    label_column : str, default=None
        Column of labels. None takes the one called emotion, label, class, expression, target,
        category, class_name or label_name.
    group_column : str, default=None
        Column of `groups`, such as persons. Where a cell is empty, the path is the group.
    **settings : size, mode, resize, n_jobs, labels, label_map, errors, load_content, return_X_y
        Settings that all loaders share, with the defaults of :func:`load_source`.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        As :func:`load_source` returns it, in the order of the table.

    Raises
    ------
    FileNotFoundError
        If the table or folder does not exist.
    ValueError
        If the table cannot be read, a column is missing or ambiguous, or an image cannot be
        used.
    ImportError
        If the table is a Parquet file and pyarrow is not installed.

    Warns
    -----
    DataWarning
        If images are listed more than once or left out, or an expected class has none.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "1.png").touch()
    ...     table = Path(folder, "train.csv")
    ...     _ = table.write_text("path;label\n1.png;Happy\n")
    ...     load_table(table, load_content=False).target.tolist()
    ['happy']
    """
    path = Path(path)
    columns = image_column, label_column, group_column
    # Other programs write paths relative to the folder that they ran in: look there as well.
    listing, reasons = list_rows(path, folder, columns, _FILES, _LABELS, True, (".",))
    listing = listing.leave_out(reasons, settings.get("errors", "raise"))
    listing = without_conflicts(listing._replace(labels=_as_classes(listing.labels, path)))
    n_rows, n_files = len(listing.images), len(set(listing.images.tolist()))
    if n_files < n_rows:
        remedy = "Keep rows of one image together when you split them, by groups."
        warn(f"{path} lists {n_files:,} images in {n_rows:,} rows. {remedy}")
    return make_bunch(listing, path, clean=normalize, **settings)


def _as_classes(labels, path):
    """Return labels of one kind: text in lower case, or numbers, (n,)."""
    kinds = {type(label): label for label in labels}
    names = [normalize(label) for label in labels] if kinds.keys() <= {str, int, float} else []
    if names and all(map(_INTEGER.fullmatch, names)):  # 1, "1" and 1.0 are one number
        return np.array(names).astype(np.int64)
    if kinds.keys() == {str}:
        return np.array(names)
    # As one array, numbers among text would become text unnoticed.
    if kinds.keys() not in ({int}, {float}, {int, float}, {bool}):
        found = shorten([f"{brief(label)} ({kind.__name__})" for kind, label in kinds.items()])
        raise ValueError(
            f"The labels in {path} must be all text or all numbers, got {found}. "
            "Write them in one way."
        )
    return check_labels(np.array(labels.tolist()))


_COLUMNS = {name: name for name in ("image_column", "label_column", "group_column")}
LIST = SourceKind("a list", is_file_of(*READERS), load_table, {"images": "folder", **_COLUMNS})
LEGEND = SourceKind("a legend", is_file_named("legend.csv"), load_legend, LIST.takes)
