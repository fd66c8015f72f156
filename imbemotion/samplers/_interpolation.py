"""Over-sample by moving images towards their neighbours: SMOTE and ADASYN, right for pixels."""

import warnings
from collections.abc import Callable
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_array

from imbemotion._base.validation import DataWarning, HasMethods, Interval, check_random_state
from imbemotion.augmentation import Augmentation
from imbemotion.images import ImageArray
from imbemotion.samplers._vectors import feature_space, interpolate, nearest_others
from imbemotion.samplers.base import (
    BaseImageSampler,
    choose_rows,
    concatenate,
    draw_seeds,
    take_rows,
)

__all__ = ["ImageADASYN", "ImageSMOTE"]


class _Search(NamedTuple):
    """What new rows are drawn from."""

    y: np.ndarray  # (n,)
    members: dict  # class -> rows
    space: Callable  # rows -> features
    random_state: np.random.RandomState


class _InterpolationSampler(BaseImageSampler):
    """Makes rows between rows of a class; ``_draw(search, label, n_new)`` chooses them."""

    _parameter_constraints: dict = {
        **BaseImageSampler._parameter_constraints,
        "features": [str, HasMethods(["fit", "transform"])],
    }

    def _fit_resample(self, X, y):
        X = X.as_source() if isinstance(X, ImageArray) else X
        members = {label: np.flatnonzero(y == label) for label in self.sampling_strategy_}
        stay = {label: min(n, len(members[label])) for label, n in self.sampling_strategy_.items()}
        random_state = check_random_state(self.random_state)
        kept, _ = choose_rows(y, stay, random_state)
        grows = any(n > len(members[label]) for label, n in self.sampling_strategy_.items())
        space = self._space(X, y) if grows else None
        search = _Search(y, members, space, random_state)
        parts, parents = [take_rows(X, kept)], [kept]
        for label, target in self.sampling_strategy_.items():
            if target > len(members[label]):
                rows, made = self._make(X, search, label, target - len(members[label]))
                parts.append(made)
                parents.append(rows)
        self.sample_indices_ = np.concatenate(parents)
        return concatenate(parts), y[self.sample_indices_]

    def _space(self, X, y):
        return feature_space(self.features, X, y)

    def _make(self, X, search, label, n_new):
        """Give the parents of the new rows of one class, and these rows."""
        members = search.members[label]
        if len(members) > 1:
            rows, partners, weights = self._draw(search, label, n_new)
            return rows, interpolate(X, rows, partners, weights)
        rows = np.repeat(members, n_new)
        if not isinstance(X, ImageArray):
            _warn(f"Class {label!r} has a single row, without neighbours: it is repeated.")
            return rows, take_rows(X, rows)
        _warn(
            f"Class {label!r} has a single image, without neighbours: its {n_new} new images "
            "are augmentations of it. More images of this class would help most."
        )
        return rows, X.augment(rows, Augmentation(), draw_seeds(n_new, search.random_state))

    def _check_flat(self, X):
        return check_array(X, accept_sparse=["csr", "csc"], input_name="X")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        tags.input_tags.string = False
        tags.input_tags.sparse = True
        return tags


class ImageSMOTE(_InterpolationSampler):
    """Over-sample small classes with images between neighbours, and drop images of large ones.

    A new image is an image of the class moved by a random share towards one of its nearest
    neighbours of the same class, pixel by pixel, in float, rounded and clipped: imbalanced-learn's
    SMOTE wraps around at 256 on uint8. Only the choice is made; no pixel is, before it is
    looked at. Such images are blends of two, which seldom helps a network: compare before
    you use it.

    Parameters
    ----------
    k_neighbors : int, default=5
        Among how many neighbours the other image is drawn; in a smaller class, among all its
        others.

    features : str or transformer, default="pixels"
        What distances between images are measured in: ``"pixels"``; a size such as
        ``"32x32"`` (height x width) that the images are shrunk to, which is faster; or a
        transformer such as ``PCA(50)``, fitted on all images of the training fold. It is
        given images where its tags say that it takes them, else rows of pixels in 0..1.
        ``FrozenEstimator`` keeps one that is fitted as it is.

    sampling_strategy : str, int, float, dict or callable, default="auto"
        How many rows every class ends with, as in :class:`RandomResampler`.

    max_copies : int, default=None
        Most new rows per original. A class then ends with at most
        ``originals * (1 + max_copies)`` rows. None means no limit.

    output : {"images", "array"}, default="images"
        Whether to give an ``ImageArray`` or an ndarray of pixels.

    random_state : int, RandomState instance or None, default=None
        Seed of the draws. As in imbalanced-learn, an int starts afresh for every class.

    Attributes
    ----------
    sampling_strategy_ : dict of class to int
        Number of rows that every class ended with.

    sample_indices_ : ndarray of int of shape (n_resampled,)
        Row of X that every output row comes from; of two parents, the one that was moved.

    image_shape_ : tuple of int
        Shape of one image. Only where X held images.

    n_features_in_ : int
        Size of axis 1 of X.

    feature_names_in_ : ndarray of str
        Names of the columns of X. Only where X was a data frame.

    See Also
    --------
    AugmentationSampler : New images that look like photographs.
    ImageADASYN : More new images where other classes are near.

    Notes
    -----
    With ``features="pixels"`` and an integer seed the images are those of imbalanced-learn's
    SMOTE on the flattened float32 pixels, rounded. A class of one image has no neighbours:
    its new images are augmentations of it, which a ``DataWarning`` says. On flat data
    integers are rounded and clipped too.

    References
    ----------
    .. [1] N. V. Chawla, K. W. Bowyer, L. O. Hall, W. P. Kegelmeyer, "SMOTE: synthetic
       minority over-sampling technique", JAIR 16, 2002.

    Examples
    --------
    >>> from imbemotion import make_faces
    >>> X, y = make_faces({"happy": 9, "sad": 3}, random_state=0)
    >>> X_res, y_res = ImageSMOTE(random_state=0).fit_resample(X, y)
    >>> X_res
    ImageArray(shape=(18, 48, 48), dtype=uint8, n_parents=12, n_synthetic=6)
    """

    _parameter_constraints: dict = {
        **_InterpolationSampler._parameter_constraints,
        "k_neighbors": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        k_neighbors=5,
        features="pixels",
        sampling_strategy="auto",
        max_copies=None,
        output="images",
        random_state=None,
    ):
        super().__init__(
            sampling_strategy=sampling_strategy,
            max_copies=max_copies,
            output=output,
            random_state=random_state,
        )
        self.k_neighbors = k_neighbors
        self.features = features

    def _draw(self, search, label, n_new):
        random_state = check_random_state(self.random_state)  # afresh, as imbalanced-learn
        search = search._replace(random_state=random_state)
        return _draw_pairs(search, label, n_new, self.k_neighbors)


class ImageADASYN(_InterpolationSampler):
    """Over-sample small classes with images between neighbours, most where classes meet.

    As :class:`ImageSMOTE`, but an image with more neighbours of other classes is the parent
    of more new images.

    Parameters
    ----------
    n_neighbors : int, default=5
        How many neighbours are looked at, of any class for the number of new images, of the
        same class for the images to move to. Fewer where there are fewer.

    features : str or transformer, default="pixels"
        What distances between images are measured in, as in :class:`ImageSMOTE`.

    sampling_strategy : str, int, float, dict or callable, default="auto"
        How many rows every class ends with, as in :class:`RandomResampler`; reached exactly.

    max_copies : int, default=None
        Most new rows per original, on average. A class then ends with at most
        ``originals * (1 + max_copies)`` rows. None means no limit.

    output : {"images", "array"}, default="images"
        Whether to give an ``ImageArray`` or an ndarray of pixels.

    random_state : int, RandomState instance or None, default=None
        Seed of the draws.

    Attributes
    ----------
    sampling_strategy_ : dict of class to int
        Number of rows that every class ended with.

    sample_indices_ : ndarray of int of shape (n_resampled,)
        Row of X that every output row comes from; of two parents, the one that was moved.

    image_shape_ : tuple of int
        Shape of one image. Only where X held images.

    n_features_in_ : int
        Size of axis 1 of X.

    feature_names_in_ : ndarray of str
        Names of the columns of X. Only where X was a data frame.

    See Also
    --------
    ImageSMOTE : The same number of new images for every image.

    Notes
    -----
    New images are shared out by largest remainders, so that their number is the one asked
    for; imbalanced-learn rounds each share and misses it by a few. Where no image of a class
    has a neighbour of another class, the class is treated as by :class:`ImageSMOTE`, which a
    ``DataWarning`` says; imbalanced-learn raises an error. Classes of one image are treated
    as there.

    References
    ----------
    .. [1] H. He, Y. Bai, E. A. Garcia, S. Li, "ADASYN: adaptive synthetic sampling approach
       for imbalanced learning", IJCNN 2008.

    Examples
    --------
    >>> from imbemotion import make_faces
    >>> X, y = make_faces({"happy": 9, "sad": 3}, random_state=0)
    >>> X_res, y_res = ImageADASYN(random_state=0).fit_resample(X, y)
    >>> X_res
    ImageArray(shape=(18, 48, 48), dtype=uint8, n_parents=12, n_synthetic=6)
    """

    _parameter_constraints: dict = {
        **_InterpolationSampler._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        n_neighbors=5,
        features="pixels",
        sampling_strategy="auto",
        max_copies=None,
        output="images",
        random_state=None,
    ):
        super().__init__(
            sampling_strategy=sampling_strategy,
            max_copies=max_copies,
            output=output,
            random_state=random_state,
        )
        self.n_neighbors = n_neighbors
        self.features = features

    def _space(self, X, y):
        features = super()._space(X, y)(np.arange(len(y)))  # all are needed for every class
        return features.__getitem__

    def _draw(self, search, label, n_new):
        members = search.members[label]
        foreign = _count_foreign(search, label, self.n_neighbors)
        if not foreign.any():
            _warn(f"No image of class {label!r} has a neighbour of another class: SMOTE is used.")
            return _draw_pairs(search, label, n_new, self.n_neighbors)
        k = min(self.n_neighbors, len(members) - 1)
        rows = np.repeat(np.arange(len(members)), _share_out(n_new, foreign))
        columns = search.random_state.choice(k, size=n_new)
        weights = search.random_state.uniform(size=n_new)
        return *_pairs(search.space, members, rows, columns, k), weights


def _draw_pairs(search, label, n_new, k):
    """Draw rows of a class, a neighbour of each and how far to move, (n_new,) each."""
    members = search.members[label]
    k = min(k, len(members) - 1)
    numbers = search.random_state.randint(len(members) * k, size=n_new)
    weights = search.random_state.uniform(size=n_new)
    rows, columns = np.divmod(numbers, k)
    return *_pairs(search.space, members, rows, columns, k), weights


def _pairs(space, members, rows, columns, k):
    """Look up neighbours: the pairs of rows of X, (n_new,) each. Only rows drawn are searched."""
    searched, place = np.unique(rows, return_inverse=True)
    neighbors = nearest_others(space(members), searched, k)
    return members[rows], members[neighbors[place, columns]]


def _count_foreign(search, label, k):
    """Count the neighbours of other classes of every row of a class, (n_members,)."""
    members = search.members[label]
    k = min(k, len(search.y) - 1)
    neighbors = nearest_others(search.space(np.arange(len(search.y))), members, k)
    return (search.y[neighbors] != label).sum(axis=1)


def _share_out(total, weights):
    """Share a total out in whole numbers by the method of largest remainders, (n,)."""
    exact = total * (weights / weights.sum())
    shares = np.floor(exact).astype(np.int64)
    largest = np.argsort(shares - exact, kind="stable")[: total - shares.sum()]
    shares[largest] += 1
    return shares


def _warn(message):
    warnings.warn(message, DataWarning, stacklevel=6)
