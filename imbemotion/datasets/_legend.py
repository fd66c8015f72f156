"""Images whose labels stand in a CSV file."""

from pathlib import Path

import numpy as np

from imbemotion._validation import shorten
from imbemotion.datasets._bunch import (
    Listing,
    check_expected,
    make_bunch,
    normalize,
    refuse_or_leave_out,
    take,
    warn,
)
from imbemotion.datasets._listed import (
    FILE_COLUMNS,
    LABEL_COLUMNS,
    fill_groups,
    find_files,
    incomplete,
    without_conflicts,
)
from imbemotion.datasets._rows import choose_column, read_rows

__all__ = ["load_legend"]


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
    load_content=True,
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
        A column that becomes `groups`, such as a person or a contributor. Where a cell is
        empty, the path stands for it.

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

    load_content : bool, default=True
        Whether to read the images. Otherwise `data` are their paths (ndarray of str), of
        which only those that do not exist count as unreadable.

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
    rows = read_rows(legend)
    names = _column(rows, "image", image_column, FILE_COLUMNS)
    classes = _column(rows, "label", label_column, LABEL_COLUMNS)
    paths = find_files(names, legend.parent, folder)
    groups = None
    if group_column is not None:
        groups = fill_groups(_column(rows, "group", group_column), paths)
    listing = Listing(
        images=paths,
        labels=np.array([normalize(label) for label in classes]),
        names=np.where(names == "", "An empty cell", paths),
        groups=groups,
    )
    reasons = incomplete(rows.places, names, listing.labels)
    listing = without_conflicts(refuse_or_leave_out(listing, reasons, errors))
    return make_bunch(
        _one_row_per_image(listing), labels=check_expected(labels, normalize),
        errors=errors, load_content=load_content, return_X_y=return_X_y,
        size=size, mode=mode, resize=resize, n_jobs=n_jobs,
    )  # fmt: skip


def _column(rows, what, wanted, usual=()):
    """Give the cells of a column; empty ones where a line is too short for it."""
    cells = rows.columns[choose_column(rows.columns, what, wanted, usual)]
    return np.array(["" if cell is None else str(cell) for cell in cells])


def _one_row_per_image(listing):
    _, first, n_rows = np.unique(listing.images, return_index=True, return_counts=True)
    if len(first) < len(listing.images):
        repeated = [Path(path).name for path in listing.names[first[n_rows > 1]]]
        warn(f"Loaded once what is listed more than once: {shorten(repeated)}.")
    return take(listing, np.sort(first))
