"""Scores with a fixed set of classes, and intervals for differences over paired folds."""

import numpy as np
from scipy import stats
from sklearn.metrics import f1_score, make_scorer

__all__ = ["corrected_interval", "macro_f1_scorer"]


def macro_f1_scorer(labels):
    """Make a macro-F1 scorer whose set of classes does not change from fold to fold.

    scikit-learn's ``"f1_macro"`` averages over the classes that a fold happens to hold, so
    that a fold without the hardest class scores higher. Here a class that is neither in
    the fold nor predicted counts 0.

    Parameters
    ----------
    labels : array-like
        The labels of the whole data set, or its classes.

    Returns
    -------
    scorer : callable
        For ``scoring``; ``scorer(estimator, X, y)`` gives a float in [0, 1].

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> model = DummyClassifier(strategy="most_frequent").fit([[0], [0]], ["joy", "joy"])
    >>> macro_f1_scorer(["joy", "fear"])(model, [[0], [0]], ["joy", "joy"])
    0.5
    """
    classes = np.unique(labels)
    return make_scorer(
        f1_score, pos_label=None, labels=classes, average="macro", zero_division=0.0
    )


def corrected_interval(differences, test_share, confidence=0.95):
    r"""Compute an interval for a mean difference of scores over resampled splits.

    Training sets of different folds overlap, so the usual variance of the mean is too
    small. Nadeau and Bengio correct it:

    .. math:: \hat\sigma^2 \left(\frac{1}{n} + \frac{n_{test}}{n_{train}}\right)

    Parameters
    ----------
    differences : array-like of shape (n_splits,)
        Score of one method minus that of another, on the same splits.

    test_share : float
        Test rows divided by training rows, for example 1/4 in five folds.

    confidence : float, default=0.95
        Coverage of the interval.

    Returns
    -------
    low : float
        Lower end; NaN for fewer than two differences.

    high : float
        Upper end; NaN for fewer than two differences.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine Learning
       52, 2003.

    Examples
    --------
    >>> low, high = corrected_interval([0.02, 0.05, 0.03, 0.04, 0.01], test_share=1 / 4)
    >>> round(float(low), 3), round(float(high), 3)
    (0.001, 0.059)
    """
    differences = np.asarray(differences, dtype=float)
    n = len(differences)
    if n < 2:
        return np.nan, np.nan
    spread = np.sqrt(differences.var(ddof=1) * (1 / n + test_share))
    half = stats.t.ppf((1 + confidence) / 2, df=n - 1) * spread
    return differences.mean() - half, differences.mean() + half
