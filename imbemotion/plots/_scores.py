"""Scores of strategies, with the interval of each gain beside the baseline."""

import numpy as np

from imbemotion.plots._marks import LEGEND, failed, mark_of, signed, verdicts_in, wrap
from imbemotion.plots._style import BASELINE, INK, PLAIN_TEXT, quieten

__all__ = ["draw_scores"]

_FOLDS = {"marker": "o", "linestyle": "none", "markersize": 3.5, "color": BASELINE}
_BELOW = 0.25  # single folds stand below the mark, so that none is covered
_COMPARED = ("better", "worse", "not distinguishable")


def draw_scores(ax, summary, fits, scoring, confidence):
    """Draw a line per strategy: single folds, the score, and the interval of its gain."""
    summary = summary.sort_values("mean", ascending=False, kind="stable", na_position="last")
    baseline = summary[summary["verdict"] == "baseline"]
    start = baseline["mean"].iloc[0] if len(baseline) else np.nan
    ax.axvline(start, color=INK, linewidth=0.8, linestyle="--", zorder=0)
    for place, (name, line) in enumerate(summary.iterrows()):
        _draw_strategy(ax, place, line, fits.loc[fits["strategy"] == name, "score"], start)
        side = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": 8}
        ax.text(1.02, place, _describe(line), **side)
    ax.set_yticks(range(len(summary)), [wrap(name) for name in summary.index], **PLAIN_TEXT)
    ax.set_ylim(len(summary) - 0.5, -0.5)
    ax.set_xlabel(scoring, **PLAIN_TEXT)
    _limit(ax, fits["score"])
    quieten(ax, grid="y")
    ax.spines["left"].set_visible(False)
    _write_legend(ax, summary, confidence)


def _draw_strategy(ax, place, line, scores, start):
    mark = mark_of(line["verdict"])
    if failed(line["verdict"]):
        ax.plot(0.01, place, transform=ax.get_yaxis_transform(), **mark)
        return
    ax.plot(scores, np.full(len(scores), place + _BELOW), **_FOLDS)
    score = line["mean"]
    if line["verdict"] in _COMPARED:
        # Where fits failed, the gain over the folds in common counts, as for the verdict.
        score = start + line["gain"]
        ends = [start + line["gain_low"], start + line["gain_high"]]
        ax.plot(ends, [place, place], color=mark["color"], linewidth=2, solid_capstyle="butt")
    ax.plot(score, place, zorder=3, **mark)


def _limit(ax, scores):
    """Keep long intervals from squeezing scores that lie between 0 and 1."""
    if scores.between(0, 1).any():
        low, high = ax.get_xlim()
        ax.set_xlim(max(low, min(-0.02, scores.min())), min(high, max(1.02, scores.max())))


def _describe(line):
    """Write the gain and its interval, or why there is none."""
    text = line["verdict"]
    if text in _COMPARED:
        ends = ", ".join(signed(line[end]) for end in ("gain_low", "gain_high"))
        known = np.isfinite(line["gain_low"])
        text = signed(line["gain"]) + (f" [{ends}]" if known else ", one fold only")
    some = line["n_failed"] and line["verdict"] != "failed"
    return text + (f", {line['n_failed']:.0f} failed" if some else "")


def _write_legend(ax, summary, confidence):
    verdicts = verdicts_in(summary)
    handles = [ax.plot([], [], label=verdict, **mark_of(verdict))[0] for verdict in verdicts]
    if set(_COMPARED) & set(verdicts):
        label = f"interval of the gain ({confidence:.0%} for all together)"
        handles += ax.plot([], [], color=INK, linewidth=2, label=label)
    handles += ax.plot([], [], label="single folds", **_FOLDS)
    ax.legend(handles=handles, **LEGEND)
