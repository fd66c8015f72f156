"""Images and labels that a list names: CSV, TSV, JSON, JSON lines or Parquet."""

import csv
import os
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from imbemotion._base.files import from_cell, parse_json
from imbemotion._base.validation import escape_text
from imbemotion.datasets._bunch import Listing
from imbemotion.loading.reading import image_suffixes

_SEPARATORS = ",;\t|"
_EXAMPLE = '{"path": "1.png", "label": "happy"}'


def _read_rows(path):
    """Read a list as columns of objects; the index says where each row is, as "line 2"."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist or is not a file. Expected a list such as a CSV."
        )
    rows = READERS.get(path.suffix.lower(), read_csv)(path)
    if rows.empty:
        raise ValueError(f"{path} lists no images. Expected a header and a row per image.")
    return rows


def read_header(path):
    """Return the column names of a CSV file in lower case; none where it is not text."""
    try:
        return [name.strip().lower() for name in _split_header(path)[0]]
    except (UnicodeDecodeError, OSError):
        return []


def _split_header(path, separator=None):
    """Return the column names of a CSV file and what separates them."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = file.readline(1_000_000)
    separator = separator or max(_SEPARATORS, key=line.count)
    return next(csv.reader([line], delimiter=separator), []), separator


def read_csv(path, separator=None):
    """Read a CSV file as text without spaces around it; the index holds the lines."""
    try:
        names, separator = _split_header(path, separator)
        # usecols ends rows that are longer than the header where it ends.
        # Text only: 01 and NA are labels like any other.
        rows = pd.read_csv(
            path, sep=separator, usecols=range(len(names)), index_col=False, dtype=str,
            keep_default_na=False, skip_blank_lines=False, encoding="utf-8-sig",
        )  # fmt: skip
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except ValueError as error:  # also of the encoding and of open quotes
        raise ValueError(f"{path} is not a CSV file in UTF-8: {error}.") from error
    rows = rows.apply(lambda cells: cells.str.strip().map(from_cell)).rename(columns=str.strip)
    # A row begins in the line after the one before it, whose quoted cells may have several.
    breaks = sum(rows[name].str.count("\n") for name in rows).cumsum().shift(fill_value=0)
    rows.index = [f"line {number:.0f}" for number in np.arange(len(rows)) + 2 + breaks]
    return rows[(rows != "").any(axis=1)]


# Not pandas.read_json: it makes floats of integers beside null, and dates of some texts.
def _read_json(path):
    rows = _parse(path, path.read_bytes())
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(
            f"{path} must hold a list of objects such as [{_EXAMPLE}], got {str(rows)[:60]!r}."
        )
    places = [f"object {number}" for number in range(1, len(rows) + 1)]
    return pd.DataFrame(rows, index=places, dtype=object)


def _read_json_lines(path):
    lines = {n: line for n, line in enumerate(path.read_bytes().splitlines(), 1) if line.strip()}
    rows = {f"line {n}": _parse(f"Line {n} of {path}", line) for n, line in lines.items()}
    wrong = next((place for place, row in rows.items() if not isinstance(row, dict)), None)
    if wrong:
        raise ValueError(
            f"{wrong.capitalize()} of {path} must be an object such as {_EXAMPLE}, "
            f"got {str(rows[wrong])[:60]!r}."
        )
    return pd.DataFrame(list(rows.values()), index=list(rows), dtype=object)


def _parse(name, content):
    try:
        return parse_json(content)
    except ValueError as error:  # also of the encoding
        raise ValueError(f"{name} is not valid JSON: {error}.") from error


def _read_parquet(path):
    try:
        rows = pd.read_parquet(path)
    except ImportError as error:
        raise ImportError(
            f"{path} is a Parquet file, which needs pyarrow. Install it with "
            "`pip install pyarrow`, or write the list as CSV."
        ) from error
    except (ValueError, OSError) as error:  # pyarrow's are of these kinds
        raise ValueError(f"{path} is not a Parquet file: {error}.") from error
    return rows.set_axis([f"row {number}" for number in range(len(rows))])


READERS = {
    ".csv": read_csv, ".tsv": read_csv, ".json": _read_json, ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines, ".parquet": _read_parquet, ".pq": _read_parquet,
}  # fmt: skip


def _cells_of(rows, what, wanted, usual=(), is_strict=False):
    """Return the cells of a column, ignoring case, ``_``, ``-`` and spaces in its name."""
    known = {_plain(name): name for name in rows}
    choice = usual if wanted is None else (wanted,)
    found = [known[_plain(name)] for name in choice if _plain(name) in known]
    if len(found) == 1 or (found and not is_strict):
        cells = rows[found[0]].astype(object)
        cells = cells.where(cells.notna(), None)
        return [cell.strip() if isinstance(cell, str) else cell for cell in cells]
    problem = "may be" if found else "must be"
    raise ValueError(
        f"The {what} column {problem} {' or '.join(found or choice)}, got the columns "
        f"{', '.join(map(str, rows))}. Name it by {what}_column= (--{what}-column)."
    )


def _plain(name):
    return re.sub("[ _-]", "", str(name).lower())


def _find_files(names, near, folder, elsewhere=()):
    """Return a path per name, in the first place that has it; else in the first place."""
    if folder is not None and not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder} does not exist or is not a folder of images.")
    places = [near / "images", near, *elsewhere] if folder is None else [folder]
    places = [os.fspath(place) for place in places if os.path.isdir(place)]
    paths, by_stem = [], cache(_images_by_stem)
    for name in names:
        name = name.replace("\\", "/")
        choice = [os.path.normpath(os.path.join(place, name)) for place in places]
        path = next(filter(os.path.exists, choice), None)
        if path is None:  # maybe an id, as in many challenges: 0a1b for 0a1b.png
            stems = (by_stem(os.path.dirname(p)).get(os.path.basename(p), ()) for p in choice)
            path = next((found[0] for found in stems if len(found) == 1), choice[0])
        paths.append(path)
    return np.array(paths)


def _images_by_stem(folder):
    """Return the images of a folder by their names without suffix."""
    found, suffixes = defaultdict(list), image_suffixes()
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in suffixes:
            found[stem].append(os.path.join(folder, name))
    return found


def list_rows(path, folder, columns, files, labels, is_strict=False, elsewhere=()):
    """Return what a list names, with labels as they are, and the reasons against some rows."""
    # columns are those for images, labels and groups; files and labels are the usual names.
    rows = _read_rows(path)
    names = _cells_of(rows, "image", columns[0], files, is_strict)
    names = ["" if name is None else str(name) for name in names]
    classes, groups = _cells_of(rows, "label", columns[1], labels, is_strict), None
    paths = _find_files(names, path.parent, folder, elsewhere)
    if columns[2] is not None:  # a row without a group is its own
        pairs = zip(_cells_of(rows, "group", columns[2]), paths, strict=True)
        groups = np.array([str(path if cell in ("", None) else cell) for cell, path in pairs])
    targets = pd.Series(classes, dtype=object).to_numpy()
    reasons = {
        row: f"has no label in {place}" if name else f"in {place} names no image"
        for row, (place, name, label) in enumerate(zip(rows.index, names, classes, strict=True))
        if not name or label in ("", None)
    }
    texts = map("{}{}".format, names, classes)  # pandas cannot compare those with lone surrogates
    foreign = [row for row, text in enumerate(texts) if escape_text(text) != text]
    reasons |= dict.fromkeys(foreign, "has a name or label that is not UTF-8")
    names = np.where(np.array(names) == "", "An empty cell", paths)
    plain = [name for name in rows if not isinstance(rows[name].iloc[0], bytes | dict | list)]
    columns = rows[plain].reset_index(drop=True)
    return Listing(paths, targets, names, groups, columns=columns), reasons


def without_conflicts(listing):
    """Leave out images that are listed with more than one label."""
    found = pd.Series(listing.labels).astype(str).groupby(listing.images).unique()
    labels = {path: " and ".join(sorted(names)) for path, names in found.items() if len(names) > 1}
    places = [(row, path) for row, path in enumerate(listing.images) if path in labels]
    return listing.leave_out({row: f"is listed with the labels {labels[p]}" for row, p in places})
