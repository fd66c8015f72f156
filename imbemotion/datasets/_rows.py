"""Lists of files with labels, whatever they are written in: CSV, JSON or Parquet into columns."""

import csv
import json
from math import isnan
from typing import NamedTuple

__all__ = ["SUFFIXES", "Rows", "choose_column", "read_header", "read_rows"]

_SEPARATORS = ",;\t|"


class Rows(NamedTuple):
    """What a file lists."""

    columns: dict  # of name to list of cells, n each
    places: list  # where each row stands, such as "line 2", n


def read_rows(path):
    """Read a list whose form is told by its suffix.

    Parameters
    ----------
    path : Path
        The file; one of an unknown suffix is taken for CSV.

    Returns
    -------
    rows : Rows
        Cells of text have no spaces around them; None where there is none.

    Raises
    ------
    FileNotFoundError
        If there is no such file.

    ValueError
        If the file is not what its suffix says, or lists nothing.

    ImportError
        If it is a Parquet file, and pandas lacks a package that reads it.
    """
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
    """Find the name of a column, whatever its case, and with or without ``_``, ``-`` and spaces.

    Parameters
    ----------
    columns : iterable of str
        The names that are there.

    what : str
        What the column is to hold, for errors: "image", "label" or "group".

    wanted : str or None
        The name asked for; None takes the first usual one that is there.

    usual : tuple of str
        The usual names.

    is_strict : bool, default=False
        Whether two usual names are one too many.

    Returns
    -------
    name : str
        The name as it is written.

    Raises
    ------
    ValueError
        If there is no such column, or more than one.
    """
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
