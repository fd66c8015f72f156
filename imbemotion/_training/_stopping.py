"""Early stopping on macro-F1, with the best weights restored."""

import numpy as np
from sklearn.metrics import f1_score
from skorch.callbacks import EarlyStopping, EpochScoring

__all__ = ["scoring", "stopping"]


def scoring():
    """Give the callback that scores the validation images after every epoch."""
    return EpochScoring(_macro_f1, name="valid_macro_f1", lower_is_better=False)


def stopping(patience, first_epoch=0, *, verbose=0):
    """Give the callback that stops the training and restores the best weights.

    Parameters
    ----------
    patience : int
        Epochs without a better score after which training stops.

    first_epoch : int, default=0
        The epoch from which scores count, from 0: that in which deferred weights start.

    verbose : int, default=0
        Whether to print why a training ended early.

    Returns
    -------
    callback : EarlyStopping
        To run after the scoring.
    """
    return _LateStopping(
        first_epoch,
        verbose,
        "valid_macro_f1",
        patience=patience,
        lower_is_better=False,
        threshold=0,
        load_best=True,
        sink=_no_print,
    )


class _LateStopping(EarlyStopping):
    """Leave the first epochs out of account, and say why the training ended."""

    def __init__(self, first_epoch, verbose, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.first_epoch = first_epoch
        self.verbose = verbose

    def on_epoch_end(self, net, **kwargs):
        """Compare the score once it counts."""
        if len(net.history) <= self.first_epoch:
            return
        try:
            super().on_epoch_end(net, **kwargs)
        except KeyboardInterrupt:  # by which skorch ends a training
            if self.verbose:
                print(
                    f"Stopped after {len(net.history)} epochs: macro-F1 on validation images has "
                    f"not risen for {self.patience}. The weights are those of epoch "
                    f"{self.best_epoch_}."
                )
            raise


def _macro_f1(net, X, y):
    """Score encoded labels over all classes of the network."""
    classes = np.arange(net.get_params()["module__n_classes"])
    return f1_score(y, net.predict(X), labels=classes, average="macro", zero_division=0.0)


def _no_print(*args, **kwargs):
    """Take the place of skorch's print."""
