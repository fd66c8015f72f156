"""Images in one sub-folder per class."""

import os
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from imbemotion._validation import shorten
from imbemotion.datasets._bunch import Listing, check_expected, make_bunch, normalize, warn
from imbemotion.images import ImageArray
from imbemotion.images._manifest import MANIFEST, read_manifest
from imbemotion.splitting import parent_groups

__all__ = ["load_image_folder"]

_SPLITS = {"train", "test", "val", "valid", "validation"}
_LAYOUT = "Expected a sub-folder of images per class, such as {folder}/happy/1.png."


def load_image_folder(
    folder,
    *,
    size=48,
    mode="gray",
    resize="stretch",
    n_jobs=None,
    labels=None,
    errors="raise",
    return_X_y=False,
):
    """Load images from a folder that holds a sub-folder per class.

    The name of the sub-folder is the label, as it stands. Pictures are found at any depth
    inside it; names that begin with a dot are ignored, and other files than pictures are
    reported. Where a ``manifest.csv`` says what pictures were made of, as
    ``AugmentationSampler.save`` and ``ImageArray.save`` write it, the parents are known again.

    Parameters
    ----------
    folder : str or Path
        The folder.

    size : int, tuple of (int, int) or None, default=48
        Height and width of the images; None keeps their own, which must then be the same.

    mode : {"gray", "rgb"}, default="gray"
        Whether images become grey or colour.

    resize : {"stretch", "crop", "pad"}, default="stretch"
        How an image of other proportions comes to `size`.

    n_jobs : int, default=None
        Number of threads.

    labels : list of str, default=None
        The class names to expect; None means any.

    errors : {"raise", "skip"}, default="raise"
        Whether unreadable files and unknown labels are an error or are left out.

    return_X_y : bool, default=False
        Whether to return only images and labels.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        With `data` (ImageArray), `target` (ndarray of str), `target_names` (the classes,
        sorted), `filenames` (ndarray of str), `groups` (ndarray of int where a manifest names
        pictures with parents in common, else None) and `skipped` (list of name and reason).
        The images are sorted by class, then by path.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.

    ValueError
        If it holds no classes, no images or splits such as train and test, if a label is
        unknown, or a file or the manifest can't be read.

    Warns
    -----
    DataWarning
        If files or folders are ignored, images are left out, an expected class has none,
        two classes look alike, there is one only beside a CSV file, or a manifest does not
        name a picture.

    See Also
    --------
    load_legend : Where a CSV file says what the images show.
    imbemotion.images.ImageArray.save : Writes such folders.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from imbemotion.datasets import make_faces
    >>> from imbemotion.images import ImageArray
    >>> X, y = make_faces({"happy": 2, "sad": 1}, random_state=0)
    >>> with TemporaryDirectory() as folder:
    ...     paths = ImageArray(X).save(f"{folder}/faces", labels=y)
    ...     load_image_folder(f"{folder}/faces").target.tolist()
    ['happy', 'happy', 'sad']
    """
    folder = Path(folder)
    paths, classes = _find_pictures(folder, _class_folders(folder))
    listing = Listing(images=paths, labels=classes, names=paths)
    bunch = make_bunch(
        listing, labels=check_expected(labels), errors=errors, return_X_y=False,
        size=size, mode=mode, resize=resize, n_jobs=n_jobs,
    )  # fmt: skip
    origins = read_manifest(folder, bunch.filenames)
    if origins is not None:
        parents, made = origins
        bunch.data = ImageArray(bunch.data, parents=parents, made=made)
        groups = parent_groups(parents)
        bunch.groups = groups if groups.max() + 1 < len(groups) else None
    return (bunch.data, bunch.target) if return_X_y else bunch


def _class_folders(folder):
    """List the sub-folders that stand for classes, in order."""
    layout = _LAYOUT.format(folder=folder)
    if not folder.exists():
        raise FileNotFoundError(f"{folder} does not exist. {layout}")
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file. {layout}")
    classes = sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    if not classes:
        raise ValueError(f"{folder} holds no class folders. {layout}")
    splits = [path for path in classes if path.name.lower() in _SPLITS]
    if splits and not (folder / MANIFEST).is_file():  # there a class may be called train
        raise ValueError(
            f"{folder} holds splits, not classes: {shorten([path.name for path in splits])}. "
            f"Load one of them, such as {splits[0]}."
        )
    if len(classes) == 1:
        legends = sorted(path.name for path in folder.glob("*.csv") if path.name != MANIFEST)
        if legends:
            name = classes[0].name
            warn(f"{folder} holds one class only, {name!r}. load_legend reads {shorten(legends)}.")
    _warn_of_lookalikes([path.name for path in classes])
    return classes


def _warn_of_lookalikes(names):
    alike = defaultdict(list)
    for name in names:
        alike[normalize(name)].append(name)
    pairs = [" and ".join(map(repr, same)) for same in alike.values() if len(same) > 1]
    if pairs:
        warn(f"These class folders differ in case or spaces only: {shorten(pairs)}.")


def _find_pictures(folder, classes):
    """List the pictures in all class folders and their classes, (n,) each."""
    paths, labels, others, empty = [], [], [], []
    for place in classes:
        files = sorted(_files_in(place))
        pictures = [path for path in files if _is_picture(path)]
        others += [path for path in files if not _is_picture(path)]
        empty += [] if pictures else [place.name]
        paths += map(str, pictures)
        labels += [place.name] * len(pictures)
    if not paths:
        layout = _LAYOUT.format(folder=folder)
        raise ValueError(f"{folder} holds no images in the folders {shorten(empty)}. {layout}")
    loose = sorted(path for path in folder.iterdir() if path.is_file() and _is_picture(path))
    _warn_of_rest(others, loose, empty)
    return np.array(paths), np.array(labels)


def _is_picture(path):
    """Tell by its suffix whether Pillow may be able to open a file."""
    kind = Image.registered_extensions().get(path.suffix.lower())
    return kind in Image.OPEN and not path.name.startswith(".")


def _files_in(folder):
    for place, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in files if not name.startswith("."))


def _refuse(error):
    raise error  # os.walk would go on without the folder


def _warn_of_rest(others, loose, empty):
    if others:
        warn(f"Ignored {len(others)} files that are no pictures: {shorten(others, 5)}.")
    if loose:
        warn(f"Ignored {len(loose)} pictures outside the class folders: {shorten(loose, 5)}.")
    if empty:
        warn(f"These class folders hold no images: {shorten(empty)}.")
