"""Files and labels that a table lists: CSV, TSV, JSON, JSON lines or Parquet."""

import re
from pathlib import Path

import numpy as np

from imbemotion._validation import check_labels
from imbemotion.datasets._bunch import (
    Listing,
    check_expected,
    make_bunch,
    normalize,
    refuse_or_leave_out,
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

__all__ = ["load_table"]

_FILES = tuple(name for name in FILE_COLUMNS if name != "name")  # which may be a person's
_FILES += ("file_path", "image_path", "img_path", "image_file", "image_name")
_LABELS = (*LABEL_COLUMNS, "class_name", "label_name")
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")  # what is written as numbers are


def load_table(
    path,
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
    r"""Load images that a table lists with their labels.

    Parameters
    ----------
    path : str or Path
        A list of files: CSV or TSV in UTF-8 with a header (separated by commas, semicolons,
        tabs or bars), JSON (a list of objects), JSON lines (``.jsonl``) or Parquet.

    folder : str or Path, default=None
        What the paths in the table are relative to. None looks for each file in ``images``
        beside the table, then beside the table itself, then in the current folder.

    image_column : str, default=None
        The column of paths. None takes the one that is called image, file, filename, path,
        img, file_path, image_path, img_path, image_file or image_name, in any case and with
        or without ``_``.

    label_column : str, default=None
        The column of labels. None takes the one that is called emotion, label, class,
        expression, target, category, class_name or label_name.

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

    labels : list, default=None
        The classes to expect; None means any.

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
        With `data` (ImageArray), `target` (ndarray of str or of numbers), `target_names` (the
        classes, sorted), `filenames` (ndarray of str, the paths), `groups` (ndarray or None)
        and `skipped` (list of name and reason). The images are in the order of the table.

    Raises
    ------
    FileNotFoundError
        If there is no such table or folder.

    ValueError
        If the table can't be read, a column is not found or could be one of several, or an
        image can't be used.

    ImportError
        If the table is a Parquet file, and pyarrow is not installed.

    Warns
    -----
    DataWarning
        If images are listed more than once or left out, or an expected class has none.

    See Also
    --------
    load_legend : Loads every image once, however often it is listed.
    load_image_folder : Where the folder or the name of an image is its label.

    Notes
    -----
    Labels that are text become lower case with single spaces; whole numbers stay numbers.
    Rows are rows of the table: a balanced list may name an image more than once. Its rows
    share one image, by which ``ImageArray.parents`` and ``duplicate_groups`` know them. An
    image that is listed with different labels is left out.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("1.png", "2.png"):
    ...         Path(folder, name).touch()
    ...     table = Path(folder, "train.csv")
    ...     _ = table.write_text("path;label\n1.png;Happy\n2.png;sad\n")
    ...     load_table(table, load_content=False).target.tolist()
    ['happy', 'sad']
    """
    path = Path(path)
    listing = refuse_or_leave_out(
        *_list(path, folder, image_column, label_column, group_column), errors
    )
    listing = without_conflicts(listing._replace(labels=_as_classes(listing.labels, path)))
    _warn_of_repeats(listing, path)
    return make_bunch(
        listing, labels=check_expected(labels, normalize),
        errors=errors, load_content=load_content, return_X_y=return_X_y,
        size=size, mode=mode, resize=resize, n_jobs=n_jobs,
    )  # fmt: skip


def _list(path, folder, image_column, label_column, group_column):
    """Give what the table lists, its labels as they are, and what rows lack."""
    rows = read_rows(path)
    files = rows.columns[choose_column(rows.columns, "image", image_column, _FILES, True)]
    classes = rows.columns[choose_column(rows.columns, "label", label_column, _LABELS, True)]
    files = ["" if name is None else str(name) for name in files]
    paths = find_files(files, path.parent, folder, elsewhere=(".",))
    groups = None
    if group_column is not None:
        cells = rows.columns[choose_column(rows.columns, "group", group_column, ())]
        groups = fill_groups(cells, paths)
    labels = np.empty(len(classes), dtype=object)
    labels[:] = classes
    names = np.where(np.array(files) == "", "An empty cell", paths)
    return Listing(paths, labels, names, groups), incomplete(rows.places, files, classes)


def _as_classes(labels, path):
    """Give labels of one kind: text in lower case, or numbers, (n,)."""
    kinds = {type(label) for label in labels}
    if kinds == {str}:
        if all(map(_WHOLE.fullmatch, labels)):
            return labels.astype(np.int64)
        return np.array([normalize(label) for label in labels])
    if len(kinds) > 1 or not kinds & {int, float, bool}:
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(
            f"The labels in {path} must be text or numbers throughout, got values of type {found}."
        )
    return check_labels(np.array(labels.tolist()))


def _warn_of_repeats(listing, path):
    n_rows, n_files = len(listing.images), len(set(listing.images.tolist()))
    if n_files < n_rows:
        warn(
            f"{path} lists {n_files:,} images in {n_rows:,} rows. Keep rows of one image "
            "together when you split them, by groups."
        )
