"""Over-sample with augmented images: offline augmentation."""

from copy import deepcopy

import numpy as np

from imbemotion._validation import HasMethods, check_random_state
from imbemotion.augmentation import Augmentation
from imbemotion.images import ImageArray
from imbemotion.samplers._base import BaseImageSampler, choose_rows

__all__ = ["AugmentationSampler"]


class AugmentationSampler(BaseImageSampler):
    """Over-sample small classes with augmented images, and drop images of large ones.

    Every new row is a random augmentation of an image of its class, the same whenever it is
    looked at ("offline"); no pixel is made before. Parents are drawn evenly: none a second
    time before all of its class were used once. Use it inside an imbalanced-learn pipeline,
    so that only training folds grow.

    Parameters
    ----------
    augmentation : Augmentation or callable, default=None
        What may be done to an image: a policy, a torchvision v2 transform, or any callable
        from image to image. None means ``Augmentation()``; give one to search its limits by
        names such as ``balance__augmentation__rotation``.

    sampling_strategy : str, int, float, dict or callable, default="auto"
        How many rows every class ends with, as in :class:`RandomSampler`.

    max_copies : int, default=None
        Most new rows per original. A class then ends with at most
        ``originals * (1 + max_copies)`` rows. None means no limit.

    output : {"images", "array"}, default="images"
        Whether to give an ``ImageArray`` or an ndarray of pixels.

    random_state : int, RandomState instance or None, default=None
        Seed of the draws and of the new images.

    Attributes
    ----------
    sampling_strategy_ : dict of class to int
        Number of rows that every class ended with.

    sample_indices_ : ndarray of int of shape (n_resampled,)
        Row of X that every output row comes from.

    image_shape_ : tuple of int
        Shape of one image.

    n_features_in_ : int
        Size of axis 1 of X.

    See Also
    --------
    RandomSampler : Repeat images as they are.
    Augmentation : What is done to them.

    Examples
    --------
    >>> from imbemotion import make_faces
    >>> X, y = make_faces({"happy": 9, "sad": 3}, random_state=0)
    >>> X_res, y_res = AugmentationSampler(random_state=0).fit_resample(X, y)
    >>> X_res
    ImageArray(shape=(18, 48, 48), dtype=uint8, n_parents=12, n_made=6)
    """

    _parameter_constraints: dict = {
        **BaseImageSampler._parameter_constraints,
        "augmentation": [HasMethods(["draw", "apply"]), callable, None],
    }

    def __init__(
        self,
        *,
        augmentation=None,
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
        self.augmentation = augmentation

    def set_params(self, **params):
        """Set parameters, those of the augmentation by ``augmentation__NAME``.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self : object
            The sampler itself.

        Raises
        ------
        ValueError
            If a limit of the augmentation is set where no augmentation was given.
        """
        nested = [name for name in params if name.startswith("augmentation__")]
        policy = params.get("augmentation", self.augmentation)
        if nested and not hasattr(policy, "set_params"):
            raise ValueError(
                f"{nested[0]} can't be set: augmentation is {policy!r}. Start from "
                "AugmentationSampler(augmentation=Augmentation())."
            )
        return super().set_params(**params)

    def _fit_resample(self, X, y):
        if not isinstance(X, ImageArray):
            raise ValueError(
                "AugmentationSampler needs images of shape (n, height, width[, channels]), got "
                f"flat data of shape {X.shape}. Put it before FlattenImages."
            )
        random_state = check_random_state(self.random_state)
        kept, parents = choose_rows(y, self.sampling_strategy_, random_state, evenly=True)
        seeds = random_state.randint(2**63, size=len(parents), dtype=np.int64).astype(np.uint64)
        policy = Augmentation() if self.augmentation is None else self.augmentation
        if isinstance(policy, Augmentation) and X.dtype != np.uint8:  # said now, not in training
            raise ValueError(
                f"Augmentation changes uint8 images, got {X.dtype}. Use ImageLoader, or "
                "(255 * X).astype('uint8') where X lies in 0..1."
            )
        policy = deepcopy(policy)  # later changes must not reach these pictures
        images = X.settled()
        self.sample_indices_ = np.concatenate([kept, parents])
        X_resampled = np.concatenate([images[kept], images.augment(parents, policy, seeds)])
        return X_resampled, y[self.sample_indices_]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags
