"""The CSV files of the FER2013 challenge: emotions as numbers, faces as text."""

from collections import Counter
from math import isqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np

from imbemotion.datasets._bunch import (
    Listing,
    check_expected,
    make_bunch,
    normalize,
    refuse_or_leave_out,
)

__all__ = ["load_fer2013"]

_NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_EMOTIONS = {str(number).encode(): name for number, name in enumerate(_NAMES)}
_USAGES = {usage.lower().encode(): usage for usage in ("Training", "PublicTest", "PrivateTest")}
_SPLITS = {"train": ("Training",), "test": ("PublicTest", "PrivateTest")} | {
    usage: (usage,) for usage in _USAGES.values()
}
_BOM = b"\xef\xbb\xbf"
_AROUND_CELLS = b' "\t\r\n'
_SHOWN = 60  # characters of a broken file that an error quotes
_BUFFER = 2**20


class _Row(NamedTuple):
    """One line of the file."""

    name: str  # what reports call it
    label: str
    usage: str
    pixels: np.ndarray  # (n_pixels,)
    problem: str  # why it can't be used, empty where it can


def load_fer2013(
    path,
    *,
    split=None,
    size=None,
    mode="gray",
    resize="stretch",
    n_jobs=None,
    labels=None,
    errors="raise",
    return_X_y=False,
):
    r"""Load a CSV file of the FER2013 challenge.

    All of its forms are read: ``fer2013.csv``, ``icml_face_data.csv`` and ``train.csv``. Of a
    line, ``emotion`` is a number, ``pixels`` are the grey values of a square face, row by row,
    and ``Usage``, where it is there, is the part of the challenge that the face belongs to.

    Parameters
    ----------
    path : str or Path
        The CSV file.

    split : {"train", "test", "Training", "PublicTest", "PrivateTest"}, default=None
        The part to load, by its Usage: "train" stands for Training, "test" for PublicTest and
        PrivateTest together. None means the whole file.

    size : int, tuple of (int, int) or None, default=None
        Height and width of the images; None keeps those of the file, which are 48 and 48.

    mode : {"gray", "rgb"}, default="gray"
        Whether images become grey or colour.

    resize : {"stretch", "crop", "pad"}, default="stretch"
        How an image comes to a `size` that is no square.

    n_jobs : int, default=None
        Number of threads that resize.

    labels : list of str, default=None
        The class names to expect; None means any of the seven.

    errors : {"raise", "skip"}, default="raise"
        Whether broken lines and labels that are not expected are an error or are left out.

    return_X_y : bool, default=False
        Whether to return only images and labels.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        With `data` (ImageArray of shape (n_samples, height, width[, 3])), `target` (ndarray
        of str of shape (n_samples,)), `target_names` (the classes, sorted), `usage` (ndarray
        of str of shape (n_samples,), or None where the file does not tell), `filenames` and
        `groups` (None) and `skipped` (list of line and reason). The images are in the order
        of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.

    ValueError
        If a column is missing, there is no line of the split, or a line can't be used.

    Warns
    -----
    DataWarning
        If lines are left out, or an expected class has none.

    See Also
    --------
    load_npz : Load images from a NumPy archive, which is smaller and faster.
    load_legend : Where the images are files.

    Notes
    -----
    The numbers 0 to 6 become angry, disgust, fear, happy, sad, surprise and neutral. The
    challenge's ``test.csv`` has no emotions and is refused; the same faces with theirs are
    PublicTest in ``fer2013.csv`` and ``icml_face_data.csv``.

    Lines outside `split` are not checked. Faces that are there more than once are all kept,
    also those whose copy is in the other part of the challenge.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "fer2013.csv")
    ...     lines = "3,0 9 99 255,Training\n4,8 7 6 5,PublicTest\n"
    ...     _ = path.write_text(f"emotion,pixels,Usage\n{lines}")
    ...     faces = load_fer2013(path, split="train")
    >>> faces.target.tolist(), faces.usage.tolist()
    (['happy'], ['Training'])
    >>> np.asarray(faces.data[0])
    array([[  0,   9],
           [ 99, 255]], dtype=uint8)
    """
    if split not in (None, *_SPLITS):
        raise ValueError(f"split must be None or one of {', '.join(_SPLITS)}, got {split!r}.")
    listing = _read(Path(path), split, errors)
    bunch = make_bunch(
        listing, labels=check_expected(labels, normalize), errors=errors, return_X_y=False,
        has_files=False, size=size, mode=mode, resize=resize, n_jobs=n_jobs,
    )  # fmt: skip
    if return_X_y:
        return bunch.data, bunch.target
    bunch.usage, bunch.groups = bunch.groups, None
    return bunch


def _read(path, split, errors):
    """Read the file; the usage takes the place of the groups in the listing."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file. Name a CSV file.")
    with path.open("rb", buffering=_BUFFER) as file:
        columns = _columns(file.readline(), path)
        if split is not None and "usage" not in columns:
            raise ValueError(f"{path} has no column Usage, so split must be None, got {split!r}.")
        rows = list(_rows(file, columns, split))
    if not rows:
        wanted = "" if split is None else f" of split={split!r}"
        raise ValueError(f"{path} lists no images{wanted}. Expected one per line.")
    side = _side(rows, path)
    listing = Listing(
        images=_stack(rows, side),
        labels=np.array([row.label for row in rows]),
        names=np.array([row.name for row in rows]),
        groups=np.array([row.usage for row in rows]) if "usage" in columns else None,
    )
    return refuse_or_leave_out(listing, _problems(rows, side), errors)


def _columns(header, path):
    """Give the place of every column by its name in lower case."""
    cells = _cells(header.removeprefix(_BOM))
    columns = {cell.decode("utf-8", "replace").lower(): i for i, cell in enumerate(cells)}
    if "pixels" not in columns:
        raise ValueError(
            f"{path} must begin with the names of its columns, emotion, pixels and Usage, "
            f"separated by commas, got {header.decode('utf-8', 'replace').strip()[:_SHOWN]!r}."
        )
    if "emotion" not in columns:
        raise ValueError(
            f"{path} has no column emotion, got {', '.join(columns)}: its images have no labels. "
            "Load fer2013.csv or icml_face_data.csv, where the test images have theirs."
        )
    return columns


def _cells(line):
    return [cell.strip(_AROUND_CELLS) for cell in line.split(b",")]


def _rows(lines, columns, split):
    """Give the rows of the split, and those that don't tell theirs."""
    unwanted = set() if split is None else set(_USAGES.values()) - set(_SPLITS[split])
    width = max(columns.values()) + 1
    for number, line in enumerate(lines, start=2):
        cells = _cells(line)
        if any(cells):
            cells += [b""] * (width - len(cells))
            found = {name: cells[place] for name, place in columns.items()}
            if _USAGES.get(found.get("usage", b"").lower()) not in unwanted:
                yield _row(f"line {number}", found)


def _row(name, cells):
    pixels, problem = np.empty(0, dtype=np.uint8), ""
    try:
        pixels = _numbers(cells["pixels"])
    except ValueError as error:
        problem = str(error)
    label = _EMOTIONS.get(cells["emotion"], "")
    usage = _USAGES.get(cells.get("usage", b"").lower(), "")
    if not (problem or label):
        problem = f"has the emotion {_quote(cells['emotion'])}, expected 0 to {len(_NAMES) - 1}"
    if not (problem or usage) and "usage" in cells:
        expected = ", ".join(_USAGES.values())
        problem = f"has the Usage {_quote(cells['usage'])}, expected {expected}"
    return _Row(name, label, usage, pixels, problem)


def _quote(cell):
    return repr(cell.decode("utf-8", "replace")[:_SHOWN])


def _numbers(text):
    """Read numbers of up to three digits between spaces, (n_pixels,).

    All are read at once, from their last digits backwards.
    """
    codes = np.frombuffer(b"   " + text + b" ", dtype=np.uint8)
    digits = codes.astype(np.uint16) - np.uint16(ord("0"))  # other characters wrap around
    is_digit = digits < 10
    last = np.flatnonzero(is_digit[:-1] & ~is_digit[1:])
    has_tens = is_digit[last - 1]
    has_hundreds = has_tens & is_digit[last - 2]
    values = digits[last] + has_tens * (10 * digits[last - 1])
    values += has_hundreds * (100 * digits[last - 2])
    is_fine = (is_digit | (codes == ord(" "))).all() and (values < 256).all()
    if not is_fine or (has_hundreds & is_digit[last - 3]).any():
        wrong = next(part for part in text.split(b" ") if part and not _is_pixel(part))
        raise ValueError(f"has the pixel {_quote(wrong)}, expected 0 to 255")
    return values.astype(np.uint8)


def _is_pixel(text):
    return text.isdigit() and len(text) <= 3 and int(text) < 256


def _side(rows, path):
    """Give height and width of the images: what most of the rows have."""
    counts = Counter(len(row.pixels) for row in rows)
    squares = [n for n, _ in counts.most_common() if n and isqrt(n) ** 2 == n]
    if not squares:
        reason = rows[0].problem or f"has {len(rows[0].pixels)} pixels"
        raise ValueError(f"{path} holds no square image: {rows[0].name} {reason}.")
    return isqrt(squares[0])


def _stack(rows, side):
    """Put the pixels together, (n, side, side), zeros where a row has others."""
    images = np.zeros((len(rows), side, side), dtype=np.uint8)
    for image, row in zip(images, rows, strict=True):
        if len(row.pixels) == side**2:
            image.flat = row.pixels
    return images


def _problems(rows, side):
    """Say why rows can't be used, by row."""
    reasons = {}
    for number, row in enumerate(rows):
        if row.problem:
            reasons[number] = row.problem
        elif len(row.pixels) != side**2:
            reasons[number] = f"has {len(row.pixels)} pixels, expected {side**2}"
    return reasons
