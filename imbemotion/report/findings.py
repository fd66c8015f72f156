"""The findings of a comparison in sentences and tables."""

from typing import NamedTuple

import numpy as np

from imbemotion._base.validation import shorten
from imbemotion.analysis.verdicts import LARGE_SHARE
from imbemotion.comparison.budget import write_steps
from imbemotion.plots.predictions import confused_pairs
from imbemotion.plots.style import MOST_NUMBERED, signed

_TINY = 10  # images of a class in a test fold
_COMPARED = ["better", "worse", "not distinguishable"]
_BUDGETS = {
    "steps": "at equal steps", "epochs": "at equal epochs", "time": "in equal time",
    "converged": "trained until they stopped improving",
}  # fmt: skip
_DONE = ["baseline", *_COMPARED, "no baseline"]


def quote(names, limit=4):
    """Join names in quotation marks: a strategy may be called "none"."""
    return shorten([f"\u201c{name}\u201d" for name in names], limit)


def strongest(summary):
    """Return the strategy with the highest score apart from the baseline, or None."""
    others = summary.iloc[1:]
    others = others[others["verdict"].isin(_DONE)]
    return None if others.empty else others["score"].idxmax()


def find_answer(summary, scoring, n_folds, *, per_class=None, complete=True):
    """Return the result of a comparison in words that need no statistics."""
    baseline, best = summary.iloc[0], strongest(summary)
    base = quote(summary.index[:1])
    if not summary["verdict"].isin(_DONE).any():
        silent = summary.index[summary["verdict"] == "did not learn"]
        if len(silent):
            return f"{quote(silent)} did not learn, so nothing can be compared. Train longer."
        return "No strategy has a result yet, so nothing can be concluded."
    if baseline["verdict"] not in _DONE:
        is_silent = baseline["verdict"] == "did not learn"
        reason = "did not learn; train longer. The" if is_silent else "has no result; the"
        return (
            f"Nothing can be concluded, as the baseline {base} {reason} highest "
            f"{scoring} is {summary.loc[best, 'score']:.3f}, by {quote([best])}."
        )
    if best is None:
        return (
            f"The baseline {base} reaches {baseline['score']:.3f} {scoring}; no other strategy "
            "has a result to compare with it."
        )
    if n_folds == 1:
        return "A single fold cannot show what is due to chance; use several folds."
    start = "" if complete else "So far: "
    return start + " ".join(_findings(summary, scoring, per_class))


def _findings(summary, scoring, per_class):
    """Yield sentences, the most important one first."""
    name = summary.index[0]
    base = "doing nothing" if name == "none" else quote([name])
    better, worse, same = (
        summary[summary["verdict"] == verdict].sort_values("gain", ascending=False)
        for verdict in _COMPARED
    )
    if len(better):
        line = better.iloc[0]
        least = "but by how much is uncertain"
        if line["gain_low"] > 0.0005:
            least = f"at least {signed(line['gain_low'], 2 if line['gain_low'] > 0.005 else 3)}"
        gain = f"{signed(line['gain'], 2)} {scoring}, {least}"
        yield f"{quote([line.name])} is better than {base}: {gain}."
        yield from _most_gained(line.name, per_class)
    else:
        yield f"No strategy was shown to be better than {base}."
    if len(better) > 1:
        verb = "are" if len(better) > 2 else "is"
        yield f"{quote(better.index[1:])} {verb} better as well."
    if len(worse):
        yield f"{quote(worse.index[::-1])} {'are' if len(worse) > 1 else 'is'} worse."
    if len(same):
        yield _leaning(same.iloc[0], scoring, others=len(better) + len(worse) > 0)
    dropped = summary.index[summary["verdict"] == "dropped"]
    silent = summary.index[summary["verdict"] == "did not learn"]
    if len(dropped):
        verb = "were" if len(dropped) > 1 else "was"
        yield f"{quote(dropped)} {verb} clearly worse early on, and dropped."
    if len(silent):
        yield f"{quote(silent)} did not learn; train longer."


def _most_gained(name, per_class):
    """Yield the class that a strategy improves most."""
    if per_class is None or name not in per_class.index:
        return
    gains = per_class.loc[name].dropna()
    if len(gains) and gains.max() > 0:
        yield f"{quote([gains.idxmax()])} gains most ({signed(gains.max(), 2)} F1)."


def _leaning(line, scoring, others):
    """Describe the most promising strategy that could not be distinguished."""
    if line["gain"] <= 0:
        return "Of the rest, none looks better." if others else "None looks better."
    text = f"{'Of the rest, ' if others else ''}{quote([line.name])} looks best"
    if not np.isfinite(line["gain_low"]):
        return f"{text}."
    ends = f"{signed(line['gain_low'], 2)} and {signed(line['gain_high'], 2)}"
    gain = f"{signed(line['gain'], 2)} {scoring}"
    return f"{text} ({gain}), but that may be chance: the true gain lies between {ends}."


def describe_outlook(plan, summary):
    """Yield which gains can be shown of the most promising strategy without a verdict."""
    waiting = summary["gain"][summary["verdict"] == "not distinguishable"]
    waiting = waiting[waiting.index.isin(plan.index[plan["detectable"].notna()])]
    if waiting.empty:
        return
    name = waiting.idxmax()
    line = plan.loc[name]
    minutes = max(1, round(2 * line["minutes"]))
    now, later = (f"{line[key]:.2f}" for key in ("detectable", "detectable_later"))
    text = (
        f"If the true gain of {quote([name])} were {now} or more, a comparison like this would "
        "show it four times out of five; "
    )
    if now == later:
        yield f"{text}two more repeats would hardly change that."
    else:
        cost = f"about {minutes} minute{'s' * (minutes > 1)} of fitting"
        yield f"{text}with two more repeats ({cost}), {later} would be enough."


def describe_influence(influence, summary):
    """Return a sentence on each group that carries much of the evidence about a strategy."""
    judged = summary.index[summary["verdict"].isin(_COMPARED)]
    strategies, labels = (influence.index.get_level_values(k) for k in (0, 1))
    large = influence[(influence["share"] > LARGE_SHARE) & strategies.isin(judged)]
    is_group, sentences = labels.name == "group", []
    for label, own in large.groupby(level=1, sort=False):
        who = f"image (row {label})"
        remedy = "Apart from it, the predictions hardly differ from the baseline's"
        if is_group:
            who = f"group, {quote([label])} ({own['n_images'].iloc[0]:,.0f} images)"
            remedy = "Collect images of more groups (such as persons)"
        shares = [
            f"{100 * share:.0f}\N{NO-BREAK SPACE}% of the evidence about {quote([name])}"
            for name, share in own["share"].droplevel(1).items()
        ]
        what = f"The results depend heavily on a single {who}"
        sentences.append(f"{what}: it provides {shorten(shares, 3)}. {remedy}.")
    return sentences


def describe_budget(summary):
    """Return in words what all trainings had in common; "" where nothing was trained in steps."""
    return _BUDGETS.get(summary["budget"].iloc[0], "")


def key_figures(summary, names):
    """Return name, score and a remark for those strategies that have a score."""
    found = []
    for name, line in summary.loc[names].dropna(subset=["score"]).iterrows():
        is_compared = line["verdict"] in _COMPARED and np.isfinite(line["gain"])
        gain = f"{signed(line['gain'])}, " if is_compared else ""
        found.append((str(name), f"{line['score']:.3f}", gain + line["verdict"]))
    return found


def describe_progress(summary, fits, n_folds):
    """Return sentences on what is not done and what failed."""
    # what was dropped has all the fits that it will get
    is_kept, sentences = summary["verdict"] != "dropped", []
    if "strategy" in fits:
        fits = fits[fits["strategy"].isin(summary.index[is_kept])]
    wanted = n_folds * is_kept.sum()
    if len(fits) < wanted:
        sentences.append(f"{len(fits)} of {wanted} fits are done; all results may still change.")
    failed = summary["n_failed"][summary["n_failed"] > 0]
    if len(failed):
        some = f"{failed.sum():.0f} fits" if failed.sum() > 1 else "One fit"
        sentences.append(f"{some} of {quote(failed.index)} failed; the reasons are given below.")
    return sentences


def describe_comparison(settings, n_strategies):
    """Return what was compared, on how many images and folds."""
    data = settings["data"]
    size = " x ".join(map(str, data["shape"]))
    groups = f", from {data['n_groups']:,} groups" if data.get("n_groups") else ""
    n_folds, n_repeats = settings["n_folds"], settings["n_repeats"]
    repeated = f", repeated {n_repeats} times" if n_repeats > 1 else ""
    return (
        f"{n_strategies} strategies were compared on {n_folds} folds{repeated}, with "
        f"{data['n_samples']:,} images{f' of {size} pixels' if size else ''} in "
        f"{len(data['counts'])} classes{groups}."
    )


def describe_balance(counts):
    """Return the sizes of the largest and the smallest class."""
    largest, smallest = max(counts, key=counts.get), min(counts, key=counts.get)
    ratio = counts[largest] / counts[smallest]
    return (
        f"The largest class, {quote([largest])}, has {counts[largest]:,} images and the "
        f"smallest, {quote([smallest])}, {counts[smallest]:,}: an imbalance ratio of "
        f"{ratio:,.1f}:1 (balance ratio {1 / ratio:.3f})."
    )


def describe_tiny_classes(counts, n_folds):
    """Return a warning of classes with too few images per test fold, or None."""
    tiny = {label: n for label, n in counts.items() if n < _TINY * n_folds}
    if not tiny:
        return None
    named = [f"{label} ({n} in all)" for label, n in sorted(tiny.items(), key=lambda t: t[1])]
    return (
        f"Test folds contain fewer than {_TINY} images of {shorten(named, 5)}. The F1 of such "
        "classes, and with it the mean over all classes, depends strongly on chance."
    )


_SIGNS = {
    "better": "\N{BLACK UP-POINTING TRIANGLE}", "worse": "\N{BLACK DOWN-POINTING TRIANGLE}",
    "not distinguishable": "\N{WHITE CIRCLE}", "baseline": "\N{BLACK SQUARE}",
}  # fmt: skip
_DASH = "\N{EN DASH}"


class Table(NamedTuple):
    """A table; the first cell of every row names it, numbers are aligned right."""

    caption: str
    columns: list[str]
    rows: list[list[str]]
    n_text: int = 1  # leading columns with text


def score_table(summary, scoring, margin):
    """Return a row per strategy: verdict, score, gain and its interval."""
    s = summary.copy()
    s.loc[s.index[0], ["gain", "gain_low", "gain_high", "p_value", "p_better"]] = np.nan
    columns = {
        "verdict": [f"{_SIGNS.get(verdict, '')} {verdict}".strip() for verdict in s["verdict"]],
        scoring: _write(s["score"], "{:.3f}".format),
        "\N{PLUS-MINUS SIGN}": _write(s["std"], "{:.3f}".format),
        "gain": _write(s["gain"], signed),
        "from": _write(s["gain_low"], signed),
        "to": _write(s["gain_high"], signed),
        "p": _write(s["p_value"], lambda p: "< 0.001" if p < 0.001 else f"{p:.3f}"),
        f"P(gain > {margin})": _write(s["p_better"], _percent),
        "overfit": _write(s["gap"], signed),
        "external": _write(s["external"], "{:.3f}".format),
        "failed": ["" if n == 0 else f"{n:.0f}" for n in s["n_failed"]],
    }
    return _lay_out("Scores and gains", summary.index, columns, n_text=2)


def cost_table(summary):
    """Return a row per strategy: what a fit took."""
    columns = {
        "fit, s": _write(summary["fit_time"], _round),
        "predict, s": _write(summary["predict_time"], _round),
        "peak memory, MiB": _write(summary["peak_memory"], "{:,.0f}".format),
        "training rows": _write(summary["n_resampled"], "{:,.0f}".format),
        "steps": list(map(write_steps, summary["n_steps"], summary["budget"])),
        "images seen": _write(summary["n_images_seen"], "{:,.0f}".format),
        "epochs": _write(summary["n_epochs"], "{:.1f}".format),
        "best epoch": _write(summary["best_epoch"], "{:.1f}".format),
    }
    return _lay_out("Cost (mean of the folds)", summary.index, columns)


def _lay_out(caption, names, columns, n_text=1):
    """Return a table of all columns that are not empty."""
    empty = {"", _DASH, "none"}  # no steps
    filled = {name: cells for name, cells in columns.items() if set(cells) - empty}
    rows = [[str(name), *cells] for name, *cells in zip(names, *filled.values(), strict=True)]
    return Table(caption, ["strategy", *filled], rows, n_text)


def class_tables(comparison, order, counts, groups):
    """Return tables of one row per class: F1 of every strategy, and shares of predictions."""
    per_class, shares = comparison.per_class(), comparison.shares()
    per_class.columns, shares.columns = per_class.columns.map(str), shares.columns.map(str)
    total, names = sum(counts.values()), [str(name) for name in per_class.index]
    sizes = {k: [f"{n:,}", _percent(n / total)] for k, n in counts.items()}
    for k, (n, size) in groups.items():  # none where no groups were given
        sizes[k] += [f"{n:,}", f"{size:,.1f}"]
    head = ["class", "images", "share", *(["groups", "effective groups"] if groups else [])]
    rows = [[k, *sizes[k], *_write(f1, "{:.3f}".format)] for k, f1 in per_class[order].items()]
    predicted = [[label, *_write(values, _percent)] for label, values in shares[order].items()]
    return [
        Table("F1 of every class", [*head, *names], rows),
        Table("Share of every class among the predictions", ["class", "true", *names], predicted),
    ]


def resampling_table(resampled, order):
    """Return the training images per class before and after resampling, or None."""
    known = {name: found for name, found in resampled.items() if found}
    changed = {n: f["after"] for n, f in known.items() if f["after"] and f["after"] != f["before"]}
    if not changed:
        return None
    columns = {"before": next(iter(known.values()))["before"], **changed}
    rows = [
        [label, *(f"{counts.get(label, 0):,}" for counts in columns.values())] for label in order
    ]
    return Table("Training images of the first fold", ["class", *map(str, columns)], rows)


def mistake_tables(confusions, classes):
    """Return tables of the most frequent mistakes, where the matrices have no numbers."""
    tables = []
    for name, matrix in confusions.items() if len(classes) > MOST_NUMBERED else ():
        pairs = confused_pairs(matrix, classes)
        rows = [[*pair, f"{n:,}", _percent(share)] for *pair, n, share in pairs]
        columns = ["true class", "predicted as", "images", "share of the class"]
        tables.append(Table(f"Most frequent mistakes of {name}", columns, rows, n_text=2))
    return tables


def confidence_table(analyses):
    """Return a row per strategy: confidence where it was right, and where wrong."""
    rows = []
    for name, found in analyses.items():
        means = found.by_correctness["mean"]
        values = [
            found.accuracy, found.mean_confidence, means["correct"], means["wrong"],
            found.expected_calibration_error,
        ]  # fmt: skip
        rows.append([str(name), *_write(np.array(values), _percent)])
    columns = ["strategy", "accuracy", "confidence", "if correct", "if wrong", "error (ECE)"]
    return Table("Confidence over all test folds", columns, rows)


def _write(values, write):
    return [write(value) if np.isfinite(value) else _DASH for value in values]


def _percent(share):
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _round(seconds):
    return f"{seconds:.2g}" if seconds < 10 else f"{seconds:,.0f}"
