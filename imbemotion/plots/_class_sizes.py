"""How many samples every class has, as bars or as a pie, before and after resampling."""

from math import ceil, cos, radians, sin

import numpy as np

from imbemotion._base.text import as_key, signed
from imbemotion._base.validation import cut_label
from imbemotion.analysis import analyze_distribution
from imbemotion.plots.style import (
    BASELINE,
    COLOURS,
    GAIN,
    HATCHES,
    INK,
    PLAIN_TEXT,
    new_axes,
    quieten,
)

__all__ = [
    "ClassDistributionDisplay",
    "bars_size",
    "draw_bars",
    "draw_pies",
    "pies_size",
]

_FONT = 9  # points, at most
_BACKGROUND = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}


def bars_size(n_classes, *, paired):
    """Give width and height of a figure of bars, in inches."""
    per_class = (0.5 if paired else 0.34) * (1 if n_classes <= 20 else 0.75)
    return 7.5, max(2.2, 1.2 + per_class * n_classes)


def draw_bars(ax, counts, after=None, *, log=False):
    """Draw one bar per class, or two, and the size that all would have if they were equal."""
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


_NAMED = 0.04  # shares below are written in the list only
_ROWS = 20  # of a column of the list
_APART = 2.4  # radii between the middles of two pies


def pies_size(n_classes, *, paired):
    """Give width and height of a figure of pies, in inches."""
    rows = min(n_classes, _ROWS)
    return (7.2 if paired else 3.9) + 2.8 * ceil(n_classes / _ROWS), max(3.6, 0.8 + 0.19 * rows)


def draw_pies(ax, counts, after=None):
    """Draw a pie of the classes, clockwise from the top, or one before and one after."""
    _draw_pie(ax, counts, 0, "before: " if after else "")
    if after is not None:
        _draw_pie(ax, after, _APART, "after: ")
    ax.set(aspect="equal", xlim=(-1.1, 1.1 + (_APART if after else 0)), ylim=(-1.1, 1.25))
    ax.set_anchor("W")
    ax.set_axis_off()
    _list_classes(ax, counts, after)


def _look(number):
    """Give colour and hatch of a class."""
    return {
        "facecolor": COLOURS[number % len(COLOURS)],
        "hatch": HATCHES[number // len(COLOURS) % len(HATCHES)],
        "edgecolor": "white",
        "linewidth": 0.7,
    }


def _draw_pie(ax, counts, x, title):
    from matplotlib.patches import Wedge

    total, angle = sum(counts.values()), 90.0
    for number, n in enumerate(counts.values()):
        end = angle - 360 * n / total
        if n:
            ax.add_patch(Wedge((x, 0), 1, end, angle, **_look(number)))
        if n / total >= _NAMED:
            _write_share(ax, x, (angle + end) / 2, f"{100 * n / total:.1f} %")
        angle = end
    ax.text(x, 1.1, f"{title}{total:,} samples", ha="center", fontsize=10, color=INK)


def _write_share(ax, x, angle, text):
    where = x + 0.72 * cos(radians(angle)), 0.72 * sin(radians(angle))
    frame = {"facecolor": "white", "edgecolor": "none", "pad": 1.2, "alpha": 0.85}
    ax.text(*where, text, ha="center", va="center", fontsize=8, color="black", bbox=frame)


def _list_classes(ax, counts, after):
    from matplotlib.patches import Patch

    total = sum(counts.values())
    marks = [Patch(**_look(number)) for number in range(len(counts))]
    names = []
    for label, n in counts.items():
        sizes = f"{n:,} -> {after[label]:,}" if after else f"{n:,} ({100 * n / total:.1f} %)"
        names.append(f"{cut_label(label, 20)}  {sizes}")
    legend = ax.legend(
        marks, [" "] * len(names), loc="center left", bbox_to_anchor=(1.02, 0.5),
        ncols=ceil(len(counts) / _ROWS), frameon=False, fontsize=8.5, labelspacing=0.45,
        handleheight=1.1, borderaxespad=0,
    )  # fmt: skip
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, **PLAIN_TEXT)  # an underscore at the beginning hides no name


class ClassDistributionDisplay:
    """Class sizes, as bars or as a pie.

    It is recommended to use :meth:`from_labels` or :meth:`from_preview`.

    Parameters
    ----------
    counts : dict of class to int
        Samples of every class, in the order in which they are drawn.

    after : dict of class to int, default=None
        The same after resampling. None draws ``counts`` alone.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    ax_ : matplotlib Axes
        The axes.

    See Also
    --------
    analyze_distribution : The numbers, and what is wrong with them.
    preview_targets : Class sizes after a sampler that need not be run.

    Examples
    --------
    >>> from imbemotion import preview_targets
    >>> y = ["joy"] * 100 + ["sadness"] * 50 + ["anger"] * 75
    >>> display = ClassDistributionDisplay.from_preview(preview_targets(y, "hybrid"))
    >>> display.counts
    {'joy': 100, 'anger': 75, 'sadness': 50}
    >>> [text.get_text() for text in display.ax_.texts][-3:]
    ['75 (-25)', '75 (0)', '75 (+25)']
    """

    def __init__(self, counts, *, after=None):
        self.counts = counts
        self.after = after

    @classmethod
    def from_labels(cls, y, *, y_resampled=None, labels=None, kind="bar", log=False, ax=None):
        """Draw the class sizes of labels.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            The labels.

        y_resampled : array-like of shape (n_resampled,), default=None
            Labels after resampling, drawn beside them.

        labels : list, default=None
            The classes that are expected, in the order to draw; those that ``y`` lacks are drawn
            with 0. None draws those of ``y``, the largest first.

        kind : {"bar", "pie"}, default="bar"
            What to draw.

        log : bool, default=False
            Whether the axis of bars is logarithmic, so that a class of 9 shows beside one of
            7,000. Lengths then compare no longer.

        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure of fitting size.

        Returns
        -------
        display : ClassDistributionDisplay
            The display, drawn.
        """
        before = _count(y, labels)
        after = None if y_resampled is None else _count(y_resampled, labels)
        names = list(before) if after is None else list(dict.fromkeys([*before, *after]))
        counts = {label: before.get(label, 0) for label in names}
        if after is not None:
            after = {label: after.get(label, 0) for label in names}
        return cls(counts, after=after).plot(ax=ax, kind=kind, log=log)

    @classmethod
    def from_preview(cls, preview, *, kind="bar", log=False, ax=None):
        """Draw what a sampler would make of the classes, the largest first.

        Parameters
        ----------
        preview : TargetPreview
            What :func:`preview_targets` gave.

        kind : {"bar", "pie"}, default="bar"
            What to draw.

        log : bool, default=False
            Whether the axis of bars is logarithmic.

        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure of fitting size.

        Returns
        -------
        display : ClassDistributionDisplay
            The display, drawn.
        """
        counts = _largest_first(preview["before"])
        after = {label: preview["after"][label] for label in counts}
        return cls(counts, after=after).plot(ax=ax, kind=kind, log=log)

    def plot(self, ax=None, *, kind="bar", log=False):
        """Draw the class sizes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure of fitting size.

        kind : {"bar", "pie"}, default="bar"
            What to draw.

        log : bool, default=False
            Whether the axis of bars is logarithmic.

        Returns
        -------
        display : ClassDistributionDisplay
            The display itself.

        Raises
        ------
        ValueError
            If ``kind`` is unknown, or a pie is asked for a logarithmic axis.
        """
        if kind not in ("bar", "pie"):
            raise ValueError(f'kind must be "bar" or "pie", got {kind!r}.')
        if kind == "pie" and log:
            raise ValueError('A pie has no axis to be logarithmic, got log=True. Use kind="bar".')
        paired = self.after is not None
        size = (bars_size if kind == "bar" else pies_size)(len(self.counts), paired=paired)
        self.ax_ = new_axes(size)[0] if ax is None else ax
        if kind == "bar":
            draw_bars(self.ax_, self.counts, self.after, log=log)
        else:
            draw_pies(self.ax_, self.counts, self.after)
        if kind == "pie" and ax is None:
            _fit_width(self.ax_)
        self.figure_ = self.ax_.figure
        return self


def _fit_width(ax):
    """Make a figure as wide as what is drawn in it and beside its axes."""
    ax.figure.draw_without_rendering()
    ax.figure.set_figwidth(ax.get_tightbbox().x1 / ax.figure.dpi + 0.15)


def _largest_first(counts):
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _count(y, labels):
    stats = analyze_distribution(y, labels=labels)
    if labels is None:
        return _largest_first(stats.counts)
    sizes = stats.counts | dict.fromkeys(stats.missing, 0)
    return {label: sizes[label] for label in [*map(as_key, labels), *stats.unexpected]}
