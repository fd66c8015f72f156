"""The tables of the page: text in cells, ready to be laid out."""

from typing import NamedTuple

import numpy as np

from imbemotion.plots._marks import signed

__all__ = [
    "Table",
    "class_tables",
    "confidence_table",
    "cost_table",
    "resampling_table",
    "score_table",
]

_SIGNS = {
    "better": "\N{BLACK UP-POINTING TRIANGLE}",
    "worse": "\N{BLACK DOWN-POINTING TRIANGLE}",
    "not distinguishable": "\N{WHITE CIRCLE}",
    "baseline": "\N{BLACK SQUARE}",
}
_DASH = "\N{EN DASH}"


class Table(NamedTuple):
    """A table: the first cell of every row names it, cells of numbers are set right."""

    caption: str
    columns: list[str]
    rows: list[list[str]]
    n_text: int = 1  # first columns that hold text


def score_table(summary, scoring, margin):
    """Give one row per strategy: verdict, score and gain."""
    s = summary.copy()
    s.loc[s.index[0], ["gain", "gain_low", "gain_high", "p_value", "p_better"]] = np.nan
    columns = {
        "verdict": [f"{_SIGNS.get(verdict, '')} {verdict}".strip() for verdict in s["verdict"]],
        scoring: _write(s["mean"], "{:.3f}".format),
        "\N{PLUS-MINUS SIGN}": _write(s["std"], "{:.3f}".format),
        "gain": _write(s["gain"], signed),
        "from": _write(s["gain_low"], signed),
        "to": _write(s["gain_high"], signed),
        "p": _write(s["p_value"], _probability),
        f"P(gain > {margin})": _write(s["p_better"], _percent),
        "overfit": _write(s["gap"], signed),
        "external": _write(s["external"], "{:.3f}".format),
        "failed": ["" if n == 0 else f"{n:.0f}" for n in s["n_failed"]],
    }
    return _lay_out("Scores and gains", summary.index, columns, n_text=2)


def cost_table(summary):
    """Give one row per strategy: what it took, in means of the folds."""
    columns = {
        "fit, s": _write(summary["fit_time"], _round),
        "predict, s": _write(summary["predict_time"], _round),
        "peak memory, MiB": _write(summary["peak_memory"], "{:,.0f}".format),
        "training rows": _write(summary["n_resampled"], "{:,.0f}".format),
        "epochs": _write(summary["n_epochs"], "{:.1f}".format),
        "best epoch": _write(summary["best_epoch"], "{:.1f}".format),
    }
    return _lay_out("Cost, as the mean of the folds", summary.index, columns)


def _lay_out(caption, names, columns, n_text=1):
    """Make a table of columns, without those that hold nothing."""
    filled = {name: cells for name, cells in columns.items() if set(cells) - {"", _DASH}}
    rows = [[str(name), *cells] for name, *cells in zip(names, *filled.values(), strict=True)]
    return Table(caption, ["strategy", *filled], rows, n_text)


def class_tables(comparison, order, counts):
    """Give one row per class: F1 under every strategy, and shares of the predictions."""
    per_class, shares = comparison.per_class(), comparison.shares()
    per_class.columns, shares.columns = per_class.columns.map(str), shares.columns.map(str)
    total, names = sum(counts.values()), [str(name) for name in per_class.index]
    rows = [
        [
            label,
            f"{counts[label]:,}",
            _percent(counts[label] / total),
            *_write(f1, "{:.3f}".format),
        ]
        for label, f1 in per_class[order].items()
    ]
    said = [[label, *_write(values, _percent)] for label, values in shares[order].items()]
    return [
        Table("F1 of every class", ["class", "images", "share", *names], rows),
        Table("Share of every class among the predictions", ["class", "true", *names], said),
    ]


def resampling_table(resampled, order):
    """Give the training images per class before and after; None if nothing was resampled."""
    known = {name: found for name, found in resampled.items() if found}
    changed = {n: f["after"] for n, f in known.items() if f["after"] and f["after"] != f["before"]}
    if not changed:
        return None
    columns = {"before": next(iter(known.values()))["before"], **changed}
    rows = [
        [label, *(f"{counts.get(label, 0):,}" for counts in columns.values())] for label in order
    ]
    return Table("Training images of the first fold", ["class", *map(str, columns)], rows)


def confidence_table(analyses):
    """Give one row per strategy: how sure it was, and how often it was right."""
    rows = []
    for name, found in analyses.items():
        means = found.by_correctness["mean"]
        values = [
            found.accuracy, found.mean_confidence, means["correct"], means["wrong"],
            found.expected_calibration_error,
        ]  # fmt: skip
        rows.append([str(name), *_write(np.array(values), _percent)])
    columns = ["strategy", "right", "confidence", "where right", "where wrong", "error (ECE)"]
    return Table("Confidence over all test folds", columns, rows)


def _write(values, write):
    return [write(value) if np.isfinite(value) else _DASH for value in values]


def _percent(share):
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _probability(p):
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _round(seconds):
    return f"{seconds:.2g}" if seconds < 10 else f"{seconds:,.0f}"
