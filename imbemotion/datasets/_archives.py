"""Images and labels in one file: NumPy archives, and the CSV files of FER2013."""

import zipfile
import zlib
from collections import Counter
from math import isqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np

from imbemotion._base.validation import check_labels
from imbemotion.datasets._bunch import (
    Listing,
    check_expected,
    make_bunch,
    normalize,
    refuse_or_leave_out,
)

__all__ = [
    "load_fer2013",
    "load_npz",
]

_IMAGE_KEYS = ("images", "X", "x", "data", "arr_0")
_LABEL_KEYS = ("labels", "y", "target", "emotions", "arr_1")
_FILE_KEYS = ("files", "filenames")
_GROUP_KEYS = ("groups",)
_HOW = "Write one by np.savez(path, images=X, labels=y)."
_DAMAGED = (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error)


def load_npz(
    path,
    *,
    image_key=None,
    label_key=None,
    group_key=None,
    size=None,
    mode="gray",
    resize="stretch",
    n_jobs=None,
    labels=None,
    errors="raise",
    load_content=True,
    return_X_y=False,
):
    """Load images and labels from a NumPy archive.

    Parameters
    ----------
    path : str or Path
        A file as ``np.savez`` writes it, without Python objects.

    image_key : str, default=None
        The array of images, (n, height, width[, channels]). None takes the first that is
        there of images, X, x, data and arr_0.

    label_key : str, default=None
        The array of labels, (n,). None takes the first that is there of labels, y, target,
        emotions and arr_1.

    group_key : str, default=None
        The array of groups, (n,). None takes ``groups`` where it is there.

    size : int, tuple of (int, int) or None, default=None
        Height and width of the images; None keeps those of the archive.

    mode : {"gray", "rgb"}, default="gray"
        Whether images become grey or colour.

    resize : {"stretch", "crop", "pad"}, default="stretch"
        How an image of other proportions comes to `size`.

    n_jobs : int, default=None
        Number of threads.

    labels : list, default=None
        The classes to expect; None means any.

    errors : {"raise", "skip"}, default="raise"
        Whether missing and unknown labels are an error or such images are left out.

    load_content : bool, default=True
        Whether to read the images. Otherwise `data` are their names (ndarray of str): the
        `filenames` or, where there are none, ``"row 0"``, ``"row 1"`` and so on.

    return_X_y : bool, default=False
        Whether to return only images and labels.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        With `data` (ImageArray), `target` (ndarray), `target_names` (the classes, sorted),
        `filenames` (the array ``files`` or ``filenames``, else None), `groups` (ndarray or
        None) and `skipped` (list of name and reason). The images are in the order of the
        archive.

    Raises
    ------
    FileNotFoundError
        If there is no such file.

    ValueError
        If it is no archive, lacks an array, or its arrays don't fit one another.

    See Also
    --------
    load_image_folder : Load single files.

    Notes
    -----
    Labels that are strings become lower case with single spaces; others stay as they are.

    Examples
    --------
    >>> from tempfile import NamedTemporaryFile
    >>> from imbemotion.datasets import make_faces
    >>> X, y = make_faces({"happy": 2, "sad": 1}, random_state=0)
    >>> with NamedTemporaryFile(suffix=".npz") as file:
    ...     np.savez(file.name, images=X, labels=y)
    ...     data = load_npz(file.name)
    >>> data.data.shape
    (3, 48, 48)
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file. Name an .npz archive.")
    with path.open("rb") as file:
        archive = _open(file, path)
        read = _array if load_content else _only_length
        images = read(archive, path, "image", image_key, _IMAGE_KEYS)
        classes = _array(archive, path, "label", label_key, _LABEL_KEYS)
        files = _optional(archive, path, None, _FILE_KEYS)
        groups = _optional(archive, path, group_key, _GROUP_KEYS)
    _check_lengths(path, images=images, labels=classes, files=files, groups=groups)
    listing = Listing(
        images=images,
        labels=_check_classes(classes),
        names=np.array([f"row {row}" for row in range(len(images))]) if files is None else files,
        groups=groups,
    )
    listing = refuse_or_leave_out(listing, _unlabeled(listing.labels), errors)
    return make_bunch(
        listing, labels=check_expected(labels, normalize), errors=errors, return_X_y=return_X_y,
        load_content=load_content, has_files=files is not None,
        size=size, mode=mode, resize=resize, n_jobs=n_jobs,
    )  # fmt: skip


def _open(file, path):
    try:
        archive = np.load(file, allow_pickle=False)
    except _DAMAGED as error:
        raise ValueError(f"{path} is not a NumPy archive. {_HOW}") from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError(f"{path} holds a single array of shape {archive.shape}. {_HOW}")
    return archive


def _array(archive, path, what, key, usual):
    """Read the array of that key, or of the first usual key that is there."""
    name = _choose(archive, path, what, key, usual)
    try:
        return archive[name]
    except _DAMAGED as error:
        raise ValueError(f"The array {name} of {path} can't be read: {error}.") from error


def _only_length(archive, path, what, key, usual):
    """Give row numbers in the place of an array, of which only the shape is read."""
    name = _choose(archive, path, what, key, usual)
    try:
        with archive.zip.open(f"{name}.npy") as member:
            version = np.lib.format.read_magic(member)
            header = getattr(np.lib.format, f"read_array_header_{min(version[0], 2)}_0")
            shape, _, _ = header(member)
    except _DAMAGED as error:
        raise ValueError(f"The array {name} of {path} can't be read: {error}.") from error
    return np.arange(shape[0]) if shape else np.array(0)


def _choose(archive, path, what, key, usual):
    found = [name for name in (usual if key is None else (key,)) if name in archive.files]
    if not found:
        wanted = " or ".join(usual if key is None else (key,))
        raise ValueError(
            f"{path} must hold an array {wanted}, got {', '.join(archive.files)}. "
            f"Name another by {what}_key=."
        )
    return found[0]


def _optional(archive, path, key, usual):
    if key is None and not set(usual) & set(archive.files):
        return None
    return _array(archive, path, "group", key, usual)


def _check_lengths(path, **arrays):
    lengths = {
        name: len(array) if array.ndim else "a single value"
        for name, array in arrays.items()
        if array is not None
    }
    if len(set(lengths.values())) > 1 or "a single value" in lengths.values():
        found = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"The arrays of {path} must be of the same length, got {found}.")


def _check_classes(labels):
    """Check labels and normalise those that are strings, (n,)."""
    labels = check_labels(np.char.decode(labels, "utf-8") if labels.dtype.kind == "S" else labels)
    return np.array([normalize(label) for label in labels]) if labels.dtype.kind == "U" else labels


def _unlabeled(labels):
    if labels.dtype.kind != "U":
        return {}
    return dict.fromkeys(np.flatnonzero(labels == "").tolist(), "has no label")


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
    """Read numbers of up to three digits between spaces, (n_pixels,)."""
    # All are read at once, from their last digits backwards.
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
