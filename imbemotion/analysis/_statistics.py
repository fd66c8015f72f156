"""Scores with a fixed set of classes."""

import numpy as np
from sklearn.metrics import f1_score, make_scorer

__all__ = ["macro_f1_scorer"]


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
