"""Macro-F1 over a fixed set of classes, and statistics of scores over paired splits."""

from collections.abc import Callable
from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class Gain:
    """A gain over a baseline and its standard error; the two follow Student's t."""

    gain: float
    standard_error: float  # 0 or NaN: nothing can be concluded
    df: float
    influence: NDArray | None = None  # of every group, (n_groups,)
    of_fits: float = 0.0  # part of the variance: between fits, of one repeat
    of_groups: float = 0.0  # between groups, of all repeats together
    of_groups_once: float = 0.0  # of one repeat
    n_repeats: int = 1

    @property
    def is_known(self) -> bool:
        """Whether the gain has a standard error."""
        return self.standard_error > 0

    def p_value(self) -> float:
        """Test whether the gain is 0; 1 where nothing can be concluded."""
        if not self.is_known:
            return 1.0
        return float(2 * stats.t.sf(abs(self.gain) / self.standard_error, df=self.df))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Compute a confidence interval; NaN without a standard error."""
        half = stats.t.ppf((1 + confidence) / 2, df=self.df) * self.standard_error
        return float(self.gain - half), float(self.gain + half)

    def standard_error_after(self, n_repeats: int) -> float:
        """Predict the standard error after so many repeats in all."""
        # The variance between groups has a part that repeats draw anew, and one that lasts. After
        # one repeat they cannot be separated, and all of it is taken to last.
        lasting = self.of_groups
        if self.n_repeats > 1:
            excess = self.of_groups_once - self.of_groups
            lasting = min(max(0.0, lasting - excess / (self.n_repeats - 1)), lasting)
        fleeting = (self.of_groups - lasting) * self.n_repeats
        return float((lasting + (fleeting + self.of_fits) / n_repeats) ** 0.5)

    def probability(self, margin: float = 0.0) -> float:
        """Compute the posterior probability of a gain above the margin, with a flat prior."""
        if not self.is_known:
            return np.nan if np.isnan(self.standard_error) else float(self.gain > margin)
        return float(stats.t.sf((margin - self.gain) / self.standard_error, df=self.df))


def corrected_gain(differences: ArrayLike, test_share: float, resolution: float = 0.0) -> Gain:
    """Compute the mean difference of scores over resampled splits, as for a corrected t-test."""
    # Training sets of different folds overlap, which makes the usual variance of the mean too
    # small. Nadeau and Bengio correct it to s**2 * (1 / n + n_test / n_train). ``resolution`` is
    # the step of the score, whose variance of rounding is added: few coarse scores may be equal.
    # With a flat prior, the posterior of the mean is the same Student's t (Corani and Benavoli).
    # C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
    # G. Corani, A. Benavoli, "A Bayesian Approach for Comparing Cross-Validated Algorithms on
    # Multiple Data Sets", Machine Learning 100, 2015.
    differences = np.asarray(differences, dtype=float)
    n = len(differences)
    if n < 2:
        return Gain(differences.mean() if n else np.nan, np.nan, 1.0)
    mean, variance = differences.mean(), differences.var(ddof=1)
    if (differences == differences[0]).all():  # rounding would leave a spread
        mean, variance = differences[0], 0.0
    variance += resolution**2 / 12  # of a uniform rounding error
    return Gain(float(mean), float((variance * (1 / n + test_share)) ** 0.5), n - 1.0)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values for multiple testing by Holm's method."""
    # In ascending order, the k-th of m p-values becomes max over j <= k of (m - j + 1) p_j.
    # Rejecting those up to alpha keeps the probability of any false rejection at most alpha under
    # any dependence. NaN stays NaN and is not counted as a hypothesis.
    # S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
    # Statistics 6, 1979.
    p_values = np.array(p_values, dtype=float, ndmin=1)
    outside = p_values[(p_values < 0) | (p_values > 1)]
    if outside.size:
        raise ValueError(f"p-values must lie in [0, 1], got {outside[0]}.")
    known = np.flatnonzero(~np.isnan(p_values))  # NaN is not a hypothesis, so it has no rank
    known = known[np.argsort(p_values[known], kind="stable")]
    ranks = np.arange(len(known), 0, -1)
    p_values[known] = np.minimum(np.maximum.accumulate(p_values[known] * ranks), 1)
    return p_values
