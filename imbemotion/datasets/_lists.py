"""Images and labels that a list names: CSV, TSV, JSON, JSON lines or Parquet."""

import codecs
import csv
import os
import re
from collections import Counter, defaultdict
from functools import cache, partial
from itertools import chain, compress, islice, repeat
from pathlib import Path

import numpy as np
import pandas as pd

from imbemotion._base.files import from_cell, parse_json
from imbemotion._base.validation import brief, cut, cut_label, escape_text, shorten, warn
from imbemotion.datasets._bunch import Listing, most_characters
from imbemotion.loading.reading import image_suffixes

LABEL_COLUMNS = ("emotion", "label", "class", "expression", "target", "category")
_SEPARATORS = ",;\t|"
_MARKS = {  # the longer ones first
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
_DIRECTIVE = re.compile(r'"?sep=([,;\t|])\1*"?', re.IGNORECASE)  # as Excel knows it
_QUOTED = re.compile('"[^"]*"')
_SWALLOWED = re.compile(r"[\r\n].*[,;\t|]")  # a further row in a cell whose quote is not closed
_SHORTEST, _LONGEST = 256, 4096  # characters of a path: at least and at most
_EMPTY = "An empty cell"
_PARQUET_BYTES, _PARQUET_ROWS = 2**26, 10_000  # beyond those in proportion to the file
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
        lines = islice(_read_lines(path, 1_000_000), 100)
        return [name.lower() for name in next(_rows_of(path, *_find_header(lines)), (1, []))[1]]
    except (ValueError, OSError):
        return []


def _refusal(path, line, reason, cure="Correct it"):
    return ValueError(f"{path} cannot be read: line {line} {reason}. {cure}.")


def _read_lines(path, longest=-1):
    """Yield lines in UTF-8, or in the encoding of the mark that a file begins with."""
    with path.open("rb") as file:
        start, number = file.read(4), 0
    encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8-sig")
    with path.open(encoding=encoding, errors="surrogateescape", newline="") as file:
        try:
            for line in iter(partial(file.readline, longest), ""):
                number += 1
                if "\0" in line or not (line.isascii() or escape_text(line) == line):
                    raise UnicodeError
                yield line
        except UnicodeError:
            cure = 'Save the list in UTF-8 (in spreadsheets as "CSV UTF-8")'
            raise _refusal(path, number, "is not in UTF-8", cure) from None


def _find_header(lines, separator=None):
    """Return the lines from the header on, what separates its names, and the lines before it."""
    separators, seen, head = separator or _SEPARATORS, [], None
    for number, line in enumerate(lines):
        seen.append(line)
        if head is None and (found := _DIRECTIVE.fullmatch(line.strip(" \r\n"))):
            separators = found[1]
        elif plain := line.strip(f"{separators} \r\n"):
            head = number if head is None else head
            if any(mark in plain for mark in separators):  # a line of a single cell is a title
                head = number
                break
    head = head or 0
    names = _QUOTED.sub("", "".join(seen[head : head + 1]))
    return chain(seen[head:], lines), max(separators, key=names.count), seen[:head]


def _rows_of(path, lines, separator, before):
    """Yield the line that each row begins in, and its cells without spaces around them."""
    usual = csv.field_size_limit(2**31 - 1)  # the pixels of a face may take more than 128 KiB
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    place = len(before) + 1
    try:
        for row in reader:
            cells = [from_cell(cell.strip(" \t\xa0")) for cell in row]
            if any(cells):
                yield place, cells
            place = len(before) + reader.line_num + 1
    except csv.Error as error:
        is_open = "end of data" in str(error)
        reason = (
            "opens a quote that is never closed" if is_open else "goes on behind a quoted cell"
        )
        raise _refusal(path, place, reason) from error
    finally:
        csv.field_size_limit(usual)  # that of the whole process


# Not pandas.read_csv: it drops the cells of rows that are longer than the header.
def read_csv(path, separator=None):
    """Read a CSV file as text without spaces around it; the index holds the lines."""
    lines, separator, before = _find_header(_read_lines(path), separator)
    rows = _rows_of(path, lines, separator, before)
    head, names = next(rows, (1, []))
    names = [name or f"Unnamed: {number}" for number, name in enumerate(names)]
    table = dict(rows)
    _check_size(path, len(table), names)
    for place, cells in table.items():
        if any(cells[len(names) :]):
            found = f"has {len(cells)} cells, but the header {len(names)}"
            cure = f"Name all columns, or quote cells that contain {separator!r}"
            raise _refusal(path, place, found, cure)
        table[place] = (cells + [""] * (len(names) - len(cells)))[: len(names)]
    titles = [line.strip(f"{separator} \r\n") for line in before if not _DIRECTIVE.match(line)]
    if titles := list(filter(None, titles)):
        warn(f"Took line {head} of {path} as its header and left out {brief(shorten(titles))}.")
    index = [f"line {place}" for place in table]
    return pd.DataFrame(list(table.values()), index=index, columns=names, dtype=object)


def _check_size(path, n_rows, names):
    """Refuse columns that are named twice, and a table that is far larger than its file."""
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise ValueError(
            f"{path} has {count} columns {cut_label(name)!r:.90}. Rename all but one."
        )
    if n_rows * len(names) > path.stat().st_size + 1_000_000:
        found = f"the {n_rows:,} rows of {path} fill few of its {len(names):,} columns"
        raise ValueError(f"A table must have a value per column, but {found}. Correct its header.")


# Not pandas.read_json: it makes floats of integers beside null, and dates of some texts.
def _read_json(path):
    rows = _parse(path, "".join(_read_lines(path)))
    if not isinstance(rows, list):
        raise ValueError(
            f"{path} must hold a list of objects such as [{_EXAMPLE}], got {brief(rows, 60)}."
        )
    return _from_objects(path, {f"object {number}": row for number, row in enumerate(rows, 1)})


def _read_json_lines(path):
    lines = enumerate(_read_lines(path), 1)
    rows = {f"line {n}": _parse(f"Line {n} of {path}", line) for n, line in lines if line.strip()}
    return _from_objects(path, rows)


def _from_objects(path, rows):
    for place, row in rows.items():
        if not isinstance(row, dict):
            found = f"such as {_EXAMPLE}, got {brief(row, 60)}"
            raise ValueError(f"{place.capitalize()} of {path} must be an object {found}.")
    names = list(dict.fromkeys(chain.from_iterable(rows.values())))
    _check_size(path, len(rows), names)
    return pd.DataFrame(list(rows.values()), index=list(rows), columns=names, dtype=object)


def _parse(name, content):
    try:
        return parse_json(content)
    except ValueError as error:
        raise ValueError(f"{name} is not valid JSON: {cut_label(error, 200)}.") from error


def _read_parquet(path):
    try:
        rows = _unpack_parquet(path).to_pandas()
        rows = rows.reset_index() if any(rows.index.names) else rows  # pandas hides a column there
    except ImportError as error:
        raise ImportError(
            f"{path} is a Parquet file, which needs pyarrow. Install it with "
            "`pip install pyarrow`, or write the list as CSV."
        ) from error
    except Exception as error:  # pyarrow raises nearly anything on broken files
        reason = cut_label(error, 200).rstrip(".")
        raise ValueError(f"{path} cannot be read as a Parquet file: {reason}.") from error
    _check_size(path, 0, list(rows))
    return rows.set_axis([f"row {number}" for number in range(len(rows))])


def _unpack_parquet(path):
    """Read a Parquet file batch by batch, as long as it takes memory in proportion to its size."""
    from pyarrow import Table
    from pyarrow.parquet import ParquetFile

    n_bytes, batches = path.stat().st_size, []
    left = _PARQUET_BYTES + 20 * n_bytes
    refusal = ValueError(f"its {n_bytes:,} bytes would unpack to far more than images and labels")
    with ParquetFile(path) as file:
        about = file.metadata
        groups = map(about.row_group, range(about.num_row_groups))
        sizes = [g.column(n).total_uncompressed_size for g in groups for n in range(g.num_columns)]
        largest = max(sizes, default=1)  # which a value may fill, and every row may repeat
        if about.num_rows > n_bytes + _PARQUET_ROWS or largest > left:
            raise refusal
        for batch in file.iter_batches(max(1, left // max(1, largest))):
            left -= batch.nbytes
            if left < 0:
                raise refusal
            batches.append(batch)
        return Table.from_batches(batches, file.schema_arrow)


READERS = {
    ".csv": read_csv, ".tsv": read_csv, ".json": _read_json, ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines, ".parquet": _read_parquet, ".pq": _read_parquet,
}  # fmt: skip


def _cells_of(path, rows, what, wanted, usual=(), is_strict=False):
    """Return the cells of a column, ignoring case, ``_``, ``-`` and spaces in its name."""
    known, choice = defaultdict(list), usual if wanted is None else (wanted,)
    for name in rows:
        known[_plain(name)].append(name)
    found = [known[_plain(name)] for name in choice if _plain(name) in known]
    found = [[wanted]] if wanted in list(rows) else found if is_strict else found[:1]
    found = list(chain.from_iterable(found))
    if len(found) == 1:
        cells = rows[found[0]].astype(object)
        cells = cells.where(cells.notna(), None)
        return [cell.strip() if isinstance(cell, str) else cell for cell in cells]
    problem = "may be" if found else "must be"
    names = " or ".join(cut(str(name)) for name in found or choice)
    raise ValueError(
        f"The {what} column {problem} {names}, got the columns {shorten(rows, 20)} in "
        f"{cut(path.name)}. Name it by {what}_column= (--{what}-column)."
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
    return paths


def _images_by_stem(folder):
    found, suffixes = defaultdict(list), image_suffixes()
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in suffixes:
            found[stem].append(os.path.join(folder, name))
    return found


def _is_empty(cell):
    return cell is None or isinstance(cell, dict | list | np.ndarray) or cell == ""


def _source_of(cell, most):
    """Return the name of a file, or the bytes of an image, as Hugging Face stores them."""
    if isinstance(cell, dict) and cell.keys() & {"bytes", "path"}:
        cell = cell.get("bytes") or cell.get("path")
    if isinstance(cell, bytes) and cell.isascii() and (text := cell.decode()).isprintable():
        cell = text  # images hold other bytes
    return cell if isinstance(cell, bytes) else "" if _is_empty(cell) else str(cell)[: most + 1]


def _fault_of(place, source, label, group, most):
    """Return why a row cannot be used, or None."""
    name, label = source if isinstance(source, str) else place, "" if label is None else str(label)
    if "\n" in name or _SWALLOWED.search(label):
        return "has a name or label that takes in another row; close its quote"
    if max(len(name), len(label), len(group)) > most:
        return f"has a name, label or group of more than {most:,} characters"
    if escape_text(name + label) != name + label:
        return "has a name or label that is not UTF-8"
    if not name:
        return f"in {place} names no image"
    return None if label else f"has no label in {place}"


def list_rows(path, folder, columns, files, labels, is_strict=False, elsewhere=()):
    """Return what a list names, with labels as they are, and the reasons against some rows."""
    # columns are those for images, labels and groups; files and labels are the usual names.
    rows = _read_rows(path)
    most = min(_LONGEST, max(_SHORTEST, most_characters(path) // len(rows)))
    cells = _cells_of(path, rows, "image", columns[0], files, is_strict)
    sources = [_source_of(cell, most) for cell in cells]
    classes = _cells_of(path, rows, "label", columns[1], labels, is_strict)
    is_file = [isinstance(source, str) for source in sources]
    found = iter(_find_files(compress(sources, is_file), path.parent, folder, elsewhere))
    images = [next(found) if isinstance(source, str) else source for source in sources]
    firsts = dict(zip(reversed(sources), reversed(rows.index), strict=True))
    names = [image if isinstance(image, str) else firsts[image] for image in images]
    groups = [""] * len(rows)
    if columns[2] is not None:  # a row without a group is its own
        pairs = zip(_cells_of(path, rows, "group", columns[2]), names, strict=True)
        groups = [name if _is_empty(cell) else str(cell)[: most + 1] for cell, name in pairs]
    places = [f"{place} of {path.name}" for place in rows.index]
    found = map(_fault_of, places, sources, classes, groups, repeat(most))
    reasons = {row: fault for row, fault in enumerate(found) if fault}
    others = bytes | dict | list | np.ndarray
    plain = [name for name in rows if not any(isinstance(cell, others) for cell in rows[name])]
    return Listing(
        images=np.array(images) if all(is_file) else _as_objects(images),
        labels=_as_objects(classes),
        names=np.array(
            [name if source else _EMPTY for name, source in zip(names, sources, strict=True)]
        ),
        groups=None if columns[2] is None else np.array(groups),
        columns=rows[plain].reset_index(drop=True),
    ), reasons


def _as_objects(items):
    return pd.Series(items, dtype=object).to_numpy(copy=True)


def without_conflicts(listing):
    """Leave out images that are listed with more than one label."""
    found = pd.Series(listing.labels).astype(str).groupby(listing.images, sort=False).unique()
    labels = {path: " and ".join(sorted(names)) for path, names in found.items() if len(names) > 1}
    places = [(row, path) for row, path in enumerate(listing.images) if path in labels]
    return listing.leave_out({row: f"is listed with the labels {labels[p]}" for row, p in places})
