"""Early stopping on macro-F1, with the best weights restored."""

import numpy as np
from sklearn.metrics import f1_score
from skorch.callbacks import EarlyStopping, EpochScoring

__all__ = ["early_stopping"]


def early_stopping(patience):
    """Give the callbacks that score the validation images and stop when that no longer grows.

    Parameters
    ----------
    patience : int
        Epochs without a better score after which training stops.

    Returns
    -------
    callbacks : list of (str, Callback)
        In the order in which they have to run.
    """
    scoring = EpochScoring(_macro_f1, name="valid_macro_f1", lower_is_better=False)
    stopping = EarlyStopping(
        "valid_macro_f1",
        patience=patience,
        lower_is_better=False,
        threshold=0,
        load_best=True,
        sink=_no_print,
    )
    return [("valid_macro_f1", scoring), ("early_stopping", stopping)]


def _macro_f1(net, X, y):
    """Score encoded labels over all classes of the network."""
    classes = np.arange(net.get_params()["module__n_classes"])
    return f1_score(y, net.predict(X), labels=classes, average="macro", zero_division=0.0)


def _no_print(*args, **kwargs):
    """Take the place of skorch's print."""
