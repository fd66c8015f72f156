"""What all loaders share: lists of labelled images, what is left out of them, the Bunch."""

import os
import warnings
from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch

from imbemotion._base.validation import DataWarning, shorten
from imbemotion.loading import UnreadableImagesError, load_images
from imbemotion.loading.decoding import ABSENT

__all__ = [
    "Listing",
    "check_expected",
    "leave_out",
    "make_bunch",
    "normalize",
    "refuse_or_leave_out",
    "take",
    "warn",
    "warn_of_lookalikes",
]

_NAMED = 5  # how many images a warning names


class Listing(NamedTuple):
    """Labelled images that were found, before they are read; one row each."""

    images: np.ndarray  # paths, (n,), or pixels, (n, height, width[, channels])
    labels: np.ndarray  # (n,)
    names: np.ndarray  # (n,), what reports call the images
    groups: np.ndarray | None = None  # (n,)
    skipped: tuple = ()  # pairs of name and reason


def normalize(label):
    """Give a class name in lower case, with single spaces between its words only."""
    return " ".join(str(label).split()).lower()


def check_expected(labels, clean=lambda label: label):
    """Check the class names that a loader is told to expect; None stands for any."""
    if labels is None:
        return None
    if isinstance(labels, str) or not hasattr(labels, "__len__") or len(labels) == 0:
        raise TypeError(f"labels must be a list of class names, got {labels!r}.")
    names = labels.tolist() if hasattr(labels, "tolist") else labels
    return [clean(name) if isinstance(name, str) else name for name in names]


def warn(message):
    """Warn of something in the data; two functions lie between this one and the user's."""
    warnings.warn(message, DataWarning, stacklevel=5)


def warn_of_lookalikes(names, what="classes"):
    """Warn of names that are the same but for case and spaces."""
    alike = defaultdict(list)
    for name in names:
        alike[normalize(name)].append(name)
    pairs = [" and ".join(map(repr, same)) for same in alike.values() if len(same) > 1]
    if pairs:
        warn(f"These {what} differ in case or spaces only: {shorten(pairs)}.")


def take(listing, rows):
    """Keep some rows of a listing."""
    kept = (None if part is None else part[rows] for part in listing[:4])
    return Listing(*kept, listing.skipped)


def leave_out(listing, reasons):
    """Take rows out of a listing and note why, by a dict of row to reason."""
    if not reasons:
        return listing
    skipped = _named(listing, reasons)
    rows = np.setdiff1d(np.arange(len(listing.labels)), list(reasons))
    if not rows.size:
        raise ValueError(f"No image is left: {_in_words(skipped)}.")
    return take(listing, rows)._replace(skipped=(*listing.skipped, *skipped))


def refuse_or_leave_out(listing, reasons, errors):
    """Raise an error that lists all rows with a reason, or take them out if wanted."""
    if reasons and errors == "raise":
        lines = [f"  {name} {reason}" for name, reason in _named(listing, reasons)]
        raise ValueError(
            f"{len(lines)} of {len(listing.labels)} images can't be used:\n"
            + "\n".join(lines)
            + "\nCorrect them, or leave them out by errors='skip'."
        )
    return leave_out(listing, reasons)


def _named(listing, reasons):
    """Give name and reason of every image, also of one in several rows, once."""
    named = ((str(listing.names[row]), reason) for row, reason in sorted(reasons.items()))
    return list(dict.fromkeys(named))


def _in_words(skipped):
    return shorten([f"{name} {reason}" for name, reason in skipped], _NAMED)


def _check_known(listing, expected, errors):
    """Refuse or leave out labels that are not expected."""
    classes, places = np.unique(listing.labels, return_inverse=True)
    unknown = np.array([label not in expected for label in classes.tolist()])[places]
    if unknown.any() and errors == "raise":
        counts = Counter(listing.labels[unknown].tolist())
        found = [f"{label!r} (images: {n})" for label, n in counts.most_common()]
        raise ValueError(
            f"Unknown label: {shorten(found)}. Expected {shorten(map(repr, expected), 99)}. "
            "Correct them, or leave these images out by errors='skip'."
        )
    rows = np.flatnonzero(unknown).tolist()
    return leave_out(
        listing, {row: f"has the unknown label {listing.labels[row]!s}" for row in rows}
    )


def _as_written(expected, labels):
    """Give expected names as the data hold them: the number 1 for "1", as of a command line."""
    known = {str(label): label for label in np.unique(labels).tolist()}
    return [known.get(str(name), name) for name in expected]


def make_bunch(
    listing, *, labels, errors, return_X_y, load_content=True, has_files=True, read=load_images,
    **loading,
):  # fmt: skip
    """Check labels, read the images and put everything together."""
    if labels is not None:
        labels = _as_written(labels, listing.labels)
        listing = _check_known(listing, labels, errors)
    if load_content:
        data, failures = read(listing.images, errors=errors, **loading)
    else:
        data, failures = _only_names(listing, errors)
    listing = leave_out(listing, {row: reason for row, _, reason in failures})
    _report(listing, labels)
    if return_X_y:
        return data, listing.labels
    return Bunch(
        data=data,
        target=listing.labels,
        target_names=np.unique(listing.labels),
        filenames=listing.names if has_files else None,
        groups=listing.groups,
        skipped=list(listing.skipped),
    )


def _only_names(listing, errors):
    """Give the names in the place of the images, and the files that do not exist."""
    if errors not in ("raise", "skip"):
        raise ValueError(f"errors must be one of raise, skip, got {errors!r}.")
    names, failures = np.asarray(listing.names, dtype=str), []
    if listing.images.dtype.kind == "U":  # paths
        there = np.array([os.path.exists(path) for path in listing.images], dtype=bool)
        rows = np.flatnonzero(~there).tolist()
        failures = [(row, str(names[row]), ABSENT) for row in rows]
        names = names[there]
    if failures and (errors == "raise" or not names.size):
        raise UnreadableImagesError(failures, len(listing.labels))
    return names, failures


def _report(listing, labels):
    if listing.skipped:
        number = len(listing.skipped)
        warn(f"Left out {number} of the images listed: {_in_words(listing.skipped)}.")
    absent = [label for label in labels or () if label not in listing.labels]
    if absent:
        warn(f"No image has the expected label {shorten(absent, 99)}.")
