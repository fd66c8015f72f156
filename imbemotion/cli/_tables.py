"""What a comparison found, as tables and sentences for a terminal."""

from collections import Counter

import numpy as np
from rich.markup import escape

from imbemotion._base.validation import shorten
from imbemotion.cli._console import make_table

__all__ = ["class_table", "conclusion", "metrics_table", "summary_table"]

_JUDGED = ("better", "worse", "not distinguishable")


def summary_table(summary, n_folds, scoring):
    """Lay out a row per strategy: score, gain, verdict and cost."""
    name = "Macro-F1" if scoring == "macro-F1" else scoring
    table = make_table(f"\n{name} over {n_folds} test folds; gains and verdicts hold all together")
    has_external, has_memory = summary[["external", "peak_memory"]].notna().any()
    columns = ["strategy", scoring, "gain", "verdict", "p>1%", "train"]
    columns += ["external"] * has_external + ["rows", "s/fit"] + ["MiB"] * has_memory
    for name in columns:
        table.add_column(name, justify="left" if name in ("strategy", "verdict") else "right")
    for name, line in summary.iterrows():
        is_judged = line.verdict in _JUDGED
        interval = (
            "" if np.isnan(line.gain_low) else f"{line.gain_low:+.2f}, {line.gain_high:+.2f}"
        )
        gain = _number(line.gain, "+.3f") + (f" [{interval}]" if interval else "")
        cells = [
            escape(str(name)),
            _number(line["mean"], ".3f") + _spread(line["std"]),
            escape(gain) if is_judged else "",
            line.verdict + (f" ({line.n_failed} failed)" if line.n_failed else ""),
            _number(line.p_better, ".2f") if is_judged else "",
            _number(line["mean"] + line.gap, ".3f"),
        ]
        cells += [_number(line.external, ".3f")] * has_external
        cells += [_number(line.n_resampled, ",.0f"), _number(line.fit_time, ".1f")]
        cells += [_number(line.peak_memory, ",.0f")] * has_memory
        table.add_row(*cells)
    return table


def _number(value, form):
    return "" if np.isnan(value) else format(value, form)


def _spread(std):
    return "" if np.isnan(std) else f" ± {std:.2f}"  # unknown after one fit


def class_table(per_class, y):
    """Lay out F1 of every class, the largest class first."""
    table = make_table("\nF1 of every class")
    table.add_column("class")
    table.add_column("images", justify="right")
    for name in per_class.index:
        table.add_column(escape(str(name)), justify="right")
    for label, n in Counter(y.tolist()).most_common():
        scores = [_number(score, ".3f") for score in per_class[label]]
        table.add_row(escape(str(label)), f"{n:,}", *scores)
    return table


def metrics_table(record, classes):
    """Lay out precision, recall and F1 of every class, the largest class first."""
    table = make_table("\nEvery class, on the test images")
    table.add_column("class")
    for name in ("images", "precision", "recall", "F1"):
        table.add_column(name, justify="right")
    support = np.rint(record["true_share"] * record["n_test"]).astype(int)
    for place in np.argsort(-support, kind="stable"):
        figures = [_number(record[name][place], ".3f") for name in ("precision", "recall", "f1")]
        table.add_row(escape(str(classes[place])), f"{support[place]:,}", *figures)
    return table


def conclusion(summary):
    """Say in up to three sentences what can be told apart; nothing where nothing was judged."""
    if not summary["verdict"].isin(_JUDGED).any():
        return ""
    baseline = summary.index[0]
    better, worse, same = (
        shorten(summary.index[summary["verdict"] == verdict]) for verdict in _JUDGED
    )
    lines = [
        f"Better than {baseline} on these folds: {better or 'no strategy'}.",
        f"Worse: {worse}." if worse else "",
        f"Not distinguishable: {same}; more folds or repeats narrow the intervals."
        if same
        else "",
    ]
    return "\n" + "\n".join(line for line in lines if line)
