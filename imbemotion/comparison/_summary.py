"""From single fits to what can be said of strategies: gains, intervals, verdicts, costs."""

import numpy as np
import pandas as pd

from imbemotion.analysis import (
    corrected_interval,
    corrected_t_test,
    holm,
    holm_levels,
    probability_of_gain,
)

__all__ = ["summarise"]

_MEANS = {
    "fit_time": "fit_time",
    "predict_time": "predict_time",
    "peak_memory": "peak_memory",
    "n_resampled": "n_resampled",
    "n_epochs": "n_epochs",
    "best_epoch": "best_epoch",
    "external": "external_score",
}


def summarise(fits, strategies, *, redrawn, confidence, margin):
    """Make the table of :meth:`Comparison.summary`.

    Parameters
    ----------
    fits : DataFrame
        Single fits.

    strategies : list of str
        Names; the first is the baseline.

    redrawn : bool
        Whether every repeat has folds of its own.

    confidence, margin : float
        As in :meth:`Comparison.summary`.

    Returns
    -------
    table : DataFrame of shape (n_strategies, n_columns)
        One row per strategy.
    """
    of_strategy = {name: fits[fits["strategy"] == name] for name in strategies}
    table = pd.DataFrame({name: _describe(f) for name, f in of_strategy.items()}).T.astype(float)
    table = table.astype({"n_failed": int})
    gains = _compare_with_first(of_strategy, redrawn, confidence, margin)
    table = pd.concat([table[["mean", "std"]], gains, table.drop(columns=["mean", "std"])], axis=1)
    verdicts = [_verdict(line, of_strategy[name]) for name, line in table.iterrows()]
    first = verdicts[0]
    if first in ("not run", "failed"):
        verdicts = ["no baseline" if v not in ("not run", "failed") else v for v in verdicts]
    else:
        verdicts[0] = "baseline"
    table.insert(table.columns.get_loc("gain_high") + 1, "verdict", verdicts)
    return table


def _describe(fits):
    """Give scores and costs of one strategy."""
    return {
        "mean": fits["score"].mean(),
        "std": fits["score"].std(),
        "gap": (fits["train_score"] - fits["score"]).mean(),
        **{name: fits[column].mean() for name, column in _MEANS.items()},
        "n_failed": fits["error"].notna().sum(),
    }


def _compare_with_first(of_strategy, redrawn, confidence, margin):
    """Compare every strategy with the first, fold by fold."""
    paired = [fits.set_index(["repeat", "fold"]) for fits in of_strategy.values()]
    evidence = [_evidence(fits, paired[0], redrawn) for fits in paired]
    table = pd.DataFrame([_gain(found, margin) for found in evidence], index=list(of_strategy))
    p_values = table["p_value"].to_numpy(copy=True)
    p_values[0] = np.nan  # the baseline is no hypothesis
    table["p_value"], levels = holm(p_values), holm_levels(p_values, alpha=1 - confidence)
    intervals = [_interval(*pair) for pair in zip(evidence, levels, strict=True)]
    table["gain_low"], table["gain_high"] = np.transpose(intervals)
    return table[["gain", "gain_low", "gain_high", "p_value", "p_better"]]


def _evidence(fits, baseline, redrawn):
    """Give the differences on the same folds, test rows per training row, and coarseness."""
    differences = (fits["score"] - baseline["score"]).dropna()
    if not redrawn:  # repeats on the same folds are no new evidence about the data
        differences = differences.groupby("fold").mean()
    return {
        "differences": differences.to_numpy(),
        "test_share": (fits["n_test"] / fits["n_train"]).mean(),
        "resolution": 0.0 if fits is baseline else (1 / fits["n_test"]).mean(),
    }


def _gain(evidence, margin):
    differences = evidence["differences"]
    return {
        "gain": differences.mean() if len(differences) else np.nan,
        "p_value": corrected_t_test(**evidence),
        "p_better": probability_of_gain(**evidence, margin=margin),
    }


def _interval(evidence, level):
    if np.isnan(level):
        return np.nan, np.nan
    return corrected_interval(**evidence, confidence=1 - level)


def _verdict(line, fits):
    if line["n_failed"] == len(fits):
        return "failed" if len(fits) else "not run"
    if line["gain_low"] > 0:
        return "better"
    return "worse" if line["gain_high"] < 0 else "not distinguishable"
