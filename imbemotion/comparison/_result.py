"""What a comparison found: a table of strategies, of classes, and of single fits."""

import numpy as np
import pandas as pd

from imbemotion.analysis import corrected_interval

__all__ = ["Comparison"]

_COLUMNS = (
    "strategy", "repeat", "fold", "score", "fit_time", "predict_time",
    "n_train", "n_test", "n_resampled",
)  # fmt: skip


class Comparison:
    """Results of strategies on paired folds.

    Parameters
    ----------
    records : list of dict
        One per fit, in the order of strategies, repeats and folds.

    strategies : list of str
        Names of the strategies; the first is the baseline.

    classes : ndarray of shape (n_classes,)
        The labels that F1 was computed for.

    scoring : str, default="macro-F1"
        What the scores are.

    redrawn : bool, default=True
        Whether every repeat has folds of its own. Repeats on the same folds are averaged
        before anything is concluded: they are no new evidence about the data.

    Attributes
    ----------
    fits : DataFrame of shape (n_strategies * n_repeats * n_folds, n_columns)
        ``strategy, repeat, fold, score, fit_time, predict_time`` (seconds), ``n_train,
        n_test, n_resampled`` (rows), ``error`` (None where the fit worked) and a column
        ``f1_LABEL`` per class.

    Examples
    --------
    >>> fit = {"repeat": 0, "error": None, "n_train": 8, "n_test": 4, "n_resampled": 8,
    ...        "fit_time": 1.0, "predict_time": 0.1}
    >>> scores = [("none", 0, 0.25), ("none", 1, 0.5), ("focal", 0, 0.5), ("focal", 1, 0.5)]
    >>> records = [dict(fit, strategy=s, fold=k, score=x, f1=[x, x]) for s, k, x in scores]
    >>> Comparison(records, ["none", "focal"], ["joy", "fear"]).summary()["mean"].to_dict()
    {'none': 0.375, 'focal': 0.5}
    """

    def __init__(self, records, strategies, classes, scoring="macro-F1", redrawn=True):
        self.strategies = list(strategies)
        self.classes = classes
        self.scoring = scoring
        self.redrawn = redrawn
        self.fits = pd.DataFrame([self._row(record) for record in records])

    def _row(self, record):
        scores = record.get("f1", np.full(len(self.classes), np.nan))
        named = {f"f1_{label}": score for label, score in zip(self.classes, scores, strict=True)}
        row = {name: record.get(name, np.nan) for name in _COLUMNS}
        return {**row, "error": record["error"], **named}

    def summary(self, confidence=0.95):
        """Give one row per strategy: score, gain over the baseline and cost.

        The gain is the mean difference to the baseline on the same folds. Its interval is
        Nadeau and Bengio's, widened for the number of strategies (Bonferroni), so that
        all intervals together hold with the given confidence.

        Parameters
        ----------
        confidence : float, default=0.95
            Coverage of all intervals together.

        Returns
        -------
        table : DataFrame of shape (n_strategies, 9)
            ``mean, std`` (of the score over the fits), ``gain, gain_low, gain_high,
            verdict`` ("better", "worse", "not distinguishable", "baseline", "failed", "not
            run" or "no baseline"),
            ``fit_time`` (mean seconds), ``n_resampled`` (mean rows), ``n_failed`` (fits).
        """
        level = 1 - (1 - confidence) / max(1, len(self.strategies) - 1)
        return pd.DataFrame({name: self._line(name, level) for name in self.strategies}).T.astype(
            {
                "mean": float,
                "std": float,
                "gain": float,
                "gain_low": float,
                "gain_high": float,
                "fit_time": float,
                "n_resampled": float,
                "n_failed": int,
            }
        )

    def _line(self, name, level):
        fits = self._fits_of(name)
        difference = (fits["score"] - self._fits_of(self.strategies[0])["score"]).dropna()
        if not self.redrawn:
            difference = difference.groupby("fold").mean()
        share = (fits["n_test"] / fits["n_train"]).mean()
        low, high = corrected_interval(difference, share, level)
        return {
            "mean": fits["score"].mean(),
            "std": fits["score"].std(),
            "gain": difference.mean(),
            "gain_low": low,
            "gain_high": high,
            "verdict": self._verdict(name, fits["score"], low, high),
            "fit_time": fits["fit_time"].mean(),
            "n_resampled": fits["n_resampled"].mean(),
            "n_failed": fits["error"].notna().sum(),
        }

    def _verdict(self, name, scores, low, high):
        if scores.isna().all():
            return "failed" if len(scores) else "not run"
        if name == self.strategies[0]:
            return "baseline"
        if self._fits_of(self.strategies[0])["score"].isna().all():
            return "no baseline"
        if low > 0:
            return "better"
        return "worse" if high < 0 else "not distinguishable"

    def _fits_of(self, name):
        fits = self.fits[self.fits["strategy"] == name]
        return fits.set_index(["repeat", "fold"])

    def per_class(self):
        """Give the mean F1 of every class under every strategy.

        Returns
        -------
        table : DataFrame of shape (n_strategies, n_classes)
            Means over the fits that worked.
        """
        columns = [f"f1_{label}" for label in self.classes]
        table = self.fits.groupby("strategy", sort=False)[columns].mean()
        return table.reindex(self.strategies).set_axis(np.asarray(self.classes).tolist(), axis=1)

    def errors(self):
        """Give the first error of every strategy that failed somewhere.

        Returns
        -------
        errors : dict of str to str
            Name of the strategy to what went wrong.
        """
        failed = self.fits[self.fits["error"].notna()]
        return failed.groupby("strategy", sort=False)["error"].first().to_dict()

    def __repr__(self):
        n_folds = len(self.fits) // max(1, len(self.strategies))
        return f"Comparison({len(self.strategies)} strategies, {n_folds} fits each)"
