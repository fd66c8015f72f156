"""Run any sampler of imbalanced-learn on images."""

from hashlib import blake2b

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import get_tags

from imbemotion._base.validation import HasMethods, StrOptions
from imbemotion.images import ImageArray
from imbemotion.images.blocks import blocks_of
from imbemotion.samplers._vectors import is_whole, round_to
from imbemotion.samplers.base import BaseImageSampler
from imbemotion.targets import class_sizes, expect_totals

__all__ = [
    "FlattenSampler",
]


class FlattenSampler(BaseImageSampler):
    """Let a sampler of imbalanced-learn work on images, by rows of pixels.

    The sampler is given float32 pixels, never uint8, which SMOTE would wrap around at 256;
    what it makes is rounded and clipped. Rows that it took from the data keep their
    provenance; where it made nothing, no pixel is copied.

    Parameters
    ----------
    sampler : object
        A sampler such as ``TomekLinks()``, ``SMOTEENN(random_state=0)`` or
        ``NearMiss()``; it is cloned. Its parameters are searched as
        ``balance__sampler__NAME``.

    output : {"images", "array"}, default="images"
        Whether to give an ``ImageArray`` or an ndarray of pixels.

    Attributes
    ----------
    sampler_ : object
        The fitted clone.

    sampling_strategy_ : dict of class to int
        Number of rows that every class ended with.

    sample_indices_ : ndarray of int of shape (n_resampled,)
        Row of X that every output row equals or comes from, -1 for rows made of others. For
        flat data only where the sampler has it.

    image_shape_ : tuple of int
        Shape of one image. Only where X held images.

    n_features_in_ : int
        Size of axis 1 of X.

    feature_names_in_ : ndarray of str
        Names of the columns of X. Only where X was a data frame.

    See Also
    --------
    ImageSMOTE : SMOTE that knows the parents of its images and makes pixels late.

    Notes
    -----
    Originals come first, in their order; a new row that equals one of its class after rounding
    counts as a copy of it. Of new images the parents are unknown, so that
    ``CNNClassifier(validation_fraction=...)`` refuses them: it could not keep what
    was made of an image out of the validation of that image.

    Examples
    --------
    >>> from imblearn.under_sampling import NearMiss
    >>> from imbemotion import make_faces
    >>> X, y = make_faces({"happy": 9, "sad": 3}, random_state=0)
    >>> X_res, y_res = FlattenSampler(NearMiss()).fit_resample(X, y)
    >>> X_res
    ImageArray(shape=(6, 48, 48), dtype=uint8, n_parents=6, n_synthetic=0)
    """

    _parameter_constraints: dict = {
        "sampler": [HasMethods(["fit_resample"])],
        "output": [StrOptions({"images", "array"})],
    }

    def __init__(self, sampler, *, output="images"):
        self.sampler = sampler
        self.output = output

    def fit(self, X, y):
        """Check the data and find how many rows every class would end with.

        Parameters
        ----------
        X : array-like of images, paths or shape (n_samples, n_features)
            The data.

        y : array-like of shape (n_samples,)
            The labels.

        Returns
        -------
        self : object
            The sampler itself. Only resampling tells, so that this takes as long.
        """
        self.fit_resample(X, y)
        return self

    def _find_totals(self, y):
        return {}  # the sampler knows; they are counted afterwards

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
        order = _originals_first(equal)
        self.sample_indices_ = parents[order]
        return _take_or_add(X, rows[order], equal[order]), y_resampled[order]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.sampler)
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        tags.input_tags.string = inner.input_tags.string
        tags.input_tags.sparse = inner.input_tags.sparse
        tags.sampler_tags.sample_indices = inner.sampler_tags.sample_indices
        return tags


def _as_floats(X):
    """Give images as rows of pixels, and integers as floats, which do not wrap around."""
    if isinstance(X, ImageArray):
        flat = np.asarray(X).reshape(len(X), -1)
        return flat.astype(np.float32) if flat.dtype == np.uint8 else flat
    if hasattr(X, "columns"):
        whole = [name for name, dtype in X.dtypes.items() if is_whole(dtype)]
        return X.astype(dict.fromkeys(whole, np.float64))
    return X.astype(np.float64) if is_whole(X.dtype) else X


def _rounded(rows, X):
    """Bring rows to the dtype and the shape of X, a batch at a time."""
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
    """Tell which rows equal their parents, (n_new,)."""
    parts = []
    for place, pixels in blocks_of(X, parents):
        same = rows[place] == pixels
        parts.append(same.reshape(len(same), -1).all(axis=1))
    return np.concatenate(parts)


def _find_rows(X, y, rows, labels):
    """Find for every new row an equal row of X with the same label, (n_new,); -1 for none."""
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
        for row, label in zip(pixels, labels[place].tolist(), strict=True):
            yield blake2b(row.tobytes(), digest_size=16).digest(), label


def _originals_first(origins):
    """Order rows: every original once in the order of X, then its repeats, then new ones."""
    is_first = np.zeros(len(origins), dtype=bool)
    is_first[np.unique(origins, return_index=True)[1]] = True
    is_first &= origins >= 0
    first = np.flatnonzero(is_first)
    first = first[np.argsort(origins[first])]
    repeats = np.flatnonzero((origins >= 0) & ~is_first)
    return np.concatenate([first, repeats, np.flatnonzero(origins < 0)])


def _take_or_add(X, pictures, origins):
    """Take known rows from X, then add the new pictures, whose parents are unknown."""
    taken = X[origins[origins >= 0]]
    made = pictures[origins < 0]
    if not len(made):
        return taken
    unknown = np.full(len(made), -1)
    return np.concatenate([taken, ImageArray(made, parents=unknown, is_synthetic=unknown < 0)])
