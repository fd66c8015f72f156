"""The manifest: a CSV file beside saved pictures that says where each of them comes from."""

import csv
from pathlib import Path

import numpy as np

__all__ = ["MANIFEST", "read_manifest", "write_manifest"]

MANIFEST = "manifest.csv"
_COLUMNS = ("file", "label", "parent", "seed", "made")


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
        If a line can't be understood.
    """
    lines = _lines(folder / MANIFEST)
    if lines is None:
        return None
    known = dict(_origins(lines, folder / MANIFEST))
    new = max((max(parents, default=-1) for parents, _ in known.values()), default=-1) + 1
    found = []
    for path in paths:
        name = Path(path).relative_to(folder).as_posix()
        origin = known.get(name)
        if origin is None:
            origin, new = ([new], False), new + 1
        found.append(origin)
    width = max([2, *(len(parents) for parents, _ in found)])
    padded = [parents + [-1] * (width - len(parents)) for parents, _ in found]
    return np.array(padded, dtype=np.int64), np.array([made for _, made in found], dtype=bool)


def _lines(path):
    """Give the lines as dicts; None where there is no manifest of this kind."""
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        if not {"file", "parent", "made"} <= set(lines.fieldnames or ()):
            return None
        return list(lines)


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
