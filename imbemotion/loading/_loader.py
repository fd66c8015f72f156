"""ImageLoader: the step by which files and images of any kind enter a pipeline."""

from numbers import Integral
from os import PathLike

from sklearn.base import BaseEstimator, TransformerMixin

from imbemotion._validation import Interval, StrOptions, fit_context
from imbemotion.loading._reading import MODES, RESIZE, check_size, load_images

__all__ = ["ImageLoader"]


class ImageLoader(TransformerMixin, BaseEstimator):
    """Read paths, PIL images and arrays of any size into one ``ImageArray``.

    It learns nothing from the data, so that it may stand first in any pipeline. Every file
    is decoded once: rows that name the same path share one image and one parent.

    Parameters
    ----------
    size : int or tuple of (int, int), default=None
        Height and width of the images in pixels; an int means a square. None keeps the
        images' own size, which must then be one.

    mode : {"gray", "rgb"}, default="gray"
        Whether images become grey, (height, width), or colour, (height, width, 3).

    resize : {"stretch", "crop", "pad"}, default="stretch"
        How an image comes to `size`: "stretch" ignores its aspect, "crop" cuts off what
        exceeds the aspect on both sides, "pad" keeps all of it and fills up with black.

    n_jobs : int, default=None
        Number of threads. None means 1 unless in a :obj:`joblib.parallel_config` context.
        The pixels are the same for any number.

    cache_dir : str or Path, default=None
        Folder in which decoded files are kept, so that every file is decoded once for all
        folds, processes and later runs. It is made when missing. None keeps none.

    See Also
    --------
    FlattenImages : Make such images into features for any scikit-learn classifier.

    Notes
    -----
    Files are decoded by Pillow, whatever their suffix says; of several frames the first one
    counts. Pictures are put upright as their EXIF orientation asks, transparent parts become
    white, and colour profiles are ignored. Images are resized by an antialiasing triangle
    filter; JPEG files of more than twice the size are decoded at a reduced scale.

    Pixels become uint8: bool as 0 and 255; 16 bits (uint16, Pillow's "I;16" and "I") divided
    by 257; other integers must lie in 0..255. Floats are judged image by image: from 0..1
    they are multiplied by 255, from 0..255 rounded, and otherwise the image's own minimum
    and maximum become 0 and 255. Arrays with 2 and 4 channels have alpha in the last one.

    A file counts as unreadable also where Pillow would give a part of it or another picture:
    when it is truncated, and PNG files when a checksum is wrong or rows are missing.

    A uint8 array or ``ImageArray`` of the right size and mode passes without a copy, and an
    ``ImageArray`` keeps its ``parents`` and ``made``.

    With `cache_dir`, files are known by their absolute path, size and modification time (those
    written in the last two seconds are left out), and the images are a mapping of the pixels
    in it, which all processes share. They are the same as without it: every one is compared
    with a checksum, and decoded again where it is damaged. The folder holds the pixels, an
    index and a lock for every size, mode, way of resizing and version of this library and
    Pillow. It only grows, and can be deleted at any time.

    Examples
    --------
    >>> import numpy as np
    >>> from PIL import Image
    >>> loader = ImageLoader(size=(2, 3), resize="crop")
    >>> X = loader.fit_transform([Image.new("RGB", (9, 9), "white"), np.zeros((5, 4))])
    >>> X
    ImageArray(shape=(2, 2, 3), dtype=uint8, n_parents=2, n_made=0)
    >>> X[0].tolist()
    [[255, 255, 255], [255, 255, 255]]
    """

    _parameter_constraints = {
        "size": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "mode": [StrOptions(set(MODES))],
        "resize": [StrOptions(set(RESIZE))],
        "n_jobs": [Integral, None],
        "cache_dir": [str, PathLike, None],
    }

    def __init__(self, *, size=None, mode="gray", resize="stretch", n_jobs=None, cache_dir=None):
        self.size = size
        self.mode = mode
        self.resize = resize
        self.n_jobs = n_jobs
        self.cache_dir = cache_dir

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters; nothing is learned.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, height, width[, channels])
            Ignored.

        y : array-like of shape (n_samples,), default=None
            Ignored.

        Returns
        -------
        self : ImageLoader
            The loader itself.
        """
        check_size(self.size)
        return self

    def transform(self, X):
        """Read the images.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, height, width[, channels])
            A list, array, Series or single column of paths, PIL images and arrays, in any
            mixture; or a batch of images of one size.

        Returns
        -------
        images : ImageArray of shape (n_samples, height, width[, 3])
            Pixels of dtype uint8.

        Raises
        ------
        UnreadableImagesError
            If an image can't be read; the message lists all of them.

        ValueError
            If `size` is None and the images differ in size, or `cache_dir` can't be made.

        TypeError
            If X is a single path or image.
        """
        return load_images(X, **self.get_params(deep=False))[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags
