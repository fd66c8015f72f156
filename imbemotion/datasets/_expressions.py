"""The facial expressions of muxspace, which are downloaded when they are first used."""

import hashlib
import os
import tarfile
import zlib
from pathlib import Path
from typing import Any, Unpack
from warnings import catch_warnings, simplefilter

from sklearn.datasets import get_data_home
from sklearn.utils import Bunch

from imbemotion._base.files import publish_folder
from imbemotion._base.validation import DataWarning
from imbemotion.datasets._bunch import ImageSettings, SourceKind, is_data_set
from imbemotion.datasets._listed_images import load_legend
from imbemotion.leaks import groups_from_filenames

_COMMIT = "5fb9c13afac07c55eae8d25eb6b50af344ad60c9"
_URL = f"https://github.com/muxspace/facial_expressions/archive/{_COMMIT}.tar.gz"
# GitHub repacks archives now and then, so not the archive but its files are compared.
_DIGEST = "d07bf93f4fbb73614aa4604a9ced45112c282eb1a142c05a56a50566f32ef6ce"
_FOLDER = f"facial_expressions_{_COMMIT[:7]}"
_IMAGES, _LEGEND = "images", "data/legend.csv"
_TIMEOUT = 30  # seconds without any answer
_CHUNK = 2**18
_DAMAGED = (tarfile.TarError, EOFError, OSError, zlib.error)


def fetch_facial_expressions(
    *, data_home: str | os.PathLike | None = None, download_if_missing: bool = True,
    **settings: Unpack[ImageSettings],
) -> Bunch | Any:  # fmt: skip
    """Load the facial expressions of muxspace, downloading them the first time.

    They are 13,681 photographs of faces from the web in eight very uneven classes, from 6864
    neutral faces to 9 of contempt. The download has 246 MB.

    Parameters
    ----------
    data_home : str or Path, default=None
        Where to keep the data; None means scikit-learn's folder, ``~/scikit_learn_data``.
    download_if_missing : bool, default=True
        Whether to download the data if they are not there yet.
    **settings : size, mode, resize, n_jobs, labels, label_map, errors, load_content, return_X_y
        Settings that all loaders share, with the defaults of :func:`load_source`.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        As :func:`load_source` returns it. `groups` are the persons, by file name; a file that
        is not named after a person is its own group.

    Raises
    ------
    OSError
        If the data are missing and may not or cannot be downloaded, or are not as expected.
    ValueError
        If a parameter is invalid.

    Warns
    -----
    DataWarning
        About images that the data set lists twice, and one that it lists with two labels.

    Notes
    -----
    The data are those of https://github.com/muxspace/facial_expressions at one commit,
    verified by a digest of all files. An interrupted download leaves nothing that is used;
    delete the folder in `data_home` to download them again. The repository is licensed under
    Apache 2.0; the rights of the single photographs are not stated.

    Examples
    --------
    >>> fetch_facial_expressions().data.shape  # doctest: +SKIP
    (13681, 48, 48)
    """
    folder = Path(get_data_home(data_home), _FOLDER)
    if not folder.is_dir():
        if not download_if_missing:
            raise OSError(f"There are no data in {folder}, and download_if_missing is False.")
        _fetch(folder)
    return_X_y = settings.pop("return_X_y", False)
    bunch = load_legend(folder / _LEGEND, folder / _IMAGES, **settings)
    with catch_warnings():  # the names are known, however few of them are left
        simplefilter("ignore", DataWarning)
        bunch.groups = groups_from_filenames([Path(name).name for name in bunch.filenames])
    return (bunch.data, bunch.target) if return_X_y else bunch


def _fetch(folder):
    """Download, unpack and verify the data next to a folder, which then appears complete."""
    try:
        with publish_folder(folder) as unpacked:
            archive = unpacked.with_name("archive.tar.gz")
            _download(archive)
            _unpack(archive, unpacked)
            if (found := _digest(unpacked)) != _DIGEST:
                raise OSError(
                    f"The files from {_URL} are not those expected: their digest must be "
                    f"{_DIGEST}, got {found}. {_advice(archive)}"
                )
    except OSError:
        if not folder.is_dir():  # else another process has been faster
            raise


def _download(archive):
    # Of pooch only the downloader: retrieve would compare the archive's bytes, which GitHub
    # does not keep, and Untar unpacks without a filter before Python 3.12.
    import pooch

    pooch.get_logger().info("Downloading 246 MB from %s.", _URL)
    try:
        pooch.HTTPDownloader(chunk_size=_CHUNK, timeout=_TIMEOUT)(_URL, str(archive), None)
    except OSError as error:  # also all errors of requests, whose own texts are long
        response = getattr(error, "response", None)
        reason = error.strerror or f"no connection or no answer ({type(error).__name__})"
        if response is not None:
            reason = f"the server answered {response.status_code} {response.reason}"
        raise OSError(f"{_URL} cannot be downloaded: {reason}. {_advice(archive)}") from error


def _advice(archive):
    return (
        f"Check the network and the space in {archive.parents[1]}, and try again; or unpack a "
        "copy of this archive elsewhere and use load_legend."
    )


def _unpack(archive, folder):
    try:
        with tarfile.open(archive, "r:gz") as members:
            for member in members:
                member.name = member.name.partition("/")[2]  # without the folder that holds all
                if member.isfile() and _is_wanted(member.name):
                    members.extract(member, folder, filter="data")
    except _DAMAGED as error:
        raise OSError(f"{_URL} cannot be unpacked: {error}. {_advice(archive)}") from error


def _is_wanted(name):
    return name == _LEGEND or name.rpartition("/")[0] == _IMAGES


def _digest(folder):
    """Return the SHA-256 of the sorted lines of path, tab and SHA-256 of all files."""
    digests = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in filter(Path.is_file, folder.rglob("*"))
    }
    lines = sorted(f"{name}\t{digest}\n" for name, digest in digests.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


EXPRESSIONS = SourceKind(
    "a data set", is_data_set("facial_expressions"), lambda _, **kw: fetch_facial_expressions(**kw)
)
