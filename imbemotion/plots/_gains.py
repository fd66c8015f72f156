"""Gains of every class over the baseline, as a heat map with numbers."""

import numpy as np

from imbemotion.plots._marks import signed, wrap
from imbemotion.plots._style import PLAIN_TEXT

__all__ = ["draw_gains", "order_classes"]

_LEAST_RANGE = 0.05  # smaller gains than this never get a full colour
_DARK = 0.62  # share of the range from which numbers are written in white
_BAR_HEIGHT = 2.5  # inches
_NOTES = {"baseline": "\n(F1)", "failed": "\n(failed)", "not run": "\n(not run)"}


def order_classes(labels, counts):
    """Order classes by the number of images, the largest first, where that is known."""
    if not counts:
        return list(labels)
    return sorted(labels, key=lambda label: -counts.get(str(label), 0))


def draw_gains(ax, per_class_gain, baseline, verdicts, counts):
    """Draw classes as rows and strategies as columns; the baseline's F1 comes first.

    per_class_gain is of shape (n_strategies, n_classes), the baseline's F1 of (n_classes,).
    """
    classes = order_classes(baseline.index, counts)  # which may be booleans: no mask of rows
    gains = per_class_gain.reindex(columns=classes).T.to_numpy(dtype=float, copy=True)
    gains[:, 0] = np.nan  # (n_classes, n_strategies)
    limit = max(_LEAST_RANGE, np.abs(gains[np.isfinite(gains)]).max(initial=0))
    image = ax.imshow(gains, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
    _write_cells(ax, baseline.reindex(classes).to_numpy(), gains, limit)
    _name_classes(ax, classes, counts)
    _name_strategies(ax, per_class_gain.index, verdicts)
    _separate(ax, gains.shape)
    _add_bar(ax, image)


def _write_cells(ax, baseline, gains, limit):
    style = {"ha": "center", "va": "center", "fontsize": 8 if gains.shape[1] < 13 else 7}
    for (row, column), gain in np.ndenumerate(gains):
        text = f"{baseline[row]:.2f}" if column == 0 else signed(gain, 2)
        color = "white" if abs(gain) > _DARK * limit else "black"
        ax.text(column, row, "-" if "nan" in text else text, color=color, **style)


def _name_classes(ax, classes, counts):
    n = {label: f" (n = {count:,})" for label, count in (counts or {}).items()}
    labels = [wrap(label) + n.get(str(label), "") for label in classes]
    ax.set_yticks(range(len(classes)), labels, fontsize=9, **PLAIN_TEXT)


def _name_strategies(ax, strategies, verdicts):
    labels = [wrap(name, 22) + _NOTES.get(verdicts[name], "") for name in strategies]
    ax.set_xticks(range(len(labels)), labels, fontsize=9, **PLAIN_TEXT)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    for label in ax.get_xticklabels():
        label.set(rotation=50, rotation_mode="anchor", ha="left", va="center")


def _separate(ax, shape):
    """Set cells apart by white lines, and the baseline from the gains by a broad one."""
    ax.spines[:].set_visible(False)
    ax.set_yticks(np.arange(shape[0] - 1) + 0.5, minor=True)
    ax.set_xticks(np.arange(shape[1] - 1) + 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1)
    ax.tick_params(which="minor", length=0)
    ax.axvline(0.5, color="white", linewidth=5)


def _add_bar(ax, image):
    figure = ax.figure
    height = ax.get_window_extent().height / figure.dpi
    bar = figure.colorbar(image, ax=ax, shrink=min(0.8, _BAR_HEIGHT / height), aspect=20, pad=0.02)
    bar.set_label("gain in F1", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
