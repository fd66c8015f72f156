"""What all loaders share: lists of labeled images, rows left out of them, the result."""

import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from imbemotion._base.validation import DataWarning, shorten
from imbemotion.loading import UnreadableImagesError, load_images
from imbemotion.loading.decoding import ABSENT

_NAMED = 5  # how many images a warning names


class SourceKind(NamedTuple):
    """A kind of source, as ``imbemotion._base.registry.SOURCES`` declares it.

    Parameters
    ----------
    name : str
        What an error calls a source of this kind, such as ``"a folder of images"``.
    matches : callable
        Takes the ``Path`` of a source and returns whether it is of this kind.
    load : callable
        Takes the path and, as keywords, the settings that all sources share (``size``,
        ``mode``, ``resize``, ``n_jobs``, ``labels``, ``errors`` and ``load_content``);
        returns a Bunch as :func:`load_image_folder` does.
    takes : dict of str to str, default={}
        Settings of :func:`load_source` for this kind only, and what ``load`` calls them.

    Examples
    --------
    >>> from imbemotion._base.registry import SOURCES
    >>> kind = SOURCES.load("npz")
    >>> kind.name, kind.takes["image_column"]
    ('an archive', 'image_key')
    """

    name: str
    matches: Callable[..., bool]
    load: Callable[..., Any]
    takes: dict[str, str] = {}


class LoadSettings(TypedDict, total=False):
    """Settings that all loaders share, as ``load_source`` documents them."""

    n_jobs: int | None
    labels: list | None
    errors: str
    load_content: bool
    return_X_y: bool


class ImageSettings(LoadSettings, total=False):
    """Settings of loaders of images."""

    mode: str
    resize: str


class SizedSettings(ImageSettings, total=False):
    """Settings of loaders whose images differ in size."""

    size: int | tuple[int, int] | None


class ImageBunch(Bunch):
    """Labeled images as the loaders return them, shown in notebooks as a table of classes."""

    def _repr_html_(self):
        counts = pd.Series(self.target, name="images").value_counts()
        table = counts.to_frame().assign(share=counts / len(self.target))
        shape = " x ".join(map(str, self.data.shape[1:]))
        images = f"{len(self.target):,} images" + (f" of {shape}" if shape else " (not read)")
        html = table.to_html(border=0, float_format="{:.1%}".format)
        return f"<p>{images} from {escape(self.source)}</p>\n{html}"


class Listing(NamedTuple):
    """Labeled images that were found, before they are read; one row each."""

    images: np.ndarray  # paths, (n,), or pixels, (n, height, width[, channels])
    labels: np.ndarray  # (n,)
    names: np.ndarray  # (n,), what reports call the images
    groups: np.ndarray | None = None  # (n,)
    skipped: tuple = ()  # pairs of name and reason


def normalize(label):
    """Return a class name in lower case, with single spaces between its words only."""
    return " ".join(str(label).split()).lower()


def row_names(n_rows):
    """Name rows that have no file."""
    return np.array([f"row {row}" for row in range(n_rows)])


def _check_expected(labels, clean):
    """Check the class names that a loader should expect; None accepts any."""
    if labels is None:
        return None
    if isinstance(labels, str) or not hasattr(labels, "__len__") or len(labels) == 0:
        raise TypeError(f"labels must be a list of class names, got {labels!r}.")
    names = labels.tolist() if hasattr(labels, "tolist") else labels
    return [clean(name) if isinstance(name, str) else name for name in names]


def warn(message):
    """Warn of something in the data."""
    # Two functions lie between this one and the user's: the loader and its helper.
    warnings.warn(message, DataWarning, stacklevel=5)


def warn_of_lookalikes(names, what="classes"):
    """Warn of names that differ in case and spaces only."""
    alike = defaultdict(list)
    for name in names:
        alike[normalize(name)].append(name)
    pairs = [" and ".join(map(repr, same)) for same in alike.values() if len(same) > 1]
    if pairs:
        warn(f"These {what} differ in case or spaces only: {shorten(pairs)}.")


def take(listing, rows):
    """Select rows of a listing."""
    selected = (None if part is None else part[rows] for part in listing[:4])
    return Listing(*selected, listing.skipped)


def leave_out(listing, reasons):
    """Remove rows from a listing and record why; `reasons` maps rows to texts."""
    if not reasons:
        return listing
    skipped = _named(listing, reasons)  # by name, since row numbers change
    rows = np.setdiff1d(np.arange(len(listing.labels)), list(reasons))
    if not rows.size:
        raise ValueError(f"No image is left: {_in_words(skipped)}.")
    return take(listing, rows)._replace(skipped=(*listing.skipped, *skipped))


def refuse_or_leave_out(listing, reasons, errors):
    """Raise an error that lists all rows with a reason, or remove them for errors="skip"."""
    if reasons and errors == "raise":
        lines = [f"  {name} {reason}" for name, reason in _named(listing, reasons)]
        raise ValueError(
            f"{len(lines)} of {len(listing.labels)} images cannot be used:\n"
            + "\n".join(lines)
            + "\nCorrect them, or leave them out with errors='skip'."
        )
    return leave_out(listing, reasons)


def _named(listing, reasons):
    """Return name and reason of every image once, even if it is in several rows."""
    named = ((str(listing.names[row]), reason) for row, reason in sorted(reasons.items()))
    return list(dict.fromkeys(named))


def _in_words(skipped):
    return shorten([f"{name} {reason}" for name, reason in skipped], _NAMED)


def _check_known(listing, expected, errors):
    """Refuse or leave out labels that are not expected."""
    classes, codes = np.unique(listing.labels, return_inverse=True)
    unknown = np.array([label not in expected for label in classes.tolist()])[codes]
    if unknown.any() and errors == "raise":
        counts = Counter(listing.labels[unknown].tolist())
        found = [f"{label!r} (images: {n})" for label, n in counts.most_common()]
        raise ValueError(
            f"Unknown label: {shorten(found)}. Expected {shorten(map(repr, expected), 99)}. "
            "Correct them, or leave these images out with errors='skip'."
        )
    rows = np.flatnonzero(unknown).tolist()
    reasons = {row: f"has the unknown label {listing.labels[row]!s}" for row in rows}
    return leave_out(listing, reasons)


_read_images = partial(load_images, size=48)


def make_bunch(
    listing, source, *, labels=None, errors="raise", load_content=True, return_X_y=False,
    has_files=True, clean=lambda label: label, read=_read_images, **reading,
):  # fmt: skip
    """Check labels, read the images and put everything together."""
    if errors not in ("raise", "skip"):
        raise ValueError(f"errors must be one of raise, skip, got {errors!r}.")
    labels = _check_expected(labels, clean)
    if labels is not None:
        # A command line knows the number 1 as "1": take names as they are in the data.
        known = {str(label): label for label in np.unique(listing.labels).tolist()}
        labels = [known.get(str(name), name) for name in labels]
        listing = _check_known(listing, labels, errors)
    if load_content:
        data, failures = read(listing.images, errors=errors, **reading)
    else:
        data, failures = _only_names(listing, errors)
    listing = leave_out(listing, {row: reason for row, _, reason in failures})
    _report(listing, labels)
    if return_X_y:
        return data, listing.labels
    return ImageBunch(
        data=data,
        target=listing.labels,
        target_names=np.unique(listing.labels),
        filenames=listing.names if has_files else None,
        groups=listing.groups,
        skipped=list(listing.skipped),
        source=str(source),
    )


def _only_names(listing, errors):
    """Return names in place of images, and the files that do not exist."""
    names, failures = np.asarray(listing.names, dtype=str), []
    if listing.images.dtype.kind == "U":  # paths
        exists = np.array([os.path.exists(path) for path in listing.images], dtype=bool)
        failures = [(row, str(names[row]), ABSENT) for row in np.flatnonzero(~exists).tolist()]
        names = names[exists]
    if failures and (errors == "raise" or not names.size):  # as load_images does
        raise UnreadableImagesError(failures, len(listing.labels))
    return names, failures


def _report(listing, labels):
    if listing.skipped:
        number = len(listing.skipped)
        warn(f"Left out {number} of the images listed: {_in_words(listing.skipped)}.")
    absent = [label for label in labels or () if label not in listing.labels]
    if absent:
        warn(f"No image has the expected label {shorten(absent, 99)}.")
