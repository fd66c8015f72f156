"""Any sampler of imbalanced-learn on images."""

from hashlib import blake2b
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import get_tags

from imbemotion._base.validation import HasMethods, StrOptions, brief, class_sizes
from imbemotion.images import ImageArray, blocks_of
from imbemotion.samplers._vectors import is_integral, round_to
from imbemotion.samplers.base import BaseImageSampler
from imbemotion.targets import check_size, expect_totals


class FlattenSampler(BaseImageSampler):
    """Run a sampler of imbalanced-learn on images, as rows of pixels.

    The sampler gets float32 pixels, never uint8, which SMOTE would wrap around at 256; new
    rows are rounded and clipped. Rows of the data keep their provenance and come first; a new
    row that equals one of its class counts as its copy. The parents of others are unknown, so
    that ``CNNClassifier(validation_fraction=...)`` refuses them; :class:`ImageSMOTE` knows
    the parents of its images.

    Parameters
    ----------
    sampler : object
        A sampler such as ``TomekLinks()`` or ``SMOTEENN(random_state=0)``, which is cloned.
        Its parameters are searched as ``balance__sampler__NAME``.
    output : {"images", "array"}, default="images"
        Whether to return an ``ImageArray`` or an ndarray of pixels.

    Attributes
    ----------
    sampler_ : object
        The fitted clone.
    sample_indices_ : ndarray of int of shape (n_resampled,)
        Row of X that each output row is from, -1 for rows made from several. For flat data
        only if the sampler has it.
    sampling_strategy_, image_shape_, n_features_in_, feature_names_in_
        As in :class:`RandomResampler`.

    Examples
    --------
    >>> from imblearn.under_sampling import NearMiss
    >>> from imbemotion import make_faces
    >>> X, y = make_faces({"happy": 9, "sad": 3}, random_state=0)
    >>> FlattenSampler(NearMiss()).fit_resample(X, y)[0]
    ImageArray(shape=(6, 48, 48), dtype=uint8, n_parents=6, n_synthetic=0)
    """

    _parameter_constraints: dict = {
        "sampler": [HasMethods(["fit_resample"])],
        "output": [StrOptions({"images", "array"})],
    }

    _fits_by_resampling = True

    def __init__(self, sampler: Any, *, output: str = "images") -> None:
        self.sampler = sampler
        self.output = output

    def _find_totals(self, y):
        for part in (self.sampler, *self.sampler.get_params().values()):
            # samplers made of others do not check these
            if hasattr(part, "_validate_params") and not isinstance(part, type):
                part._validate_params()
        try:
            totals = expect_totals(self.sampler, y)
        except ValueError:
            return {}  # counted after resampling
        check_size(sum(totals.values()), len(y), brief(self.sampler, 80))
        return totals

    def _expect_totals(self, y):
        return expect_totals(self.sampler, y)

    def _fit_resample(self, X, y):
        self.sampler_ = clone(self.sampler)
        rows, y_resampled = self.sampler_.fit_resample(_as_floats(X), y)
        self.sampling_strategy_ = class_sizes(y_resampled)
        taken = getattr(self.sampler_, "sample_indices_", None)
        if not isinstance(X, ImageArray):
            if taken is not None:
                self.sample_indices_ = np.asarray(taken)
            return rows if hasattr(X, "columns") else _rounded(rows, X), y_resampled
        rows = _rounded(rows, X)
        if taken is None:
            parents = equal = _find_rows(X, y, rows, y_resampled)
        else:  # a sampler may say where a row comes from, and still have changed it
            parents = np.asarray(taken)
            equal = np.where(_are_equal(rows, X, parents), parents, -1)
        order = _originals_first(equal)  # as all our samplers do
        self.sample_indices_, rows, equal = parents[order], rows[order], equal[order]
        # Taken rows share the source of X, so that no pixel is copied unless some are new.
        images, new = X[equal[equal >= 0]], rows[equal < 0]
        if len(new):
            unknown = np.full(len(new), -1)
            new = ImageArray(new, parents=unknown, is_synthetic=unknown < 0)
            images = np.concatenate([images, new])
        return images, y_resampled[order]

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), get_tags(self.sampler)
        for name in ("allow_nan", "string", "sparse"):
            setattr(tags.input_tags, name, getattr(inner.input_tags, name))
        tags.sampler_tags.sample_indices = inner.sampler_tags.sample_indices
        return tags


def _as_floats(X):
    """Return images as rows of pixels, and integers as floats, which do not wrap around."""
    if isinstance(X, ImageArray):
        flat = np.asarray(X).reshape(len(X), -1)
        return flat.astype(np.float32) if flat.dtype == np.uint8 else flat
    if hasattr(X, "columns"):
        names = [name for name, dtype in X.dtypes.items() if is_integral(dtype)]
        return X.astype(dict.fromkeys(names, np.float64))
    return X.astype(np.float64) if is_integral(X.dtype) else X


def _rounded(rows, X):
    """Convert rows to the dtype and the shape of X, block by block."""
    if sparse.issparse(X):
        rows.data = round_to(rows.data, X.dtype)
        return rows
    if rows.dtype != X.dtype:
        result = np.empty(rows.shape, dtype=X.dtype)
        for place, part in blocks_of(rows):
            result[place] = round_to(part, X.dtype)
        rows = result
    return rows.reshape(len(rows), *X.shape[1:])


def _are_equal(rows, X, parents):
    """Return which rows equal their parents, (n_new,)."""
    same = np.empty(len(rows), dtype=bool)
    for place, pixels in blocks_of(X, parents):
        same[place] = (rows[place] == pixels).reshape(len(pixels), -1).all(axis=1)
    return same


def _find_rows(X, y, rows, labels):
    """Return an equal row of X with the same label for every row, (n_new,); -1 for none."""
    known = {}
    for number, key in enumerate(_keys(X, y)):
        known.setdefault(key, []).append(number)
    found = np.full(len(rows), -1)
    for number, key in enumerate(_keys(rows, labels)):
        equal = known.get(key)
        if equal:
            found[number] = equal[0]
            if len(equal) > 1:  # twins take turns, so that each is found
                equal.append(equal.pop(0))
    return found


def _keys(rows, labels):
    for place, pixels in blocks_of(rows):
        # Digests take 16 bytes a row; a collision is out of reach.
        for row, label in zip(pixels, labels[place].tolist(), strict=True):
            yield blake2b(row.tobytes(), digest_size=16).digest(), label


def _originals_first(origins):
    """Return the order: every original once in the order of X, then repeats, then new rows."""
    is_first = np.zeros(len(origins), dtype=bool)
    is_first[np.unique(origins, return_index=True)[1]] = True
    rank = np.where(origins < 0, 2, np.where(is_first, 0, 1))
    return np.lexsort([np.where(rank == 0, origins, 0), rank])  # stable
