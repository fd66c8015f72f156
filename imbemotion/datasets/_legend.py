"""Images whose labels stand in a CSV file."""

import csv
import os
from collections import defaultdict
from pathlib import Path

import numpy as np

from imbemotion._validation import shorten
from imbemotion.datasets._bunch import (
    Listing,
    check_expected,
    leave_out,
    make_bunch,
    normalize,
    refuse_or_leave_out,
    take,
    warn,
)

__all__ = ["load_legend"]

_IMAGE_COLUMNS = ("image", "file", "filename", "path", "name", "img")
_LABEL_COLUMNS = ("emotion", "label", "class", "expression", "target", "category")
_SEPARATORS = ",;\t|"
_LINE = object()  # key of the line number in a row: no column can have it


def load_legend(
    legend,
    folder=None,
    *,
    image_column=None,
    label_column=None,
    group_column=None,
    size=48,
    mode="gray",
    resize="stretch",
    n_jobs=None,
    labels=None,
    errors="raise",
    return_X_y=False,
):
    r"""Load images that a CSV file lists with their labels.

    Parameters
    ----------
    legend : str or Path
        A CSV file in UTF-8 with a header, separated by commas, semicolons, tabs or bars; or
        the folder that holds it as ``legend.csv``.

    folder : str or Path, default=None
        Where the images are. None looks for each in ``images`` beside the CSV file, then
        beside the file itself.

    image_column : str, default=None
        The column of file names. None takes the first that is there of image, file, filename,
        path, name and img, in any case.

    label_column : str, default=None
        The column of labels. None takes the first that is there of emotion, label, class,
        expression, target and category, in any case.

    group_column : str, default=None
        A column that becomes `groups`, such as a person or a contributor.

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
        Whether missing or unreadable files, missing and unknown labels are an error or are
        left out.

    return_X_y : bool, default=False
        Whether to return only images and labels.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        With `data` (ImageArray), `target` (ndarray of str), `target_names` (the classes,
        sorted), `filenames` (ndarray of str, the paths), `groups` (ndarray of str or None)
        and `skipped` (list of name and reason). The images are in the order of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such CSV file or folder.

    ValueError
        If the file can't be read, a column is not found, or an image can't be used.

    Warns
    -----
    DataWarning
        If images are listed more than once or left out, or an expected class has none.

    See Also
    --------
    load_image_folder : Where the folder of an image is its label.

    Notes
    -----
    Labels become lower case with single spaces. Rows are images: one that is listed twice is
    loaded once, because its copies would end up in training and test; one that is listed
    with different labels is left out. Both are reported.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from imbemotion.datasets import make_faces
    >>> from imbemotion.images import ImageArray
    >>> X, y = make_faces({"happy": 2}, random_state=0)
    >>> with TemporaryDirectory() as folder:
    ...     paths = ImageArray(X).save(f"{folder}/images")
    ...     legend = Path(folder, "legend.csv")
    ...     _ = legend.write_text("image,emotion\n000000.png,HAPPY\n000001.png,happy\n")
    ...     load_legend(legend).target.tolist()
    ['happy', 'happy']
    """
    legend = Path(legend)
    legend = legend / "legend.csv" if legend.is_dir() else legend
    rows = _read_rows(legend)
    names = _column(rows, "image", image_column, _IMAGE_COLUMNS)
    classes = _column(rows, "label", label_column, _LABEL_COLUMNS)
    paths = _find_images(names, legend.parent, folder)
    listing = Listing(
        images=paths,
        labels=np.array([normalize(label) for label in classes]),
        names=np.where(names == "", "An empty cell", paths),
        groups=None if group_column is None else _column(rows, "group", group_column),
    )
    listing = refuse_or_leave_out(listing, _incomplete(rows, names, listing.labels), errors)
    return make_bunch(
        _distinct(listing), labels=check_expected(labels, normalize),
        errors=errors, return_X_y=return_X_y,
        size=size, mode=mode, resize=resize, n_jobs=n_jobs,
    )  # fmt: skip


def _read_rows(path):
    """Read a CSV file: a dict of cells by column for every row, with its line."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist. Name a CSV file.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            separator = max(_SEPARATORS, key=file.readline().count)
            file.seek(0)
            reader = csv.DictReader(file, delimiter=separator, restval="")
            rows = [{_LINE: reader.line_num} | row for row in reader if _holds_anything(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a CSV file in UTF-8: {error}.") from error
    if not rows:
        raise ValueError(f"{path} lists no images. Expected a header and a row per image.")
    return rows


def _holds_anything(row):
    return any(cell.strip() for column, cell in row.items() if column is not None)


def _column(rows, what, wanted, usual=()):
    """Give the cells of the column of that name, or of the first usual name that is there."""
    columns = {column.strip().lower(): column for column in rows[0] if isinstance(column, str)}
    choice = usual if wanted is None else (wanted.strip().lower(),)
    found = [columns[name] for name in choice if name in columns]
    if not found:
        raise ValueError(
            f"The {what} column must be {' or '.join(choice)}, got the columns "
            f"{', '.join(columns.values())}. Name it by {what}_column=."
        )
    return np.array([row[found[0]].strip() for row in rows])


def _find_images(names, beside, folder):
    """Give the path of every image: where it exists, else where it was expected first."""
    if folder is not None and not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder} does not exist or is no folder. Name that of images.")
    places = [beside / "images", beside] if folder is None else [Path(folder)]
    places = [place for place in places if place.is_dir()]
    paths = []
    for name in names:
        choice = [os.path.normpath(place / name.replace("\\", "/")) for place in places]
        paths.append(next(filter(os.path.exists, choice), choice[0]))
    return np.array(paths)


def _incomplete(rows, names, classes):
    """Say what is missing in rows, by row."""
    reasons = {}
    for number, (row, name, label) in enumerate(zip(rows, names, classes, strict=True)):
        if not name:
            reasons[number] = f"in line {row[_LINE]} names no image"
        elif not label:
            reasons[number] = f"has no label in line {row[_LINE]}"
    return reasons


def _distinct(listing):
    """Keep one row of every image, and none of those with several labels."""
    return _one_row_per_image(_without_conflicts(listing))


def _without_conflicts(listing):
    labels_of = defaultdict(set)
    for path, label in zip(listing.images, listing.labels, strict=True):
        labels_of[path].add(str(label))
    reasons = {
        row: f"is listed with the labels {' and '.join(sorted(labels_of[path]))}"
        for row, path in enumerate(listing.images)
        if len(labels_of[path]) > 1
    }
    return leave_out(listing, reasons)


def _one_row_per_image(listing):
    _, first, n_rows = np.unique(listing.images, return_index=True, return_counts=True)
    if len(first) < len(listing.images):
        repeated = [Path(path).name for path in listing.names[first[n_rows > 1]]]
        warn(f"Loaded once what is listed more than once: {shorten(repeated)}.")
    return take(listing, np.sort(first))
