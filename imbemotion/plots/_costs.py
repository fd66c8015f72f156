"""Quality against time: where every strategy stands, with its name beside it."""

import numpy as np

from imbemotion.plots._labels import label_points
from imbemotion.plots._marks import LEGEND, failed, mark_of, verdicts_in, wrap
from imbemotion.plots._style import INK, PLAIN_TEXT, quieten

__all__ = ["draw_costs"]

_WIDE = 8  # from this ratio of times on their axis is logarithmic
_EQUAL = 1.1  # up to this ratio sizes would say nothing
_SMALLEST, _USUAL, _LARGEST = 5, 8, 17  # points across
_SIZES = {"peak_memory": "{:,.0f} MiB at the peak", "n_resampled": "{:,.0f} rows"}


def draw_costs(ax, summary, scoring):
    """Draw scores against the seconds of a fit; marks are larger where more was needed."""
    done = summary[~failed(summary["verdict"])]
    times, column = done["fit_time"], _size_column(done)
    diameters = _diameters(done[column]) if column else np.full(len(done), _USUAL)
    for (_, line), diameter in zip(done.iterrows(), diameters, strict=True):
        mark = {**mark_of(line["verdict"]), "markersize": diameter}
        ax.plot(line["fit_time"], line["mean"], alpha=0.85, **mark)
    if len(times) and times.min() > 0 and times.max() > _WIDE * times.min():
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
    ax.margins(0.18)
    ax.set_xlabel("seconds to fit (mean of the folds)")
    ax.set_ylabel(scoring, **PLAIN_TEXT)
    quieten(ax, grid="both")
    sizes = _size_handles(ax, done[column], diameters, _SIZES[column]) if column else []
    _write_legend(ax, summary, sizes)
    names = [wrap(name) for name in done.index]
    label_points(ax, times.to_numpy(), done["mean"].to_numpy(), names, diameters)


def _size_column(done):
    """Choose what sizes show: memory if it is known, else rows; None if they hardly differ."""
    for column in _SIZES:
        values = done[column] if column in done else done["fit_time"] * np.nan
        if values.notna().all() and values.max() > _EQUAL * values.min():
            return column
    return None


def _diameters(values):
    """Make areas proportional to values, but for marks that would be too small to see."""
    return np.maximum(_LARGEST * np.sqrt(values / values.max()), _SMALLEST).to_numpy()


def _size_handles(ax, values, diameters, unit):
    style = {"marker": "o", "linestyle": "none", "color": INK, "markerfacecolor": "none"}
    return [
        ax.plot([], [], label=unit.format(values.iloc[k]), markersize=diameters[k], **style)[0]
        for k in (values.argmin(), values.argmax())
    ]


def _write_legend(ax, summary, sizes):
    handles = []
    for verdict in verdicts_in(summary):
        named = summary.index[summary["verdict"] == verdict]
        label = f"{verdict}: {', '.join(map(str, named))}" if failed(verdict) else verdict
        handles += ax.plot([], [], label=wrap(label, 40), **mark_of(verdict))
    for text in ax.legend(handles=[*handles, *sizes], labelspacing=0.8, **LEGEND).get_texts():
        text.set(**PLAIN_TEXT)
