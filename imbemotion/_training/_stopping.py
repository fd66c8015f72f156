"""Early stopping on macro-F1, with the best weights restored."""

import numpy as np
from sklearn.metrics import f1_score
from skorch.callbacks import EarlyStopping, EpochScoring

__all__ = ["scoring", "stopping"]


def scoring():
    """Give the callback that scores the validation images after every epoch."""
    return EpochScoring(_macro_f1, name="valid_macro_f1", lower_is_better=False)


def stopping(patience):
    """Give the callback that stops the training and restores the best weights.

    Parameters
    ----------
    patience : int
        Epochs without a better score after which training stops.

    Returns
    -------
    callback : EarlyStopping
        To run after the scoring.
    """
    return EarlyStopping(
        "valid_macro_f1",
        patience=patience,
        lower_is_better=False,
        threshold=0,
        load_best=True,
        sink=_no_print,
    )


def _macro_f1(net, X, y):
    """Score encoded labels over all classes of the network."""
    classes = np.arange(net.get_params()["module__n_classes"])
    return f1_score(y, net.predict(X), labels=classes, average="macro", zero_division=0.0)


def _no_print(*args, **kwargs):
    """Take the place of skorch's print."""
