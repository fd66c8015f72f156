"""ImageArray: a read-only array of images that holds recipes instead of pixels."""

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from imbemotion._base.validation import check_pixels
from imbemotion.images._content import (
    Content,
    Root,
    check_lineage,
    find_originals,
    join,
    lineage_of,
    merge_parents,
    pack,
)
from imbemotion.images._recipes import Recipes, render
from imbemotion.images.manifest import write_array, write_pictures

__all__ = ["ImageArray"]

_SHAPE_FUNCTIONS = {np.shape, np.ndim, np.size}  # these need no pixels


class ImageArray(NDArrayOperatorsMixin):
    """Images of one size, held as a source and one small recipe per row.

    It behaves like a read-only array of shape ``(n, height, width[, channels])``. Indexing
    rows gives another ``ImageArray`` on the same source; ``np.asarray``, arithmetic and NumPy
    functions make the pixels and give an ndarray. Until then a repeated row costs 8 bytes and an
    interpolated or augmented one 40, and the same row always gives the same picture.

    Parameters
    ----------
    images : array-like or ImageArray of shape (n_samples, height, width[, channels])
        The source: an ndarray or ``np.memmap`` of dtype uint8, float32 or float64, which is
        not copied and must not be changed afterwards. Others are converted.

    parents : array-like of int of shape (n_samples,) or (n_samples, n_parents), default=None
        Where the images come from: numbers of original images, -1 for unknown. None means
        that every image is an original.

    is_synthetic : array-like of bool of shape (n_samples,), default=None
        Which images are new pictures rather than originals or copies of them. None means
        none of them.

    Attributes
    ----------
    shape : tuple of int
        ``(n, height, width[, channels])``.

    dtype : dtype
        The dtype of the source.

    ndim : int
        3 for grey images, 4 with channels.

    size : int
        Number of values in all pictures.

    parents : ndarray of int of shape (n, 2)
        Rows of the first source that every picture was made of; -1 is unknown or none.
        Wider than 2 only where interpolated pictures were interpolated again.

    is_synthetic : ndarray of bool of shape (n,)
        Whether a row is a new picture and no copy of an original.

    Raises
    ------
    ValueError
        If the images are not of shape ``(n, height, width[, channels])``.

    See Also
    --------
    ImageLoader : Make an ImageArray of files and images of any size.

    Notes
    -----
    A pickle holds the pixels of the rows in use and never refers to a file.

    Examples
    --------
    >>> import numpy as np
    >>> X = ImageArray(np.arange(12, dtype=np.uint8).reshape(3, 2, 2))
    >>> X[[0, 0, 2]]
    ImageArray(shape=(3, 2, 2), dtype=uint8, n_parents=2, n_made=0)
    >>> X[[0, 0, 2]].parents
    array([[ 0, -1],
           [ 0, -1],
           [ 2, -1]])
    >>> X[2].tolist()
    [[8, 9], [10, 11]]
    >>> float((X / 11).max())
    1.0
    """

    def __init__(self, images, *, parents=None, is_synthetic=None):
        source = images if isinstance(images, ImageArray) else check_pixels(images)
        lineage = None
        if parents is not None or is_synthetic is not None:
            lineage = check_lineage(len(source), parents, is_synthetic)
        root = source._content.root if isinstance(source, ImageArray) else Root()
        self.__setstate__(Content(source, Recipes(np.arange(len(source))), (), lineage, root))

    @classmethod
    def _of(cls, content):
        images = object.__new__(cls)
        images.__setstate__(content)
        return images

    def __setstate__(self, content):
        self._content = content
        self._packed = None

    def __getstate__(self):
        packed = self._packed or pack(self._content)
        if not isinstance(self._content.source, np.memmap):  # that stays out of memory
            self._packed = packed  # joblib writes one object once for all of its workers
        return packed

    @property
    def shape(self):
        """Shape of the pixels, ``(n, height, width[, channels])``."""
        return (len(self._content.recipes.rows), *self._content.source.shape[1:])

    @property
    def dtype(self):
        """The dtype of the pixels."""
        return self._content.source.dtype

    @property
    def ndim(self):
        """Number of dimensions: 3 for grey images, 4 with channels."""
        return self._content.source.ndim

    @property
    def size(self):
        """Number of values in all pictures."""
        return int(np.prod(self.shape))

    @property
    def parents(self):
        """Rows of the first source that every picture was made of, (n, 2) or wider."""
        recipes = self._content.recipes
        row, partner = recipes.rows, recipes.partners
        known = lineage_of(self._content)[0]
        if known is None:
            return np.stack([row, partner], axis=1)
        of_partner = np.where(partner[:, None] >= 0, known[partner], -1)
        return merge_parents(known[row], of_partner)

    @property
    def is_synthetic(self):
        """Whether each row is a new picture and no copy of an original, (n,)."""
        recipes, source_made = self._content.recipes, lineage_of(self._content)[1]
        synthetic = recipes.is_synthetic
        return synthetic if source_made is None else synthetic | source_made[recipes.rows]

    def __len__(self):
        return len(self._content.recipes.rows)

    def __iter__(self):
        return (self[number] for number in range(len(self)))

    def __repr__(self):
        parents = self.parents[:, 0]
        n_parents = len(np.unique(parents[parents >= 0]))
        return (
            f"ImageArray(shape={self.shape}, dtype={self.dtype}, "
            f"n_parents={n_parents}, n_made={self.is_synthetic.sum()})"
        )

    def __getitem__(self, key):
        parts = key if isinstance(key, tuple) else (key,)
        if not parts or parts[0] is Ellipsis or parts[0] is None:
            return np.asarray(self)[key]
        rows, rest = _check_rows(parts[0]), parts[1:]
        source, recipes, policies = self._content[:3]
        jointly = any(isinstance(part, list | np.ndarray) for part in rest)
        if jointly or (isinstance(rows, np.ndarray) and rows.dtype == bool and rows.ndim > 1):
            return np.asarray(self)[key]  # arrays along several axes go together
        recipes = recipes.pick(rows)
        ndim = recipes.rows.ndim
        if ndim == 1 and all(part is Ellipsis or part == slice(None) for part in rest):
            return ImageArray._of(self._content._replace(recipes=recipes))
        pixels = render(source, recipes.reshape(-1), policies)
        pixels = pixels.reshape(recipes.rows.shape + self.shape[1:])
        return pixels[(*[slice(None)] * ndim, *rest)]

    def __array__(self, dtype=None, copy=None):
        source, recipes, policies = self._content[:3]
        stands = isinstance(source, np.ndarray) and recipes.run is not None
        if copy is False and not (stands and (dtype is None or dtype == self.dtype)):
            raise ValueError(
                "These pixels have to be made: np.asarray can't do it with copy=False."
            )
        pixels = render(source, recipes, policies)
        if dtype is not None and pixels.dtype != dtype:
            return pixels.astype(dtype)
        return pixels.copy() if copy and not pixels.flags.writeable else pixels

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if any(isinstance(out, ImageArray) for out in kwargs.get("out", ())):
            raise TypeError("An ImageArray is read-only. Write X = X + 1, for example.")
        return getattr(ufunc, method)(*_to_pixels(inputs), **_to_pixels(kwargs))

    def __array_function__(self, function, types, args, kwargs):
        if function is np.concatenate and _is_along_rows(*args, **kwargs):
            return ImageArray._of(join([images._content for images in args[0]]))
        if function in _SHAPE_FUNCTIONS:
            return function(np.broadcast_to(np.uint8(0), self.shape), *args[1:], **kwargs)
        return function(*_to_pixels(args), **_to_pixels(kwargs))

    def astype(self, dtype):
        """Make the pixels in another dtype.

        Parameters
        ----------
        dtype : dtype
            The dtype wanted.

        Returns
        -------
        pixels : ndarray of shape (n, height, width[, channels])
            A new array.
        """
        return np.array(self, dtype=dtype)

    def reshape(self, *shape):
        """Make the pixels in another shape.

        Parameters
        ----------
        *shape : int or tuple of int
            The shape wanted; one entry may be -1.

        Returns
        -------
        pixels : ndarray
            The pixels.
        """
        return np.asarray(self).reshape(*shape)

    def settled(self):
        """Give an array on whose rows new pictures can be made.

        Returns
        -------
        images : ImageArray
            Itself where every row is a row of the source; else the array wrapped as a new
            source. ``parents`` name rows of the first source all the same.
        """
        return ImageArray(self) if self._content.recipes.is_synthetic.any() else self

    def originals(self, numbers):
        """Find originals in the first source, also those that no row shows as they are.

        Parameters
        ----------
        numbers : array-like of int
            Numbers as in `parents`.

        Returns
        -------
        images : ImageArray of shape (n_found, height, width[, channels])
            Those that are still there.

        found : ndarray of int of shape (n_found,)
            Their numbers.
        """
        content, found = find_originals(self._content, numbers)
        return ImageArray._of(content), found

    def augment(self, rows, policy, seeds):
        """Take rows as they look when a policy augments them, each under its own seed.

        Parameters
        ----------
        rows : array-like of int of shape (n_new,)
            Rows of this array, one per new picture.

        policy : object with ``draw`` and ``apply``, or callable
            What is done to an image; see :mod:`imbemotion.augmentation`.

        seeds : array-like of int of shape (n_new,)
            The seeds, from 0 to 2**64 - 1.

        Returns
        -------
        images : ImageArray of shape (n_new, height, width[, channels])
            The new pictures; no pixel is made yet.
        """
        content = self.settled()._content
        recipes = content.recipes.pick(np.asarray(rows, dtype=np.int64))
        recipes = recipes.changed(seed=seeds, policy=len(content.policies))
        policies = (*content.policies, policy)
        return ImageArray._of(content._replace(recipes=recipes, policies=policies))

    def interpolate(self, rows, partners, weights):
        """Take rows moved towards other rows, pixel by pixel.

        A new pixel is ``a + weight * (b - a)``, computed in float32 (float64 for float64
        images) and rounded to the nearest integer for uint8 images.

        Parameters
        ----------
        rows : array-like of int of shape (n_new,)
            Rows of this array, one per new picture.

        partners : array-like of int of shape (n_new,)
            Rows of this array to move towards.

        weights : array-like of float of shape (n_new,)
            How far to move, from 0 (the row) to 1 (its partner).

        Returns
        -------
        images : ImageArray of shape (n_new, height, width[, channels])
            The new pictures; no pixel is made yet.
        """
        content = self.settled()._content
        recipes = content.recipes.pick(np.asarray(rows, dtype=np.int64))
        towards = content.recipes.rows[np.asarray(partners, dtype=np.int64)]
        recipes = recipes.changed(partner=towards, weight=weights)
        return ImageArray._of(content._replace(recipes=recipes))

    def save(self, folder, labels=None):
        """Write every picture as a PNG file into a new folder.

        Parameters
        ----------
        folder : str or Path
            Where to write. It must be empty or not exist yet, and it appears only when all
            pictures are written.

        labels : array-like of shape (n,), default=None
            Class names; each class then has a folder of its own, and ``manifest.csv`` names
            file, label, parent, seed and made of every row, so that
            :func:`imbemotion.datasets.load_image_folder` knows the parents again.

        Returns
        -------
        paths : ndarray of str of shape (n,)
            The file of every row.

        Raises
        ------
        FileExistsError
            If the folder holds anything.

        ValueError
            If the images are not uint8, or a label can't name a folder.
        """
        return write_pictures(self, folder, labels)

    def to_memmap(self, path):
        """Write the pixels into a ``.npy`` file and continue on a mapping of it.

        Parameters
        ----------
        path : str or Path
            The file, ending in ``.npy``. It is replaced when all pixels are written.

        Returns
        -------
        images : ImageArray
            The same pictures, with the same parents, read from the file when needed.
        """
        return self.with_pixels(write_array(self, path))

    def with_pixels(self, pixels):
        """Return an array of other pixels that keeps the provenance of every row.

        Parameters
        ----------
        pixels : ndarray of shape (n, height, width[, channels])
            One image per row, of any size and dtype.

        Returns
        -------
        images : ImageArray
            The new pixels with the same parents and synthetic rows.
        """
        changed = ImageArray(pixels, parents=self.parents, is_synthetic=self.is_synthetic)
        return ImageArray._of(changed._content._replace(root=self._content.root))


def _is_along_rows(parts, axis=0, **others):
    """Tell whether np.concatenate was asked for the rows of ImageArrays and nothing else."""
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
        raise IndexError(f"Rows are picked by integers, slices or masks, got dtype {rows.dtype}.")
    return rows if rows.size else rows.astype(np.int64)
