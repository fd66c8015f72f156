"""Split: rows for training, validation and test, that can be saved and balanced."""

import json
import math
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

from imbemotion._base.files import write_atomically
from imbemotion._base.validation import (
    DataWarning,
    check_labels,
    check_pixels,
    holds_paths,
    safe_indexing,
    shorten,
)
from imbemotion.images import ImageArray
from imbemotion.leaks.duplicates import pixel_keys

SUBSETS = ("train", "valid", "test")
_FORMAT = "imbemotion split 1"


class Split:
    """Rows for training, validation and test; iterating yields the three.

    Use :func:`stratified_split` to draw a split and :meth:`load` to read one.

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
    stratified : bool or None, default=None
        Whether every class was split by these shares; None if that is not known.

    Attributes
    ----------
    counts : dict of str to int
        Rows of every class in all data.
    fingerprint : str
        Digest of all labels in their order.

    See Also
    --------
    stratified_split : Draw a split.

    Examples
    --------
    >>> from imbemotion import stratified_split
    >>> y = ["joy"] * 20 + ["fear"] * 10
    >>> train, valid, test = stratified_split(y, random_state=0)
    >>> len(train), len(valid), len(test)
    (21, 4, 5)
    """

    def __init__(
        self,
        train: NDArray[np.integer],
        valid: NDArray[np.integer],
        test: NDArray[np.integer],
        *,
        y: NDArray,
        ratios: dict[str, Fraction],
        seed: int | None = None,
        stratified: bool | None = None,
    ):
        self.train, self.valid, self.test = train, valid, test
        self.ratios, self.seed, self.stratified = ratios, seed, stratified
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
            The file. An existing one is replaced; missing folders are created.
        X : array-like of shape (n_samples,) or (n_samples, height, width[, channels])
            Paths or images of all rows, of which a digest is saved (of paths, what differs
            between them, so that a folder may move). The labels always get one.
        """
        content = {
            "format": _FORMAT,
            "ratios": {name: str(ratio) for name, ratio in self.ratios.items()},  # exact: 7/10
            "seed": self.seed,
            "stratified": self.stratified,
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
            The labels of all rows, in the same order as when the split was drawn.
        X : array-like of shape (n_samples,) or (n_samples, height, width[, channels])
            Paths or images as passed to :meth:`save`. None does not compare them.

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
        _check_labels(y, content["counts"], content["labels"])
        if X is not None:
            _check_data(_check_length(X, len(y)), content["data"])
        rows = [np.array(content[name], dtype=np.int64) for name in SUBSETS]
        ratios = {name: Fraction(ratio) for name, ratio in content["ratios"].items()}
        # Older files do not say whether classes were split.
        facts = {"seed": content["seed"], "stratified": content.get("stratified")}
        return cls(*rows, y=y, ratios=ratios, **facts)

    def resample(
        self, sampler: Any, X: ArrayLike, y: ArrayLike, *, balance: str = "train"
    ) -> tuple[Any, ...]:
        """Balance training with a sampler, and leave validation and test unchanged.

        Parameters
        ----------
        sampler : object with ``fit_resample``
            A sampler of imbemotion or imbalanced-learn. It is cloned.
        X : array-like of shape (n_samples, ...)
            Data of all rows.
        y : array-like of shape (n_samples,)
            Labels of all rows, the same as of the split.
        balance : {"train", "all"}, default="train"
            ``"all"`` also balances validation and test, to as many rows of every class as
            training ends with, times the subset's share divided by the share of training,
            rounded down; where a sampler of imbalanced-learn can only add or only drop rows,
            as close to that as all classes can come. Scores on such subsets are no longer
            those of the data.

        Returns
        -------
        X_train, y_train, X_valid, y_valid, X_test, y_test : tuple of array-like
            The subsets. Those that are not resampled hold rows of X and y unchanged.

        Raises
        ------
        ValueError
            If y differs from the labels of the split.

        Examples
        --------
        >>> from imbemotion import RandomResampler, make_faces, stratified_split
        >>> X, y = make_faces({"happy": 20, "sad": 10}, size=8, random_state=0)
        >>> split = stratified_split(y, random_state=0)
        >>> X_train, y_train, *others = split.resample(RandomResampler(random_state=0), X, y)
        >>> X_train.shape, others[0].shape
        ((28, 8, 8), (4, 8, 8))
        """
        _check_labels(check_labels(y), self.counts, self.fingerprint)
        _check_length(X, len(y))
        if not hasattr(sampler, "fit_resample"):
            raise TypeError(f"sampler must have a method fit_resample, got {sampler!r}.")
        if balance not in ("train", "all"):
            raise ValueError(f"balance must be 'train' or 'all', got {balance!r}.")
        train, *others = [(safe_indexing(X, rows), safe_indexing(y, rows)) for rows in self]
        balanced = clone(sampler).fit_resample(*train)  # any strategy, resolved on training
        if balance == "all":
            totals = Counter(np.asarray(balanced[1]).tolist())
            shares = [self.ratios[name] / self.ratios["train"] for name in SUBSETS[1:]]
            others = [
                _resample_to(sampler, *subset, totals, share)
                for subset, share in zip(others, shares, strict=True)
            ]
        return (*balanced, *(item for subset in others for item in subset))


def _check_length(X, n_rows):
    if len(X) != n_rows:
        raise ValueError(
            f"The split is of {n_rows} rows, got {len(X)}. Draw a new one by stratified_split."
        )
    return X


def _check_labels(y, counts, fingerprint):
    """Check that labels are those of a split."""
    if _digest(_check_length(y, sum(counts.values()))) == fingerprint:
        return
    found = _count(y)
    differ = [
        f"{label} (then {counts.get(label, 0)} rows, now {found.get(label, 0)})"
        for label in {**counts, **found}
        if counts.get(label, 0) != found.get(label, 0)
    ]
    difference = shorten(differ) or "the same number per class, but in another order or type"
    raise ValueError(
        f"The split is of other labels: {difference}. Restore the order of the data, or draw "
        "a new split by stratified_split."
    )


def _count(y):
    """Count the rows of every class."""
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
    X = X if isinstance(X, ImageArray) else check_pixels(X)
    digest = blake2b(f"{X.shape} {X.dtype}".encode(), digest_size=16)
    for key in pixel_keys(X):  # in blocks, whatever X is
        digest.update(key)
    return f"pixels {digest.hexdigest()}"


def _check_data(X, expected):
    """Check that images or files are those that a split was saved with."""
    if expected is None:
        raise ValueError(
            f"The split was saved without a digest of the data, so X of {len(X)} rows cannot be "
            "compared. Omit X, or save the split again with X."
        )
    kind, found = expected.split()[0], _digest_data(X)
    if found.split()[0] != kind:
        raise ValueError(
            f"The split was saved with a digest of {kind}, got {found.split()[0]} as X. "
            f"Pass the {kind}."
        )
    if found != expected:
        raise ValueError(
            f"The split is of other {kind}, or of the same in another order, got the digest "
            f"{found} instead of {expected}. Restore them, or draw a new split."
        )


def _read(path):
    """Read a split file, and check that every row is in one subset."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        rows = sorted(row for name in SUBSETS for row in content[name])  # each exactly once
        intact = content["format"] == _FORMAT and set(content["ratios"]) == set(SUBSETS)
        intact = intact and rows == list(range(sum(content["counts"].values())))
        intact = intact and {"seed", "labels", "data"} <= set(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a saved split, or it is damaged ({error!r}). Save it again."
        ) from error
    if not intact:
        raise ValueError(
            f"{path} is not a saved split, or it is damaged: its format is "
            f"{content['format']!r}, and it holds {len(rows)} rows. Save it again."
        )
    return content


def _resample_to(sampler, X, y, totals, share):
    """Resample a subset to a share of what training ended with, class by class."""
    if len(y) == 0:  # a subset with a share of 0
        return X, y
    if "sampling_strategy" not in sampler.get_params():
        raise TypeError(
            "balance='all' needs a sampler with a parameter sampling_strategy, got "
            f"{sampler!r}. Use balance='train'."
        )
    present = Counter(np.asarray(y).tolist())
    absent = [label for label in totals if label not in present]
    if absent:
        warnings.warn(
            f"A subset of {len(y)} rows cannot be balanced completely: it has no row of "
            f"{shorten(absent)}.",
            DataWarning,
            stacklevel=3,
        )
    wanted = {label: n for label, n in totals.items() if label in present}
    # A sampler that only adds, or only drops, rows must be able to bring all classes there.
    shares = [share, *(Fraction(present[label], n) for label, n in wanted.items())]
    kind = getattr(sampler, "_sampling_type", None)
    share = {"over-sampling": max(shares), "under-sampling": min(shares)}.get(kind, share)
    targets = {label: max(1, math.floor(share * n)) for label, n in wanted.items()}
    return clone(sampler).set_params(sampling_strategy=targets).fit_resample(X, y)
