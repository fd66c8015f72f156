"""Macro-F1 over a fixed set of classes, and statistics of scores over paired splits."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.metrics import f1_score, make_scorer


def make_macro_f1_scorer(labels: ArrayLike) -> Callable:
    """Make a macro-F1 scorer whose set of classes does not change from fold to fold.

    scikit-learn's ``"f1_macro"`` averages over the classes in a fold, so that a fold without
    the hardest class scores higher. Here one neither in the fold nor predicted counts 0.

    Parameters
    ----------
    labels : array-like
        The labels of the whole data set, or its classes.

    Returns
    -------
    scorer : callable
        For ``scoring``; ``scorer(estimator, X, y)`` returns a float in [0, 1].

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> model = DummyClassifier(strategy="most_frequent").fit([[0], [0]], ["joy", "joy"])
    >>> make_macro_f1_scorer(["joy", "fear"])(model, [[0], [0]], ["joy", "joy"])
    0.5
    """
    classes = np.unique(labels)
    # pos_label=None, as scikit-learn warns of its default with average="macro"
    return make_scorer(
        f1_score, pos_label=None, labels=classes, average="macro", zero_division=0.0
    )


def corrected_interval(
    differences: ArrayLike, test_share: float, confidence: float = 0.95, resolution: float = 0.0
) -> tuple[float, float]:
    """Compute an interval for a mean difference of scores over resampled splits."""
    # Training sets of different folds overlap, which makes the usual variance of the mean too
    # small. Nadeau and Bengio correct it to s**2 * (1 / n + n_test / n_train). ``resolution`` is
    # the step of the score, whose variance of rounding is added: few coarse scores may be equal.
    # C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
    n, mean, spread = _summarize(differences, test_share, resolution)
    half = stats.t.ppf((1 + confidence) / 2, df=n - 1) * spread
    return mean - half, mean + half


def corrected_t_test(
    differences: ArrayLike, test_share: float, alternative: str = "two-sided",
    resolution: float = 0.0,
) -> float:  # fmt: skip
    """Test whether a mean difference of scores over resampled splits is 0."""
    # The corrected resampled t-test of Nadeau and Bengio: the mean, divided by the standard error
    # of corrected_interval, is compared with Student's t with n - 1 degrees of freedom. The
    # p-value is below 1 - confidence exactly if that interval excludes 0.
    if alternative not in ("two-sided", "greater", "less"):
        raise ValueError(f'Expected "two-sided", "greater" or "less", got {alternative!r}.')
    n, mean, spread = _summarize(differences, test_share, resolution)
    evidence = {"two-sided": abs(mean), "greater": mean, "less": -mean}[alternative]
    if spread == 0:  # t would be 0 / 0 or infinite
        return float(evidence <= 0)
    n_sides = 2 if alternative == "two-sided" else 1
    return n_sides * stats.t.sf(evidence / spread, df=n - 1)


def probability_of_gain(
    differences: ArrayLike, test_share: float, margin: float = 0.0, resolution: float = 0.0
) -> float:
    """Compute the probability that a method gains, from scores over resampled splits."""
    # The Bayesian correlated t-test: with a flat prior, the mean difference has a Student t
    # posterior with n - 1 degrees of freedom. Its squared scale, s**2 * (1 / n + rho / (1 - rho))
    # with the correlation rho = n_test / (n_test + n_train) of scores whose training sets overlap,
    # is Nadeau and Bengio's.
    # G. Corani, A. Benavoli, "A Bayesian Approach for Comparing Cross-Validated Algorithms on
    # Multiple Data Sets", Machine Learning 100, 2015.
    n, mean, spread = _summarize(differences, test_share, resolution)
    if spread == 0:
        return float(mean > margin)
    return stats.t.sf((margin - mean) / spread, df=n - 1)


def _summarize(differences, test_share, resolution):
    """Return the number of differences, their mean and its corrected standard error."""
    differences = np.asarray(differences, dtype=float)
    n = len(differences)
    if n < 2:
        return n, np.nan, np.nan
    mean, variance = differences.mean(), differences.var(ddof=1)
    if (differences == differences[0]).all():  # rounding would leave a spread
        mean, variance = differences[0], 0.0
    variance += resolution**2 / 12  # of a uniform rounding error
    return n, mean, np.sqrt(variance * (1 / n + test_share))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values for multiple testing by Holm's method."""
    # In ascending order, the k-th of m p-values becomes max over j <= k of (m - j + 1) p_j.
    # Rejecting those up to alpha keeps the probability of any false rejection at most alpha under
    # any dependence. NaN stays NaN and is not counted as a hypothesis.
    # S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
    # Statistics 6, 1979.
    return _step_down(p_values, lambda p, ranks: np.minimum(np.maximum.accumulate(p * ranks), 1))


def holm_levels(p_values: ArrayLike, alpha: float = 0.05) -> NDArray[np.float64]:
    """Return the level at which Holm's procedure tests each hypothesis."""
    # The k-th smallest of m p-values is tested at alpha / (m - k + 1) while all before it are
    # rejected; those after the first that is not share its level. A hypothesis is rejected exactly
    # if its p-value is at most its level, and an interval with confidence 1 - level excludes 0
    # exactly if Holm's procedure rejects.

    def levels(p, ranks):
        n_rejected = np.logical_and.accumulate(p * ranks <= alpha).sum()
        return alpha / np.maximum(ranks, len(p) - n_rejected)

    return _step_down(p_values, levels)


def _step_down(p_values, step):
    """Apply a step to the p-values in ascending order, with their ranks m, m - 1, ..., 1."""
    p_values = np.array(p_values, dtype=float, ndmin=1)
    outside = p_values[(p_values < 0) | (p_values > 1)]
    if outside.size:
        raise ValueError(f"p-values must lie in [0, 1], got {outside[0]}.")
    known = np.flatnonzero(~np.isnan(p_values))  # NaN is not a hypothesis, so it has no rank
    known = known[np.argsort(p_values[known], kind="stable")]
    p_values[known] = step(p_values[known], np.arange(len(known), 0, -1))
    return p_values
