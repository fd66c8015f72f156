"""Images and labels in one NumPy archive."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from imbemotion._validation import check_labels
from imbemotion.datasets._bunch import (
    Listing,
    check_expected,
    make_bunch,
    normalize,
    refuse_or_leave_out,
)

__all__ = ["load_npz"]

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
