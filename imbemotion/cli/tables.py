"""Tables and conclusions: class counts before and after, scores per class, comparisons."""

from collections import Counter

from imbemotion._base.text import signed
from imbemotion._base.validation import shorten
from imbemotion.cli.output import arrow, escape, make_table

__all__ = [
    "change_lines",
    "change_table",
    "class_table",
    "conclusion",
    "metrics_table",
    "prediction_table",
    "split_table",
    "strategy_tables",
    "summary_table",
]

_JUDGED = ("better", "worse", "not distinguishable")


def _number(value, form):
    return "" if value != value else format(value, form)  # nan: not measured


# What balancing does to the classes


def change_table(counts, weights=None):
    """Lay out a row per class: its size before and after, in every subset."""
    table = make_table("Samples by class", "class", *counts, *(["weight"] if weights else []))
    for label in next(iter(counts.values()))[0]:
        cells = [
            f"{before[label]:,}" if before == after else _change(before[label], after[label])
            for before, after in counts.values()
        ]
        cells += [f"{weights[label]:.3f}" if label in weights else ""] if weights else []
        table.add_row(escape(label), *cells)
    return table


def change_lines(counts):
    """Return a line per subset and one for all: sizes and balance ratios, before and after."""
    pairs = {name: tuple(map(Counter, pair)) for name, pair in counts.items()}
    total = tuple(sum(side, Counter()) for side in zip(*pairs.values(), strict=True))
    pairs = {**pairs, "Total": total} if len(pairs) > 1 else {"Total": total}
    return [
        f"{name}: {_change(before.total(), after.total(), ' samples')}, "
        f"balance ratio {_balance_ratio(before)} {arrow()} {_balance_ratio(after)}"
        for name, (before, after) in pairs.items()
    ]


def _change(before, after, what=""):
    """Write a change as ``225 → 300 samples (+75)``."""
    return f"{before:,} {arrow()} {after:,}{what} ({signed(after - before)})"


def _balance_ratio(counts):
    sizes = [n for n in counts.values() if n]
    return f"{min(sizes) / max(sizes):.3f}" if sizes else "-"


def strategy_tables(previews):
    """Lay out class sizes before and after every strategy, and what each strategy costs."""
    classes = make_table("Samples by class", "class", "before", *previews)
    before = next(iter(previews.values())).before
    for label in sorted(before, key=before.get, reverse=True):
        after = [f"{preview.after[label]:,}" for preview in previews.values()]
        classes.add_row(escape(label), f"{before[label]:,}", *after)
    totals = make_table(
        "Total", "strategy", "samples", "imbalance ratio", "dropped", "most uses",
        left=("samples",),
    )  # fmt: skip
    for name, found in previews.items():
        dropped = -sum(min(n, 0) for n in found.delta.values()) / found.n_before
        uses = max(found.after[label] / n for label, n in found.before.items())
        totals.add_row(
            name,
            _change(found.n_before, found.n_after, " samples"),
            f"{found.imbalance_ratio_before:.2f}:1 {arrow()} {found.imbalance_ratio_after:.2f}:1",
            f"{100 * dropped:.0f} %",
            f"{max(uses, 1):,.1f}",
        )
    return classes, totals


def split_table(counts):
    """Lay out a row per class: how many images are in every subset."""
    table = make_table("Rows by class", "class", *counts, "total")
    for label in counts["train"]:
        sizes = [part[label] for part in counts.values()]
        table.add_row(escape(label), *(f"{n:,}" for n in (*sizes, sum(sizes))))
    totals = [sum(part.values()) for part in counts.values()]
    table.add_section()
    table.add_row("total", *(f"{n:,}" for n in (*totals, sum(totals))), style="bold")
    return table


# What a network, or a comparison of strategies, achieved


def metrics_table(record, classes):
    """Lay out precision, recall and F1 of every class, the largest class first."""
    table = make_table("Scores on the test images", "class", "images", "precision", "recall", "F1")
    support = [round(share * record["n_test"]) for share in record["true_share"]]
    for place in sorted(range(len(support)), key=lambda place: -support[place]):
        scores = [_number(record[name][place], ".3f") for name in ("precision", "recall", "f1")]
        table.add_row(escape(classes[place]), f"{support[place]:,}", *scores)
    return table


def prediction_table(found, classes):
    """Lay out a row per image: its predicted class, and the probability of every class."""
    table = make_table("", "file", "predicted", "confidence", *classes, left=("predicted",))
    table.columns[0].overflow = "fold"
    for row in found.itertuples(index=False):
        shares = [f"{share:.3f}" for share in row[2:]]
        table.add_row(escape(row[0]), escape(row[1]), *shares)
    return table


def summary_table(summary, n_folds, scoring):
    """Lay out a row per strategy: score, gain, verdict and cost."""
    name = "Macro-F1" if scoring == "macro-F1" else scoring
    has_external, has_memory = summary[["external", "peak_memory"]].notna().any()
    columns = ["strategy", scoring, "gain", "verdict", "p>1%", "train"]
    columns += ["external"] * has_external + ["rows", "s/fit"] + ["MiB"] * has_memory
    title = f"{name} over {n_folds} test folds; gains and verdicts hold all together"
    table = make_table(title, *columns, left=("verdict",))
    for name, row in summary.iterrows():
        is_judged = row.verdict in _JUDGED
        spread = _number(row["std"], ".2f")  # unknown after one fit
        cells = [
            escape(name),
            _number(row["mean"], ".3f") + (f" ± {spread}" if spread else ""),
            escape(_gain(row)) if is_judged else "",
            row.verdict + (f" ({row.n_failed} failed)" if row.n_failed else ""),
            _number(row.p_better, ".2f") if is_judged else "",
            _number(row["mean"] + row.gap, ".3f"),
        ]
        cells += [_number(row.external, ".3f")] * has_external
        cells += [_number(row.n_resampled, ",.0f"), _number(row.fit_time, ".1f")]
        cells += [_number(row.peak_memory, ",.0f")] * has_memory
        table.add_row(*cells)
    return table


def _gain(row):
    low, high = _number(row.gain_low, "+.2f"), _number(row.gain_high, "+.2f")
    return _number(row.gain, "+.3f") + (f" [{low}, {high}]" if low else "")


def class_table(per_class, y):
    """Lay out F1 of every class by strategy, the largest class first."""
    table = make_table("F1 by class", "class", "images", *per_class.index)
    for label, n in Counter(y.tolist()).most_common():
        scores = [_number(score, ".3f") for score in per_class[label]]
        table.add_row(escape(label), f"{n:,}", *scores)
    return table


def conclusion(summary):
    """Return up to three sentences on what is distinguishable; "" where nothing was judged."""
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
    return "\n" + "\n".join(filter(None, lines))
