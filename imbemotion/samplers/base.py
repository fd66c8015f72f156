"""What all samplers share: images in, ImageArray out; flat in, flat out; which rows stay."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from imblearn.base import BaseSampler
from imblearn.utils import check_target_type
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.preprocessing import label_binarize
from sklearn.utils import check_array

from imbemotion._base.validation import (
    ArraysTransformer,
    Interval,
    StrOptions,
    check_consistent_length,
    check_labels,
    class_sizes,
    fit_context,
    forget_fit,
    holds_paths,
    looks_like_images,
    safe_indexing,
    validate_data,
)
from imbemotion.images import ImageArray
from imbemotion.loading import as_images
from imbemotion.samplers._vectors import round_columns
from imbemotion.targets import STRATEGY_NAMES, resolve_targets


class BaseImageSampler(BaseSampler):
    """A sampler for images and flat data; subclasses write ``_fit_resample(X, y)``."""

    # They read the totals per class from ``sampling_strategy_`` and set ``sample_indices_``.

    _sampling_type = "bypass"  # ensembles of imbalanced-learn then keep our sampling_strategy

    _parameter_constraints: dict = {
        "sampling_strategy": [
            StrOptions(STRATEGY_NAMES), Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="right"), Mapping, callable,
        ],
        "max_copies": [Interval(Integral, 0, None, closed="left"), None],
        "output": [StrOptions({"images", "array"})],
        "random_state": ["random_state"],
    }  # fmt: skip
    _fits_by_resampling = False  # whether the totals are known only then

    def __init__(
        self, *, sampling_strategy: Any = "auto", max_copies: int | None = None,
        output: str = "images", random_state: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(sampling_strategy=sampling_strategy)
        self.max_copies, self.output, self.random_state = max_copies, output, random_state

    @fit_context(prefer_skip_nested_validation=False)  # a nested sampler checks its own
    def fit(self, X: ArrayLike, y: ArrayLike) -> "BaseImageSampler":
        """Check the data and compute how many rows every class would end with."""
        if self._fits_by_resampling:
            self.fit_resample(X, y)
        else:
            self._prepare(X, y)
        return self

    @fit_context(prefer_skip_nested_validation=False)
    def fit_resample(self, X: ArrayLike, y: ArrayLike) -> tuple[Any, Any]:
        """Resample the data."""
        frame = X if hasattr(X, "columns") else None
        X, labels, one_vs_all, originals = self._prepare(X, y)
        X_resampled, y_resampled = self._fit_resample(X, labels)
        if isinstance(X_resampled, ImageArray):
            images = X_resampled.as_sample_of(X)
            X_resampled = np.asarray(images) if self.output == "array" else images
        if frame is not None and not isinstance(X_resampled, ImageArray):
            X_resampled = round_columns(X_resampled, frame)
        if one_vs_all:
            y_resampled = label_binarize(y_resampled, classes=np.unique(labels))
        resampled = originals.transform(X_resampled, y_resampled)
        if hasattr(resampled[0], "iloc") and not self._fits_by_resampling:
            counts, rows = class_sizes(labels), self.sample_indices_
            grows = any(n > counts[label] for label, n in self.sampling_strategy_.items())
            for part in (part for part in resampled if hasattr(part, "iloc")):
                # as in imbalanced-learn: repeated rows would share a label of the index
                part.index = pd.RangeIndex(len(rows)) if grows else frame.index[rows]
        return resampled

    def target_counts(self, y: ArrayLike) -> dict[Any, int]:
        """Return how many rows every class would end with, without resampling."""
        self._validate_params()
        return self._expect_totals(_as_labels(y)[0])

    def _prepare(self, X, y):
        forget_fit(self)  # a failing fit must not leave attributes of an earlier one
        X = as_images(X) if has_images(X) else X
        originals = ArraysTransformer(X, y)  # imblearn's: restores lists and pandas types
        X, y, one_vs_all = self._check_X_y(X, y)
        self.sampling_strategy_ = self._find_totals(y)
        return X, y, one_vs_all, originals

    def _find_totals(self, y):
        return resolve_targets(self.sampling_strategy, y, self.max_copies)

    def _expect_totals(self, y):
        return self._find_totals(y)

    def _check_X_y(self, X, y):  # noqa: N802, imbalanced-learn's name
        if isinstance(X, ImageArray):
            labels = _as_labels(y, n_samples=len(X))
            self.image_shape_ = X.shape[1:]
            self.n_features_in_ = X.shape[1]  # scikit-learn's word for axis 1
            return X, *labels
        y, one_vs_all = _as_labels(y)
        checked = self._check_flat(X)
        named = X if hasattr(X, "columns") else checked
        validate_data(self, X=named, y=y, reset=True, skip_check_array=True)
        check_consistent_length(checked, y)  # imbalanced-learn's random samplers forget this
        return checked, y, one_vs_all

    def _check_flat(self, X):
        """Check flat data; here rows are taken as they are, whatever they hold."""
        if hasattr(X, "columns"):
            return X
        return check_array(X, dtype=None, accept_sparse=["csr", "csc"], ensure_all_finite=False)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = tags.input_tags.string = True
        tags.sampler_tags.sample_indices = True
        return tags


def has_images(X):
    """Return whether X holds images, as pixels or as paths."""
    return looks_like_images(X) or holds_paths(X)


def _as_labels(y, n_samples=None):
    """Return checked labels, and whether they were one column of 0 and 1 per class."""
    one_vs_all = np.ndim(y) == 2 and np.shape(y)[1] > 1
    return check_labels(check_target_type(y) if one_vs_all else y, n_samples), one_vs_all


def rows_of(X, rows):
    """Take rows of images, arrays, sparse matrices or frames."""
    return X[rows] if isinstance(X, ImageArray) else safe_indexing(X, rows)


def join(parts):
    """Join rows of images, arrays or sparse matrices."""
    if sparse.issparse(parts[0]):
        return sparse.vstack(parts, format=parts[0].format)
    return np.concatenate(parts)


def draw_seeds(n, random_state):
    """Draw a seed for each of n new images, (n,) of uint64."""
    return random_state.randint(2**63, size=n, dtype=np.int64).astype(np.uint64)


def choose_rows(y, targets, random_state, *, evenly=False, replacement=False):
    """Draw the rows that stay and the parents of the rows that are added."""
    times, parents = np.ones(len(y), dtype=np.int64), [np.empty(0, dtype=np.int64)]
    for label, target in targets.items():
        rows = np.flatnonzero(y == label)
        n_new = target - len(rows)
        if n_new < 0:
            drawn = random_state.choice(len(rows), size=target, replace=replacement)
            times[rows] = np.bincount(drawn, minlength=len(rows))
        elif n_new > 0 and evenly:  # in shuffled rounds: numbers of draws differ by one at most
            rounds = [random_state.permutation(rows) for _ in range(-(-n_new // len(rows)))]
            parents.append(np.concatenate(rounds)[:n_new])
        elif n_new > 0:
            parents.append(random_state.choice(rows, size=n_new, replace=True))
    return np.repeat(np.arange(len(y)), times), np.concatenate(parents)
