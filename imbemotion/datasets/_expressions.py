"""Images whose labels stand in a legend, and the facial expressions of that kind."""

import hashlib
import tarfile
import zlib
from pathlib import Path

import numpy as np
from sklearn.datasets import get_data_home

from imbemotion._base.files import publish_folder
from imbemotion._base.validation import shorten
from imbemotion.datasets._bunch import (
    Listing,
    check_expected,
    make_bunch,
    normalize,
    refuse_or_leave_out,
    take,
    warn,
)
from imbemotion.datasets._lists import (
    FILE_COLUMNS,
    LABEL_COLUMNS,
    choose_column,
    fill_groups,
    find_files,
    incomplete,
    read_rows,
    without_conflicts,
)
from imbemotion.leaks import groups_from_filenames

__all__ = [
    "fetch_facial_expressions",
    "load_legend",
]


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
    >>>     >>> from imbemotion.datasets import make_faces
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


_COMMIT = "5fb9c13afac07c55eae8d25eb6b50af344ad60c9"
_URL = f"https://github.com/muxspace/facial_expressions/archive/{_COMMIT}.tar.gz"
# GitHub packs archives anew now and then, so it is the files that are compared.
_DIGEST = "d07bf93f4fbb73614aa4604a9ced45112c282eb1a142c05a56a50566f32ef6ce"
_FOLDER = f"facial_expressions_{_COMMIT[:7]}"
_IMAGES, _LEGEND = "images", "data/legend.csv"
_TIMEOUT = 30  # seconds without any answer
_CHUNK = 2**18
_DAMAGED = (tarfile.TarError, EOFError, OSError, zlib.error)


def fetch_facial_expressions(
    *,
    data_home=None,
    download_if_missing=True,
    size=48,
    mode="gray",
    resize="stretch",
    n_jobs=None,
    errors="raise",
    load_content=True,
    return_X_y=False,
):
    """Load the facial expressions of muxspace, which are downloaded the first time.

    They are 13,681 photographs of faces from the web in eight very uneven classes, from 6864
    neutral faces to 9 of contempt. The download has 246 MB.

    Parameters
    ----------
    data_home : str or Path, default=None
        Where to keep the data; None means scikit-learn's folder, ``~/scikit_learn_data``.

    download_if_missing : bool, default=True
        Whether to download the data where they are not kept yet.

    size : int, tuple of (int, int) or None, default=48
        Height and width of the images; None keeps their own, which differ here.

    mode : {"gray", "rgb"}, default="gray"
        Whether images become grey or colour.

    resize : {"stretch", "crop", "pad"}, default="stretch"
        How an image of other proportions comes to `size`.

    n_jobs : int, default=None
        Number of threads that read the images.

    errors : {"raise", "skip"}, default="raise"
        Whether unreadable images are an error or are left out.

    load_content : bool, default=True
        Whether to read the images. Otherwise `data` are their paths (ndarray of str), of
        which only those that do not exist count as unreadable.

    return_X_y : bool, default=False
        Whether to return only images and labels.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        With `data` (ImageArray of shape (n_samples, height, width[, 3])), `target` (ndarray
        of str of shape (n_samples,)), `target_names` (the classes, sorted), `filenames`
        (ndarray of str of shape (n_samples,), the paths), `groups` (ndarray of str of shape
        (n_samples,), the persons) and `skipped` (list of name and reason).

    Raises
    ------
    OSError
        If the data are not there and may not or can't be downloaded, or are not those that
        are expected.

    ValueError
        If a parameter is none of its options.

    Warns
    -----
    DataWarning
        Of the images that the data set lists twice, and of one it lists with two labels.

    See Also
    --------
    load_legend : Load such data from a folder of your own.
    load_fer2013 : Load the faces of the FER2013 challenge.
    make_faces : Draw faces where there are no data.

    Notes
    -----
    The data are those of https://github.com/muxspace/facial_expressions at one commit, and
    are compared with a digest of all files. An interrupted download leaves nothing that is
    used; delete the folder in `data_home` to download them again.

    Most files are named after the person they show, as in Labeled Faces in the Wild. Use
    `groups` with :class:`~sklearn.model_selection.StratifiedGroupKFold`, so that no person
    is in training and in test. A file of another name is a group of its own.

    The repository is licensed under Apache 2.0; the rights of the single photographs are
    not stated.

    Examples
    --------
    >>> faces = fetch_facial_expressions()  # doctest: +SKIP
    >>> faces.data.shape  # doctest: +SKIP
    (13681, 48, 48)
    """
    folder = Path(get_data_home(data_home), _FOLDER)
    if not folder.is_dir():
        if not download_if_missing:
            raise OSError(f"There are no data in {folder}, and download_if_missing is False.")
        _fetch(folder)
    bunch = load_legend(
        folder / _LEGEND, folder / _IMAGES, errors=errors, load_content=load_content,
        size=size, mode=mode, resize=resize, n_jobs=n_jobs,
    )  # fmt: skip
    bunch.groups = groups_from_filenames([Path(name).name for name in bunch.filenames])
    return (bunch.data, bunch.target) if return_X_y else bunch


def _fetch(folder):
    """Download, unpack and check the data beside a folder, which then appears as a whole."""
    try:
        with publish_folder(folder) as unpacked:
            archive = unpacked.with_name("archive.tar.gz")
            _download(archive)
            _unpack(archive, unpacked)
            _check_digest(unpacked)
    except OSError:
        if not folder.is_dir():  # else another process has been faster
            raise


def _download(archive):
    import pooch

    pooch.get_logger().info("Downloading 246 MB from %s.", _URL)
    try:
        pooch.HTTPDownloader(chunk_size=_CHUNK, timeout=_TIMEOUT)(_URL, str(archive), None)
    except OSError as error:  # also all errors of requests
        raise OSError(
            f"{_URL} can't be downloaded: {_reason(error)}. {_advice(archive)}"
        ) from error


def _reason(error):
    """Say in a few words what went wrong; requests' own texts are long."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    return error.strerror or f"no connection or no answer ({type(error).__name__})"


def _advice(archive):
    return (
        f"Check the network and the space in {archive.parents[1]}, and try again; or unpack a "
        "copy of this archive elsewhere and use load_legend."
    )


def _unpack(archive, folder):
    """Unpack the pictures and the legend, and nothing else."""
    try:
        with tarfile.open(archive, "r:gz") as members:
            for member in members:
                name = member.name.partition("/")[2]  # without the folder that holds all
                if member.isfile() and _is_wanted(name):
                    member.name = name
                    members.extract(member, folder, filter="data")
    except _DAMAGED as error:
        raise OSError(f"{_URL} can't be unpacked: {error}. {_advice(archive)}") from error


def _is_wanted(name):
    return name == _LEGEND or name.rpartition("/")[0] == _IMAGES


def _check_digest(folder):
    found = _digest(folder)
    if found != _DIGEST:
        raise OSError(
            f"The files from {_URL} are not those expected: their digest must be {_DIGEST}, "
            f"got {found}. Try again; or get a copy elsewhere and use load_legend."
        )


def _digest(folder):
    """Give the SHA-256 of the sorted lines of path, tab and SHA-256 of all files."""
    lines = []
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            lines.append(f"{path.relative_to(folder).as_posix()}\t{content}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
