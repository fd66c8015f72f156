"""Split: rows for training, validation and test, that can be saved and balanced."""

import math
import warnings
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from sklearn.base import clone

from imbemotion._base.validation import DataWarning, check_labels, safe_indexing, shorten
from imbemotion.leaks.fingerprints import count_labels, digest_data, digest_labels
from imbemotion.splitting._split_file import (
    check_length,
    check_same_data,
    check_same_labels,
    read_split,
    write_split,
)

__all__ = [
    "PARTS",
    "Split",
    "resample_parts",
]


def resample_parts(sampler, parts, ratios, balance):
    """Resample training, and by its result the other parts if all are to be balanced."""
    if not hasattr(sampler, "fit_resample"):
        raise TypeError(f"sampler must have a method fit_resample, got {sampler!r}.")
    if balance not in ("train", "all"):
        raise ValueError(f"balance must be 'train' or 'all', got {balance!r}.")
    (X, y), *others = parts
    balanced = clone(sampler).fit_resample(X, y)
    if balance == "all":
        totals = Counter(np.asarray(balanced[1]).tolist())
        shares = [ratio / ratios[0] for ratio in ratios[1:]]
        others = [
            _resample_to(sampler, *part, totals, share)
            for part, share in zip(others, shares, strict=True)
        ]
    return (*balanced, *(item for part in others for item in part))


def _resample_to(sampler, X, y, totals, share):
    """Bring a part to a share of what training ended with, class by class."""
    if len(y) == 0:
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
            f"A part of {len(y)} rows can't be balanced wholly: it has no row of "
            f"{shorten(absent)}.",
            DataWarning,
            stacklevel=4,
        )
    wanted = {label: n for label, n in totals.items() if label in present}
    shares = [Fraction(present[label], n) for label, n in wanted.items()]
    share = _reachable(share, shares, sampler)
    targets = {label: max(1, math.floor(share * n)) for label, n in wanted.items()}
    return clone(sampler).set_params(sampling_strategy=targets).fit_resample(X, y)


def _reachable(share, shares, sampler):
    """Move a share to where a sampler that only adds, or only drops, can bring all classes."""
    kind = getattr(sampler, "_sampling_type", None)
    if kind == "over-sampling":
        return max([share, *shares])
    return min([share, *shares]) if kind == "under-sampling" else share


PARTS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Rows for training, validation and test; iterating gives the three.

    It is recommended to use :func:`stratified_split` and :meth:`load`.

    Parameters
    ----------
    train : ndarray of int of shape (n_train,)
        Sorted rows for training.

    valid : ndarray of int of shape (n_valid,)
        Sorted rows for validation.

    test : ndarray of int of shape (n_test,)
        Sorted rows for testing.

    ratios : dict of str to Fraction
        The shares that were wanted, by part.

    seed : int or None
        What it was drawn with; None where that was no integer.

    counts : dict of str to int
        Rows of every class in the whole data.

    fingerprint : str
        Digest of all labels in their order.

    stratified : bool or None, default=None
        Whether every class was split by itself; None where a file does not tell.

    See Also
    --------
    stratified_split : Makes one.

    Examples
    --------
    >>> from imbemotion import stratified_split
    >>> y = ["joy"] * 20 + ["fear"] * 10
    >>> train, valid, test = stratified_split(y, random_state=0)
    >>> len(train), len(valid), len(test)
    (21, 4, 5)
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    ratios: dict
    seed: int | None
    counts: dict
    fingerprint: str
    stratified: bool | None = None

    @classmethod
    def of(cls, train, valid, test, *, y, ratios, seed, stratified=None):
        """Make a split of the rows of some labels.

        Parameters
        ----------
        train : ndarray of int of shape (n_train,)
            Sorted rows for training.

        valid : ndarray of int of shape (n_valid,)
            Sorted rows for validation.

        test : ndarray of int of shape (n_test,)
            Sorted rows for testing.

        y : ndarray of shape (n_samples,)
            All labels.

        ratios : dict of str to Fraction
            The shares that were wanted, by part.

        seed : int or None
            What it was drawn with.

        stratified : bool, default=None
            Whether every class was split by itself.

        Returns
        -------
        split : Split
            The split.
        """
        whole = count_labels(y), digest_labels(y)
        return cls(train, valid, test, ratios, seed, *whole, stratified)

    def __iter__(self):
        return iter((self.train, self.valid, self.test))

    def __repr__(self):
        sizes = ", ".join(f"{name}={len(rows)}" for name, rows in zip(PARTS, self, strict=True))
        return f"Split({sizes})"

    def save(self, path, *, X=None):
        """Write the split into a JSON file, whole or not at all.

        Parameters
        ----------
        path : str or Path
            The file. It is replaced if it is there; missing folders are made.

        X : array-like of shape (n_samples,) or (n_samples, height, width[, channels])
            The paths or images that the rows are of, for a digest of them (of paths, what
            differs between them, so that a folder may move). None leaves that out; of the
            labels there always is one.
        """
        content = {
            "ratios": {name: str(ratio) for name, ratio in self.ratios.items()},
            "seed": self.seed,
            "stratified": self.stratified,
            "counts": self.counts,
            "labels": self.fingerprint,
            "data": None if X is None else digest_data(check_length(X, self.counts)),
            **{name: rows.tolist() for name, rows in zip(PARTS, self, strict=True)},
        }
        write_split(path, content)

    @classmethod
    def load(cls, path, y, *, X=None):
        """Read a split that was saved, for the same data only.

        Parameters
        ----------
        path : str or Path
            The file.

        y : array-like of shape (n_samples,)
            The labels of all rows, in the same order as when the split was made.

        X : array-like of shape (n_samples,) or (n_samples, height, width[, channels])
            The paths or images, where they were given to :meth:`save`. None does not look at
            them.

        Returns
        -------
        split : Split
            The same split.

        Raises
        ------
        ValueError
            If the data differ from those that the split was made of, or the file is no split.
        """
        content = read_split(path, PARTS)
        rows = [np.array(content[name], dtype=np.int64) for name in PARTS]
        ratios = {name: Fraction(ratio) for name, ratio in content["ratios"].items()}
        whole = content["counts"], content["labels"]
        split = cls(*rows, ratios, content["seed"], *whole, content.get("stratified"))
        check_same_labels(check_labels(y), split.counts, split.fingerprint)
        if X is not None:
            check_same_data(check_length(X, split.counts), content["data"])
        return split

    def resample(self, sampler, X, y, *, balance="train"):
        """Balance training with a sampler, and leave validation and test as they are.

        Parameters
        ----------
        sampler : object with ``fit_resample``
            A sampler of imbemotion or imbalanced-learn. It is cloned.

        X : array-like of shape (n_samples, ...)
            The data of all rows.

        y : array-like of shape (n_samples,)
            Their labels, the ones that the split was made of.

        balance : {"train", "all"}, default="train"
            ``"all"`` balances validation and test as well, to as many rows of every class
            as training ends with, times share of the part, divided by the share of training,
            and rounded down; where a sampler of imbalanced-learn can only add rows, or only
            drop them, as near to that as all classes can come. Scores on such parts are no
            longer those of the data.

        Returns
        -------
        X_train, y_train, X_valid, y_valid, X_test, y_test : tuple of array-like
            The parts. One that is not resampled has rows of X and y as they are.

        Raises
        ------
        ValueError
            If y is not what the split was made of.

        Examples
        --------
        >>> from imbemotion import RandomResampler, make_faces, stratified_split
        >>> X, y = make_faces({"happy": 20, "sad": 10}, size=8, random_state=0)
        >>> split = stratified_split(y, random_state=0)
        >>> X_train, y_train, *others = split.resample(RandomResampler(random_state=0), X, y)
        >>> X_train.shape, others[0].shape
        ((28, 8, 8), (4, 8, 8))
        """
        check_same_labels(check_labels(y), self.counts, self.fingerprint)
        check_length(X, self.counts)
        parts = [(safe_indexing(X, rows), safe_indexing(y, rows)) for rows in self]
        return resample_parts(sampler, parts, list(self.ratios.values()), balance)
