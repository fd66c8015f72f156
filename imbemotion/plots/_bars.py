"""Class sizes as bars with their numbers beside them."""

import numpy as np

from imbemotion._validation import cut_label
from imbemotion.analysis._text import signed
from imbemotion.plots._style import BASELINE, GAIN, INK, PLAIN_TEXT, quieten

__all__ = ["bars_size", "draw_bars"]

_FONT = 9  # points, at most
_BACKGROUND = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}


def bars_size(n_classes, *, paired):
    """Give width and height of a figure of bars, in inches."""
    per_class = (0.5 if paired else 0.34) * (1 if n_classes <= 20 else 0.75)
    return 7.5, max(2.2, 1.2 + per_class * n_classes)


def draw_bars(ax, counts, after=None, *, log=False):
    """Draw one bar per class, or two, and the size that all would have if they were equal.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.

    counts : dict of class to int
        Samples of every class, from the top.

    after : dict of class to int, default=None
        The same after resampling.

    log : bool, default=False
        Whether the axis is logarithmic.
    """
    row = ax.get_window_extent().height / ax.figure.dpi * 72 / len(counts)  # points
    font = min(_FONT, row / (2.6 if after else 1.4))
    low, texts = _start(ax, counts, after) if log else 0, []
    marks = []
    for sizes, words, shift, look in _sets(counts, after):
        places = np.arange(len(counts)) + shift
        widths = np.maximum(np.array(list(sizes.values())) - low, 0)
        marks.append(ax.barh(places, widths, left=low, **look))
        for place, width, word in zip(places, widths, words, strict=True):
            texts.append(_write(ax, low + width, place, word, font))
    if after is None:
        equal = sum(counts.values()) / len(counts)
        style = {"color": INK, "linestyle": (0, (4, 3)), "linewidth": 1, "zorder": 1.5}
        marks.append(ax.axvline(equal, label=f"equal size: {equal:,.0f}", **style))
    _finish(ax, counts, font, log)
    ax.legend(
        handles=marks, loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=_FONT,
        borderaxespad=0.2, borderpad=0, handlelength=1.6, labelspacing=0.3,
    )  # fmt: skip
    _make_room(ax, texts, low)


def _sets(counts, after):
    """Give sizes, what is written beside them, the shift of the bars and their look."""
    if after is None:
        total = sum(counts.values())
        words = [f"{n:,} ({100 * n / total:.1f} %)" for n in counts.values()]
        return [(counts, words, 0, {"height": 0.72, "color": GAIN, "label": _sum_up(counts)})]
    before = [f"{n:,}" for n in counts.values()]
    changed = [f"{after[label]:,} ({signed(after[label] - n)})" for label, n in counts.items()]
    grey = {"height": 0.38, "color": BASELINE, "label": f"before: {_sum_up(counts)}"}
    blue = {"height": 0.38, "color": GAIN, "label": f"after: {_sum_up(after)}"}
    return [(counts, before, -0.2, grey), (after, changed, 0.2, blue)]


def _sum_up(counts):
    sizes = [n for n in counts.values() if n]
    n_missing = len(counts) - len(sizes)
    missing = f", {n_missing} without any" if n_missing else ""
    return f"{sum(sizes):,} samples, ratio {max(sizes) / min(sizes):,.2f}:1{missing}"


def _start(ax, counts, after):
    """Make the axis logarithmic and give where it begins: below the smallest class."""
    ax.set_xscale("log")
    smallest = min(n for n in [*counts.values(), *(after or {}).values()] if n)
    return 10.0 ** np.floor(np.log10(smallest)) / 2


def _write(ax, x, y, word, size):
    return ax.annotate(
        word, (x, y), xytext=(3, 0), textcoords="offset points", va="center",
        fontsize=size, color=INK, bbox=_BACKGROUND, **PLAIN_TEXT,
    )  # fmt: skip


def _finish(ax, counts, size, log):
    from matplotlib.ticker import MaxNLocator, NullFormatter

    quieten(ax, grid="x")
    ax.spines[["bottom"]].set_visible(False)
    names = [cut_label(label) for label in counts]
    ax.set_yticks(np.arange(len(counts)), names, fontsize=size, **PLAIN_TEXT)
    ax.set_ylim(len(counts) - 0.4, -0.6)
    if not log:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(axis="x", which="both", length=0, labelsize=_FONT - 1, labelcolor=INK)
    ax.set_xlabel("samples (logarithmic scale)" if log else "samples", fontsize=_FONT, color=INK)


def _make_room(ax, texts, low):
    """End the axis where the numbers beside the bars end."""
    ax.get_figure(root=True).draw_without_rendering()  # lays the axes out
    width = ax.get_window_extent().width
    taken = np.array([text.get_window_extent().width for text in texts]) / width + 0.015
    ends = np.array([text.xy[0] for text in texts], dtype=float)
    if ax.get_xscale() == "log":
        needed = np.log(ends / low) / np.clip(1 - taken, 0.3, None)
        ax.set_xlim(low, low * np.exp(max(needed.max(), 0.1)))
    else:
        ax.set_xlim(0, max((ends / np.clip(1 - taken, 0.3, None)).max(), 1))
