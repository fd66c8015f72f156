"""Images and labels in one file: NumPy archives, and the CSV files of FER2013."""

import os
import re
import zipfile
import zlib
from collections import Counter
from math import isqrt, prod
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from sklearn.utils import Bunch

from imbemotion._base.validation import check_labels, cut_label, shorten, warn
from imbemotion.datasets._bunch import (
    ImageSettings,
    Listing,
    SourceKind,
    is_file_of,
    make_bunch,
    most_characters,
    normalize,
    row_names,
)
from imbemotion.datasets._lists import LABEL_COLUMNS, read_csv, read_header

_IMAGE_KEYS = ("images", "X", "x", "data", "arr_0")
_LABEL_KEYS = ("labels", "y", "target", "emotions", "arr_1")
_FILE_KEYS = ("files", "filenames")
_HOW = "Write one with np.savez(path, images=X, labels=y)."
_DAMAGED = (ValueError, OSError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error)
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt")
_EMOTIONS = dict(zip("01234567", _NAMES, strict=True))  # 7 is that of CK+ and of later copies
_USAGES = {usage.lower(): usage for usage in ("Training", "PublicTest", "PrivateTest")}
_SPLITS = {"train": ("Training",), "test": ("PublicTest", "PrivateTest")} | {
    usage: (usage,) for usage in _USAGES.values()
}
_PIXEL = re.compile("[01]?[0-9]?[0-9]|2[0-4][0-9]|25[0-5]")
_NO_PIXELS = np.empty(0, dtype=np.uint8)
_ROWS_PER_BYTE = 10  # of a file
_REASON = 200  # characters of what another library says
_SHOWN = 60  # characters of a broken file that an error quotes


def load_npz(
    path: str | os.PathLike, *, image_key: str | None = None, label_key: str | None = None,
    group_key: str | None = None, **settings: Unpack[ImageSettings],
) -> Bunch | Any:  # fmt: skip
    """Load images and labels from a NumPy archive.

    Parameters
    ----------
    path : str or Path
        A file as ``np.savez`` writes it, without Python objects.
    image_key : str, default=None
        Array of images, (n, height, width[, channels]). None takes the first of images, X, x,
        data and arr_0.
    label_key : str, default=None
        Array of labels, (n,). None takes the first of labels, y, target, emotions and arr_1.
    group_key : str, default=None
        Array of groups, (n,). None takes ``groups`` if there is one.
    **settings : size, mode, resize, n_jobs, labels, label_map, errors, load_content, return_X_y
        As in :func:`load_source`, but ``size=None``, which keeps the size of the images.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        As :func:`load_source` returns it, in the order of the archive. `filenames` are the array
        ``files`` or ``filenames``, or None; without `load_content`, `data` are then ``"row 0"``,
        ``"row 1"`` and so on. Text becomes lower case; labels that are one-hot or (n, 1), (n,).

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is not an archive, lacks an array, or its arrays differ in length.

    Examples
    --------
    >>> import numpy as np
    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile(suffix=".npz") as file:
    ...     np.savez(file.name, images=np.zeros((3, 48, 48)), labels=["a", "b", "b"])
    ...     load_npz(file.name).data.shape
    (3, 48, 48)
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is not a file. Expected an .npz.")
    only_rows = not settings.get("load_content", True)
    with path.open("rb") as file:
        archive = _open(file, path)
        images = _array(archive, path, "image", image_key, _IMAGE_KEYS, only_rows)
        classes = _array(archive, path, "label", label_key, _LABEL_KEYS)
        files = _array(archive, path, "file", None, _FILE_KEYS, is_optional=True)
        groups = _array(archive, path, "group", group_key, ("groups",), is_optional=True)
    files, groups = _as_column(files, path, "file"), _as_column(groups, path, "group")
    classes = _as_column(_from_one_hot(classes, len(images), path), path, "label")
    _check_lengths(path, images=images, labels=classes, files=files, groups=groups)
    names = row_names(len(images)) if files is None else files
    labels, unlabeled = check_labels(classes), ()
    if labels.dtype.kind == "U":
        labels = np.array([normalize(label) for label in labels])
        unlabeled = np.flatnonzero(labels == "")
    listing, errors = Listing(images, labels, names, groups), settings.get("errors", "raise")
    listing = listing.leave_out(dict.fromkeys(unlabeled, "has no label"), errors)
    settings = {"size": None, "has_files": files is not None} | settings
    return make_bunch(listing, path, clean=normalize, **settings)


def _open(file, path):
    try:
        archive = np.load(file, allow_pickle=False)  # Python objects could run code
    except _DAMAGED as error:
        raise ValueError(f"{path} is not a NumPy archive. {_HOW}") from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError(f"{path} holds a single array of shape {archive.shape}. {_HOW}")
    kinds = {member.compress_type for member in archive.zip.filelist}
    if kinds - _COMPRESSIONS:  # a few bytes of others expand to gigabytes
        raise ValueError(f"{path} is compressed otherwise than NumPy does. {_HOW}")
    return archive


def _array(archive, path, what, key, usual, only_rows=False, is_optional=False):
    """Read the array of that key, or of the first usual one; or only number its rows."""
    choice = usual if key is None else (key,)
    name = next((name for name in choice if name in archive.files), None)
    if name is None and is_optional and key is None:  # a key that is named must exist
        return None
    if name is None:
        raise ValueError(
            f"{path} must hold an array {' or '.join(choice)}, got {', '.join(archive.files)}. "
            f"Name another with {what}_key=."
        )
    try:
        shape, dtype = _read_head(archive, name)
        if dtype.hasobject:
            raise ValueError(
                "it holds Python objects, which could run code. Write it as text or numbers, "
                f"with {name}=np.array({name}.tolist())"
            )
        most = _ROWS_PER_BYTE * path.stat().st_size
        if shape and shape[0] > most:  # zeros compress a thousandfold
            raise ValueError(f"it has {shape[0]} rows, but the file has bytes for {most} at most")
        if dtype.kind in "SU" and prod(shape) * dtype.itemsize > 4 * most_characters(path):
            raise ValueError(f"it has {prod(shape)} texts of the length of the longest, {dtype}")
        return np.arange(shape[0]) if shape and only_rows else archive[name]
    except _DAMAGED as error:
        reason = cut_label(error, _REASON)
        raise ValueError(f"The array {name} of {path} cannot be read: {reason}.") from error


def _read_head(archive, name):
    with archive.zip.open(f"{name}.npy") as member:
        # Version 3 differs from 2 in the encoding of field names only.
        version = np.lib.format.read_magic(member)
        header = getattr(np.lib.format, f"read_array_header_{min(version[0], 2)}_0")
        shape, _, dtype = header(member)
    return shape, dtype


def _from_one_hot(labels, n_images, path):
    """Return the column of the only one in each row, where all rows have one, (n, k) -> (n,)."""
    is_table = labels.ndim == 2 and len(labels) == n_images and labels.shape[1] > 1
    if not is_table or labels.dtype.kind not in "biuf":
        return labels
    is_wrong = ((labels != 0) & (labels != 1)).any(axis=1) | (labels.sum(axis=1) != 1)
    if is_wrong.any():
        row = is_wrong.argmax()
        raise ValueError(
            f"The labels in {path} must be of shape (n,) or one-hot, got {shorten(labels[row])} "
            f"in row {row}. Write labels.argmax(axis=1) if the largest is the class."
        )
    warn(f"The labels in {path} are one-hot: took columns as classes. Name them by label_map.")
    return labels.argmax(axis=1)


def _as_column(values, path, what):
    """Return labels, files or groups as text or numbers, (n, 1) -> (n,)."""
    if values is None or not values.ndim:
        return values
    if values.size not in values.shape or values.dtype.kind in "Vc":  # records, complex numbers
        got = f"shape {values.shape} and dtype {cut_label(values.dtype)}"
        raise ValueError(f"{path} must hold a {what} per image, (n,), text or number, got {got}.")
    values = values.ravel()
    if values.dtype.kind != "S":
        return values
    try:
        return np.char.decode(values, "utf-8")
    except UnicodeDecodeError:
        text = np.char.decode(values, "latin-1")
        names = shorten([name for name in np.unique(text).tolist() if not name.isascii()], 3)
        warn(
            f"The {what}s in {path} are bytes, but not UTF-8: read as Latin-1, such as {names}. "
            "If that is wrong, write them as text."
        )
        return text


def _check_lengths(path, **arrays):
    given = {name: array for name, array in arrays.items() if array is not None}
    lengths = {name: len(x) if x.ndim else "a single value" for name, x in given.items()}
    if len(set(lengths.values())) > 1 or "a single value" in lengths.values():
        found = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"The arrays of {path} must be of the same length, got {found}.")


def load_fer2013(
    path: str | os.PathLike, *, split: str | None = None, **settings: Unpack[ImageSettings]
) -> Bunch | Any:
    r"""Load the faces of the FER2013 challenge from one of its CSV files.

    These are ``fer2013.csv``, ``icml_face_data.csv``, ``train.csv`` and later copies, separated by
    commas, semicolons or tabs. In a line, ``emotion`` (or ``label``, if there is no ``emotion``)
    is a number or a name, ``pixels`` are the gray values of a square face, row by row, and
    ``Usage``, if there is one, is the subset of the challenge that the face belongs to.

    Parameters
    ----------
    path : str or Path
        The CSV file.
    split : {"train", "test", "Training", "PublicTest", "PrivateTest"}, default=None
        Subset to load: "train" means Training, "test" means PublicTest and PrivateTest
        together. None means the whole file.
    **settings : size, mode, resize, n_jobs, labels, label_map, errors, load_content, return_X_y
        As in :func:`load_source`, but ``size=None``, which keeps 48 x 48 pixels.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        As :func:`load_source` returns it, in the order of the file, with another entry `usage`
        (ndarray of str, or None if the file has none). `filenames` and `groups` are None.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If a column is missing, the subset has no line, or a line cannot be used.

    Warns
    -----
    DataWarning
        If lines are left out, or an expected class has none.

    Notes
    -----
    The numbers 0 to 7 become angry, disgust, fear, happy, sad, surprise, neutral and, not in the
    challenge itself, contempt. Names stay, in lower case. The challenge's ``test.csv`` has no
    emotions and is refused; the same faces with emotions are PublicTest in the other files. Lines
    outside `split` are not checked. Faces that occur more than once are all kept.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "fer2013.csv")
    ...     _ = path.write_text("emotion,pixels,Usage\n3,0 9 99 255,Training\n")
    ...     faces = load_fer2013(path, split="train")
    >>> faces.target.tolist(), faces.data[0].tolist()
    (['happy'], [[0, 9], [99, 255]])
    """
    if split not in (None, *_SPLITS):
        raise ValueError(f"split must be None or one of {', '.join(_SPLITS)}, got {split!r:.90}.")
    # Until the images are read, the usage takes the place of groups.
    listing, reasons = _read_faces(Path(path), split)
    listing = listing.leave_out(reasons, settings.get("errors", "raise"))
    return_X_y = settings.pop("return_X_y", False)
    bunch = make_bunch(listing, path, clean=normalize, **({"size": None} | settings))
    bunch.usage, bunch.groups = bunch.groups, None
    return (bunch.data, bunch.target) if return_X_y else bunch


def _read_faces(path, split):
    """Return the faces of a split, and the reasons against some."""
    rows = _read_columns(path)
    has_usage = "usage" in rows
    if split is not None and not has_usage:
        raise ValueError(f"{path} has no column Usage, so split must be None, got {split!r:.90}.")
    rows = rows if has_usage else rows.assign(usage="Training")
    usages = rows["usage"].str.lower().map(_USAGES)
    if split is not None:  # faces without a valid usage stay, as errors
        is_wanted = usages.isna() | usages.isin(_SPLITS[split])
        rows, usages = rows[is_wanted], usages[is_wanted]
    if rows.empty:
        wanted = "" if split is None else f" of split={split!r:.90}"
        raise ValueError(f"{path} lists no images{wanted}. Expected one per line.")
    labels = _name_emotions(rows["emotion"])
    images, reasons = _read_images(rows.assign(label=labels), path)
    usages = usages.fillna("").to_numpy(dtype=str) if has_usage else None
    return Listing(images, labels, rows.index.to_numpy(), usages), reasons


def _name_emotions(cells):
    """Return the name of each emotion, empty where there is none, (n,)."""
    names = cells.map(normalize)
    # Among numbers, a word that is unknown is a mistake.
    is_known = names.isin(_NAMES) | (not names.str.fullmatch(r"[-+.0-9]+").any())
    return names.map(_EMOTIONS).fillna(names.where(is_known, "")).to_numpy(dtype=str)


def _read_columns(path):
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is not a file. Expected a CSV file.")
    rows = read_csv(path)
    header = ",".join(rows.columns)
    rows = rows.rename(columns=str.lower)  # the challenge writes Usage and " Usage"
    if "pixels" not in rows:
        raise ValueError(
            f"{path} must begin with the names of its columns, emotion, pixels and Usage, "
            f"separated by commas, got {header[:_SHOWN]!r}."
        )
    found = [name for name in LABEL_COLUMNS if name in rows]
    if len(found) > 1 and found[0] != "emotion":
        raise ValueError(
            f"The emotions in {path} may be {' or '.join(found)}. Name one of them emotion."
        )
    if not found:
        raise ValueError(
            f"{path} has no column emotion, got {header}: its images have no labels. "
            "Load fer2013.csv or icml_face_data.csv, where the test images have theirs."
        )
    return rows.rename(columns={found[0]: "emotion"})


def _read_images(rows, path):
    """Return the images, (n, side, side), zeros where a row is broken, and the reasons."""
    faces, reasons = [], {}
    columns = rows[["label", "emotion", "usage", "pixels"]].to_numpy()
    for row, (label, emotion, usage, text) in enumerate(columns):
        try:
            faces.append(_numbers(text.encode()))
            _check_face(label, emotion, usage)
        except ValueError as error:
            reasons[row] = str(error)
            faces += [_NO_PIXELS] * (row + 1 - len(faces))
    counts = Counter(map(len, faces))  # most of them are right
    square = next((n for n, _ in counts.most_common() if n and isqrt(n) ** 2 == n), None)
    if square is None:
        reason = reasons.get(0, f"has {len(faces[0])} pixels")
        raise ValueError(f"{path} holds no square image: {rows.index[0]} {reason}.")
    images = np.zeros((len(faces), isqrt(square), isqrt(square)), dtype=np.uint8)
    for row, face in enumerate(faces):
        if len(face) == square:  # a broken row stays black until it is refused or left out
            images[row].flat = face
        else:
            reasons.setdefault(row, f"has {len(face)} pixels, expected {square}")
    return images, reasons


def _check_face(label, emotion, usage):
    if not label:
        raise ValueError(f"has the emotion {emotion[:_SHOWN]!r}, expected 0 to 7 or its name")
    if usage.lower() not in _USAGES:
        expected = ", ".join(_USAGES.values())
        raise ValueError(f"has the Usage {usage[:_SHOWN]!r}, expected {expected}")


def _numbers(text):
    """Read numbers of up to three digits between spaces, (n_pixels,)."""
    # All are read at once, from their last digits backwards. np.fromstring is as fast, but
    # reads -7, 0007 and a blank as pixels; a pattern that refuses them takes three times as long.
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
        parts = text.decode("utf-8", "replace").split(" ")
        wrong = next(part for part in filter(None, parts) if not _PIXEL.fullmatch(part))
        raise ValueError(f"has the pixel {wrong[:_SHOWN]!r}, expected 0 to 255")
    return values.astype(np.uint8)


def _load_fer2013(path, *, load_content, **settings):
    """Load a file of FER2013 as a source, whose rows have names."""
    bunch = load_fer2013(path, **settings)
    if not load_content:
        bunch.data = row_names(len(bunch.target))
    return bunch


_KEYS = {f"{name}_column": f"{name}_key" for name in ("image", "label", "group")}
ARCHIVE = SourceKind("an archive", is_file_of(".npz"), load_npz, _KEYS)
_is_fer2013 = is_file_of(".csv", such_that=lambda path: "pixels" in read_header(path))
FER2013 = SourceKind("a file of FER2013", _is_fer2013, _load_fer2013)
