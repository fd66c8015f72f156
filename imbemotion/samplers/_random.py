"""Repeat rare rows and drop frequent ones."""

import numpy as np

from imbemotion._validation import check_random_state
from imbemotion.samplers._base import BaseImageSampler, choose_rows, take_rows

__all__ = ["RandomSampler"]


class RandomSampler(BaseImageSampler):
    """Repeat images of small classes and drop images of large ones.

    No pixel is copied: the result holds row numbers on the images that were given. Use it
    inside an imbalanced-learn pipeline, so that only training folds are resampled.

    Parameters
    ----------
    sampling_strategy : str, int, float, dict or callable, default="auto"
        How many rows every class ends with, rounded down to an integer.

        - ``"auto"``, ``"not majority"``, ``"all"``, ``"oversample"``: as many as the largest;
        - ``"minority"``, ``"not minority"``: the same for the smallest class alone, or for
          all but the smallest;
        - ``"undersample"``: as many as the smallest class;
        - ``"hybrid"``: the median of the class sizes; ``"mean"``: their mean;
        - ``"sqrt"``: ``round(largest * sqrt(size / largest))``;
        - an int: so many, for every class;
        - a float in (0, 1]: at least that share of the largest class;
        - ``at_least(n)``: at least n;
        - a dict of totals per class, or a callable from y to such a dict. Classes that it
          does not name stay as they are.

    max_copies : int, default=None
        Most copies per original. A class then ends with at most
        ``originals * (1 + max_copies)`` rows, repeated evenly. None means no limit.

    output : {"images", "array"}, default="images"
        Whether images come back as an ``ImageArray`` or as an ndarray of pixels.

    random_state : int, RandomState instance or None, default=None
        Seed of the draws.

    Attributes
    ----------
    sampling_strategy_ : dict of class to int
        Number of rows that every class ended with.

    sample_indices_ : ndarray of int of shape (n_resampled,)
        Row of X that every output row comes from.

    image_shape_ : tuple of int
        Shape of one image. Only where X held images.

    n_features_in_ : int
        Size of axis 1 of X.

    feature_names_in_ : ndarray of str
        Names of the columns of X. Only where X was a data frame.

    See Also
    --------
    imblearn.over_sampling.RandomOverSampler : The same on flat data, over-sampling only.
    imblearn.under_sampling.RandomUnderSampler : The same on flat data, under-sampling only.

    Notes
    -----
    Rows that stay come first, in their order. With the same integer seed the rows are those
    that imbalanced-learn's two random samplers draw. Unlike there, ``sampling_strategy_``
    holds totals, and flat data may be over- and under-sampled in one step.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.zeros((225, 8, 8), dtype=np.uint8)
    >>> y = np.repeat(["joy", "sadness", "anger"], [100, 50, 75])
    >>> sampler = RandomSampler(sampling_strategy="hybrid", random_state=0)
    >>> X_res, y_res = sampler.fit_resample(X, y)
    >>> sampler.sampling_strategy_
    {'anger': 75, 'joy': 75, 'sadness': 75}
    >>> X_res
    ImageArray(shape=(225, 8, 8), dtype=uint8, n_parents=200, n_made=0)
    """

    def _fit_resample(self, X, y):
        random_state = check_random_state(self.random_state)
        evenly = self.max_copies is not None  # else a row could get more copies than that
        kept, parents = choose_rows(y, self.sampling_strategy_, random_state, evenly=evenly)
        self.sample_indices_ = np.concatenate([kept, parents])
        return take_rows(X, self.sample_indices_), y[self.sample_indices_]
