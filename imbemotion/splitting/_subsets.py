"""Split: rows for training, validation and test, that can be saved and balanced."""

import json
import math
import re
import warnings
from collections import Counter
from fractions import Fraction
from hashlib import blake2b
from os import PathLike
from os.path import commonprefix
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from imbemotion._base.files import read_json, write_atomically
from imbemotion._base.validation import (
    DataWarning,
    brief,
    check_labels,
    cut_label,
    holds_paths,
    safe_indexing,
    shorten,
)
from imbemotion.leaks.advice import find_leaks
from imbemotion.leaks.duplicates import check_images, pixel_keys

SUBSETS = ("train", "valid", "test")
_FORMAT = "imbemotion split 1"
_OPTIONAL = ("data", str), ("seed", int)
_RATIO = re.compile(r"\d{1,99}(/0*[1-9]\d{0,99})?")


class Split:
    """Rows for training, validation and test; iterating yields the three.

    :func:`stratified_split` draws a split, and :meth:`load` reads one.

    Parameters
    ----------
    train, valid, test : ndarray of int of shape (n_rows,)
        Sorted rows of each subset.
    y : ndarray of shape (n_samples,)
        All labels.
    ratios : dict of str to Fraction
        The requested share of each subset.
    seed : int or None, default=None
        Seed of the split; None if it was not drawn with an integer.
    stratified, grouped : bool or None, default=None
        Whether every class was split by these shares, and whether groups were kept together;
        None if unknown.

    Attributes
    ----------
    counts : dict of str to int
        Rows of every class in all data.
    fingerprint : str
        Digest of all labels in their order.

    Examples
    --------
    >>> from imbemotion import stratified_split
    >>> train, valid, test = stratified_split(["joy"] * 20 + ["fear"] * 10, random_state=0)
    >>> len(train), len(valid), len(test)
    (21, 4, 5)
    """

    def __init__(
        self, train: NDArray[np.integer], valid: NDArray[np.integer], test: NDArray[np.integer], *,
        y: NDArray, ratios: dict[str, Fraction], seed: int | None = None,
        stratified: bool | None = None, grouped: bool | None = None,
    ):  # fmt: skip
        self.train, self.valid, self.test = train, valid, test
        self.ratios, self.seed = ratios, seed
        self.stratified, self.grouped, self._has_warned = stratified, grouped, False
        self.counts, self.fingerprint, self._n_rows = _count(y), _digest(y), len(y)

    def __iter__(self):
        return iter((self.train, self.valid, self.test))

    def __repr__(self):
        return f"Split({', '.join(f'{name}={len(rows)}' for name, rows in self._rows().items())})"

    def _repr_html_(self):
        rows = {name: [len(rows), str(self.ratios[name])] for name, rows in self._rows().items()}
        return pd.DataFrame(rows, index=["rows", "share"]).to_html(border=0)

    def _rows(self):
        return dict(zip(SUBSETS, self, strict=True))

    def save(self, path: str | PathLike, *, X: ArrayLike | None = None) -> None:
        """Write the split to a JSON file atomically.

        Parameters
        ----------
        path : str or Path
            The file, replaced if it exists; missing folders are created.
        X : array-like of shape (n_samples,) or (n_samples, height, width[, channels])
            Paths or images of all rows, of which a digest is saved, as always of the labels.
            Of paths it covers what differs between them, so that a folder may move.
        """
        content = {
            "format": _FORMAT,
            "ratios": {name: str(ratio) for name, ratio in self.ratios.items()},  # exact: 7/10
            "seed": self.seed,
            "stratified": self.stratified,
            "grouped": self.grouped,
            "counts": self.counts,
            "labels": self.fingerprint,
            "data": None if X is None else _digest_data(_check_length(X, self._n_rows)),
            **{name: rows.tolist() for name, rows in self._rows().items()},
        }
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, f"{json.dumps(content, ensure_ascii=False)}\n".encode())

    @classmethod
    def load(cls, path: str | PathLike, y: ArrayLike, *, X: ArrayLike | None = None) -> Self:
        """Read a saved split, for the same data only.

        Parameters
        ----------
        path : str or Path
            The file.
        y : array-like of shape (n_samples,)
            The labels of all rows.
        X : array-like of shape (n_samples,) or (n_samples, height, width[, channels])
            Paths or images as in :meth:`save`. None does not compare them.

        Returns
        -------
        split : Split
            The same split.

        Raises
        ------
        ValueError
            If the data differ from those of the split, or the file does not hold a split.
        """
        content, y = _read(path), check_labels(y)
        try:
            _check_labels(y, content["counts"], content["labels"])
            if X is not None:
                _check_data(_check_length(X, len(y)), content["data"])
        except ValueError as error:
            raise ValueError(f"{path} cannot be used: {error}") from error
        rows = [np.array(content[name], dtype=np.int64) for name in SUBSETS]
        ratios = {name: Fraction(ratio) for name, ratio in content["ratios"].items()}
        known = {name: content.get(name) for name in ("stratified", "grouped")}  # not if old
        return cls(*rows, y=y, ratios=ratios, seed=content["seed"], **known)

    def resample(
        self, sampler: Any, X: ArrayLike, y: ArrayLike, *, balance: str = "train"
    ) -> tuple[Any, ...]:
        """Balance training with a sampler, and leave validation and test unchanged.

        Parameters
        ----------
        sampler : object with ``fit_resample``
            A sampler of imbemotion or imbalanced-learn. It is cloned.
        X, y : array-like of shape (n_samples, ...)
            Data and labels of all rows.
        balance : {"train", "all"}, default="train"
            ``"all"`` also balances validation and test: as training, times the ratio of their
            shares, rounded down, or as close to that as the sampler can bring all classes.
            Scores on such subsets are no longer those of the data.

        Returns
        -------
        X_train, y_train, X_valid, y_valid, X_test, y_test : tuple of array-like
            The subsets.

        Raises
        ------
        ValueError
            If y differs from the labels of the split.

        Warns
        -----
        DataWarning
            If paths in X show groups that the split divides, and none were given.

        Examples
        --------
        >>> from imbemotion import RandomResampler, make_faces, stratified_split
        >>> X, y = make_faces({"happy": 20, "sad": 10}, size=8, random_state=0)
        >>> subsets = stratified_split(y, random_state=0).resample(RandomResampler(), X, y)
        >>> [len(subset) for subset in subsets]
        [28, 28, 4, 4, 5, 5]
        """
        _check_labels(check_labels(y), self.counts, self.fingerprint)
        _check_length(X, len(y))
        if not hasattr(sampler, "fit_resample"):
            raise TypeError(f"sampler must have a method fit_resample, got {brief(sampler)}.")
        if balance not in ("train", "all"):
            raise ValueError(f"balance must be 'train' or 'all', got {balance!r:.90}.")
        if not (self.grouped or self._has_warned) and holds_paths(X):
            self._has_warned = True
            find_leaks(check_labels(y), [*map(str, X)], None, self, [])
        train, *others = [(safe_indexing(X, rows), safe_indexing(y, rows)) for rows in self]
        balanced = clone(sampler).fit_resample(*train)  # any strategy, resolved on training
        if balance == "all":
            totals = Counter(np.asarray(balanced[1]).tolist())
            shares = [self.ratios[name] / self.ratios["train"] for name in SUBSETS[1:]]
            pairs = zip(others, shares, strict=True)
            others = [_resample_to(sampler, *subset, totals, share) for subset, share in pairs]
        return (*balanced, *(item for subset in others for item in subset))


def _check_length(X, n_rows):
    if len(X) != n_rows:
        raise ValueError(f"The split is of {n_rows} rows, got {len(X)}. Draw a new one.")
    return X


def _check_labels(y, counts, fingerprint):
    if _digest(_check_length(y, sum(counts.values()))) == fingerprint:
        return
    found = _count(y)
    pairs = {label: (counts.get(label, 0), found.get(label, 0)) for label in {**counts, **found}}
    differ = [f"{label} (then {a} rows, now {b})" for label, (a, b) in pairs.items() if a != b]
    difference = shorten(differ) or "the same number per class, but in another order or type"
    raise ValueError(
        f"The split is of other labels: {difference}. Restore them or draw a new one."
    )


def _count(y):
    return {str(label): n for label, n in sorted(Counter(y.tolist()).items())}


def _digest(y):
    """Return one digest of labels; text, numbers and booleans of the same name differ."""
    text = json.dumps(y.tolist(), default=lambda label: getattr(label, "item", label.__str__)())
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _digest_data(X):
    """Return one digest of images, or of the names of files."""
    if holds_paths(X):  # a folder may move: only what differs between its paths counts
        files = [str(file).replace("\\", "/") for file in X]
        folder = commonprefix([file.rpartition("/")[0] + "/" for file in files])  # noqa: RUF071
        start = folder.rfind("/") + 1
        return f"files {_digest(np.array([file[start:] for file in files]))}"
    X = check_images(X)
    content = f"{X.shape} {X.dtype}".encode() + b"".join(pixel_keys(X))
    return f"pixels {blake2b(content, digest_size=16).hexdigest()}"


def _check_data(X, expected):
    """Check that images or files are those that a split was saved with."""
    if expected is None:
        n_rows = len(X)
        raise ValueError(f"The split was saved without a digest of the data, got {n_rows} rows.")
    kind, found = expected.split()[0], _digest_data(X)
    if not found.startswith(kind):
        other = found.split()[0]
        raise ValueError(f"The split was saved with a digest of {kind}, got {other} as X.")
    if found != expected:
        raise ValueError(
            f"The split is of other {kind}, or of the same in another order, got {found}."
        )


def _read(path):
    """Read a split file, and check that every row is in one subset."""
    try:
        content = read_json(path)
        rows = sorted(row for name in SUBSETS for row in content[name])  # each exactly once
        intact = content["format"] == _FORMAT and set(content["ratios"]) == set(SUBSETS)
        intact = intact and len(rows) == sum(content["counts"].values())  # before a range of them
        intact = intact and rows == list(range(len(rows)))
        intact = intact and isinstance(content["labels"], str)
        intact = intact and all(type(content[k]) in (t, type(None)) for k, t in _OPTIONAL)
        # Fraction would compute 1e999999999
        intact = intact and all(map(_RATIO.fullmatch, content["ratios"].values()))
        reason = f"its format is {content['format']!r:.60}, and it holds {len(rows)} rows"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        intact, reason = False, cut_label(repr(error), 200)
    if not intact:
        raise ValueError(f"{path} is not a saved split, or it is damaged: {reason}.")
    return content


def _resample_to(sampler, X, y, totals, share):
    """Resample a subset to a share of what training ended with, class by class."""
    if len(y) == 0:  # a subset with a share of 0
        return X, y
    if "sampling_strategy" not in sampler.get_params():
        raise TypeError(
            f"balance='all' needs a sampling_strategy, got the sampler {brief(sampler)}."
        )
    present = Counter(np.asarray(y).tolist())
    absent = [label for label in totals if label not in present]
    if absent:
        text = f"{len(y)} rows cannot be balanced completely: it has no row of {shorten(absent)}."
        warnings.warn(f"A subset of {text}", DataWarning, stacklevel=3)
    wanted = {label: n for label, n in totals.items() if label in present}
    # A sampler that only adds, or only drops, rows must be able to bring all classes there.
    shares = [share, *(Fraction(present[label], n) for label, n in wanted.items())]
    kind = getattr(sampler, "_sampling_type", None)
    share = {"over-sampling": max(shares), "under-sampling": min(shares)}.get(kind, share)
    targets = {label: max(1, math.floor(share * n)) for label, n in wanted.items()}
    return clone(sampler).set_params(sampling_strategy=targets).fit_resample(X, y)
