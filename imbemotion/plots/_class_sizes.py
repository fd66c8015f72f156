"""Class sizes as bars or as a pie, before and after resampling."""

from __future__ import annotations

from math import ceil, cos, radians, sin
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from imbemotion._base.text import signed
from imbemotion._base.validation import as_key, cut_label
from imbemotion.analysis import TargetPreview, analyze_distribution
from imbemotion.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_FONT = 9  # points, at most
_FRAME = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85}  # of text on marks
_NAMED = 0.04  # shares below are written in the list only
_ROWS = 20  # of a column of the list
_APART = 2.4  # radii between the centers of two pies


class ClassDistributionDisplay:
    """Class sizes, as bars or as a pie.

    Use :meth:`from_labels` or :meth:`from_preview` to create one.

    Parameters
    ----------
    counts : dict of class to int
        Samples per class, in drawing order.
    after : dict of class to int, default=None
        The same after resampling. None draws only `counts`.
    name : str, default=None
        Name of the data, written above them.

    Attributes
    ----------
    figure_, ax_ : matplotlib Figure and Axes
        Figure and axes of the display.
    patches_ : list of matplotlib Patch
        The bars or wedges.

    See Also
    --------
    analyze_distribution : The numbers, and their problems.
    preview_targets : Class sizes after a sampler, without running it.

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

    def __init__(
        self, counts: dict[Any, int], *, after: dict[Any, int] | None = None,
        name: str | None = None,
    ) -> None:  # fmt: skip
        self.counts = counts
        self.after = after
        self.name = name

    @classmethod
    def from_labels(
        cls, y: ArrayLike, *, y_resampled: ArrayLike | None = None,
        labels: ArrayLike | None = None, name: str | None = None, **plot_params: Any,
    ) -> ClassDistributionDisplay:  # fmt: skip
        """Draw the class sizes of labels.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            The labels.
        y_resampled : array-like of shape (n_resampled,), default=None
            Labels after resampling, drawn next to them.
        labels : list, default=None
            Expected classes in drawing order; those missing in `y` are drawn with 0. None draws
            the classes of `y`, the largest first.
        name : str, default=None
            Name of the data.
        **plot_params : dict
            Parameters of :meth:`plot`: ``ax``, ``kind``, ``log`` and the style.

        Returns
        -------
        display : ClassDistributionDisplay
        """
        counts = _count(y, labels)
        after = None if y_resampled is None else _count(y_resampled, labels)
        if after is not None:
            none = dict.fromkeys([*counts, *after], 0)  # classes that either has
            counts, after = none | counts, none | after
        return cls(counts, after=after, name=name).plot(**plot_params)

    @classmethod
    def from_preview(
        cls, preview: TargetPreview, *, name: str | None = None, **plot_params: Any
    ) -> ClassDistributionDisplay:
        """Draw class sizes before and after a sampler, the largest first.

        Parameters
        ----------
        preview : TargetPreview
            Result of :func:`preview_targets`.
        name, **plot_params
            As in :meth:`from_labels`.

        Returns
        -------
        display : ClassDistributionDisplay
        """
        counts = _largest_first(preview["before"])
        after = {label: preview["after"][label] for label in counts}
        return cls(counts, after=after, name=name).plot(**plot_params)

    def plot(
        self, ax: Axes | None = None, *, name: str | None = None, kind: str = "bar",
        log: bool = False, **kwargs: Any,
    ) -> ClassDistributionDisplay:  # fmt: skip
        """Draw the class sizes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        name : str, default=None
            Name of the data. None writes that of the display, if it has one.
        kind : {"bar", "pie"}, default="bar"
            Bars or a pie.
        log : bool, default=False
            Whether the axis of bars is logarithmic, so that a class of 9 is visible next to one
            of 7,000. Lengths are not comparable then.
        **kwargs : dict
            Properties of the bars (``Axes.barh``) or wedges, for example ``alpha``.

        Returns
        -------
        display : ClassDistributionDisplay

        Raises
        ------
        ValueError
            If `kind` is unknown, or a pie should have a logarithmic axis.
        """
        if kind not in ("bar", "pie"):
            raise ValueError(f'kind must be "bar" or "pie", got {kind!r:.90}.')
        if kind == "pie" and log:
            raise ValueError('A pie has no axis to be logarithmic, got log=True. Use kind="bar".')
        self.ax_ = style.new_axes(self._figure_size(kind))[0] if ax is None else ax
        self.figure_ = self.ax_.figure
        name = self.name if name is None else name
        if kind == "bar":
            self.patches_ = _draw_bars(self.ax_, self.counts, self.after, log, name, kwargs)
            return self
        self.patches_ = _draw_pies(self.ax_, self.counts, self.after, kwargs)
        style.write_title(self.ax_, name)
        if ax is None:  # as wide as the list of classes needs
            self.figure_.draw_without_rendering()
            self.figure_.set_figwidth(self.ax_.get_tightbbox().x1 / self.figure_.dpi + 0.15)
        return self

    def _figure_size(self, kind):  # inches
        n = len(self.counts)
        if kind == "bar":
            per_class = (0.5 if self.after else 0.34) * (1 if n <= 20 else 0.75)
            return 7.5, max(2.2, 1.2 + per_class * min(n, style.MOST_NUMBERED))
        width = (7.2 if self.after else 3.9) + 2.8 * ceil(min(n, style.MOST_NUMBERED) / _ROWS)
        return width, max(3.6, 0.8 + 0.19 * min(n, _ROWS))


def _largest_first(counts):
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _count(y, labels):
    stats = analyze_distribution(y, labels=labels)
    if labels is None:
        return _largest_first(stats.counts)
    sizes = stats.counts | dict.fromkeys(stats.missing, 0)
    return {label: sizes[label] for label in [*map(as_key, labels), *stats.unexpected]}


def _draw_bars(ax, counts, after, log, name, given):
    """Draw one bar per class, or two, and the size of classes if all were equal."""
    from matplotlib.patches import Rectangle

    n_names = len(style.named_places(len(counts)))
    row = ax.get_window_extent().height / ax.figure.dpi * 72 / n_names  # points
    is_numbered = len(counts) <= style.MOST_NUMBERED
    font = min(_FONT, row / (2.6 if after and is_numbered else 1.4))
    low = _start(ax, counts, after) if log else 0
    handles, texts = [], []
    for sizes, words, shift, look in _sets(counts, after):
        places = np.arange(len(counts)) + shift
        widths = np.maximum(np.array(list(sizes.values())) - low, 0)
        look["height"] /= 1 if is_numbered else 0.72  # thin bars touch, gaps would be a pattern
        look = style.styled(Rectangle, given, **look)
        handles.append(ax.barh(places, widths, left=low, **look))
        if is_numbered:
            look = {"fontsize": font, "color": style.INK, "bbox": {**_FRAME, "pad": 0.6}}
            texts += ax.bar_label(handles[-1], words, padding=3, **look, **style.PLAIN_TEXT)
    bars = [bar for container in handles for bar in container]
    if after is None:
        equal = sum(counts.values()) / len(counts)
        look = {"color": style.INK, "linestyle": (0, (4, 3)), "linewidth": 1, "zorder": 1.5}
        handles.append(ax.axvline(equal, label=f"equal size: {equal:,.0f}", **look))
    _label_axes(ax, counts, font, log)
    style.legend_above(ax, handles, name, ncols=1)
    _make_room(ax, texts, low)
    return bars


def _sets(counts, after):
    """Return sizes, the texts next to them, the shift of the bars and their look."""
    if after is None:
        total = sum(counts.values())
        words = [f"{n:,} ({100 * n / total:.1f} %)" for n in counts.values()]
        return [
            (counts, words, 0, {"height": 0.72, "color": style.GAIN, "label": _sum_up(counts)})
        ]
    before = [f"{n:,}" for n in counts.values()]
    changed = [f"{after[label]:,} ({signed(after[label] - n)})" for label, n in counts.items()]
    gray = {"height": 0.38, "color": style.BASELINE, "label": f"before: {_sum_up(counts)}"}
    blue = {"height": 0.38, "color": style.GAIN, "label": f"after: {_sum_up(after)}"}
    return [(counts, before, -0.2, gray), (after, changed, 0.2, blue)]


def _sum_up(counts):
    sizes = [n for n in counts.values() if n]
    n_missing = len(counts) - len(sizes)
    missing = f", {n_missing} without any" if n_missing else ""
    return f"{sum(sizes):,} samples, ratio {max(sizes) / min(sizes):,.2f}:1{missing}"


def _start(ax, counts, after):
    """Make the axis logarithmic and return its start, below the smallest class."""
    ax.set_xscale("log")
    smallest = min(n for n in [*counts.values(), *(after or {}).values()] if n)
    return 10.0 ** np.floor(np.log10(smallest)) / 2


def _label_axes(ax, counts, size, log):
    from matplotlib.ticker import MaxNLocator, NullFormatter

    style.simplify(ax, grid="x")
    ax.spines[["bottom"]].set_visible(False)
    places, names = style.named_places(len(counts)), [cut_label(label) for label in counts]
    ax.set_yticks(places, [names[k] for k in places], fontsize=size, **style.PLAIN_TEXT)
    ax.set_ylim(len(counts) - 0.4, -0.6)
    if not log:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(axis="x", which="both", length=0, labelsize=_FONT - 1, labelcolor=style.INK)
    ax.set_xlabel(
        "samples (logarithmic scale)" if log else "samples", fontsize=_FONT, color=style.INK
    )


def _make_room(ax, texts, low):
    """End the axis where the numbers next to the bars end."""
    if not texts:
        ax.set_xlim(left=low)
        return
    ax.get_figure(root=True).draw_without_rendering()  # lays the axes out
    width = ax.get_window_extent().width
    taken = np.array([text.get_window_extent().width for text in texts]) / width + 0.015
    ends = np.array([text.xy[0] for text in texts], dtype=float)
    left = np.clip(1 - taken, 0.3, None)  # share of the axis that a bar may take
    if ax.get_xscale() == "log":
        ax.set_xlim(low, low * np.exp(max((np.log(ends / low) / left).max(), 0.1)))
    else:
        ax.set_xlim(0, max((ends / left).max(), 1))


def _draw_pies(ax, counts, after, given):
    """Draw a pie of the classes, clockwise from the top, or one before and one after."""
    counts, after = _join_last(counts), after and _join_last(after)
    wedges = _draw_pie(ax, counts, 0, "before: " if after else "", given)
    if after is not None:
        wedges += _draw_pie(ax, after, _APART, "after: ", given)
    ax.set(aspect="equal", xlim=(-1.1, 1.1 + (_APART if after else 0)), ylim=(-1.1, 1.25))
    ax.set_anchor("W")
    ax.set_axis_off()
    _list_classes(ax, counts, after, given)
    return wedges


def _join_last(counts):
    """Count the last of very many classes as one."""
    labels, n_kept = list(counts), style.MOST_NUMBERED - 1
    if len(labels) <= style.MOST_NUMBERED:
        return counts
    rest = labels[n_kept:]
    kept = {label: counts[label] for label in labels[:n_kept]}
    return kept | {f"{len(rest)} other classes": sum(counts[label] for label in rest)}


def _look(number, given):
    from matplotlib.patches import Patch

    around, place = divmod(number, len(style.COLORS))
    return style.styled(
        Patch, given, facecolor=style.COLORS[place], edgecolor="white", linewidth=0.7,
        hatch=style.HATCHES[around % len(style.HATCHES)],
    )  # fmt: skip


def _draw_pie(ax, counts, x, title, given):
    from matplotlib.patches import Wedge

    total, end, wedges = sum(counts.values()), 90.0, []
    for number, n in enumerate(counts.values()):
        end, start = end - 360 * n / total, end
        if n:
            wedges.append(ax.add_patch(Wedge((x, 0), 1, end, start, **_look(number, given))))
        if n / total >= _NAMED:
            angle = radians((start + end) / 2)
            ax.text(
                x + 0.72 * cos(angle), 0.72 * sin(angle), f"{100 * n / total:.1f} %",
                ha="center", va="center", fontsize=8, color="black", bbox={**_FRAME, "pad": 1.2},
            )  # fmt: skip
    ax.text(x, 1.1, f"{title}{total:,} samples", ha="center", fontsize=10, color=style.INK)
    return wedges


def _list_classes(ax, counts, after, given):
    from matplotlib.patches import Patch

    total = sum(counts.values())
    legend = ax.legend(
        [Patch(**_look(number, given)) for number in range(len(counts))], [" "] * len(counts),
        loc="center left", bbox_to_anchor=(1.02, 0.5), ncols=ceil(len(counts) / _ROWS),
        frameon=False, fontsize=8.5, labelspacing=0.45, handleheight=1.1, borderaxespad=0,
    )  # fmt: skip
    for text, (label, n) in zip(legend.get_texts(), counts.items(), strict=True):
        sizes = f"{n:,} -> {after[label]:,}" if after else f"{n:,} ({100 * n / total:.1f} %)"
        # set afterwards, since a leading underscore would hide a label from the legend
        text.set(text=f"{cut_label(label, 20)}  {sizes}", **style.PLAIN_TEXT)
