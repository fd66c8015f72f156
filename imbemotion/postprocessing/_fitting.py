"""What estimators around another one share when they are fitted."""

import numpy as np

__all__ = ["check_classes", "take_names"]


def check_classes(y):
    """Make sure that there is something to tell apart.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        The labels.

    Raises
    ------
    ValueError
        If they are of one class only.
    """
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(f"y must hold at least two classes, not one class, got {classes}.")


def take_names(model):
    """Take over what a fitted ``estimator_`` knows of the columns of X.

    Parameters
    ----------
    model : estimator
        The one around it.
    """
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(model.estimator_, name):
            setattr(model, name, getattr(model.estimator_, name))
