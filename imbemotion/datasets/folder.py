"""Images in one sub-folder per class."""

import os
import re
from pathlib import Path

import numpy as np
from PIL import Image

from imbemotion._base.validation import shorten
from imbemotion.datasets._bunch import (
    Listing,
    check_expected,
    leave_out,
    make_bunch,
    warn,
    warn_of_lookalikes,
)
from imbemotion.images import ImageArray
from imbemotion.images.manifest import MANIFEST, read_manifest
from imbemotion.leaks import join_groups, parent_groups

__all__ = [
    "check_pattern",
    "class_folders",
    "files_in",
    "list_by_names",
    "load_image_folder",
    "picture_suffixes",
    "read_names",
]


def check_pattern(pattern):
    """Check a regular expression that finds the label in a path."""
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(
            f"label_pattern must be a regular expression, got {pattern!r}: {error}."
        ) from error
    if not compiled.groups:
        raise ValueError(
            "label_pattern must mark the label by brackets, such as '(?P<label>[a-z]+)_', "
            f"got {pattern!r}."
        )
    return compiled


def read_names(pattern, names):
    """Find label and group in every name."""
    label = "label" if "label" in pattern.groupindex else 1
    found = [pattern.search(name) for name in names]
    labels = [(match and match[label]) or "" for match in found]
    reasons = {
        row: f"does not match the pattern {pattern.pattern}"
        for row, text in enumerate(labels)
        if not text
    }
    groups = None
    if "group" in pattern.groupindex:
        groups = np.array(
            [(match and match["group"]) or name for match, name in zip(found, names, strict=True)]
        )
    return np.array(labels), groups, reasons


_SPLITS = {"train", "test", "val", "valid", "validation"}
_LAYOUT = "Expected a sub-folder of images per class, such as {folder}/happy/1.png."


def load_image_folder(
    folder,
    *,
    label_pattern=None,
    size=48,
    mode="gray",
    resize="stretch",
    n_jobs=None,
    labels=None,
    errors="raise",
    load_content=True,
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

    label_pattern : str or re.Pattern, default=None
        A regular expression that finds the label in the path of a picture in the folder
        (with slashes, anywhere in it), where its folder is not the label: by its group called
        ``label``, or its first one. A group called ``group`` becomes `groups`.

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
        Whether unreadable files, unknown labels and names that do not match `label_pattern`
        are an error or are left out.

    load_content : bool, default=True
        Whether to read the images. Otherwise `data` are their paths (ndarray of str), of
        which only those that do not exist count as unreadable.

    return_X_y : bool, default=False
        Whether to return only images and labels.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        With `data` (ImageArray), `target` (ndarray of str), `target_names` (the classes,
        sorted), `filenames` (ndarray of str), `groups` (ndarray of int where a manifest names
        pictures with parents in common, ndarray of str by `label_pattern`, else None) and
        `skipped` (list of name and reason).
        The images are sorted by class, then by path.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.

    ValueError
        If it holds no classes, no images or splits such as train and test, if a label is
        unknown, a name does not match, or a file or the manifest can't be read.

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
    listing = _list(folder) if label_pattern is None else _match(folder, label_pattern, errors)
    bunch = make_bunch(
        listing, labels=check_expected(labels), errors=errors, return_X_y=False,
        load_content=load_content, size=size, mode=mode, resize=resize, n_jobs=n_jobs,
    )  # fmt: skip
    origins = read_manifest(folder, bunch.filenames)
    if origins is not None:
        parents, made = origins
        if load_content:
            bunch.data = ImageArray(bunch.data, parents=parents, is_synthetic=made)
        bunch.groups = _join(bunch.groups, parent_groups(parents))
    return (bunch.data, bunch.target) if return_X_y else bunch


def _join(groups, by_parents):
    if by_parents.max() + 1 == len(by_parents):
        return groups
    return by_parents if groups is None else join_groups(groups, by_parents)


def _list(folder):
    paths, classes = _find_pictures(folder, class_folders(folder))
    return Listing(images=paths, labels=classes, names=paths)


def _match(folder, pattern, errors):
    """List the pictures at any depth whose names tell their labels."""
    pattern = check_pattern(pattern)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} does not exist or is no folder. Name one of pictures.")
    pictures, others = _pictures_in(os.fspath(folder))
    if not pictures:
        raise ValueError(f"{folder} holds no images. Name a folder of pictures.")
    _warn_of_rest(others, [], [])
    return list_by_names(folder, pictures, pattern, errors, what="pictures")


def list_by_names(folder, paths, pattern, errors, what):
    """List files with the labels and groups that a pattern finds in their names."""
    names = [os.path.relpath(path, folder).replace(os.sep, "/") for path in paths]
    labels, groups, reasons = read_names(pattern, names)
    if reasons and (errors == "raise" or len(reasons) == len(names)):
        raise ValueError(
            f"{len(reasons):,} of {len(names):,} {what} in {folder} do not match the label "
            f"pattern {pattern.pattern!r}, such as {names[min(reasons)]}. Correct the pattern, "
            "or leave them out by errors='skip' (--errors skip)."
        )
    warn_of_lookalikes(np.unique(labels).tolist())
    paths = np.array(paths)
    return leave_out(Listing(paths, labels, paths, groups), reasons)


def class_folders(folder, layout=_LAYOUT):
    """List the sub-folders that stand for classes, in order; `layout` says what is expected."""
    layout = layout.format(folder=folder)
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
    warn_of_lookalikes([path.name for path in classes], "class folders")
    return classes


def _find_pictures(folder, classes):
    """List the pictures in all class folders and their classes, (n,) each."""
    paths, labels, others, empty = [], [], [], []
    for place in classes:
        pictures, rest = _pictures_in(os.fspath(place))
        others += rest
        empty += [] if pictures else [place.name]
        paths += pictures
        labels += [place.name] * len(pictures)
    if not paths:
        layout = _LAYOUT.format(folder=folder)
        raise ValueError(f"{folder} holds no images in the folders {shorten(empty)}. {layout}")
    suffixes = picture_suffixes()
    loose = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    loose = [path for path in loose if path.is_file() and not path.name.startswith(".")]
    _warn_of_rest(others, loose, empty)
    return np.array(paths), np.array(labels)


def picture_suffixes():
    """Give the suffixes, in lower case, of what Pillow may be able to open."""
    return {end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN}


def _pictures_in(folder):
    """List the pictures at any depth, and the other files, both sorted by the parts of paths."""
    suffixes = picture_suffixes()
    files = sorted(files_in(folder), key=lambda path: path.split(os.sep))
    pictures, others = [], []
    for path in files:
        is_picture = os.path.splitext(path)[1].lower() in suffixes
        (pictures if is_picture else others).append(path)
    return pictures, others


def files_in(folder):
    """Give the paths of all files at any depth but those whose names begin with a dot."""
    for place, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(place, name) for name in files if not name.startswith("."))


def _refuse(error):
    raise error  # os.walk would go on without the folder


def _warn_of_rest(others, loose, empty):
    if others:
        warn(f"Ignored {len(others)} files that are no pictures: {shorten(others, 5)}.")
    if loose:
        warn(f"Ignored {len(loose)} pictures outside the class folders: {shorten(loose, 5)}.")
    if empty:
        warn(f"These class folders hold no images: {shorten(empty)}.")
