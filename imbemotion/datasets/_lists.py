"""Files and labels that a list names: CSV, TSV, JSON, JSON lines or Parquet."""

import csv
import json
import os
import re
from collections import defaultdict
from math import isnan
from pathlib import Path
from typing import NamedTuple

import numpy as np

from imbemotion._base.validation import check_labels
from imbemotion.datasets._bunch import (
    Listing,
    check_expected,
    leave_out,
    make_bunch,
    normalize,
    refuse_or_leave_out,
    warn,
)

__all__ = [
    "FILE_COLUMNS",
    "LABEL_COLUMNS",
    "SUFFIXES",
    "Rows",
    "choose_column",
    "fill_groups",
    "find_files",
    "incomplete",
    "load_table",
    "read_header",
    "read_rows",
    "without_conflicts",
]

_SEPARATORS = ",;\t|"


class Rows(NamedTuple):
    """What a file lists."""

    columns: dict  # of name to list of cells, n each
    places: list  # where each row stands, such as "line 2", n


def read_rows(path):
    """Read a list whose form is told by its suffix."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file. Name a list such as a CSV.")
    rows = _READERS.get(path.suffix.lower(), _read_csv)(path)
    if not rows.places:
        raise ValueError(f"{path} lists no images. Expected a header and a row per image.")
    return rows


def read_header(path):
    """Give the names of the columns of a CSV file, in lower case; none where it is no text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline(10_000)
    except (UnicodeDecodeError, OSError):
        return []
    separator = max(_SEPARATORS, key=line.count)
    return [cell.strip().lower() for cell in next(csv.reader([line], delimiter=separator), [])]


def choose_column(columns, what, wanted, usual, is_strict=False):
    """Find a column by name, ignoring case, ``_``, ``-`` and spaces."""
    known = {_plain(name): name for name in columns}
    choice = usual if wanted is None else (wanted,)
    found = [known[_plain(name)] for name in choice if _plain(name) in known]
    if not found:
        raise ValueError(
            f"The {what} column must be {' or '.join(choice)}, got the columns "
            f"{', '.join(known.values())}. Name it by {what}_column= (--{what}-column)."
        )
    if is_strict and len(found) > 1:
        raise ValueError(
            f"The {what} column may be {' or '.join(found)}, of the columns "
            f"{', '.join(known.values())}. Name it by {what}_column= (--{what}-column)."
        )
    return found[0]


def _plain(name):
    return "".join(letter for letter in str(name).lower() if letter not in " _-")


def _read_csv(path):
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            separator = max(_SEPARATORS, key=file.readline().count)
            file.seek(0)
            reader = csv.reader(file, delimiter=separator)
            header = next(reader, [])
            lines = [(reader.line_num, line) for line in reader if any(map(str.strip, line))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a CSV file in UTF-8: {error}.") from error
    rows = [dict(zip(header, line, strict=False)) for _, line in lines]  # lines may be shorter
    return _as_rows(header, rows, [f"line {number}" for number, _ in lines])


def _read_json(path):
    rows = _parse(path, path.read_bytes())
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(
            f"{path} must hold a list of objects such as "
            f'[{{"path": "1.png", "label": "happy"}}], got {str(rows)[:60]!r}.'
        )
    return _as_rows(_keys(rows), rows, [f"object {n}" for n in range(1, len(rows) + 1)])


def _read_json_lines(path):
    lines = [(n, line) for n, line in enumerate(path.read_bytes().splitlines(), 1) if line.strip()]
    rows = [_parse(f"Line {number} of {path}", line) for number, line in lines]
    for (number, line), row in zip(lines, rows, strict=True):
        if not isinstance(row, dict):
            raise ValueError(
                f"Line {number} of {path} must be an object such as "
                f'{{"path": "1.png", "label": "happy"}}, got {line[:60].decode()!r}.'
            )
    return _as_rows(_keys(rows), rows, [f"line {number}" for number, _ in lines])


def _parse(name, content):
    try:
        return json.loads(content)
    except ValueError as error:  # also of the encoding
        raise ValueError(f"{name} is not JSON: {error}.") from error


def _keys(rows):
    return list(dict.fromkeys(key for row in rows for key in row))


def _as_rows(names, rows, places):
    return Rows({name: [_clean(row.get(name)) for row in rows] for name in names}, places)


def _clean(cell):
    """Take spaces off text; what is no number is None."""
    if isinstance(cell, float) and isnan(cell):
        return None
    return cell.strip() if isinstance(cell, str) else cell


def _read_parquet(path):
    import pandas as pd

    try:
        table = pd.read_parquet(path)
    except ImportError as error:
        raise ImportError(
            f"{path} is a Parquet file, and reading it takes pyarrow. Install it by "
            "`pip install pyarrow`, or write the list as CSV."
        ) from error
    except (ValueError, OSError) as error:  # pyarrow's are of these kinds
        raise ValueError(f"{path} is not a Parquet file: {error}.") from error
    columns = {}
    for name in table.columns:
        cells, gaps = table[name].tolist(), table[name].isna()
        cells = zip(cells, gaps, strict=True)
        columns[str(name)] = [None if is_gap else _clean(cell) for cell, is_gap in cells]
    return Rows(columns, [f"row {n}" for n in range(len(table))])


_READERS = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".json": _read_json,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
    ".pq": _read_parquet,
}
SUFFIXES = tuple(_READERS)


FILE_COLUMNS = ("image", "file", "filename", "path", "name", "img")
LABEL_COLUMNS = ("emotion", "label", "class", "expression", "target", "category")


def find_files(names, beside, folder, elsewhere=()):
    """Find every file that is named."""
    if folder is not None and not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder} does not exist or is no folder. Name that of images.")
    places = [beside / "images", beside, *elsewhere] if folder is None else [folder]
    places = [os.fspath(place) for place in places if os.path.isdir(place)]
    paths = []
    for name in names:
        name = name.replace("\\", "/")
        choice = [os.path.normpath(os.path.join(place, name)) for place in places]
        paths.append(next(filter(os.path.exists, choice), choice[0]))
    return np.array(paths)


def fill_groups(cells, paths):
    """Give the groups of rows; where a cell is empty, the path stands for it."""
    pairs = zip(cells, paths, strict=True)
    return np.array([str(path if cell in ("", None) else cell) for cell, path in pairs])


def incomplete(places, names, labels):
    """Say which rows name no image or no label, by row."""
    reasons = {}
    for row, (place, name, label) in enumerate(zip(places, names, labels, strict=True)):
        if name in ("", None):
            reasons[row] = f"in {place} names no image"
        elif label in ("", None):
            reasons[row] = f"has no label in {place}"
    return reasons


def without_conflicts(listing):
    """Leave out the images that are listed with more than one label."""
    labels_of = defaultdict(set)
    for path, label in zip(listing.images, listing.labels, strict=True):
        labels_of[path].add(str(label))
    reasons = {
        row: f"is listed with the labels {' and '.join(sorted(labels_of[path]))}"
        for row, path in enumerate(listing.images)
        if len(labels_of[path]) > 1
    }
    return leave_out(listing, reasons)


_FILES = tuple(name for name in FILE_COLUMNS if name != "name")  # which may be a person's
_FILES += ("file_path", "image_path", "img_path", "image_file", "image_name")
_LABELS = (*LABEL_COLUMNS, "class_name", "label_name")
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")  # what is written as numbers are


def load_table(
    path,
    folder=None,
    *,
    image_column=None,
    label_column=None,
    group_column=None,
    size=48,
    mode="gray",
    resize="stretch",
    n_jobs=None,
    labels=None,
    errors="raise",
    load_content=True,
    return_X_y=False,
):
    r"""Load images that a table lists with their labels.

    Parameters
    ----------
    path : str or Path
        A list of files: CSV or TSV in UTF-8 with a header (separated by commas, semicolons,
        tabs or bars), JSON (a list of objects), JSON lines (``.jsonl``) or Parquet.

    folder : str or Path, default=None
        What the paths in the table are relative to. None looks for each file in ``images``
        beside the table, then beside the table itself, then in the current folder.

    image_column : str, default=None
        The column of paths. None takes the one that is called image, file, filename, path,
        img, file_path, image_path, img_path, image_file or image_name, in any case and with
        or without ``_``.

    label_column : str, default=None
        The column of labels. None takes the one that is called emotion, label, class,
        expression, target, category, class_name or label_name.

    group_column : str, default=None
        A column that becomes `groups`, such as a person or a contributor. Where a cell is
        empty, the path stands for it.

    size : int, tuple of (int, int) or None, default=48
        Height and width of the images; None keeps their own, which must then be the same.

    mode : {"gray", "rgb"}, default="gray"
        Whether images become grey or colour.

    resize : {"stretch", "crop", "pad"}, default="stretch"
        How an image of other proportions comes to `size`.

    n_jobs : int, default=None
        Number of threads.

    labels : list, default=None
        The classes to expect; None means any.

    errors : {"raise", "skip"}, default="raise"
        Whether missing or unreadable files, missing and unknown labels are an error or are
        left out.

    load_content : bool, default=True
        Whether to read the images. Otherwise `data` are their paths (ndarray of str), of
        which only those that do not exist count as unreadable.

    return_X_y : bool, default=False
        Whether to return only images and labels.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        With `data` (ImageArray), `target` (ndarray of str or of numbers), `target_names` (the
        classes, sorted), `filenames` (ndarray of str, the paths), `groups` (ndarray or None)
        and `skipped` (list of name and reason). The images are in the order of the table.

    Raises
    ------
    FileNotFoundError
        If there is no such table or folder.

    ValueError
        If the table can't be read, a column is not found or could be one of several, or an
        image can't be used.

    ImportError
        If the table is a Parquet file, and pyarrow is not installed.

    Warns
    -----
    DataWarning
        If images are listed more than once or left out, or an expected class has none.

    See Also
    --------
    load_legend : Loads every image once, however often it is listed.
    load_image_folder : Where the folder or the name of an image is its label.

    Notes
    -----
    Labels that are text become lower case with single spaces; whole numbers stay numbers.
    Rows are rows of the table: a balanced list may name an image more than once. Its rows
    share one image, by which ``ImageArray.parents`` and ``duplicate_groups`` know them. An
    image that is listed with different labels is left out.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("1.png", "2.png"):
    ...         Path(folder, name).touch()
    ...     table = Path(folder, "train.csv")
    ...     _ = table.write_text("path;label\n1.png;Happy\n2.png;sad\n")
    ...     load_table(table, load_content=False).target.tolist()
    ['happy', 'sad']
    """
    path = Path(path)
    listing = refuse_or_leave_out(
        *_list(path, folder, image_column, label_column, group_column), errors
    )
    listing = without_conflicts(listing._replace(labels=_as_classes(listing.labels, path)))
    _warn_of_repeats(listing, path)
    return make_bunch(
        listing, labels=check_expected(labels, normalize),
        errors=errors, load_content=load_content, return_X_y=return_X_y,
        size=size, mode=mode, resize=resize, n_jobs=n_jobs,
    )  # fmt: skip


def _list(path, folder, image_column, label_column, group_column):
    """Give what the table lists, its labels as they are, and what rows lack."""
    rows = read_rows(path)
    files = rows.columns[choose_column(rows.columns, "image", image_column, _FILES, True)]
    classes = rows.columns[choose_column(rows.columns, "label", label_column, _LABELS, True)]
    files = ["" if name is None else str(name) for name in files]
    paths = find_files(files, path.parent, folder, elsewhere=(".",))
    groups = None
    if group_column is not None:
        cells = rows.columns[choose_column(rows.columns, "group", group_column, ())]
        groups = fill_groups(cells, paths)
    labels = np.empty(len(classes), dtype=object)
    labels[:] = classes
    names = np.where(np.array(files) == "", "An empty cell", paths)
    return Listing(paths, labels, names, groups), incomplete(rows.places, files, classes)


def _as_classes(labels, path):
    """Give labels of one kind: text in lower case, or numbers, (n,)."""
    kinds = {type(label) for label in labels}
    if kinds == {str}:
        if all(map(_WHOLE.fullmatch, labels)):
            return labels.astype(np.int64)
        return np.array([normalize(label) for label in labels])
    if len(kinds) > 1 or not kinds & {int, float, bool}:
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(
            f"The labels in {path} must be text or numbers throughout, got values of type {found}."
        )
    return check_labels(np.array(labels.tolist()))


def _warn_of_repeats(listing, path):
    n_rows, n_files = len(listing.images), len(set(listing.images.tolist()))
    if n_files < n_rows:
        warn(
            f"{path} lists {n_files:,} images in {n_rows:,} rows. Keep rows of one image "
            "together when you split them, by groups."
        )
