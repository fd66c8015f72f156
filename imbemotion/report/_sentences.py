"""What a comparison found, in sentences."""

import numpy as np

from imbemotion._validation import shorten
from imbemotion.plots._marks import signed

__all__ = [
    "describe_balance",
    "describe_comparison",
    "describe_progress",
    "describe_tiny_classes",
    "find_answer",
    "quote",
    "strongest",
]

_TINY = 10  # images of a class in a test fold
_COMPARED = ["better", "worse", "not distinguishable"]
_DONE = ["baseline", *_COMPARED, "no baseline"]


def quote(names, limit=4):
    """Write names in quotation marks, with commas: a strategy may be called "none"."""
    left, right = "\N{LEFT DOUBLE QUOTATION MARK}", "\N{RIGHT DOUBLE QUOTATION MARK}"
    return shorten([f"{left}{name}{right}" for name in names], limit)


def strongest(summary):
    """Give the strategy with the highest score beside the baseline; None if there is none."""
    others = summary.iloc[1:]
    others = others[others["verdict"].isin(_DONE)]
    return None if others.empty else others["mean"].idxmax()


def find_answer(summary, scoring, n_folds, *, confidence=0.95, complete=True):
    """Say in one sentence what a comparison shows, and what it doesn't.

    Parameters
    ----------
    summary : DataFrame of shape (n_strategies, n_columns)
        As ``Comparison.summary()`` gives it.

    scoring : str
        What the scores are.

    n_folds : int
        Folds over all repeats.

    confidence : float, default=0.95
        Coverage of the intervals.

    complete : bool, default=True
        Whether every strategy ran on all folds.

    Returns
    -------
    sentence : str
        Plain text.

    Examples
    --------
    >>> import pandas as pd
    >>> lines = {"none": [0.5, 0, 0, 0, "baseline"], "focal": [0.54, 0.04, 0.01, 0.07, "better"]}
    >>> columns = ["mean", "gain", "gain_low", "gain_high", "verdict"]
    >>> summary = pd.DataFrame.from_dict(lines, orient="index", columns=columns)
    >>> print(find_answer(summary, "macro-F1", n_folds=3))
    On 3 folds, “focal” is better than “none” by 0.040 macro-F1 (95 % interval 0.010 to 0.070).
    """
    baseline, best = summary.iloc[0], strongest(summary)
    base = quote(summary.index[:1])
    if not summary["verdict"].isin(_DONE).any():
        return "No strategy has a result yet, so nothing can be concluded."
    if baseline["verdict"] not in _DONE:
        return (
            f"Nothing can be concluded, as the baseline {base} has no result; the highest "
            f"{scoring} is {summary.loc[best, 'mean']:.3f}, by {quote([best])}."
        )
    folds = f"On {n_folds} folds" if n_folds != 1 else "On a single fold"
    folds = folds if complete else "So far"
    if best is None:
        return (
            f"{folds}, the baseline {base} reaches {scoring} {baseline['mean']:.3f}; no other "
            "strategy has a result to compare with it."
        )
    if n_folds == 1:
        return f"{folds}, nothing can be told from chance; compare on several."
    return f"{folds}, {'; '.join(_findings(summary, base, scoring, confidence))}."


def _findings(summary, base, scoring, confidence):
    """Give the parts of the sentence, the most important one first."""
    better, worse, same = (
        summary[summary["verdict"] == verdict].sort_values("gain", ascending=False)
        for verdict in _COMPARED
    )
    if better.empty and worse.empty:
        line = same.iloc[0]
        kind = "largest gain" if line["gain"] > 0 else "smallest loss"
        yield (
            f"no strategy can be told from {base}: the {kind} is {signed(line['gain'])} "
            f"{scoring}, of {quote([line.name])}{_interval(line, signed, confidence)}"
        )
        return
    if better.empty:
        yield f"no strategy is better than {base}"
    else:
        line = better.iloc[0]
        interval = _interval(line, "{:.3f}".format, confidence)
        yield (
            f"{quote([line.name])} is better than {base} by {line['gain']:.3f} {scoring}{interval}"
        )
    if len(better) > 1:
        yield f"{quote(better.index[1:])} {_be(better[1:])} better too"
    if len(worse):
        yield f"{quote(worse.index[::-1])} {_be(worse)} worse"
    if len(same):
        yield "nothing else can be told from chance"


def _be(items):
    return "are" if len(items) > 1 else "is"


def _interval(line, write, confidence):
    if not np.isfinite(line["gain_low"]):
        return ""
    ends = f"{write(line['gain_low'])} to {write(line['gain_high'])}"
    return f" ({confidence:.0%} interval {ends})".replace("%", " %")


def describe_progress(summary, fits, n_folds):
    """Say how far a comparison came and what failed.

    Parameters
    ----------
    summary : DataFrame of shape (n_strategies, n_columns)
        As ``Comparison.summary()`` gives it.

    fits : DataFrame of shape (n_fits, n_columns)
        Single fits.

    n_folds : int
        Folds over all repeats.

    Returns
    -------
    sentences : list of str
        None of them where all went well.
    """
    sentences, wanted = [], n_folds * len(summary)
    if len(fits) < wanted:
        sentences.append(f"{len(fits)} of {wanted} fits are done; all results may still change.")
    failed = summary[summary["n_failed"] > 0]
    if len(failed):
        n = int(failed["n_failed"].sum())
        some = f"{n} fits" if n > 1 else "One fit"
        sentences.append(f"{some} failed, of {quote(failed.index)}; the reasons are given below.")
    return sentences


def describe_comparison(settings, n_strategies):
    """Say on what strategies were compared, and how."""
    data = settings["data"]
    size = " x ".join(map(str, data["shape"]))
    groups = data.get("n_groups")
    kept = f", kept together in {groups:,} groups" if groups else ""
    n_folds, n_repeats = settings["n_folds"], settings["n_repeats"]
    repeated = f", repeated {n_repeats} times" if n_repeats > 1 else ""
    return (
        f"{n_strategies} strategies, {n_folds} folds{repeated}; {data['n_samples']:,} images"
        f"{f' of {size} pixels' if size else ''} in {len(data['counts'])} classes{kept}."
    )


def describe_balance(counts):
    """Say how uneven the classes are."""
    largest, smallest = max(counts, key=counts.get), min(counts, key=counts.get)
    ratio = counts[largest] / counts[smallest]
    return (
        f"The largest class, {quote([largest])}, has {counts[largest]:,} images and the "
        f"smallest, {quote([smallest])}, {counts[smallest]:,}: an imbalance ratio of "
        f"{ratio:,.1f}:1 (balance ratio {1 / ratio:.3f})."
    )


def describe_tiny_classes(counts, n_folds):
    """Name the classes of which a test fold holds too few images; None if there are none."""
    tiny = {label: n for label, n in counts.items() if n < _TINY * n_folds}
    if not tiny:
        return None
    named = shorten([f"{label} ({n})" for label, n in sorted(tiny.items(), key=lambda t: t[1])])
    return (
        f"A test fold holds fewer than {_TINY} images of {named}: their F1, and with it the mean "
        "over the classes, depends much on chance."
    )
