"""What all loaders share: lists of labeled images, rows left out of them, the result."""

import csv
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from imbemotion._base.validation import as_key, brief, cut, escape_text, shorten, warn
from imbemotion.loading import UnreadableImagesError, load_images
from imbemotion.loading.decoding import ABSENT

_NAMED, _LISTED = 5, 100  # how many images a warning and an error name
_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]{0,17}))\.0*")
_BETWEEN_WORDS = re.compile(r"(?<=[^\W_])[\s_-]+(?=[^\W_])")
_LEADING_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9]+$)")
_HIDDEN = ("Cf", "Cc")  # categories of zero-width and of control characters
_AROUND = " .,;:_'\"`"  # which often slips into a label
# Cyrillic and Greek letters that fonts draw as Latin ones.
_TWINS = str.maketrans(
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0456\u0458\u0455"
    "\u03b1\u03bf\u03c1",
    "abekmhopctyxijsaop",
)
_MISSING = {"", "-", "?", "nan", "na", "n/a", "n.a", "#n/a", "<na>", "nat", "none", "null", "nil"}


class SourceKind(NamedTuple):
    """A kind of source, as ``imbemotion._base.registry.SOURCES`` declares it.

    Parameters
    ----------
    name : str
        What errors call a source of this kind, such as ``"a folder of images"``.
    matches : callable
        Takes the ``Path`` of a source and returns whether it is of this kind.
    load : callable
        Takes the path and, as keywords, the settings of all sources (``size``, ``mode``,
        ``resize``, ``n_jobs``, ``labels``, ``errors``, ``load_content``); returns a Bunch.
    takes : dict of str to str, default={}
        Settings of :func:`load_source` for this kind only, and what `load` calls them.

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


def is_file_of(*suffixes, such_that=lambda path: True):
    """Return a check for files with one of these suffixes, which are looked at only then."""
    return lambda path: path.suffix.lower() in suffixes and path.is_file() and such_that(path)


def is_file_named(name):
    """Return a check for a file of this name in any case, or a folder with it in lower case."""
    return lambda path: (path / name if path.name.lower() != name else path).is_file()


def is_data_set(name):
    """Return a check for the name of a data set, unless a file has that name."""
    return lambda path: str(path) == name and not path.exists()


class LoadSettings(TypedDict, total=False):
    """Settings that all loaders share, as ``load_source`` documents them."""

    n_jobs: int | None
    labels: list | None
    label_map: dict | str | os.PathLike | None
    errors: str
    load_content: bool
    return_X_y: bool


class ImageSettings(LoadSettings, total=False):
    """Settings of loaders of images."""

    size: int | tuple[int, int] | None
    mode: str
    resize: str


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
    columns: pd.DataFrame | None = None  # all of a list, (n, n_columns)

    def take(self, rows):
        """Select rows."""
        columns = None if self.columns is None else self.columns.iloc[rows].reset_index(drop=True)
        parts = (None if x is None else x[rows] for x in self[:4])
        return Listing(*parts, self.skipped, columns)

    def leave_out(self, reasons, errors="skip"):
        """Remove rows for reasons, a dict of row to text; or raise an error that lists them."""
        if not reasons:
            return self
        # By name, since row numbers change; once, even if an image is in several rows.
        pairs = ((escape_text(self.names[row]), reasons[row]) for row in sorted(reasons))
        pairs = list(dict.fromkeys(pairs))
        if errors == "raise":
            lines = [f"  {cut(name)} {reason}" for name, reason in pairs[:_LISTED]]
            rest = [f"  and {len(pairs) - _LISTED} more"] if len(pairs) > _LISTED else []
            raise ValueError(
                f"{len(pairs)} of {len(self.labels)} images cannot be used:\n"
                + "\n".join([*lines, *rest])
                + "\nCorrect them, or leave them out with errors='skip' (--errors skip)."
            )
        rows = np.setdiff1d(np.arange(len(self.labels)), list(reasons))
        if not rows.size:
            raise ValueError(f"No image is left: {_in_words(pairs)}.")
        return self.take(rows)._replace(skipped=(*self.skipped, *pairs))


def _spell(label):
    """Return a label as text in its one spelling: composed, whole numbers without a point."""
    text = unicodedata.normalize("NFC", str(label))  # macOS decomposes the names of files
    whole = _WHOLE.fullmatch(text)
    return str(int(whole[1])) if whole else text


def normalize(label):
    """Return a class name in lower case, with single spaces between its words only."""
    return _spell(" ".join(str(label).split()).lower())


def join_labels(labels):
    """Join spellings that are surely the same label: NFC and NFD, 1 and 1.0, (n,)."""
    if labels.dtype.kind == "f":
        exact = labels.astype(float)
        is_whole = ((exact % 1 == 0) & (abs(exact) < 2**53)).all()
        return labels.astype(np.int64) if is_whole else labels
    if labels.dtype.kind != "U":
        return labels
    classes, codes = np.unique(labels, return_inverse=True)
    return np.array([_spell(label) for label in classes.tolist()], dtype=str)[codes]


def most_characters(path):
    """Return how many characters an array of texts from a file may take."""
    return 2**24 + 20 * os.path.getsize(path)


def row_names(n_rows):
    """Name rows that have no file."""
    return np.array([f"row {row}" for row in range(n_rows)])


def _check_expected(labels, clean):
    """Check the class names that a loader should expect; None accepts any."""
    if labels is None:
        return None
    if isinstance(labels, str) or not hasattr(labels, "__len__") or len(labels) == 0:
        raise TypeError(f"labels must be a list of class names, got {brief(labels)}.")
    names = labels.tolist() if hasattr(labels, "tolist") else labels
    return [_spell(clean(name)) if isinstance(name, str) else as_key(name) for name in names]


def _quote(name):
    return cut(repr(name), 60)


def _look(label):
    """Return what a reader sees of a label: no case, widths, marks around or hidden signs."""
    text = unicodedata.normalize("NFKC", label).casefold().translate(_TWINS)
    text = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in _HIDDEN)
    text = _BETWEEN_WORDS.sub(" ", text)
    return _LEADING_ZEROS.sub("", text.strip().strip(_AROUND))


def warn_of_lookalikes(names, known=()):
    """Warn of classes that a reader could take for one, unless both are in a known set."""
    alike = defaultdict(list)
    for name in filter(lambda name: isinstance(name, str), names):
        alike[_look(name) or name].append(name)
    several = [same for same in alike.values() if len(same) > 1]
    new = [same for same in several if not any(set(same) <= set(classes) for classes in known)]
    if pairs := [" and ".join(map(_quote, same)) for same in new]:
        warn(
            f"These classes look alike, but count as different ones: {shorten(pairs)}. If they "
            "are one, give them one name, for instance by label_map (--label-map)."
        )


def _warn_of_missing(labels):
    """Warn of classes whose names are what programs write for a missing label."""
    counts = Counter(labels.tolist() if labels.dtype.kind == "U" else ())
    found = [
        f"{_quote(name)} (images: {n})" for name, n in counts.items() if _look(name) in _MISSING
    ]
    if found:
        warn(
            f"Read as a class, though it may mean a missing label: {shorten(found)}. To leave "
            "such images out, name the other classes in labels and set errors='skip'."
        )


def _in_words(skipped):
    return shorten([f"{name} {reason}" for name, reason in skipped], _NAMED)


def _check_known(listing, expected, errors):
    """Refuse or leave out labels that are not expected."""
    classes, codes = np.unique(listing.labels, return_inverse=True)
    unknown = np.array([label not in expected for label in classes.tolist()])[codes]
    if unknown.any() and errors == "raise":
        counts = Counter(listing.labels[unknown].tolist())
        found = [f"{label!r:.90} (images: {n})" for label, n in counts.most_common()]
        raise ValueError(
            f"Unknown label: {shorten(found)}. Expected {shorten(map(repr, expected), 99)}. "
            "Correct them, or leave these images out with errors='skip'."
        )
    rows = np.flatnonzero(unknown).tolist()
    return listing.leave_out({n: f"has the unknown label {listing.labels[n]!s}" for n in rows})


def map_labels(labels, label_map, clean):
    """Replace labels as a dict, text such as "AN=anger,DI=disgust" or a CSV file says."""
    known = {}
    for pair in _read_label_map(label_map):
        old, new = map(as_key, pair)
        if not str(new).strip() or not isinstance(new, str | int) or isinstance(new, bool):
            raise ValueError(
                f"label_map must lead to names or integers, got {new!r:.99} for {old}."
            )
        new = clean(new) if isinstance(new, str) else new
        if known.setdefault(normalize(old), new) != new:
            raise ValueError(f"label_map must have one new label per label, got two for {old}.")
    classes, codes = np.unique(labels, return_inverse=True)
    rest = [label for label in classes.tolist() if normalize(label) not in known]
    if unknown := [label for label in rest if label not in known.values()]:
        text = f"label_map has no new label for {shorten(unknown)}"
        if len(rest) == len(classes):
            raise ValueError(f"{text}, but for {shorten(known)}. Name labels as in the data.")
        warn(f"{text}; they stay as they are.")
    mapped = [known.get(normalize(label), label) for label in classes.tolist()]
    is_text = any(isinstance(label, str) for label in mapped)  # then numbers become text
    return np.array(list(map(str, mapped)) if is_text else mapped)[codes]


def _read_label_map(given):
    """Return pairs of label and new label."""
    if isinstance(given, dict) and given:
        return list(given.items())
    if isinstance(given, str) and "=" in given and not os.path.isfile(given):
        pairs = [part.partition("=")[::2] for part in given.split(",") if part.strip()]
    elif isinstance(given, str | os.PathLike) and os.path.isfile(given):
        with open(given, encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
            lines = file.read(1_000_000).splitlines()
        separator = max(",;\t|", key="".join(lines).count)
        pairs = [row for row in csv.reader(lines, delimiter=separator) if any(row)]
    else:
        pairs = []
    wrong = [pair for pair in pairs if len(pair) != 2 or not all(map(str.strip, pair))]
    if wrong or not pairs:
        got = f"{wrong[0]!r:.99} in {given!s:.99}" if wrong else f"{given!r:.99}"
        raise ValueError(
            "label_map (--label-map) must be a dict, text such as AN=anger,DI=disgust or a CSV "
            f"file of two columns, label and new label, got {got}."
        )
    return [(old.strip(), new.strip()) for old, new in pairs]


def _leave_out_foreign_names(listing, errors):
    """Refuse labels, and leave out files, whose names no result could be written with."""
    for label in np.unique(listing.labels).tolist():
        if isinstance(label, str) and escape_text(label) != label:
            raise ValueError(
                f"Labels must be text in UTF-8, got {escape_text(label)}. Rename the folder, or "
                "use label_map."
            )
    names = np.asarray(listing.names, dtype=str).tolist()
    foreign = [row for row, name in enumerate(names) if escape_text(name) != name]
    reason = "has a name or folder that is not UTF-8; rename it"
    return listing.leave_out(dict.fromkeys(foreign, reason), errors)


_read_images = partial(load_images, size=48)


def make_bunch(
    listing, source, *, labels=None, label_map=None, errors="raise", load_content=True,
    return_X_y=False, has_files=None, clean=lambda label: label, read=_read_images, **reading,
):  # fmt: skip
    """Check labels, read the images and put everything together."""
    if errors not in ("raise", "skip"):
        raise ValueError(f"errors must be one of raise, skip, got {errors!r:.90}.")
    if label_map is not None:
        listing = listing._replace(labels=map_labels(listing.labels, label_map, clean))
    listing = _leave_out_foreign_names(listing, errors)
    listing = listing._replace(labels=join_labels(listing.labels))
    labels = _check_expected(labels, clean)
    if labels is not None:
        # A command line knows the number 1 as "1": take names as they are in the data.
        known = {_spell(label): label for label in np.unique(listing.labels).tolist()}
        labels = [known.get(_spell(name), name) for name in labels]
        listing = _check_known(listing, labels, errors)
    if load_content:
        data, failures = read(listing.images, errors=errors, **reading)
    else:
        data, failures = _only_names(listing, errors)
    listing = listing.leave_out({row: reason for row, _, reason in failures})
    warn_of_lookalikes(np.unique(listing.labels).tolist())
    if labels is None:  # else they are meant
        _warn_of_missing(listing.labels)
    _report(listing, labels)
    if return_X_y:
        return data, listing.labels
    if has_files is None:  # else the images are pixels, or the bytes of files
        has_files = listing.images.dtype.kind == "U"
    return ImageBunch(
        data=data, target=listing.labels, target_names=np.unique(listing.labels),
        filenames=listing.names if has_files else None, groups=listing.groups,
        skipped=list(listing.skipped), source=str(source), columns=listing.columns,
    )  # fmt: skip


def _only_names(listing, errors):
    """Return names in place of images, and the files that do not exist."""
    names = np.asarray(listing.names, dtype=str)
    if listing.images.dtype.kind != "U":  # pixels
        return names, []
    exists = np.array([os.path.exists(path) for path in listing.images], dtype=bool)
    failures = [(row, str(names[row]), ABSENT) for row in np.flatnonzero(~exists).tolist()]
    if failures and (errors == "raise" or not exists.any()):  # as load_images does
        raise UnreadableImagesError(failures, len(names))
    return names[exists], failures


def _report(listing, labels):
    if listing.skipped:
        number = len(listing.skipped)
        warn(f"Left out {number} of the images listed: {_in_words(listing.skipped)}.")
    absent = [label for label in labels or () if label not in listing.labels]
    if absent:
        warn(f"No image has the expected label {shorten(absent, 99)}.")
