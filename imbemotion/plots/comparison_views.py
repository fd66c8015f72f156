"""Three views of a comparison: scores, gains per class, and costs of the strategies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from imbemotion._base.validation import cut_label, text_width
from imbemotion.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_MARKS = {  # in the order of legends; shapes separate verdicts where colors cannot
    "baseline": {"marker": "s", "color": "black"},
    "better": {"marker": "^", "color": style.GAIN},
    "not distinguishable": {"marker": "o", "color": style.INK, "markerfacecolor": "white"},
    "worse": {"marker": "v", "color": style.LOSS},
    "dropped": {"marker": "v", "color": style.INK, "markerfacecolor": "white"},
    "no baseline": {"marker": "D", "color": style.INK},
    "did not learn": {"marker": "x", "color": style.INK},
    "failed": {"marker": "x", "color": style.INK},
    "not run": {"marker": "x", "color": style.INK},
}
_FAILED = ("failed", "not run")
_COMPARED = ("better", "worse", "not distinguishable")
_FOLDS = {"marker": "o", "linestyle": "none", "markersize": 3.5, "color": style.BASELINE}
_BELOW = 0.25  # single folds are drawn below the mark, so that none is covered
_LEAST_RANGE = 0.05  # smaller gains than this never get a full color
_DARK = 0.62  # share of the range from which numbers are written in white
_BAR_HEIGHT = 2.5  # inches
_NOTES = {"baseline": "F1"} | {v: v for v in ("failed", "did not learn", "not run")}
_WIDE_COLUMNS = 16  # strategies up to which the columns of gains are wide
_WIDE = 8  # from this ratio of times on their axis is logarithmic
_EQUAL = 1.1  # up to this ratio sizes would carry no information
_SMALLEST, _USUAL, _LARGEST = 5, 8, 17  # points across
_SIZES = {"peak_memory": "{:,.0f} MiB at the peak", "n_resampled": "{:,.0f} rows"}


@dataclass(eq=False, repr=False)
class ComparisonDisplay:
    """Results of a comparison of strategies, in three views.

    - ``kind="score"``: a row per strategy, the best first. Faint dots are folds, a mark is the
      score (of pooled predictions where they are known), and its bar the interval of the gain
      over the baseline (dashed line). A bar that crosses the line is inconclusive; a cross is a
      strategy that did not learn, failed or was not run.
    - ``kind="gain"``: F1 per class under the baseline and the gain of each strategy, with the
      largest class first.
    - ``kind="cost"``: score against fit time; larger marks mean more memory (or, where that is
      unknown, more training rows).

    Verdicts differ in shape as well as in color. Use :meth:`from_comparison` to create one.

    Parameters
    ----------
    summary : DataFrame of shape (n_strategies, n_columns)
        As returned by ``Comparison.summary()``.
    fits : DataFrame of shape (n_fits, n_columns)
        Single fits, with the columns ``strategy`` and ``score``.
    per_class, per_class_gain : DataFrame of shape (n_strategies, n_classes)
        F1 of each class, and its difference to the baseline over the folds both completed.
    counts : dict of str to int, default=None
        Images per class.
    scoring : str, default="macro-F1"
        Name of the score.
    confidence : float, default=0.95
        Simultaneous coverage of all intervals of the summary.
    name : str, default=None
        Name of the comparison, written above it.

    Attributes
    ----------
    figure_, ax_ : matplotlib Figure and Axes
        Figure and axes of the view.
    lines_ : list of matplotlib Line2D
        The marks of the strategies; empty for "gain".
    im_ : matplotlib AxesImage
        The heat map; None for "score" and "cost".

    Notes
    -----
    The interval of a gain belongs to the difference on the same images. It is much narrower than
    the spread of the folds where these vary in the same way under all strategies.

    Examples
    --------
    >>> import numpy as np
    >>> from imblearn.pipeline import Pipeline
    >>> from sklearn.dummy import DummyClassifier
    >>> from imbemotion import ComparisonDisplay, RandomResampler, compare_strategies
    >>> X = np.random.default_rng(0).integers(256, size=(40, 8, 8), dtype=np.uint8)
    >>> y = np.repeat(["joy", "fear"], [30, 10])
    >>> pipe = Pipeline([("balance", "passthrough"), ("model", DummyClassifier())])
    >>> strategies = {"none": {}, "oversample": {"balance": RandomResampler()}}
    >>> comparison = compare_strategies(pipe, X, y, strategies, cv=2, random_state=0)
    >>> ComparisonDisplay.from_comparison(comparison, kind="score").ax_.get_xlabel()
    'macro-F1'
    """

    summary: pd.DataFrame
    _: KW_ONLY
    fits: pd.DataFrame
    per_class: pd.DataFrame
    per_class_gain: pd.DataFrame
    counts: dict[str, int] | None = None
    scoring: str = "macro-F1"
    confidence: float = 0.95
    name: str | None = None

    @classmethod
    def from_comparison(
        cls, comparison: Any, *, confidence: float = 0.95, name: str | None = None,
        **plot_params: Any,
    ) -> ComparisonDisplay:  # fmt: skip
        """Draw a comparison.

        Parameters
        ----------
        comparison : Comparison
            Result of ``compare_strategies`` or ``Comparison.load``.
        confidence : float, default=0.95
            Simultaneous coverage of all intervals.
        name : str, default=None
            Name of the comparison.
        **plot_params : dict
            Parameters of :meth:`plot`: ``ax``, ``kind`` and the style.

        Returns
        -------
        display : ComparisonDisplay
        """
        return cls(
            comparison.summary(confidence=confidence), fits=comparison.fits,
            per_class=comparison.per_class(), per_class_gain=comparison.per_class_gain(),
            counts=comparison.settings.get("data", {}).get("counts"),
            scoring=comparison.scoring, confidence=confidence, name=name,
        ).plot(**plot_params)  # fmt: skip

    def plot(
        self, ax: Axes | None = None, *, name: str | None = None, kind: str = "score",
        **kwargs: Any,
    ) -> ComparisonDisplay:  # fmt: skip
        """Draw one of the views.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        name : str, default=None
            Name of the comparison. None writes that of the display, if it has one.
        kind : {"score", "gain", "cost"}, default="score"
            The view.
        **kwargs : dict
            Properties of the marks (``Axes.plot``) or of the heat map (``Axes.imshow``).

        Returns
        -------
        display : ComparisonDisplay

        Raises
        ------
        ValueError
            If `kind` is unknown.
        """
        draw = {"score": self._draw_scores, "gain": self._draw_gains, "cost": self._draw_costs}
        if kind not in draw:
            raise ValueError(f"kind must be one of {', '.join(draw)}, got {kind!r:.90}.")
        self.ax_ = style.new_axes(self.figure_size(kind))[0] if ax is None else ax
        self.figure_, self.lines_, self.im_ = self.ax_.figure, [], None
        draw[kind](self.ax_, self.name if name is None else name, kwargs)
        return self

    def figure_size(self, kind: str) -> tuple[float, float]:
        """Return the width and height in inches at which a view is easy to read.

        Parameters
        ----------
        kind : {"score", "gain", "cost"}
            The view.

        Returns
        -------
        size : tuple of (float, float)
        """
        n_strategies, n_classes = self.per_class.shape
        if kind == "score":
            return 7.2, 1.3 + 0.34 * n_strategies
        if kind == "gain":
            width = 0.56 if n_strategies <= _WIDE_COLUMNS else 0.36
            return (
                self._names_width() + 1 + width * min(n_strategies, style.MOST_NUMBERED),
                max(2.7, 1.5 + 0.3 * min(n_classes, style.MOST_NUMBERED)),
            )
        return 7.2, 4.2 + 0.06 * n_strategies

    def _label_classes(self, classes):
        n = {label: f" (n = {count:,})" for label, count in (self.counts or {}).items()}
        return [_name(label, len(classes)) + n.get(str(label), "") for label in classes]

    def _names_width(self):  # inches
        lines = "\n".join(self._label_classes(self.per_class.columns)).split("\n")
        return max(2.2, 0.078 * max(map(text_width, lines)))

    def _draw_scores(self, ax, title, given):
        """Draw a line per strategy: single folds, the score, and the interval of its gain."""
        summary = self.summary.sort_values("score", ascending=False, kind="stable")
        baseline = summary.loc[summary["verdict"] == "baseline", "score"]
        start = baseline.iloc[0] if len(baseline) else np.nan
        ax.axvline(start, color=style.INK, linewidth=0.8, linestyle="--", zorder=0)
        side = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": 8}
        for place, (name, line) in enumerate(summary.iterrows()):
            scores = self.fits.loc[self.fits["strategy"] == name, "score"]
            self.lines_ += _draw_strategy(ax, place, line, scores, start, given)
            ax.text(1.02, place, _describe(line), **side)
        names = [style.wrap(name) for name in summary.index]
        ax.set_yticks(range(len(names)), names, **style.PLAIN_TEXT)
        ax.set_ylim(len(summary) - 0.5, -0.5)
        ax.set_xlabel(self.scoring, **style.PLAIN_TEXT)
        _limit(ax, self.fits["score"])
        style.simplify(ax, grid="y")
        ax.spines["left"].set_visible(False)
        handles = _verdict_handles(ax, summary)
        if summary["verdict"].isin(_COMPARED).any():
            label = f"interval of the gain ({self.confidence:.0%} for all together)"
            handles += ax.plot([], [], color=style.INK, linewidth=2, label=label)
        handles += ax.plot([], [], label="single folds", **_FOLDS)
        style.legend_above(ax, handles, title)

    def _draw_gains(self, ax, title, given):
        """Draw classes as rows and strategies as columns; the baseline's F1 is written first."""
        baseline = self.per_class.iloc[0]
        classes = order_classes(baseline.index, self.counts)  # may be booleans: no mask of rows
        gains = self.per_class_gain.reindex(columns=classes).T.to_numpy(dtype=float, copy=True)
        is_numbered = max(gains.shape) <= style.MOST_NUMBERED  # (n_classes, n_strategies)
        gains[:, 0] = np.nan if is_numbered else 0  # F1 of the baseline needs numbers
        limit = max(_LEAST_RANGE, np.abs(gains[np.isfinite(gains)]).max(initial=0))
        look = {"cmap": "RdBu", "vmin": -limit, "vmax": limit, "aspect": "auto", **given}
        self.im_ = ax.imshow(gains, **look)
        style.write_title(ax, title)
        if is_numbered:
            _write_cells(ax, baseline.reindex(classes).to_numpy(), gains, limit)
            _separate(ax, gains.shape)
        _write_names(ax.set_yticks, self._label_classes(classes))
        verdicts, strategies = self.summary["verdict"], self.per_class_gain.index
        notes = {v: f"\n({note})" for v, note in _NOTES.items() if is_numbered}
        names = [_name(s, len(strategies), 22) + notes.get(verdicts[s], "") for s in strategies]
        _write_names(ax.set_xticks, names)
        ax.tick_params(length=0, labeltop=True, labelbottom=False)
        for label in ax.get_xticklabels():
            label.set(rotation=50, rotation_mode="anchor", ha="left", va="center")
        ax.spines[:].set_visible(False)
        _add_color_bar(ax, self.im_)

    def _draw_costs(self, ax, title, given):
        """Draw scores against the seconds of a fit; marks are larger where more was needed."""
        done = self.summary[~self.summary["verdict"].isin(_FAILED)]
        times, column = done["fit_time"], _size_column(done)
        diameters = _diameters(done[column]) if column else np.full(len(done), _USUAL)
        for (_, line), diameter in zip(done.iterrows(), diameters, strict=True):
            mark = _mark(line["verdict"]) | {"markersize": diameter, "alpha": 0.85}
            self.lines_ += _draw_mark(ax, line["fit_time"], line["score"], mark, given)
        if len(times) and times.min() > 0 and times.max() > _WIDE * times.min():
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter("{x:g}")
        ax.margins(0.18)
        ax.set_xlabel("seconds to fit (mean of the folds)")
        ax.set_ylabel(self.scoring, **style.PLAIN_TEXT)
        style.simplify(ax, grid="both")
        handles = _verdict_handles(ax, self.summary, name_failed=True)
        if column:
            handles += _size_handles(ax, done[column], diameters, _SIZES[column])
        style.legend_above(ax, handles, title, labelspacing=0.8, borderpad=0.7)  # for _LARGEST
        names = [style.wrap(name) for name in done.index]
        style.label_points(ax, times.to_numpy(), done["score"].to_numpy(), names, diameters)


def order_classes(labels: Sequence, counts: dict[str, int] | None) -> list:
    """Order classes by the number of images, the largest first, where that is known."""
    if not counts:
        return list(labels)
    return sorted(labels, key=lambda label: -counts.get(str(label), 0))


def _mark(verdict):
    return {"linestyle": "none", "markersize": 7, **_MARKS[verdict]}


def _verdict_handles(ax, summary, name_failed=False):
    """Return a legend handle for each verdict of the summary."""
    handles = []
    for verdict in _MARKS:
        names = summary.index[summary["verdict"] == verdict]
        if len(names):
            is_named = name_failed and verdict in _FAILED
            label = f"{verdict}: {', '.join(map(str, names))}" if is_named else verdict
            handles += ax.plot([], [], label=style.wrap(label, 40), **_mark(verdict))
    return handles


def _draw_mark(ax, x, y, mark, given):
    from matplotlib.lines import Line2D

    return ax.plot(x, y, **style.styled(Line2D, given, **mark))


def _draw_strategy(ax, place, line, scores, start, given):
    mark = _mark(line["verdict"])
    if line["verdict"] in _FAILED:
        mark["transform"] = ax.get_yaxis_transform()
        return _draw_mark(ax, 0.01, place, mark, given)
    ax.plot(scores, np.full(len(scores), place + _BELOW), **_FOLDS)
    score = line["score"]
    if line["verdict"] in _COMPARED:
        # Where fits failed, the gain over the folds in common counts, as for the verdict.
        score = start + line["gain"]
        ends = [start + line["gain_low"], start + line["gain_high"]]
        ax.plot(ends, [place, place], color=mark["color"], linewidth=2, solid_capstyle="butt")
    return _draw_mark(ax, score, place, {"zorder": 3, **mark}, given)


def _limit(ax, scores):
    """Keep long intervals from squeezing scores that lie between 0 and 1."""
    if scores.between(0, 1).any():
        low, high = ax.get_xlim()
        ax.set_xlim(max(low, min(-0.02, scores.min())), min(high, max(1.02, scores.max())))


def _describe(line):
    """Write the gain and its interval, or why there is none."""
    text = line["verdict"]
    if text in _COMPARED:
        ends = ", ".join(style.signed(line[end]) for end in ("gain_low", "gain_high"))
        is_known = np.isfinite(line["gain_low"])
        text = style.signed(line["gain"]) + (f" [{ends}]" if is_known else ", one fold only")
    some = line["n_failed"] and line["verdict"] != "failed"
    return text + (f", {line['n_failed']:.0f} failed" if some else "")


def _name(label, n, width=26):
    """Write a label in two lines at most, in one where there are many."""
    return style.wrap(label, width) if n <= style.MOST_NUMBERED else cut_label(label, width)


def _write_names(set_ticks, names):
    places = style.named_places(len(names))
    size = 9 if len(names) <= style.MOST_NUMBERED else 8
    set_ticks(places, [names[place] for place in places], fontsize=size, **style.PLAIN_TEXT)


def _write_cells(ax, baseline, gains, limit):
    look = {"ha": "center", "va": "center", "fontsize": 8 if gains.shape[1] < 13 else 7}
    for (row, column), gain in np.ndenumerate(gains):
        text = f"{baseline[row]:.2f}" if column == 0 else style.signed(gain, 2)
        color = "white" if abs(gain) > _DARK * limit else "black"
        ax.text(column, row, "-" if "nan" in text else text, color=color, **look)


def _separate(ax, shape):
    """Separate cells by white lines, and the baseline from the gains by a broad one."""
    ax.set_yticks(np.arange(shape[0] - 1) + 0.5, minor=True)
    ax.set_xticks(np.arange(shape[1] - 1) + 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1)
    ax.tick_params(which="minor", length=0)
    ax.axvline(0.5, color="white", linewidth=5)


def _add_color_bar(ax, image):
    shrink = min(0.8, _BAR_HEIGHT * ax.figure.dpi / ax.get_window_extent().height)
    bar = ax.figure.colorbar(image, ax=ax, shrink=shrink, aspect=20, pad=0.02)
    bar.set_label("gain in F1", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)


def _size_column(done):
    """Choose what sizes show: memory if it is known, else rows; None if they hardly differ."""
    for column in _SIZES:
        values = done[column] if column in done else done["fit_time"] * np.nan
        if values.notna().all() and values.max() > _EQUAL * values.min():
            return column
    return None


def _diameters(values):
    """Make areas proportional to values, except for marks that would be too small to see."""
    return np.maximum(_LARGEST * np.sqrt(values / values.max()), _SMALLEST).to_numpy()


def _size_handles(ax, values, diameters, unit):
    look = {"marker": "o", "linestyle": "none", "color": style.INK, "markerfacecolor": "none"}
    return [
        ax.plot([], [], label=unit.format(values.iloc[k]), markersize=diameters[k], **look)[0]
        for k in (values.argmin(), values.argmax())
    ]
