"""Over-sample by repeated or augmented images, under-sample by dropping."""

from collections.abc import Mapping
from copy import deepcopy
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from imblearn.over_sampling import RandomOverSampler
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.exceptions import NotFittedError

from imbemotion._base.validation import (
    HasMethods,
    Interval,
    brief,
    check_labels,
    check_random_state,
    check_scalar,
    class_sizes,
    only_column,
)
from imbemotion.augmentation import Augmentation, check_policy, with_limits, with_range
from imbemotion.images import ImageArray
from imbemotion.loading import as_images
from imbemotion.samplers._vectors import round_to
from imbemotion.samplers.base import (
    BaseImageSampler,
    choose_rows,
    draw_seeds,
    has_images,
    join,
    rows_of,
)
from imbemotion.targets import check_size

_PROBES = 16  # new images that are made twice


class RandomResampler(BaseImageSampler):
    """Repeat images of small classes and drop images of large ones, without copying pixels.

    Use it inside an imbalanced-learn pipeline, so that only training folds are resampled.
    Rows that stay come first, in their order. With an integer seed the rows are those of
    imbalanced-learn's ``RandomOverSampler`` and ``RandomUnderSampler``.

    Parameters
    ----------
    sampling_strategy : str, int, float, dict or callable, default="auto"
        How many rows every class ends with, rounded down to an integer.

        - ``"auto"``, ``"not majority"``, ``"all"``, ``"oversample"``: the size of the
          largest class; ``"minority"``, ``"not minority"``: the same for the smallest class
          alone, or for all others;
        - ``"undersample"``: the size of the smallest class; ``"majority"``: the same for the
          largest class alone;
        - ``"hybrid"``: the median of the class sizes; ``"mean"``: their mean;
        - ``"sqrt"``: ``round(largest * sqrt(size / largest))``;
        - an int: this number; ``at_least(n)``: at least n;
        - a float in (0, 1]: at least this share of the largest class;
        - a dict of totals, or a callable from y to one. Other classes keep their size.
    max_copies : int, default=None
        Largest number of copies per original: a class ends with at most
        ``originals * (1 + max_copies)`` rows, repeated evenly. None means no limit.
    output : {"images", "array"}, default="images"
        Whether to return an ``ImageArray`` or an ndarray of pixels.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws.
    replacement : bool, default=False
        Whether a row of a class that shrinks can be drawn more than once.
    shrinkage : float, dict of class to float or None, default=None
        Width of Gaussian noise that is added to repeated rows, a smoothed bootstrap (ROSE) as
        in imbalanced-learn: 1 suits normally distributed features. None: exact copies.

    Attributes
    ----------
    sampling_strategy_ : dict of class to int
        Number of rows that every class ended with.
    shrinkage_ : dict of class to float or None
        The shrinkage of every class that grew.
    sample_indices_ : ndarray of int of shape (n_resampled,)
        Row of X that each output row is from.
    image_shape_, n_features_in_, feature_names_in_ : tuple, int, ndarray of str
        Shape of one image, size of axis 1 of X, and column names of X if it is a frame.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.repeat(["joy", "sadness", "anger"], [100, 50, 75])
    >>> sampler = RandomResampler(sampling_strategy="hybrid", random_state=0)
    >>> sampler.fit_resample(np.zeros((225, 8, 8), dtype=np.uint8), y)[0]
    ImageArray(shape=(225, 8, 8), dtype=uint8, n_parents=200, n_synthetic=0)
    >>> sampler.sampling_strategy_
    {'anger': 75, 'joy': 75, 'sadness': 75}
    """

    _parameter_constraints: dict = {
        **BaseImageSampler._parameter_constraints,
        "replacement": ["boolean"],
        "shrinkage": [Interval(Real, 0, None, closed="left"), Mapping, None],
    }

    def __init__(
        self, *, sampling_strategy: Any = "auto", max_copies: int | None = None,
        output: str = "images", random_state: Any = None, replacement: bool = False,
        shrinkage: float | dict | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            sampling_strategy=sampling_strategy, max_copies=max_copies, output=output,
            random_state=random_state,
        )  # fmt: skip
        self.replacement, self.shrinkage = replacement, shrinkage

    def _fit_resample(self, X, y):
        random_state = check_random_state(self.random_state)
        evenly = self.max_copies is not None  # else a row could get more copies than that
        kept, parents = choose_rows(
            y, self.sampling_strategy_, random_state, evenly=evenly, replacement=self.replacement
        )
        self.shrinkage_ = None if self.shrinkage is None else {}
        if self.shrinkage is None or len(parents) == 0:
            rows = rows_of(X, np.concatenate([kept, parents]))
        else:
            X = X if isinstance(X, ImageArray) or sparse.issparse(X) else np.asarray(X)
            parents, new = self._smooth(X, y)
            rows = join([rows_of(X, kept), new])
        self.sample_indices_ = np.concatenate([kept, parents])
        return rows, y[self.sample_indices_]

    def _smooth(self, X, y):
        """Return the parents of the new rows, and these, by imbalanced-learn's bootstrap."""
        counts, flat = class_sizes(y), X if sparse.issparse(X) else X.reshape(len(y), -1)
        grown = {k: n for k, n in self.sampling_strategy_.items() if n > counts[k]}
        method = RandomOverSampler(
            sampling_strategy=grown, shrinkage=self.shrinkage, random_state=self.random_state
        )
        new = method.fit_resample(flat, y)[0][len(y) :]
        self.shrinkage_, parents = method.shrinkage_, method.sample_indices_[len(y) :]
        if sparse.issparse(X):
            return parents, new
        if isinstance(X, ImageArray):  # whose floats would get another range
            new = np.clip(new, flat.min(), flat.max())
        new = round_to(new, X.dtype).reshape(-1, *X.shape[1:])
        if not isinstance(X, ImageArray):
            return parents, new
        # interpolated with themselves, rows are synthetic and have one parent
        return parents, X.interpolate(parents, parents, np.zeros(len(new))).with_pixels(new)


class AugmentationSampler(BaseImageSampler):
    """Over-sample small classes with augmented images, and drop images of large ones.

    Each new row is a random augmentation of an image of its class, fixed by its seed; its
    pixels are computed when they are needed. Parents are drawn evenly: none twice before all
    of its class were used once. Use it inside a pipeline, so that only training folds grow.

    Parameters
    ----------
    augmentation : Augmentation or callable, default=None
        A policy, a transform of torchvision or Albumentations, or any callable from image to
        image that takes its random numbers from the global generators (``random``,
        ``np.random``, ``torch``), which are seeded for every image. None means
        ``Augmentation()``, whose limits are ``augmentation__rotation`` etc.
    sampling_strategy : str, int, float, dict or callable, default="auto"
    max_copies : int, default=None
    output : {"images", "array"}, default="images"
        As in :class:`RandomResampler`.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws and of the new images.

    Attributes
    ----------
    sampling_strategy_, sample_indices_, image_shape_, n_features_in_
        As in :class:`RandomResampler`.

    Examples
    --------
    >>> from imbemotion import make_faces
    >>> X, y = make_faces({"happy": 9, "sad": 3}, random_state=0)
    >>> AugmentationSampler(random_state=0).fit_resample(X, y)[0]
    ImageArray(shape=(18, 48, 48), dtype=uint8, n_parents=12, n_synthetic=6)
    """

    _parameter_constraints: dict = {
        **BaseImageSampler._parameter_constraints,
        "augmentation": [HasMethods(["draw", "apply"]), callable, None],
    }

    def __init__(
        self, augmentation: Any = None, *, sampling_strategy: Any = "auto",
        max_copies: int | None = None, output: str = "images", random_state: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            sampling_strategy=sampling_strategy, max_copies=max_copies, output=output,
            random_state=random_state,
        )  # fmt: skip
        self.augmentation = augmentation

    def set_params(self, **params: Any) -> "AugmentationSampler":
        """Set parameters, those of the augmentation by ``augmentation__NAME``.

        Parameters
        ----------
        **params : object
            Values by name.

        Returns
        -------
        self : AugmentationSampler

        Raises
        ------
        ValueError
            If a limit of the augmentation is set but that is a callable without limits.
        """
        policy = params.get("augmentation", self.augmentation)
        policy = Augmentation() if policy is None else policy
        return super().set_params(**with_limits(params, policy))

    def _prepare(self, X, y):
        self._resampled = None  # save must not write what an earlier call returned
        column = only_column(X)  # paths in a data frame, for example
        return super()._prepare(column if has_images(column) else X, y)

    def _fit_resample(self, X, y):
        if not isinstance(X, ImageArray):
            raise ValueError(
                "AugmentationSampler needs images of shape (n, height, width[, channels]), got "
                f"flat data of shape {X.shape}. Put it before ImageFlattener."
            )
        random_state = check_random_state(self.random_state)
        kept, parents = choose_rows(y, self.sampling_strategy_, random_state, evenly=True)
        images = X.as_source()
        new = self._augment(images, parents, random_state)
        self.sample_indices_ = np.concatenate([kept, parents])
        self._resampled = np.concatenate([images[kept], new]), y[self.sample_indices_]
        return self._resampled

    def _augment(self, images, parents, random_state):
        """Augment rows, after a check that the policy keeps to their seeds."""
        policy, seeds = with_range(self._policy(), images), draw_seeds(len(parents), random_state)
        if len(parents):
            tried = np.linspace(0, len(parents) - 1, _PROBES).astype(int)
            check_policy(policy, np.asarray(images[parents[tried]]), seeds[tried])
        return images.augment(parents, policy, seeds)

    def _policy(self):
        policy = Augmentation() if self.augmentation is None else self.augmentation
        if isinstance(policy, type):  # a class is callable, too
            raise ValueError(f"augmentation must be an instance, got the class {brief(policy)}.")
        if isinstance(policy, Augmentation):
            policy.draw([])  # an invalid limit is an error now, not in training
        return deepcopy(policy)  # later changes must not reach these images

    def save(self, folder: str | Path) -> NDArray[np.object_]:
        """Write the resampled images as PNG files, a folder per class, with a manifest.

        As :meth:`ImageArray.save`; ``load_image_folder`` restores the parents.

        Parameters
        ----------
        folder : str or Path
            An empty or new folder. It appears only when all images are written.

        Returns
        -------
        paths : ndarray of str of shape (n_resampled,)

        Raises
        ------
        NotFittedError
            If this object has not resampled images; a pickled one holds none.
        FileExistsError
            If the folder is not empty.
        """
        if getattr(self, "_resampled", None) is None:
            raise NotFittedError(
                f"{self!r:.90} has no images to save: it has not resampled any, or comes from a "
                "pickle or a cache. Call fit_resample on it first."
            )
        return self._resampled[0].save(folder, labels=self._resampled[1])

    def preview(
        self, X: ArrayLike, y: ArrayLike, *, n_originals: int = 8, n_versions: int = 6
    ) -> tuple[ImageArray, NDArray]:
        """Augment some images to inspect the policy, whatever the sampling strategy.

        Parameters
        ----------
        X, y : array-like of shape (n_samples, ...) and (n_samples,)
            Images or paths, and their labels.
        n_originals : int, default=8
            Number of images, drawn from all classes in turn, the rarest first.
        n_versions : int, default=6
            Number of augmentations of each.

        Returns
        -------
        images : ImageArray of shape (n_originals * (1 + n_versions), height, width[, channels])
        labels : ndarray of shape (n_originals * (1 + n_versions),)
            The originals, then all augmentations of the first one, of the second one and so
            on, with their classes; for :meth:`ImageGridDisplay.from_resampled`.

        Examples
        --------
        >>> from imbemotion import make_faces
        >>> X, y = make_faces({"happy": 9, "sad": 3}, random_state=0)
        >>> images, labels = AugmentationSampler(random_state=0).preview(X, y, n_originals=4)
        >>> images.shape, labels[:4].tolist()
        ((28, 48, 48), ['sad', 'happy', 'sad', 'happy'])
        """
        check_scalar(n_originals, "n_originals", Integral, min_val=1)
        check_scalar(n_versions, "n_versions", Integral, min_val=1)
        check_size(n_originals * n_versions, 0, f"preview of {n_versions=}")
        self._validate_params()
        images = as_images(X).as_source()
        y = check_labels(y, n_samples=len(images))
        random_state = check_random_state(self.random_state)
        rows = _draw_in_turn(y, n_originals, random_state)
        parents = np.repeat(rows, n_versions)
        new = self._augment(images, parents, random_state)
        return np.concatenate([images[rows], new]), y[np.concatenate([rows, parents])]

    def __getstate__(self):
        state = super().__getstate__()
        # pixels would make every pickled pipeline large
        return {name: value for name, value in state.items() if name != "_resampled"}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


def _draw_in_turn(y, n_rows, random_state):
    """Draw rows from all classes in turn, the rarest first, (n_rows,) or fewer."""
    classes, counts = np.unique(y, return_counts=True)
    order = classes[np.argsort(counts, kind="stable")]
    shuffled = [random_state.permutation(np.flatnonzero(y == label)) for label in order]
    n_turns = min(n_rows, counts.max())
    turns = [rows[turn : turn + 1] for turn in range(n_turns) for rows in shuffled]
    return np.concatenate(turns)[:n_rows]
