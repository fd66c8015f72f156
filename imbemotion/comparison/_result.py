"""Results of a comparison: tables of strategies, of classes, and of single fits."""

import re
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from imbemotion._base.files import to_csv, write_atomically
from imbemotion.analysis import verdicts
from imbemotion.comparison._store import Store

_COLUMNS = (
    "strategy", "repeat", "fold", "score", "train_score", "external_score", "accuracy",
    "weighted_f1", "fit_time", "predict_time", "peak_memory", "n_train", "n_test",
    "n_resampled", "n_epochs", "best_epoch", "n_steps", "n_images_seen", "budget", "learned",
)  # fmt: skip
_PER_CLASS = ("f1", "precision", "recall", "share", "true_share")
_MEANS = (*_COLUMNS[8:11], *_COLUMNS[13:18])
_SHOWN = ["score", "std", "gain", "gain_low", "gain_high", "verdict", "fit_time", "n_failed"]


def _average(fits):
    return {
        "mean": fits["score"].mean(),
        "std": fits["score"].std(),
        "gap": (fits["train_score"] - fits["score"]).mean(),
        **{name: fits[name].mean() for name in _MEANS},
        "external": fits["external_score"].mean(),
        "n_failed": fits["error"].notna().sum(),
    }


def _count_fits(texts, n_fits):
    """Return the first of texts that say the same, and how many fits said it if not all did."""
    is_of_all = len(set(texts)) == 1 and len(texts) == n_fits
    return texts[0] if is_of_all else f"{texts[0]} (in {len(texts)} of {n_fits} fits)"


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
        weighted_f1``, ``fit_time, predict_time`` (seconds), ``peak_memory`` (MiB that the fit
        added), ``n_train, n_test, n_resampled`` (rows), ``n_epochs``, ``best_epoch`` (whose
        weights were restored, from 1), ``n_steps`` and ``n_images_seen`` (training steps of the
        network that predicts, and images in their batches), ``budget`` (that of the comparison,
        or "own steps" or "no steps"), ``error`` (None where the fit succeeded), and for every
        class ``f1_LABEL, precision_LABEL, recall_LABEL``, ``share_LABEL`` of the predictions
        and ``true_share_LABEL`` of the test fold. NaN where unknown.

    Examples
    --------
    >>> scores = [("none", 0, 0.25), ("none", 1, 0.5), ("focal", 0, 0.5), ("focal", 1, 0.5)]
    >>> records = [dict(strategy=s, repeat=0, fold=k, score=x) for s, k, x in scores]
    >>> Comparison(records, ["none", "focal"], ["joy", "fear"]).summary()["mean"].to_dict()
    {'none': 0.375, 'focal': 0.5}
    """

    def __init__(
        self, records: list[dict], strategies: list[str], classes: ArrayLike,
        settings: dict | None = None, folder: str | Path | None = None,
    ):  # fmt: skip
        self.strategies = list(strategies)
        self.classes = np.asarray(classes)
        self.settings = {"scoring": "macro-F1", "redrawn": True, **(settings or {})}
        self.folder = None if folder is None else Path(folder)
        self._judgements: dict[str, verdicts.Judgement] = {}
        self._records = sorted(
            records, key=lambda r: (self.strategies.index(r["strategy"]), r["repeat"], r["fold"])
        )
        self.fits = pd.DataFrame(
            [{"error": None, **record, **self._per_class_of(record)} for record in self._records],
            columns=[*_COLUMNS, "error", *(c for kind in _PER_CLASS for c in self._named(kind))],
        )

    def _named(self, kind):
        return [f"{kind}_{label}" for label in self.classes]

    def _per_class_of(self, record):
        known = [kind for kind in _PER_CLASS if kind in record]
        return {c: v for k in known for c, v in zip(self._named(k), record[k], strict=True)}

    @classmethod
    def load(cls, folder: str | Path) -> "Comparison":
        """Read the results that :func:`compare_strategies` has written so far.

        Parameters
        ----------
        folder : str or Path
            The folder of the comparison.

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
        classes, records = settings["classes"], store.load_all(settings)
        return cls(records, settings["strategies"], classes, settings, folder)

    @property
    def scoring(self) -> str:
        """Name of the score."""
        return self.settings["scoring"]

    def summary(
        self, confidence: float = 0.95, margin: float = 0.01, test: str = "auto"
    ) -> pd.DataFrame:
        """Return one row per strategy: score, gain over the baseline and cost.

        The out-of-fold predictions of a repeat are pooled before the score is computed [1]_, and
        the gain is the difference to the baseline's. Its variance has two parts: a jackknife over
        groups (rows where there are none) [2]_, and the variance between fits, estimated from
        what folds and repeats vary beyond their groups, and taken as equal for all strategies.
        p-values and intervals hold for all strategies together: by Holm's procedure [3]_, or,
        where the rarest class has ten effective groups, by the largest of as many correlated
        normal deviates. An interval excludes 0 exactly where the verdict is "better" or "worse";
        one that ends at 0 shows a gain of unknown size.

        Parameters
        ----------
        confidence : float, default=0.95
            One minus the probability of any false verdict among all strategies (and all looks,
            where repeats were added until all was decided).
        margin : float, default=0.01
            Gain that counts for ``p_better``.
        test : {"auto", "jackknife", "corrected_t"}, default="auto"
            ``"jackknife"`` is for macro-F1, (balanced) accuracy and the geometric mean of
            recalls. ``"corrected_t"``, the corrected resampled t-test on the scores of folds
            [4]_, is for any score. ``"auto"`` chooses the first if it can.

        Returns
        -------
        table : DataFrame of shape (n_strategies, 21)
            ``score`` (of pooled predictions, the mean of the repeats; or of the fits, for
            ``"corrected_t"``), ``mean, std`` (of the score over the fits), ``gain, gain_low,
            gain_high``, ``verdict`` ("better", "worse", "not distinguishable", "baseline",
            "dropped", "did not learn", "failed", "not run" or "no baseline"), ``p_value``,
            ``p_better`` (probability of a gain above the margin [5]_), ``gap`` (score on the
            training fold minus score), means of ``fit_time, predict_time, peak_memory,
            n_resampled, n_epochs, best_epoch, n_steps, n_images_seen``, as in ``fits``,
            ``external`` (score on the external test set), ``n_failed`` (fits) and ``budget``, as
            in ``fits``.

        Raises
        ------
        ValueError
            If the confidence is not between 0 and 1, or the test is unknown or unsuited.

        References
        ----------
        .. [1] G. Forman, M. Scholz, "Apples-to-Apples in Cross-Validation Studies", SIGKDD
           Explorations 12, 2010.
        .. [2] K. Takahashi, K. Yamamoto, A. Kuchiba, T. Koyama, "Confidence interval for
           micro-averaged F1 and macro-averaged F1 scores", Applied Intelligence 52, 2022. On why
           normal intervals for the risk of folds are too short: P. Bayle, A. Bayle, L. Janson,
           L. Mackey, "Cross-validation Confidence Intervals for Test Error", NeurIPS 2020.
        .. [3] S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian
           Journal of Statistics 6, 1979.
        .. [4] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine Learning
           52, 2003.
        .. [5] G. Corani, A. Benavoli, "A Bayesian approach for comparing cross-validated
           algorithms on multiple data sets", Machine Learning 100, 2015.
        """
        if not 0 < confidence < 1:
            raise ValueError(
                f"confidence must lie between 0 and 1, for example 0.95, got {confidence!r:.90}."
            )
        fits = self.fits
        of_strategy = {name: fits[fits["strategy"] == name] for name in self.strategies}
        means = pd.DataFrame({name: _average(f) for name, f in of_strategy.items()}).T
        means = means.astype(float).astype({"n_failed": int})
        alpha, decided = verdicts.after_looks(self.settings.get("looks"), 1 - confidence)
        decided = decided | dict.fromkeys(self.settings.get("dropped", ()), "dropped")
        gains = verdicts.gain_table(self.judge(test), self.strategies, 1 - alpha, margin, decided)
        gains.insert(4, "verdict", verdicts.name_verdicts(gains, of_strategy, alpha, decided))
        means["budget"] = [f["budget"].dropna().max() for f in of_strategy.values()]
        score = gains.pop("score")
        return pd.concat([score, means[["mean", "std"]], gains, means.iloc[:, 2:]], axis=1)

    def plan(
        self, gain: float = 0.05, *, power: float = 0.8, confidence: float = 0.95
    ) -> pd.DataFrame:
        """Return what this comparison can show, and what it would take to show a gain.

        More repeats reduce the variance between fits, and what groups contribute by chance of
        the folds, but not the variance between groups (rows where there are none): that takes
        more of them.

        Parameters
        ----------
        gain : float, default=0.05
            True gain that should be found.
        power : float, default=0.8
            Probability of finding it.
        confidence : float, default=0.95
            As in :meth:`summary`.

        Returns
        -------
        table : DataFrame of shape (n_strategies - 1, 6)
            ``detectable`` (smallest true gain that a comparison like this finds with that
            power), ``power`` (probability that it finds ``gain``), ``repeats`` (in all, for
            ``gain``; NaN if 100 are too few), ``growth`` (times as many groups or images, for
            ``gain`` at the present repeats; NaN if no number is enough), ``detectable_later``
            (after two more repeats), ``minutes`` (CPU minutes of a repeat of all strategies). NaN
            where nothing is known.

        Raises
        ------
        ValueError
            If the gain is not positive, or power or confidence are not between 0 and 1.
        """
        if gain <= 0 or not 0 < power < 1 or not 0 < confidence < 1:
            raise ValueError(
                "gain must be positive, and power and confidence between 0 and 1, got "
                f"gain={gain!r:.90}, power={power!r:.90}, confidence={confidence!r:.90}."
            )
        table = verdicts.plan_table(self.judge(), self.strategies, gain, power, confidence)
        n_repeats = max(1, self.fits["repeat"].nunique())
        return table.assign(minutes=self.fits["fit_time"].sum() / n_repeats / 60)

    def judge(self, test: str = "auto") -> verdicts.Judgement:
        """Return scores and gains before any adjustment for the number of strategies."""
        if test not in self._judgements:
            done: dict[str, list[dict]] = {name: [] for name in self.strategies}
            for record in self._records:
                if record.get("error") is None:
                    done[record["strategy"]].append(record)
            redrawn = self.settings["redrawn"]
            self._judgements[test] = verdicts.judge_strategies(
                done, self.classes, self.scoring, redrawn, self._predictions, test
            )
        return self._judgements[test]

    def _predictions(self, record):
        """Return the predictions of a fit by column, None if there are none."""
        if record.get("predictions") is None and self.folder is not None:
            record["predictions"] = Store(self.folder).load_predictions(record, self.settings)
        return record.get("predictions")

    def influence(self, test: str = "auto") -> pd.DataFrame:
        """Return how much of the evidence about every strategy each group carries.

        It is a group's part of the variance of the gain that groups cause. With one above a
        third the gain says little about other groups.

        Parameters
        ----------
        test : str, default="auto"
            As for :meth:`summary`; without a jackknife the table is empty.

        Returns
        -------
        table : DataFrame of shape (n_strategies_and_groups, 2)
            ``share`` and ``n_images`` by strategy and group, the largest share first. Where no
            groups are known, only rows above a third.
        """
        return verdicts.influence_table(self.judge(test))

    def per_class(self) -> pd.DataFrame:
        """Return F1 of every class under every strategy.

        The out-of-fold predictions of a repeat are pooled, as for ``score`` in :meth:`summary`,
        so that macro-F1 is the mean over the classes.

        Returns
        -------
        table : DataFrame of shape (n_strategies, n_classes)
            Means of the repeats, or of the fits whose recalls and shares are unknown.
        """
        done = self._done().items()
        return self._class_table(
            {name: verdicts.class_f1(fits, self.classes) for name, fits in done}
        )

    def per_class_gain(self) -> pd.DataFrame:
        """Return the gain of every strategy in F1 of every class over the baseline.

        Returns
        -------
        table : DataFrame of shape (n_strategies, n_classes)
            Differences of F1 as in :meth:`per_class`, over the folds on which both succeeded; 0
            for the baseline.
        """
        done, found = self._done(), {}
        for name in self.strategies:
            pair = done[name], done[self.strategies[0]]
            common = verdicts.complete_repeats(set(pair[0].index) & set(pair[1].index))
            gain, base = (verdicts.class_f1(fits.loc[common], self.classes) for fits in pair)
            found[name] = gain - base
        return self._class_table(found)

    def _done(self):
        """Return the fits of every strategy that succeeded, by repeat and fold."""
        done = self.fits[self.fits["error"].isna()].set_index(["repeat", "fold"])
        return {name: done[done["strategy"] == name] for name in self.strategies}

    def _class_table(self, found):
        return pd.DataFrame(found, index=self.classes.tolist()).T.reindex(self.strategies)

    def shares(self) -> pd.DataFrame:
        """Return the share of every class among predictions, and its true share.

        Returns
        -------
        table : DataFrame of shape (1 + n_strategies, n_classes)
            The first row, ``true``, has the shares in the test folds.
        """
        true = self._mean_per_class("true_share").mean().rename("true")
        return pd.concat([true.to_frame().T, self._mean_per_class("share")])

    def _mean_per_class(self, kind):
        table = self.fits.groupby("strategy", sort=False)[self._named(kind)].mean()
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
        """Return the warnings of the fits, about the data and about trainings that failed.

        Returns
        -------
        notes : dict of str to list of str
            Different texts by name of the strategy; of those that differ only in numbers, the
            first, and how many fits gave one.
        """
        return self._warnings("notes", "alarms")

    def _warnings(self, *keys):
        """Return the texts of the fits of each strategy, without those that differ in numbers."""
        found: dict[str, dict[str, list[str]]] = {}
        for record in self._records:
            texts = found.setdefault(record["strategy"], {})
            own = [text for key in keys for text in record.get(key) or []]
            for pattern, text in {re.sub(r"\d[\d.,]*", "0", text): text for text in own}.items():
                texts.setdefault(pattern, []).append(text)
        n_fits = self.fits["strategy"].value_counts()
        return {
            name: [_count_fits(same, n_fits[name]) for same in texts.values()]
            for name, texts in found.items()
            if texts
        }

    def write_tables(self) -> None:
        """Write ``fits.csv, summary.csv, per_class.csv`` into the folder."""
        tables = {"fits": self.fits, "summary": self.summary(), "per_class": self.per_class()}
        for name, table in tables.items():
            content = to_csv(table, index=name != "fits", index_label="strategy")
            write_atomically(self.folder / f"{name}.csv", content)

    def __repr__(self):
        n_folds = len(self.fits) // max(1, len(self.strategies))
        return f"Comparison({len(self.strategies)} strategies, {n_folds} fits each)"

    def _repr_html_(self):
        table = self.summary()[_SHOWN].to_html(float_format="{:.3f}".format, na_rep="", border=0)
        return f"<p>{escape(repr(self))}, {escape(self.scoring)}:</p>{table}"
