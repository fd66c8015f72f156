"""Originals next to the images synthesized from them, as one grid."""

from __future__ import annotations

from itertools import chain, zip_longest
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from imbemotion._base.validation import check_labels, check_scalar
from imbemotion.images import ImageArray
from imbemotion.plots.style import PLAIN_TEXT, wrap, write_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_FRAME = (31, 119, 180, 255)  # RGBA, around originals
_PARTNERS = "mixed with"  # label of the lines that show second parents
_LARGEST = {"cell": 1.2, "width": 9, "height": 14}  # inches


class ImageGridDisplay:
    """Originals next to the images synthesized from them, to judge whether these are plausible.

    Every row begins with a framed original, followed by synthetic images of it. Where they were
    interpolated, the row below shows the other parent of each, framed as well. All images share
    one range of gray, so that a brighter image looks brighter.

    Use :meth:`from_resampled` or :meth:`from_sampler` to create one.

    Parameters
    ----------
    images : ndarray of shape (n_lines, n_cells, height, width[, channels])
        Pixels of every cell. Of 2 channels the first is shown, of 4 the first three.
    rows : ndarray of int of shape (n_lines, n_cells)
        Row of the resampled images that every cell shows, -1 if it is empty.
    is_synthetic : ndarray of bool of shape (n_lines, n_cells)
        Cells that show synthetic images; all others are framed.
    labels : list of str of length n_lines
        Text to the left of every row of cells.
    name : str, default=None
        Title of the grid.

    Attributes
    ----------
    figure_, ax_ : matplotlib Figure and Axes
        Figure and axes of the grid.
    im_ : matplotlib AxesImage
        All cells, as one image.

    Notes
    -----
    uint8 is shown from 0 (black) to 255 (white). Floats are shown from 0 to 1, a range that
    pixels outside it extend, as those of standardized images.

    Examples
    --------
    >>> from imbemotion import AugmentationSampler, make_faces
    >>> X, y = make_faces({"happy": 9, "sad": 3}, size=24, random_state=0)
    >>> X_res, y_res = AugmentationSampler(random_state=0).fit_resample(X, y)
    >>> display = ImageGridDisplay.from_resampled(X_res, y_res, n_rows=2)
    >>> display.rows
    array([[ 1, 14, 16],
           [ 3, 13, 17]])
    """

    def __init__(
        self, images: NDArray, *, rows: NDArray, is_synthetic: NDArray, labels: list[str],
        name: str | None = None,
    ) -> None:  # fmt: skip
        self.images = images
        self.rows = rows
        self.is_synthetic = is_synthetic
        self.labels = labels
        self.name = name

    @classmethod
    def from_sampler(
        cls, sampler: Any, X: Any, y: ArrayLike, **grid_params: Any
    ) -> ImageGridDisplay:
        """Resample with a copy of a sampler and draw its synthetic images.

        Parameters
        ----------
        sampler : object
            A sampler for images that returns an ``ImageArray``.
        X : array-like of images or paths
            Input of the sampler.
        y : array-like of shape (n_samples,)
            The labels.
        **grid_params : dict
            Parameters of :meth:`from_resampled`.

        Returns
        -------
        display : ImageGridDisplay
        """
        return cls.from_resampled(*clone(sampler).fit_resample(X, y), **grid_params)

    @classmethod
    def from_resampled(
        cls, X_resampled: ImageArray, y_resampled: ArrayLike, *,
        n_rows: int = 8, n_columns: int = 6, name: str | None = None, **plot_params: Any,
    ) -> ImageGridDisplay:  # fmt: skip
        """Draw synthetic images of a sampler, of ``augment`` or of ``interpolate``.

        Classes take turns, the one with the fewest originals first; within a class, originals
        with the most synthetic images come first. Only the pixels shown are computed.

        Parameters
        ----------
        X_resampled : ImageArray of shape (n_resampled, height, width[, channels])
            Originals and synthetic images.
        y_resampled : array-like of shape (n_resampled,)
            Their labels.
        n_rows : int, default=8
            Maximum number of originals.
        n_columns : int, default=6
            Maximum number of synthetic images of each.
        name : str, default=None
            Title of the grid.
        **plot_params : dict
            Parameters of :meth:`plot`: ``ax`` and the style.

        Returns
        -------
        display : ImageGridDisplay

        Raises
        ------
        TypeError
            If the images are not an ImageArray.
        ValueError
            If none of them is synthetic.
        """
        if not isinstance(X_resampled, ImageArray):
            raise TypeError(
                "X_resampled must be an ImageArray, which holds the parents of its images, "
                f'got {type(X_resampled).__name__}. Use a sampler with output="images".'
            )
        check_scalar(n_rows, "n_rows", Integral, min_val=1)
        check_scalar(n_columns, "n_columns", Integral, min_val=1)
        y = check_labels(y_resampled, n_samples=len(X_resampled))
        is_synthetic = X_resampled.is_synthetic
        rows, labels = _arrange(X_resampled.parents, is_synthetic, y, n_rows, n_columns)
        shown, places = np.unique(rows[rows >= 0], return_inverse=True)
        images = np.zeros(rows.shape + X_resampled.shape[1:], dtype=X_resampled.dtype)
        images[rows >= 0] = np.asarray(X_resampled[shown])[places]
        is_synthetic = is_synthetic[rows] & (rows >= 0)
        display = cls(images, rows=rows, is_synthetic=is_synthetic, labels=labels, name=name)
        return display.plot(**plot_params)

    def plot(
        self, ax: Axes | None = None, *, name: str | None = None, **kwargs: Any
    ) -> ImageGridDisplay:
        """Draw the grid.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        name : str, default=None
            Title. None writes that of the display, if it has one.
        **kwargs : dict
            Properties of the image, as for ``Axes.imshow``.

        Returns
        -------
        display : ImageGridDisplay
        """
        import matplotlib.pyplot as plt

        self.ax_ = plt.subplots(layout="none")[1] if ax is None else ax
        self.figure_ = self.ax_.figure
        begins = np.array(self.labels) != _PARTNERS
        colors, filled = _to_colors(self.images), self.rows >= 0
        mosaic, tops, lefts = _tile(colors, filled, self.is_synthetic, begins)
        self.im_ = self.ax_.imshow(mosaic, **{"interpolation": "nearest", **kwargs})
        write_title(self.ax_, self.name if name is None else name)
        self._write_labels(tops, lefts)
        if ax is None:
            _fit_figure(self.ax_, self.rows.shape, max(self.images.shape[2:4]))
        is_shrunk = self.ax_.get_window_extent().width < mosaic.shape[1] - 0.5
        if is_shrunk and "interpolation" not in kwargs:
            self.im_.set_interpolation("antialiased")  # nearest would drop pixels
        return self

    def _write_labels(self, tops, lefts):
        middle_row, middle = ((side - 1) / 2 for side in self.images.shape[2:4])
        labels = ["\n".join(wrap(part, 24) for part in text.split("\n")) for text in self.labels]
        self.ax_.set_yticks(tops + middle_row, labels, fontsize=9, **PLAIN_TEXT)
        centers = [lefts[0] + middle, lefts[1:].mean() + middle]
        self.ax_.set_xticks(centers, ["original", "synthetic"], fontsize=9, **PLAIN_TEXT)
        self.ax_.tick_params(length=0, labeltop=True, labelbottom=False)
        self.ax_.spines[:].set_visible(False)
        self.ax_.patch.set_visible(False)


def _arrange(parents, is_synthetic, y, n_rows, n_columns):
    """Choose the row of every cell, (n_lines, n_cells), -1 for none, and label the lines."""
    if not is_synthetic.any():
        raise ValueError(
            f"X_resampled must hold synthetic images, got {len(is_synthetic)} originals or "
            "copies of them. Raise sampling_strategy, or use a sampler that creates images."
        )
    original = np.flatnonzero(~is_synthetic)[::-1]  # of several copies the first counts
    row_of = dict(zip(parents[original, 0].tolist(), original.tolist(), strict=True)) | {-1: -1}
    lines, labels = [], []
    for label, family in _take_turns(parents[:, 0], is_synthetic, y, n_rows):
        family = family[:n_columns]
        lines.append([row_of.get(parents[family[0], 0], -1), *family])
        labels.append(label)
        for others in parents[family, 1:].T:
            if (others >= 0).any():
                lines.append([-1, *(row_of.get(other, -1) for other in others)])
                labels.append(_PARTNERS)
    return np.array(list(zip_longest(*lines, fillvalue=-1))).T, labels


def _take_turns(first, is_synthetic, y, n_rows):
    """Return pairs (label, synthetic rows of one first parent), from each class in turn."""
    classes, codes = np.unique(y, return_inverse=True)
    members = [codes == code for code in range(len(classes))]
    n_original = [len(np.unique(first[~is_synthetic & rows])) for rows in members]
    families = []
    for code in np.argsort(n_original, kind="stable"):
        rows = np.flatnonzero(is_synthetic & members[code])
        label = f"{classes[code]}\n{n_original[code]} original, {len(rows)} synthetic"
        families.append([(label, family) for family in _group(first, rows)])
    turns = chain.from_iterable(zip_longest(*families))
    return [pair for pair in turns if pair is not None][:n_rows]


def _group(first, rows):
    """Split rows by first parent, the largest groups first, unknown parents last."""
    if len(rows) == 0:
        return []
    rows = rows[np.argsort(first[rows], kind="stable")]
    groups = np.split(rows, np.flatnonzero(np.diff(first[rows])) + 1)
    return sorted(groups, key=lambda group: (first[group[0]] < 0, -len(group)))


def _to_colors(images):
    """Convert pixels of any kind to uint8 colors, (..., H, W[, C]) -> (..., H, W, 3)."""
    # One range holds for the whole grid, so that brightness can be compared.
    if images.ndim == 4:
        images = images[..., np.newaxis]
    images = images[..., :3] if images.shape[-1] > 2 else np.repeat(images[..., :1], 3, axis=-1)
    if images.dtype == np.uint8:
        return images
    finite = images[np.isfinite(images)].astype(np.float64)
    low, high = finite.min(initial=0), finite.max(initial=1)
    shares = (np.nan_to_num(images, nan=low).astype(np.float64) - low) / (high - low)
    return np.rint(255 * np.clip(shares, 0, 1)).astype(np.uint8)


def _tile(colors, filled, is_synthetic, begins):
    """Put cells into one RGBA image; return it and where cells begin, (n_lines,), (n_cells,)."""
    # The first column and every line that ``begins`` something new are set apart.
    n_cells, height, width = colors.shape[1:4]
    size = max(height, width)
    frame, gap = max(1, size // 32), max(3, size // 6)
    spaces = np.where(begins, gap, 3 * frame)  # before every line
    tops = frame + np.cumsum(height + spaces) - height - spaces[0]
    lefts = frame + np.arange(n_cells) * (width + gap)
    lefts[1:] += gap // 2
    mosaic = np.zeros((tops[-1] + height + frame, lefts[-1] + width + frame, 4), dtype=np.uint8)
    for line, cell in np.argwhere(filled):
        top, left = tops[line], lefts[cell]
        bottom, right = top + height, left + width
        if not is_synthetic[line, cell]:
            mosaic[top - frame : bottom + frame, left - frame : right + frame] = _FRAME
        mosaic[top:bottom, left:right, :3] = colors[line, cell]
        mosaic[top:bottom, left:right, 3] = 255  # opaque
    return mosaic, tops, lefts


def _fit_figure(ax, shape, size):
    """Size a new figure so that a pixel covers whole pixels of the screen and labels fit."""
    figure, (n_lines, n_cells) = ax.figure, shape
    inches = min(_LARGEST["cell"], _LARGEST["width"] / n_cells, _LARGEST["height"] / n_lines)
    zoom = inches * figure.dpi / size
    zoom = round(zoom) if zoom > 0.75 else zoom
    inner_size = np.array(ax.images[0].get_size()[::-1]) * zoom
    outer, inner = ax.get_tightbbox(), ax.get_window_extent()
    margins = np.array([inner.p0 - outer.p0, outer.p1 - inner.p1])
    before, after = np.ceil(margins + 0.1 * figure.dpi)
    total = before + inner_size + after
    figure.set_size_inches(total / figure.dpi)
    ax.set_position([*before / total, *inner_size / total])
