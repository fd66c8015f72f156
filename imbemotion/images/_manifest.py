"""The manifest: a CSV file beside saved pictures that says where each of them comes from."""

import csv
import re
import warnings
from pathlib import Path

import numpy as np

from imbemotion._validation import DataWarning, shorten

__all__ = ["MANIFEST", "read_manifest", "write_manifest"]

MANIFEST = "manifest.csv"
_COLUMNS = ("file", "label", "parent", "seed", "made")
_NEEDED = {"file", "parent", "made"}
_LOOKS_LIKE = re.compile(r"parent|seed")  # columns that others do not have


def write_manifest(folder, files, labels, images):
    """Write one line per picture.

    Parameters
    ----------
    folder : Path
        Where the pictures are.

    files : list of str of length n
        Their paths in the folder, with slashes.

    labels : array-like of shape (n,)
        Their classes.

    images : ImageArray of shape (n, height, width[, channels])
        The pictures. `parent` becomes the rows that one was made of, with spaces between
        them; `seed` that of its augmentation; `made` is 0 for originals and their copies.
    """
    with (folder / MANIFEST).open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(_COLUMNS)
        seeds = images._content.recipes.seeds
        for path, label, parents, seed, made in zip(
            files, labels, images.parents.tolist(), seeds, images.made, strict=True
        ):
            known = " ".join(str(number) for number in parents if number >= 0)
            lines.writerow([path, label, known, seed, int(made)])


def read_manifest(folder, paths):
    """Read where pictures come from.

    Parameters
    ----------
    folder : Path
        Where the manifest is.

    paths : sequence of str of length n
        The pictures. One that the manifest does not name is an original.

    Returns
    -------
    origins : tuple of (ndarray of int of shape (n, n_parents), ndarray of bool of shape (n,))
        Parents (-1 for none) and whether a picture is made; None where there is no manifest.

    Raises
    ------
    ValueError
        If a column is missing or a line can't be understood.

    Warns
    -----
    DataWarning
        If the manifest does not name a picture.
    """
    lines = _lines(folder / MANIFEST)
    if lines is None:
        return None
    known = dict(_origins(lines, folder / MANIFEST))
    new = max((max(parents, default=-1) for parents, _ in known.values()), default=-1) + 1
    found, strange = [], []
    for path in paths:
        name = Path(path).relative_to(folder).as_posix()
        if name not in known:
            known[name], new = ([new], False), new + 1
            strange.append(name)
        found.append(known[name])
    if strange:
        warnings.warn(
            f"{MANIFEST} does not name {len(strange)} of the pictures, which count as originals "
            f"therefore: {shorten(strange, 3)}. If they were moved or renamed, move them back.",
            DataWarning,
            stacklevel=4,
        )
    width = max([2, *(len(parents) for parents, _ in found)])
    padded = [parents + [-1] * (width - len(parents)) for parents, _ in found]
    return np.array(padded, dtype=np.int64), np.array([made for _, made in found], dtype=bool)


def _lines(path):
    """Give the lines as dicts; None where there is no manifest of this kind."""
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        columns = set(lines.fieldnames or ())
        if not columns >= _NEEDED and _LOOKS_LIKE.search(" ".join(columns)):
            raise ValueError(
                f"{path} must have the columns {', '.join(_COLUMNS)} between commas, got "
                f"{', '.join(sorted(columns))}. Correct it, or remove the file."
            )
        return list(lines) if columns >= _NEEDED else None


def _origins(lines, path):
    for number, line in enumerate(lines, start=2):
        try:
            parents = [int(word) for word in line["parent"].split()]
            yield line["file"], (parents, bool(int(line["made"])))
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"Line {number} of {path} must name parents by numbers and made by 0 or 1, got "
                f"{line['parent']!r} and {line['made']!r}. Correct it, or remove the file."
            ) from error
