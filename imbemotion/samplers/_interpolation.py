"""Over-sample by moving images towards their neighbors: SMOTE and ADASYN, right for pixels."""

from collections.abc import Callable
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.utils import check_neighbors_object
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_array

from imbemotion._base.validation import HasMethods, Interval, brief, check_random_state, warn
from imbemotion.augmentation import Augmentation
from imbemotion.images import ImageArray, check_finite
from imbemotion.samplers._vectors import feature_space, interpolate, nearest_others
from imbemotion.samplers.base import BaseImageSampler, choose_rows, draw_seeds, join, rows_of


class _Search(NamedTuple):
    """What new rows are drawn from."""

    y: np.ndarray  # (n,)
    members: dict  # class -> rows
    space: Callable  # rows -> features
    neighbors: BaseEstimator  # of the user's kind; its n_neighbors counts the row itself
    random_state: np.random.RandomState


_NEIGHBORS = [
    Interval(Integral, 1, None, closed="left"), HasMethods(["kneighbors", "kneighbors_graph"]),
]  # fmt: skip


class _InterpolationSampler(BaseImageSampler):
    """Interpolates rows of a class; ``_draw(search, label, n_new)`` chooses them."""

    _neighbors = ("k_neighbors", "nn_k_")  # parameter and attribute, imbalanced-learn's names

    _parameter_constraints: dict = {
        **BaseImageSampler._parameter_constraints,
        "features": [str, HasMethods(["fit", "transform"])],
    }

    def _fit_resample(self, X, y):
        if isinstance(X, ImageArray):
            check_finite(X)
            X = X.as_source()
        members = {label: np.flatnonzero(y == label) for label in self.sampling_strategy_}
        n_new = {label: n - len(members[label]) for label, n in self.sampling_strategy_.items()}
        # choose_rows only drops rows here; those that are added are interpolated
        stay = {label: len(rows) + min(n_new[label], 0) for label, rows in members.items()}
        random_state = check_random_state(self.random_state)
        kept, _ = choose_rows(y, stay, random_state)
        space = self._space(X, y) if max(n_new.values()) > 0 else None
        search = _Search(y, members, space, self._find_neighbors(), random_state)
        parts, parents = [rows_of(X, kept)], [kept]
        for label in (label for label, n in n_new.items() if n > 0):
            rows, new = self._interpolate(X, search, label, n_new[label])
            parts.append(new)
            parents.append(rows)
        self.sample_indices_ = np.concatenate(parents)
        return join(parts), y[self.sample_indices_]

    def _space(self, X, y):
        return feature_space(self.features, X, y)

    def _find_neighbors(self):
        name, fitted = self._neighbors
        found = check_neighbors_object(name, getattr(self, name), additional_neighbor=1)
        if found.n_neighbors < 2:
            raise ValueError(
                f"{name} must find 2 neighbors, one being the row, got {brief(found)}."
            )
        setattr(self, fitted, found)
        return found

    def __getstate__(self):
        # the features of a whole class would make every pickled pipeline large
        fitted, state = self._neighbors[1], super().__getstate__()
        return {k: clone(v) if k == fitted else v for k, v in state.items()}

    def _interpolate(self, X, search, label, n_new):
        """Return the parents of the new rows of one class, and these rows."""
        members = search.members[label]
        if len(members) > 1:
            rows, partners, weights = self._draw(search, label, n_new)
            return rows, interpolate(X, rows, partners, weights)
        rows = np.repeat(members, n_new)
        if not isinstance(X, ImageArray):
            warn(f"Class {label!r:.90} has a single row, without neighbors: it is repeated.")
            return rows, rows_of(X, rows)
        warn(
            f"Class {label!r:.90} has a single image, without neighbors: its {n_new} new images "
            "are augmentations of it. More images of this class would help most."
        )
        return rows, X.augment(rows, Augmentation(), draw_seeds(n_new, search.random_state))

    def _check_flat(self, X):
        return check_array(X, accept_sparse=["csr", "csc"], input_name="X")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = False
        tags.input_tags.sparse = True
        return tags


class ImageSMOTE(_InterpolationSampler):
    """Over-sample small classes with interpolated images, and drop images of large ones.

    A new image is an image moved by a random share towards one of its nearest neighbors of
    the same class, in float, rounded and clipped: imbalanced-learn's SMOTE wraps around at
    256 on uint8, and with an integer seed equals this one on float32 pixels. New images of a
    class of one are augmentations, with a ``DataWarning``. Pixels are computed when they are
    needed. Blends of two images seldom help a network as those of
    :class:`AugmentationSampler` do: compare before use.

    Parameters
    ----------
    k_neighbors : int or estimator, default=5
        Number of neighbors from which the other image is drawn; fewer in smaller classes. Of an
        estimator such as ``NearestNeighbors(n_neighbors=6)``, one of them is the image itself.
    features : str or transformer, default="pixels"
        Space of the distances: ``"pixels"``; a size such as ``"32x32"`` (height x width) that
        images are shrunk to, which is faster; or a transformer such as ``PCA(50)``, fitted on
        the training images as rows of pixels in 0..1, or as images if its tags say that it
        takes them. ``FrozenEstimator`` keeps a fitted one.
    sampling_strategy : str, int, float, dict or callable, default="auto"
    max_copies : int, default=None
    output : {"images", "array"}, default="images"
        As in :class:`RandomResampler`.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws. As in imbalanced-learn, an int restarts for every class.

    Attributes
    ----------
    sample_indices_ : ndarray of int of shape (n_resampled,)
        Row of X that each output row is from; of two parents, the one that was moved.
    nn_k_ : estimator
        The search for neighbors, fitted to the last class that grew; not fitted in a pickle.
    sampling_strategy_, image_shape_, n_features_in_, feature_names_in_
        As in :class:`RandomResampler`.

    References
    ----------
    .. [1] N. V. Chawla et al., "SMOTE: synthetic minority over-sampling technique", JAIR 16, 2002.

    Examples
    --------
    >>> from imbemotion import make_faces
    >>> X, y = make_faces({"happy": 9, "sad": 3}, random_state=0)
    >>> ImageSMOTE(random_state=0).fit_resample(X, y)[0]
    ImageArray(shape=(18, 48, 48), dtype=uint8, n_parents=12, n_synthetic=6)
    """

    _parameter_constraints: dict = {
        **_InterpolationSampler._parameter_constraints,
        "k_neighbors": _NEIGHBORS,
    }

    def __init__(
        self, *, k_neighbors: int = 5, features: Any = "pixels", sampling_strategy: Any = "auto",
        max_copies: int | None = None, output: str = "images", random_state: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            sampling_strategy=sampling_strategy, max_copies=max_copies, output=output,
            random_state=random_state,
        )  # fmt: skip
        self.k_neighbors = k_neighbors
        self.features = features

    def _draw(self, search, label, n_new):
        # restarted for every class, as in imbalanced-learn
        search = search._replace(random_state=check_random_state(self.random_state))
        return _draw_pairs(search, label, n_new)


class ImageADASYN(_InterpolationSampler):
    """Over-sample small classes with interpolated images, most of them near other classes.

    As :class:`ImageSMOTE`, but an image with more neighbors of other classes is the parent
    of more new images. Their number is exact, where imbalanced-learn misses it by a few. If
    no image of a class has such neighbors, ``ImageSMOTE`` is used, with a ``DataWarning``.

    Parameters
    ----------
    n_neighbors : int or estimator, default=5
        Number of neighbors, of any class for the number of new images, of the same class for
        the images to move to. An estimator as in :class:`ImageSMOTE`.
    features : str or transformer, default="pixels"
        Space of the distances, as in :class:`ImageSMOTE`.
    sampling_strategy : str, int, float, dict or callable, default="auto"
    max_copies : int, default=None
    output : {"images", "array"}, default="images"
    random_state : int, RandomState instance or None, default=None
        As in :class:`RandomResampler`; ``max_copies`` on average.

    Attributes
    ----------
    nn_, sampling_strategy_, sample_indices_, image_shape_, n_features_in_, feature_names_in_
        As in :class:`ImageSMOTE`, whose ``nn_k_`` is ``nn_`` here, as in imbalanced-learn.

    References
    ----------
    .. [1] H. He, Y. Bai, E. A. Garcia, S. Li, "ADASYN: adaptive synthetic sampling approach
       for imbalanced learning", IJCNN 2008.

    Examples
    --------
    >>> from imbemotion import make_faces
    >>> X, y = make_faces({"happy": 9, "sad": 3}, random_state=0)
    >>> ImageADASYN(random_state=0).fit_resample(X, y)[0]
    ImageArray(shape=(18, 48, 48), dtype=uint8, n_parents=12, n_synthetic=6)
    """

    _parameter_constraints: dict = {
        **_InterpolationSampler._parameter_constraints,
        "n_neighbors": _NEIGHBORS,
    }
    _neighbors = ("n_neighbors", "nn_")

    def __init__(
        self, *, n_neighbors: int = 5, features: Any = "pixels", sampling_strategy: Any = "auto",
        max_copies: int | None = None, output: str = "images", random_state: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            sampling_strategy=sampling_strategy, max_copies=max_copies, output=output,
            random_state=random_state,
        )  # fmt: skip
        self.n_neighbors = n_neighbors
        self.features = features

    def _space(self, X, y):
        features = super()._space(X, y)(np.arange(len(y)))  # all are needed for every class
        return features.__getitem__

    def _draw(self, search, label, n_new):
        members = search.members[label]
        features = search.space(np.arange(len(search.y)))
        k = search.neighbors.n_neighbors - 1
        near = nearest_others(features, members, min(k, len(search.y) - 1), search.neighbors)
        foreign = (search.y[near] != label).sum(axis=1)  # neighbors of other classes, (n_members,)
        if not foreign.any():
            warn(
                f"No image of class {label!r:.90} has a neighbor of another class: SMOTE is used."
            )
            return _draw_pairs(search, label, n_new)
        k = min(k, len(members) - 1)
        rows = np.repeat(np.arange(len(members)), _share_out(n_new, foreign))
        columns = search.random_state.choice(k, size=n_new)  # drawn as by imbalanced-learn
        weights = search.random_state.uniform(size=n_new)
        return *_pairs(search, members, rows, columns, k), weights


# SMOTEENN and SMOTETomek accept instances of SMOTE alone.
SMOTE.register(ImageSMOTE)


def _draw_pairs(search, label, n_new):
    """Draw rows of a class, a neighbor of each and how far to move, (n_new,) each."""
    members = search.members[label]
    k = min(search.neighbors.n_neighbors - 1, len(members) - 1)
    # One integer for row and neighbor, before the weights: imbalanced-learn draws in this order.
    numbers = search.random_state.randint(len(members) * k, size=n_new)
    weights = search.random_state.uniform(size=n_new)
    rows, columns = np.divmod(numbers, k)
    return *_pairs(search, members, rows, columns, k), weights


def _pairs(search, members, rows, columns, k):
    """Return pairs of rows of X, (n_new,) each."""
    searched, place = np.unique(rows, return_inverse=True)  # others need no search
    neighbors = nearest_others(search.space(members), searched, k, search.neighbors)
    return members[rows], members[neighbors[place, columns]]


def _share_out(total, weights):
    """Divide a total into integers by the method of largest remainders, (n,)."""
    exact = total * (weights / weights.sum())
    shares = np.floor(exact).astype(np.int64)
    largest = np.argsort(shares - exact, kind="stable")[: total - shares.sum()]
    shares[largest] += 1  # of ties, the first rows
    return shares
