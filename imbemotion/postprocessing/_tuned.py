"""TunedOffsetClassifierCV: offsets of the log-probabilities tuned for a score."""

from collections.abc import Callable
from inspect import signature
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils import Bunch, indexable
from sklearn.utils.validation import check_is_fitted

from imbemotion._base.fits import fit_copy
from imbemotion._base.validation import (
    N_JOBS,
    HasMethods,
    Interval,
    StrOptions,
    brief,
    check_method_params,
    safe_indexing,
    scorer_parts,
)
from imbemotion.postprocessing import _held_out as held, _offset_search as search

_MAX_ROWS = 100_000  # of all bootstrap samples together, so that fits take seconds
_MAX_SAMPLES, _MAX_SAMPLES_ON_GRID = 20, 10
_MIN_SAMPLES = 4  # fewer do not show how offsets scatter


class TunedOffsetClassifierCV(held.OffsetClassifierMixin, BaseEstimator):
    r"""Shift a classifier's log-probabilities per class to maximize a score.

    A classifier trained on skewed data seldom predicts rare classes, which lowers macro-F1. This
    keeps the classifier, and predicts

    .. math:: \arg\max_c \; \log p_c(x) + b_c

    with offsets :math:`b_c` tuned on out-of-fold probabilities: for any number of classes what
    ``TunedThresholdClassifierCV`` is for two.

    Parameters
    ----------
    estimator : classifier
        Any classifier with ``predict_proba``, also a pipeline with samplers.
    scoring : str or callable, default="f1_macro"
        A scikit-learn scorer of predicted labels. All offsets are tried for F-beta, precision,
        recall, Jaccard and (balanced) accuracy; for others a slower grid from -10 to 10.
    cv : int, float, splitter, iterable, "prefit" or None, default=None
        A number of stratified folds (None means 5) that never split ``groups``, a share to hold
        out once, a splitter or splits; ``"prefit"`` for an estimator fitted on other rows.
    refit : bool, default=True
        Whether ``estimator_`` is refitted on all rows. If False, ``cv`` has to hold out once,
        and the classifier fitted for it is kept. Ignored for ``"prefit"``.
    l2 : float, default=0.0
        Strength of the penalty :math:`l_2 \sum_c b_c^2 / n_c` for classes of :math:`n_c` rows.
    n_bootstraps : int or "auto", default="auto"
        Bootstrap samples of the out-of-fold rows to search on; 0 and 1 search once, on all rows.
        ``"auto"`` is 20 (10 on a grid), fewer from 5,000 rows on, and none above 25,000.
    n_jobs : int, default=None
        Folds fitted in parallel; None means 1, -1 all CPUs.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds if ``cv`` is a number or None, but not of the bootstrap samples.

    Attributes
    ----------
    best_offsets_ : ndarray of shape (n_classes,)
        Offset of each class; positive offsets favor a class.
    best_score_ : float
        Out-of-fold score with them, somewhat optimistic; at least that without offsets.
    cv_results_ : dict of ndarray
        ``"offsets"`` (n_steps, n_classes) and out-of-fold ``"scores"`` (n_steps,): first without
        offsets, then of each bootstrap sample or gain of the search, last ``best_offsets_``.
    estimator_ : classifier
        The fitted classifier.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_, feature_names_in_ : int, ndarray of str
        As in ``estimator_``, if it has them.

    Notes
    -----
    Coordinate ascent: the classes, the rarest first, get their best offset given the others,
    until nothing is gained, in O(n log n) per class. Among equals, the offset nearest to 0 and
    the rarer class win. A class without a row that some offset would recover keeps 0.

    With few rows offsets are largely noise. So they are averaged over bootstrap samples of the
    rows, or of ``groups`` [1]_, and shrunk by an empirical-Bayes rule [2]_: a multiple of
    :math:`\log(n_{max} / n_c)`, as in logit adjustment [3]_, and a residual per class, of mean m
    and standard deviation s, become :math:`m \cdot m^2 / (m^2 + s^2)`. The result is halved while
    it lowers the score, and depends neither on the order of rows nor on class names.

    References
    ----------
    .. [1] Breiman, L. "Bagging Predictors". Machine Learning 24 (1996).
    .. [2] Efron, B. and Morris, C. "Stein's Estimation Rule and Its Competitors: An Empirical
       Bayes Approach". Journal of the American Statistical Association 68 (1973).
    .. [3] Menon, A. K. et al. "Long-Tail Learning via Logit Adjustment". ICLR (2021).

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.metrics import f1_score
    >>> X, y = make_classification(
    ...     2000, n_classes=3, n_informative=4, weights=[0.9, 0.07], random_state=3
    ... )
    >>> model = TunedOffsetClassifierCV(LogisticRegression(), random_state=0)
    >>> model = model.fit(X[:1000], y[:1000])
    >>> model.best_offsets_.round(1)
    array([-0. ,  1.2,  1.4])
    >>> for predict in (model.estimator_.predict, model.predict):
    ...     print(round(f1_score(y[1000:], predict(X[1000:]), average="macro"), 2))
    0.42
    0.47
    """

    _offsets = "best_offsets_"
    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "scoring": [StrOptions(set(get_scorer_names())), callable],
        "cv": ["cv_object", StrOptions({"prefit"}), Interval(Real, 0, 1, closed="neither")],
        "refit": ["boolean"],
        "l2": [Interval(Real, 0, None, closed="left")],
        "n_bootstraps": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        "n_jobs": N_JOBS,
        "random_state": ["random_state"],
    }

    def __init__(
        self, estimator: Any, *, scoring: str | Callable = "f1_macro", cv: Any = None,
        refit: bool = True, l2: float = 0.0, n_bootstraps: int | str = "auto",
        n_jobs: int | None = None, random_state: int | np.random.RandomState | None = None,
    ):  # fmt: skip
        self.estimator = estimator
        self.scoring = scoring
        self.cv = cv
        self.refit = refit
        self.l2 = l2
        self.n_bootstraps = n_bootstraps
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _fit(self, X, y, params):
        X, y = indexable(X, y)
        routed = self._route(params)
        held_out = held.pool(self._hold_out(X, y, routed), y)
        path, order = self._search(X, y, held_out, routed)
        if not hasattr(self, "estimator_"):
            self.estimator_, _ = fit_copy(self.estimator, X, y, routed.estimator.fit)
        # columns of the search, in the order of classes_, which may be some of its classes
        columns = np.argsort(order)[np.searchsorted(held_out.classes, self.classes_)]
        self._tie_order = np.argsort(columns)  # rare classes first
        self.cv_results_ = {"offsets": path.offsets[:, columns], "scores": path.scores}
        self.best_offsets_ = path.offsets[-1, columns]
        self.best_score_ = float(path.scores[-1])

    def _hold_out(self, X, y, routed):
        """Return test rows, classes and log-probabilities of every split."""
        if isinstance(self.cv, str):
            unfitted = 'cv="prefit" needs a fitted estimator, got %(name)s.'
            check_is_fitted(self.estimator, "classes_", msg=unfitted)
            self.estimator_ = self.estimator
            log_proba = held.log_probabilities(self.estimator, X)
            return [(np.arange(len(y)), self.classes_, log_proba)]
        held.check_classes(y)
        splits = held.make_splits(self.cv, X, y, routed.splitter.split, self.random_state)
        if not self.refit and len(splits) > 1:
            raise ValueError(
                f"refit=False needs a cv that holds out once, as cv=0.2, got {len(splits)} splits."
            )
        params = routed.estimator.fit
        parts, fitted = held.predict_held_out(self.estimator, X, y, splits, params, self.n_jobs)
        if not self.refit:
            self.estimator_ = fitted
        return parts

    def _search(self, X, y, held_out, routed):
        """Search offsets; return the steps, and the order of the classes in them."""
        rows, classes, codes, log_proba = held_out
        # In this order ties go to rarer classes, and names of classes do not matter.
        order = search.order_classes(log_proba, codes)
        log_proba, codes = log_proba[:, order], np.argsort(order)[codes]
        groups, params = routed.splitter.split.get("groups"), routed.scorer.score
        if not np.array_equal(rows, np.arange(len(y))):
            params = check_method_params(X, params, indices=rows)
            X, y = safe_indexing(X, rows), y[rows]
        predicted = log_proba.argmax(axis=1)
        score = search.make_score(self._scorer(), X, y, codes, classes[order], params, predicted)
        n_bootstraps = self._count_bootstraps(score, len(codes))
        if n_bootstraps < 2:
            counts = search.count_reachable(log_proba, codes)
            return search.find_offsets(log_proba, score, counts, self.l2), order
        # A row that was held out several times is one unit: its copies are no new information.
        units = rows if groups is None else np.asarray(groups)[rows]
        weight = params.get("sample_weight")
        samples = search.draw_samples(log_proba, codes, weight, units, n_bootstraps)
        return search.bag_offsets(log_proba, codes, score, self.l2, samples), order

    def _count_bootstraps(self, score, n_rows):
        if self.n_bootstraps != "auto":
            return self.n_bootstraps
        # A scorer that is not a known ratio is called for each offset, which is slow.
        most = _MAX_SAMPLES if isinstance(score, search.RatioScore) else _MAX_SAMPLES_ON_GRID
        number = min(most, _MAX_ROWS // n_rows)
        return number if number >= _MIN_SAMPLES else 0

    def _choose(self, log_proba):
        """Return the column of each row, that of the rarest class for ties."""
        return self._tie_order[log_proba[:, self._tie_order].argmax(axis=1)]

    def _scorer(self):
        scorer = check_scoring(self.estimator, scoring=self.scoring)
        method = scorer_parts(scorer)[-1]
        if method != "predict":
            raise ValueError(
                f"scoring must score predicted labels, got {brief(self.scoring)}, which scores "
                f"{method}. Use for example 'f1_macro'."
            )
        return scorer

    def _route(self, params):
        """Split the arguments of ``fit`` by receiver."""
        if params and get_config()["enable_metadata_routing"]:
            return super()._route(params)
        groups = {"groups": params.pop("groups")} if "groups" in params else {}
        scorer = scorer_parts(self._scorer())[0]
        # A scorer that is a plain function has no _score_func, and gets no weights.
        weighted = scorer is not None and "sample_weight" in signature(scorer).parameters
        weights = {k: v for k, v in params.items() if weighted and k == "sample_weight"}
        return Bunch(
            estimator=Bunch(fit=params), splitter=Bunch(split=groups), scorer=Bunch(score=weights)
        )

    def _routed_parts(self):
        drawn = self.cv is None or isinstance(self.cv, Real)  # folds of ours take groups
        splitter = StratifiedGroupKFold() if drawn else self.cv
        parts = {"splitter": (splitter, "split"), "scorer": (self._scorer(), "score")}
        return super()._routed_parts() | parts
