"""ImageArray: a read-only array of images that holds recipes instead of pixels."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import ArrayLike, DTypeLike, NDArray
from PIL import Image

from imbemotion._base.validation import check_pixels
from imbemotion.augmentation import with_range
from imbemotion.images._recipes import Content, Recipes, check_lineage, join
from imbemotion.images.manifest import write_array, write_images

_SHAPE_FUNCTIONS = {np.shape, np.ndim, np.size}  # these need no pixels
_N_THUMBNAILS, _THUMBNAIL = 10, (64, 64)


class ImageArray(NDArrayOperatorsMixin):
    """Images of one size, held as a source and one small recipe per row.

    A read-only array of shape ``(n, height, width[, channels])``. Indexing rows returns
    another ``ImageArray`` on the same source; ``np.asarray``, arithmetic and NumPy functions
    compute the pixels. Until then a repeated row takes 8 bytes and a synthetic one 40. A
    pickle holds the pixels of the rows in use. :class:`ImageLoader` reads files of any size.

    Parameters
    ----------
    images : array-like or ImageArray of shape (n_samples, height, width[, channels])
        The source. Arrays of uint8, float32 and float64 are not copied: never change them.
    parents : array-like of int of shape (n_samples,) or (n_samples, n_parents), default=None
        Numbers of the originals of each image, -1 for unknown. None: each is an original.
    is_synthetic : array-like of bool of shape (n_samples,), default=None
        Which images are neither originals nor copies of them. None: no image.

    Attributes
    ----------
    shape, dtype, ndim, size : as of an ndarray
        Those of the array of pixels.
    parents : ndarray of int of shape (n, n_parents)
        Rows of the first source that each image was made from, -1 for unknown or none;
        2 columns, or more after repeated interpolation.
    sampled_from : ndarray of int of shape (n_before, n_parents) or None
        Parents of the rows that the first sampler received; None where no sampler did.
    is_synthetic : ndarray of bool of shape (n,)
        Whether each row is neither an original nor a copy of one.

    Raises
    ------
    ValueError
        If the images are not of shape ``(n, height, width[, channels])``.

    Examples
    --------
    >>> import numpy as np
    >>> X = ImageArray(np.arange(12, dtype=np.uint8).reshape(3, 2, 2))[[0, 0, 2]]
    >>> X
    ImageArray(shape=(3, 2, 2), dtype=uint8, n_parents=2, n_synthetic=0)
    >>> X.parents.tolist(), float((X / 11).max())
    ([[0, -1], [0, -1], [2, -1]], 1.0)
    """

    def __init__(
        self, images: ArrayLike, *, parents: ArrayLike | None = None,
        is_synthetic: ArrayLike | None = None,
    ) -> None:  # fmt: skip
        source = images if isinstance(images, ImageArray) else check_pixels(images)
        lineage = None
        if parents is not None or is_synthetic is not None:
            lineage = check_lineage(len(source), parents, is_synthetic)
        # A wrapped array keeps its root: parents go on to number the same originals.
        wrapped = isinstance(source, ImageArray)
        root = source._content.root if wrapped else object()
        before = source.sampled_from if wrapped and lineage is None else None
        rows = Recipes(np.arange(len(source)))
        self.__setstate__(Content(source, rows, (), lineage, root, before))

    @classmethod
    def _of(cls, content):
        images = object.__new__(cls)
        images.__setstate__(content)
        return images

    def __setstate__(self, content):
        self._content = content
        self._packed = None

    def __getstate__(self):
        packed = self._packed or self._content.pack()
        if not isinstance(self._content.source, np.memmap):  # that stays out of memory
            self._packed = packed  # joblib writes one object once for all of its workers
        return packed

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the pixels, ``(n, height, width[, channels])``."""
        return (len(self), *self._content.source.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the pixels."""
        return self._content.source.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions: 3 for gray images, 4 with channels."""
        return self._content.source.ndim

    @property
    def size(self) -> int:
        """Number of values in all images."""
        return int(np.prod(self.shape))

    @property
    def parents(self) -> NDArray[np.int64]:
        """Rows of the first source that every image was made from, (n, 2) or wider."""
        return self._content.parents

    @property
    def is_synthetic(self) -> NDArray[np.bool_]:
        """Whether each row is neither an original nor a copy of one, (n,)."""
        return self._content.is_synthetic

    @property
    def sampled_from(self) -> NDArray[np.int64] | None:
        """Parents of the rows that the first sampler received, (n_before, n_parents), or None."""
        return self._content.before

    def __len__(self) -> int:
        return len(self._content.recipes.rows)

    def __iter__(self):
        return (self[number] for number in range(len(self)))

    def __repr__(self) -> str:
        parents = self.parents[:, 0]
        n_parents = len(np.unique(parents[parents >= 0]))
        return (
            f"ImageArray(shape={self.shape}, dtype={self.dtype}, n_parents={n_parents}, "
            f"n_synthetic={self.is_synthetic.sum()})"
        )

    def _repr_html_(self) -> str:
        images = map(_thumbnail, np.asarray(self[:_N_THUMBNAILS]))
        return f"<p>{self!r}</p>" + "".join(f'<img src="{image}"> ' for image in images)

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if not parts or parts[0] is Ellipsis or parts[0] is None:
            return np.asarray(self)[key]  # all rows are needed anyway
        rows, rest = _check_rows(parts[0]), parts[1:]
        jointly = any(isinstance(part, list | np.ndarray) for part in rest)
        if jointly or (isinstance(rows, np.ndarray) and rows.dtype == bool and rows.ndim > 1):
            return np.asarray(self)[key]  # NumPy combines arrays along several axes
        recipes = self._content.recipes[rows]
        shape = recipes.rows.shape
        if len(shape) == 1 and all(part is Ellipsis or part == slice(None) for part in rest):
            # Folds select rows, too, and groups are selected with them: see sampled_from.
            return ImageArray._of(self._content._replace(recipes=recipes, before=None))
        pixels = self._content._replace(recipes=recipes.flat()).pixels()
        return pixels.reshape(shape + self.shape[1:])[(*[slice(None)] * len(shape), *rest)]

    def __array__(self, dtype: DTypeLike = None, copy: bool | None = None) -> NDArray:
        source, recipes = self._content[:2]
        is_view = isinstance(source, np.ndarray) and recipes.run is not None
        if copy is False and not (is_view and (dtype is None or dtype == self.dtype)):
            raise ValueError(f"Pixels of {self!r} are computed, got copy=False. Use copy=None.")
        pixels = self._content.pixels()
        if dtype is not None and pixels.dtype != dtype:
            return pixels.astype(dtype)
        return pixels.copy() if copy and not pixels.flags.writeable else pixels

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if any(isinstance(out, ImageArray) for out in kwargs.get("out", ())):
            raise TypeError(f"{self!r} is read-only. Write X = X + 1 instead of X += 1.")
        return getattr(ufunc, method)(*_to_pixels(inputs), **_to_pixels(kwargs))

    def __array_function__(self, function, types, args, kwargs):
        if function is np.concatenate and _is_along_rows(*args, **kwargs):
            return ImageArray._of(join([images._content for images in args[0]]))
        if function in _SHAPE_FUNCTIONS:
            # a broadcast zero has the shape, but takes no memory
            return function(np.broadcast_to(np.uint8(0), self.shape), *args[1:], **kwargs)
        return function(*_to_pixels(args), **_to_pixels(kwargs))

    def astype(self, dtype: DTypeLike) -> NDArray:
        """Return the pixels as a new ndarray of another dtype.

        Parameters
        ----------
        dtype : dtype
            As for ndarrays.

        Returns
        -------
        pixels : ndarray of shape (n, height, width[, channels])
        """
        return np.array(self, dtype=dtype)

    def reshape(self, *shape: int) -> NDArray:
        """Return the pixels as an ndarray of another shape.

        Parameters
        ----------
        *shape : int or tuple of int
            The shape; one entry may be -1.

        Returns
        -------
        pixels : ndarray
        """
        return np.asarray(self).reshape(*shape)

    def as_source(self) -> "ImageArray":
        """Return an array whose rows can be augmented and interpolated.

        Returns
        -------
        images : ImageArray
            This array if no row is changed, else a new one with this array as its source.
        """
        # A recipe changes its row once: changed rows become the rows of a new source.
        return ImageArray(self) if self._content.recipes.is_synthetic.any() else self

    def as_sample_of(self, X: "ImageArray") -> "ImageArray":
        """Return this array with a record of the rows that a sampler made it from.

        Samplers call it last. The record is lost by indexing and joining.

        Parameters
        ----------
        X : ImageArray of shape (n_before, height, width[, channels])
            What the sampler received. If X has such a record itself, it is kept.

        Returns
        -------
        images : ImageArray of shape (n, height, width[, channels])
        """
        before = X.parents if X.sampled_from is None else X.sampled_from
        before = before[:, (before >= 0).any(axis=0)]  # one column for originals
        return ImageArray._of(self._content._replace(before=before))

    def originals(self, numbers: ArrayLike) -> tuple["ImageArray", NDArray[np.int64]]:
        """Find originals in the first source, even those that are not rows of this array.

        Parameters
        ----------
        numbers : array-like of int
            Numbers as in `parents`.

        Returns
        -------
        images : ImageArray of shape (n_found, height, width[, channels])
        found : ndarray of int of shape (n_found,)
            The available originals and their numbers.
        """
        content, found = self._content.originals(numbers)
        return ImageArray._of(content), found

    def augment(self, rows: ArrayLike, policy: Any, seeds: ArrayLike) -> "ImageArray":
        """Return augmented rows without computing their pixels yet.

        Parameters
        ----------
        rows, seeds : array-like of int of shape (n_new,)
            Row of this array and seed of each new image, from 0 to 2**64 - 1.
        policy : object with ``draw`` and ``apply``, or callable
            The policy, such as an :class:`Augmentation`.

        Returns
        -------
        images : ImageArray of shape (n_new, height, width[, channels])
        """
        content = self.as_source()._content
        recipes = content.recipes[np.asarray(rows, dtype=np.int64)]
        recipes = recipes.changed(seed=seeds, policy=len(content.policies))
        policies = (*content.policies, with_range(policy, self))
        return ImageArray._of(content._replace(recipes=recipes, policies=policies))

    def interpolate(
        self, rows: ArrayLike, partners: ArrayLike, weights: ArrayLike
    ) -> "ImageArray":
        """Return rows moved towards others, ``a + weight * (b - a)``, rounded for uint8.

        Parameters
        ----------
        rows, partners : array-like of int of shape (n_new,)
            Rows of this array that each new image is made from and moved towards.
        weights : array-like of float of shape (n_new,)
            How far to move, from 0 to 1.

        Returns
        -------
        images : ImageArray of shape (n_new, height, width[, channels])
        """
        content = self.as_source()._content
        recipes = content.recipes[np.asarray(rows, dtype=np.int64)]
        towards = content.recipes.rows[np.asarray(partners, dtype=np.int64)]
        recipes = recipes.changed(partner=towards, weight=weights)
        return ImageArray._of(content._replace(recipes=recipes))

    def save(self, folder: str | Path, labels: ArrayLike | None = None) -> NDArray[np.object_]:
        """Write every image as a PNG file into a new folder.

        Parameters
        ----------
        folder : str or Path
            An empty or new folder. It appears only when all images are written.
        labels : array-like of shape (n,), default=None
            Class names, one subfolder each. ``manifest.csv`` then lists file, label, parent,
            seed and synthetic of every row; ``load_image_folder`` restores the parents.

        Returns
        -------
        paths : ndarray of str of shape (n,)

        Raises
        ------
        FileExistsError
            If the folder is not empty.
        ValueError
            If the images are not uint8, or a label is not a valid folder name.
        """
        return write_images(self, folder, labels)

    def to_memmap(self, path: str | Path) -> "ImageArray":
        """Write the pixels to a ``.npy`` file and return an array that maps it.

        Parameters
        ----------
        path : str or Path
            The file, ending in ``.npy``. It is replaced when all pixels are written.

        Returns
        -------
        images : ImageArray of shape (n, height, width[, channels])
        """
        return self.with_pixels(write_array(self, path))

    def with_pixels(self, pixels: NDArray) -> "ImageArray":
        """Return other pixels with the provenance of every row of this array.

        Parameters
        ----------
        pixels : ndarray of shape (n, height, width[, channels])
            One image per row, of any size and dtype.

        Returns
        -------
        images : ImageArray of shape (n, height, width[, channels])
        """
        changed = ImageArray(pixels, parents=self.parents, is_synthetic=self.is_synthetic)
        root, before = self._content.root, self._content.before
        return ImageArray._of(changed._content._replace(root=root, before=before))


def _is_along_rows(parts, axis=0, **others):
    """Return whether np.concatenate joins the rows of ImageArrays and nothing else."""
    return axis == 0 and not others and all(isinstance(part, ImageArray) for part in parts)


def _to_pixels(value):
    """Replace every ImageArray in the arguments of a NumPy function by its pixels."""
    if isinstance(value, ImageArray):
        return np.asarray(value)
    if isinstance(value, list | tuple):
        return type(value)(map(_to_pixels, value))
    if isinstance(value, dict):
        return {name: _to_pixels(item) for name, item in value.items()}
    return value


def _check_rows(rows):
    if isinstance(rows, slice | int | np.integer):
        return rows
    rows = np.asarray(rows)
    if rows.size and rows.dtype.kind not in "biu":
        raise IndexError(f"Rows must be integers, slices or masks, got dtype {rows.dtype}.")
    return rows if rows.size else rows.astype(np.int64)  # an empty list becomes float64


def _thumbnail(pixels):
    """Return one image as a small inline PNG."""
    if pixels.dtype != np.uint8:  # floats are shown between their extremes
        pixels = np.nan_to_num(pixels, posinf=0, neginf=0)
        pixels = cv2.normalize(pixels, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
    if pixels.ndim == 3 and pixels.shape[2] < 3:
        pixels = pixels[..., 0]  # gray, without alpha
    image, file = Image.fromarray(pixels), BytesIO()
    image.thumbnail(_THUMBNAIL)
    image.save(file, "PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
