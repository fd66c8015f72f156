"""Results of a comparison: tables of strategies, of classes, and of single fits."""

from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from imbemotion._base.files import write_atomically
from imbemotion.analysis import (
    corrected_interval,
    corrected_t_test,
    holm,
    holm_levels,
    probability_of_gain,
)
from imbemotion.comparison._store import Store

__all__ = ["Comparison"]

_COLUMNS = (
    "strategy", "repeat", "fold", "score", "train_score", "external_score", "accuracy",
    "weighted_f1", "fit_time", "predict_time", "peak_memory", "n_train", "n_test",
    "n_resampled", "n_epochs", "best_epoch",
)  # fmt: skip
_PER_CLASS = ("f1", "precision", "recall", "share", "true_share")
_MEANS = ("fit_time", "predict_time", "peak_memory", "n_resampled", "n_epochs", "best_epoch")
_SHOWN = ["mean", "std", "gain", "gain_low", "gain_high", "verdict", "fit_time", "n_failed"]


def _summarize(fits, strategies, *, redrawn, confidence, margin):
    """Compute the table of :meth:`Comparison.summary`."""
    of_strategy = {name: fits[fits["strategy"] == name] for name in strategies}
    table = pd.DataFrame({name: _average(f) for name, f in of_strategy.items()}).T.astype(float)
    table = table.astype({"n_failed": int})
    gains = _compare_with_first(of_strategy, redrawn, confidence, margin)
    table = pd.concat([table[["mean", "std"]], gains, table.drop(columns=["mean", "std"])], axis=1)
    verdicts = [_verdict(line, of_strategy[name]) for name, line in table.iterrows()]
    if verdicts[0] in ("not run", "failed"):
        verdicts = ["no baseline" if v not in ("not run", "failed") else v for v in verdicts]
    else:
        verdicts[0] = "baseline"
    table.insert(table.columns.get_loc("gain_high") + 1, "verdict", verdicts)
    return table


def _average(fits):
    """Return mean scores and costs of one strategy."""
    return {
        "mean": fits["score"].mean(),
        "std": fits["score"].std(),
        "gap": (fits["train_score"] - fits["score"]).mean(),
        **{name: fits[name].mean() for name in _MEANS},
        "external": fits["external_score"].mean(),
        "n_failed": fits["error"].notna().sum(),
    }


def _compare_with_first(of_strategy, redrawn, confidence, margin):
    """Compare every strategy with the first, fold by fold."""
    paired = [fits.set_index(["repeat", "fold"]) for fits in of_strategy.values()]
    evidence = [_evidence(fits, paired[0], redrawn) for fits in paired]
    table = pd.DataFrame([_gain(found, margin) for found in evidence], index=list(of_strategy))
    p_values = table["p_value"].to_numpy(copy=True)
    p_values[0] = np.nan  # the baseline is not tested
    table["p_value"], levels = holm(p_values), holm_levels(p_values, alpha=1 - confidence)
    intervals = [_interval(*pair) for pair in zip(evidence, levels, strict=True)]
    table["gain_low"], table["gain_high"] = np.transpose(intervals)
    return table[["gain", "gain_low", "gain_high", "p_value", "p_better"]]


def _evidence(fits, baseline, redrawn):
    """Return paired differences, test rows per training row, and the resolution of a score."""
    differences = (fits["score"] - baseline["score"]).dropna()
    if not redrawn:  # repeats on the same folds add no evidence about the data
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


class Comparison:
    """Results of strategies on paired folds.

    Parameters
    ----------
    records : list of dict
        One per fit, in any order.
    strategies : list of str
        Names of the strategies; the first is the baseline.
    classes : array-like of shape (n_classes,)
        The labels that F1 was computed for.
    settings : dict, default=None
        Contents of ``comparison.json``, above all ``scoring``, the name of the score, and
        ``redrawn``, whether repeats have different folds, or else are averaged first.
    folder : str or Path, default=None
        Folder of the fits.

    Attributes
    ----------
    fits : DataFrame of shape (n_strategies * n_repeats * n_folds, n_columns)
        ``strategy, repeat, fold, score, train_score, external_score, accuracy,
        weighted_f1``, ``fit_time, predict_time`` (seconds), ``peak_memory`` (MiB above that
        of the process before), ``n_train, n_test, n_resampled`` (rows), ``n_epochs``,
        ``best_epoch`` (whose weights were restored, by validation macro-F1; counted from 1),
        ``error`` (None where the fit succeeded), and for every class ``f1_LABEL,
        precision_LABEL, recall_LABEL``, ``share_LABEL`` and ``true_share_LABEL``, its shares
        among predictions and labels of the test fold. NaN where unknown.

    Examples
    --------
    >>> scores = [("none", 0, 0.25), ("none", 1, 0.5), ("focal", 0, 0.5), ("focal", 1, 0.5)]
    >>> records = [dict(strategy=s, repeat=0, fold=k, score=x) for s, k, x in scores]
    >>> Comparison(records, ["none", "focal"], ["joy", "fear"]).summary()["mean"].to_dict()
    {'none': 0.375, 'focal': 0.5}
    """

    def __init__(
        self,
        records: list[dict],
        strategies: list[str],
        classes: ArrayLike,
        settings: dict | None = None,
        folder: str | Path | None = None,
    ):
        self.strategies = list(strategies)
        self.classes = np.asarray(classes)
        self.settings = {"scoring": "macro-F1", "redrawn": True, **(settings or {})}
        self.folder = None if folder is None else Path(folder)
        order = {name: number for number, name in enumerate(self.strategies)}
        self._records = sorted(
            records, key=lambda r: (order[r["strategy"]], r["repeat"], r["fold"])
        )
        named = [f"{kind}_{label}" for kind in _PER_CLASS for label in self.classes]
        self.fits = pd.DataFrame(
            [{"error": None, **record, **self._per_class_of(record)} for record in self._records],
            columns=[*_COLUMNS, "error", *named],
        )

    @classmethod
    def load(cls, folder: str | Path) -> "Comparison":
        """Read the results that :func:`compare_strategies` has written so far.

        Parameters
        ----------
        folder : str or Path
            Its folder.

        Returns
        -------
        comparison : Comparison
            With all fits that are done or failed.

        Raises
        ------
        FileNotFoundError
            If the folder contains no comparison.
        """
        store = Store(folder)
        settings = store.read_settings()
        if settings is None:
            raise FileNotFoundError(
                f"{folder} contains no comparison.json. Name the folder of a comparison, written "
                "by compare_strategies(folder=...) or imbemotion compare --out."
            )
        records = store.load_all(settings)
        return cls(records, settings["strategies"], settings["classes"], settings, folder)

    @property
    def scoring(self) -> str:
        """Name of the score."""
        return self.settings["scoring"]

    def _per_class_of(self, record):
        known = [kind for kind in _PER_CLASS if kind in record]
        return {f"{k}_{c}": v for k in known for c, v in zip(self.classes, record[k], strict=True)}

    def summary(self, confidence: float = 0.95, margin: float = 0.01) -> pd.DataFrame:
        """Return one row per strategy: score, gain over the baseline and cost.

        The gain is the mean difference to the baseline on the same folds, judged by the
        corrected resampled t-test [1]_; scores count as no finer than one test row. p-values
        are adjusted by Holm's procedure [2]_, and each interval has the level at which Holm
        tests its strategy: it excludes 0 exactly where the verdict is "better" or "worse".
        ``p_better`` is from a Bayesian correlated t-test [3]_ of each strategy alone.

        Parameters
        ----------
        confidence : float, default=0.95
            One minus the probability of any false verdict among all strategies.
        margin : float, default=0.01
            Gain that counts for ``p_better``.

        Returns
        -------
        table : DataFrame of shape (n_strategies, 17)
            ``mean, std`` (of the score over the fits), ``gain, gain_low, gain_high``,
            ``verdict`` ("better", "worse", "not distinguishable", "baseline", "failed", "not
            run" or "no baseline"), ``p_value`` (adjusted), ``p_better`` (probability of a gain
            above the margin), ``gap`` (score on the training fold minus score), and means of
            ``fit_time, predict_time`` (seconds), ``peak_memory`` (MiB), ``n_resampled``
            (rows), ``n_epochs``, ``best_epoch`` and ``external`` (score on the external test
            set); ``n_failed`` (fits).

        Raises
        ------
        ValueError
            If the confidence is not between 0 and 1.

        References
        ----------
        .. [1] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine Learning
           52, 2003.
        .. [2] S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian
           Journal of Statistics 6, 1979.
        .. [3] G. Corani, A. Benavoli, "A Bayesian approach for comparing cross-validated
           algorithms on multiple data sets", Machine Learning 100, 2015.
        """
        if not 0 < confidence < 1:
            raise ValueError(
                f"confidence must lie between 0 and 1, for example 0.95, got {confidence!r}."
            )
        return _summarize(
            self.fits,
            self.strategies,
            redrawn=self.settings["redrawn"],
            confidence=confidence,
            margin=margin,
        )

    def per_class(self) -> pd.DataFrame:
        """Return the mean F1 of every class under every strategy.

        Returns
        -------
        table : DataFrame of shape (n_strategies, n_classes)
            Means over the fits that succeeded.
        """
        return self._mean_per_class("f1")

    def per_class_gain(self) -> pd.DataFrame:
        """Return the gain of every strategy in mean F1 of every class over the baseline.

        Returns
        -------
        table : DataFrame of shape (n_strategies, n_classes)
            Means over the folds on which both succeeded; 0 for the baseline.
        """
        columns = [f"f1_{label}" for label in self.classes]
        fits = self.fits.set_index(["strategy", "repeat", "fold"])[columns]
        names = [name for name in self.strategies if name in fits.index]
        if self.strategies[0] not in names:
            return self.per_class() * np.nan
        baseline = fits.loc[self.strategies[0]]
        table = pd.DataFrame({name: (fits.loc[name] - baseline).mean() for name in names}).T
        return table.reindex(self.strategies).set_axis(self.classes.tolist(), axis=1)

    def shares(self) -> pd.DataFrame:
        """Return the share of every class among predictions, and its true share.

        Returns
        -------
        table : DataFrame of shape (1 + n_strategies, n_classes)
            The first row, ``true``, has the shares in the test folds.
        """
        predicted = self._mean_per_class("share")
        true = self._mean_per_class("true_share").mean().rename("true")
        return pd.concat([true.to_frame().T, predicted])

    def _mean_per_class(self, kind):
        columns = [f"{kind}_{label}" for label in self.classes]
        table = self.fits.groupby("strategy", sort=False)[columns].mean()
        return table.reindex(self.strategies).set_axis(self.classes.tolist(), axis=1)

    def errors(self) -> dict[str, str]:
        """Return the first error of every strategy with failed fits.

        Returns
        -------
        errors : dict of str to str
            Error by name of the strategy.
        """
        failed = self.fits[self.fits["error"].notna()]
        return failed.groupby("strategy", sort=False)["error"].first().to_dict()

    def notes(self) -> dict[str, list[str]]:
        """Return the warnings of the fits about the data.

        Returns
        -------
        notes : dict of str to list of str
            Different texts by name of the strategy.
        """
        notes: dict[str, dict] = {}
        for record in self._records:
            for text in record.get("notes") or []:
                notes.setdefault(record["strategy"], {})[text] = None
        return {name: list(texts) for name, texts in notes.items()}

    def write_tables(self) -> None:
        """Write ``fits.csv, summary.csv, per_class.csv`` into the folder."""
        texts = {
            "fits.csv": self.fits.to_csv(index=False),
            "summary.csv": self.summary().to_csv(index_label="strategy"),
            "per_class.csv": self.per_class().to_csv(index_label="strategy"),
        }
        for name, text in texts.items():
            write_atomically(self.folder / name, text.encode())

    def __repr__(self):
        n_folds = len(self.fits) // max(1, len(self.strategies))
        return f"Comparison({len(self.strategies)} strategies, {n_folds} fits each)"

    def _repr_html_(self):
        table = self.summary()[_SHOWN].to_html(float_format="{:.3f}".format, na_rep="", border=0)
        return f"<p>{escape(repr(self))}, {escape(self.scoring)}:</p>{table}"
