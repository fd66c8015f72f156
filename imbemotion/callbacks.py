"""Callbacks of skorch: deferred weights, freezing, averaging, early stopping and progress."""

import math
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.metrics import f1_score
from skorch.callbacks import Callback, EarlyStopping, EpochScoring
from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = ["BestWeights", "DeferredWeights", "EpochHook", "FreezeBackbone", "MacroF1",
           "ProgressBar", "WeightAveraging"]  # fmt: skip


def first_epoch(fraction, n_epochs):
    """Return the epoch, counted from 0, that starts after a fraction of the training."""
    return math.ceil(round(fraction * n_epochs, 9))  # 0.7 * 10 is more than 7


class EpochHook(Callback):
    """Call a function after every epoch; training stops when it returns True.

    Parameters
    ----------
    function : callable
        Receives a dict with the figures of the epoch, such as ``train_loss`` and ``dur``.

    Examples
    --------
    >>> hook = EpochHook(lambda figures: figures["train_loss"] < 0.01)
    """

    def __init__(self, function: Callable[[dict], bool | None]):
        self.function = function

    def on_epoch_end(self, net, **kwargs):
        """Call the function with the figures of the epoch."""
        figures = {k: v for k, v in net.history[-1].items() if isinstance(v, int | float)}
        if self.function(figures):
            raise KeyboardInterrupt  # as skorch's own callbacks end a training


_SHOWN = {"train_loss": "loss", "valid_loss": "validation loss", "valid_macro_f1": "macro-F1"}


class ProgressBar(Callback):
    """Show epochs, losses and the time left; without a terminal, print one line per epoch."""

    def on_train_begin(self, net, **kwargs):
        """Show an empty bar."""
        self.console_ = Console()
        self.bar_ = Progress(
            BarColumn(), MofNCompleteColumn(), TextColumn("epochs"),
            TextColumn("{task.description}"), TimeRemainingColumn(),
            console=self.console_, disable=not self.console_.is_terminal,
        )  # fmt: skip
        self.task_ = self.bar_.add_task("", total=net.max_epochs)
        self.bar_.start()

    def on_epoch_end(self, net, **kwargs):
        """Show the figures of the epoch."""
        epoch = net.history[-1]
        figures = [f"{name} {epoch[key]:.3f}" for key, name in _SHOWN.items() if key in epoch]
        self.bar_.update(self.task_, advance=1, description=", ".join(figures))
        if not self.console_.is_terminal:
            line = f"epoch {len(net.history)} of {net.max_epochs}: {', '.join(figures)}"
            self.console_.print(line, highlight=False, soft_wrap=True)

    def on_train_end(self, net, **kwargs):
        """Leave the last state of the bar."""
        self.close()

    def close(self):
        """Release the terminal; after a training that failed, call it yourself."""
        if hasattr(self, "bar_"):
            if self.console_.is_terminal:  # elsewhere older versions of rich print a line
                self.bar_.stop()
            del self.bar_, self.console_  # a terminal cannot be pickled


class DeferredWeights(Callback):
    """Leave the class weights out of the loss for the first part of the training.

    Parameters
    ----------
    start : float
        Fraction of the epochs after which the loss is weighted.

    Examples
    --------
    >>> callbacks = [DeferredWeights(0.8)]  # with criterion__weight=torch.tensor([1.0, 9.0])
    """

    def __init__(self, start: float):
        self.start = start

    def on_train_begin(self, net, **kwargs):
        """Take the weights out of the loss."""
        self.weight_ = getattr(net.criterion_, "weight", None)
        if not isinstance(self.weight_, torch.Tensor):
            raise TypeError(
                "Only class weights in a tensor `weight` of the loss can be deferred, got "
                f"{type(net.criterion_).__name__} without one. Use balance_from=0."
            )
        net.criterion_.weight = None

    def on_epoch_begin(self, net, **kwargs):
        """Put the weights back when they are due."""
        if len(net.history) - 1 >= first_epoch(self.start, net.max_epochs):
            net.criterion_.weight = self.weight_

    def on_train_end(self, net, **kwargs):
        """Put the weights back in any case."""
        net.criterion_.weight = self.weight_


class FreezeBackbone(Callback):
    """Freeze the backbone of a network, and unfreeze it during the training.

    Parameters
    ----------
    freezing : {"backbone", "gradual"} or float
        ``"backbone"`` never unfreezes it, ``"gradual"`` one stage after another in the first
        half of the training, a number all of it after that fraction of the epochs.

    Examples
    --------
    >>> FreezeBackbone("gradual").trainable(epoch=2, n_epochs=8)
    0.5
    """

    def __init__(self, freezing: str | float):
        self.freezing = freezing

    def on_epoch_begin(self, net, **kwargs):
        """Set the share of the backbone that trains in this epoch."""
        net.module_.set_trainable(self.trainable(len(net.history) - 1, net.max_epochs))

    def trainable(self, epoch: int, n_epochs: int) -> float:
        """Return the share of the backbone that trains in an epoch, counted from 0."""
        if self.freezing == "backbone":
            return 0.0
        if self.freezing == "gradual":
            return min(1.0, epoch / max(1, first_epoch(0.5, n_epochs)))
        return float(epoch >= first_epoch(self.freezing, n_epochs))


class WeightAveraging(Callback):
    """Average the weights exponentially over the steps; validate and predict with the average.

    Parameters
    ----------
    decay : float
        Share of the old average that a step keeps, for example 0.999; less in the first steps.

    Examples
    --------
    >>> callbacks = [WeightAveraging(0.999)]  # of an ImageNeuralNetClassifier
    """

    def __init__(self, decay: float):
        self.decay = decay

    def on_train_begin(self, net, **kwargs):
        """Start from the current weights."""
        self.n_steps_, self.averaged_ = 0, False
        self.kept_ = [tensor.detach().clone() for tensor in self._tensors(net)]

    def on_epoch_begin(self, net, **kwargs):
        """Continue with the weights of the last step."""
        if self.averaged_:
            self._swap(net)

    def on_batch_begin(self, net, training=False, **kwargs):
        """Validate with the average."""
        if not training and not self.averaged_:
            self._swap(net)

    def on_batch_end(self, net, training=False, **kwargs):
        """Add a step to the average."""
        if training:
            # 0.1 at first, so that the initial weights count little
            decay = min(self.decay, (1 + self.n_steps_) / (10 + self.n_steps_))
            self.n_steps_ += 1
            get_ema_multi_avg_fn(decay)(self.kept_, self._tensors(net), None)  # in place

    def on_train_end(self, net, **kwargs):
        """Leave the average in the network."""
        if not self.averaged_:
            self._swap(net)
        del self.kept_

    def _swap(self, net):
        for live, kept in zip(self._tensors(net), self.kept_, strict=True):
            value = live.detach().clone()
            live.data.copy_(kept)
            kept.copy_(value)
        self.averaged_ = not self.averaged_

    def _tensors(self, net):
        """Return weights and running statistics, without counters of steps."""
        tensors = [*net.module_.parameters(), *net.module_.buffers()]
        return [tensor for tensor in tensors if torch.is_floating_point(tensor)]


class MacroF1(EpochScoring):
    """Record macro-F1 on validation images, over all classes, as ``valid_macro_f1``."""

    def __init__(self):
        super().__init__(_macro_f1, name="valid_macro_f1", lower_is_better=False)


class BestWeights(EarlyStopping):
    """Stop when :class:`MacroF1`, put before it, stops rising, and restore the best weights.

    Parameters
    ----------
    patience : int, default=5
        Epochs without a better score after which training stops.
    first_epoch : int, default=0
        Epoch, counted from 0, from which scores count.
    verbose : int, default=0
        Whether to print why training stopped.

    Examples
    --------
    >>> callbacks = [MacroF1(), BestWeights(patience=3)]
    """

    def __init__(self, patience: int = 5, first_epoch: int = 0, verbose: int = 0):
        super().__init__(
            "valid_macro_f1", patience=patience, lower_is_better=False, threshold=0,
            load_best=True, sink=_ignore,
        )  # fmt: skip
        self.first_epoch = first_epoch
        self.verbose = verbose

    def on_epoch_end(self, net, **kwargs):
        """Compare the score once it counts, and report why training stops."""
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


def _ignore(*args, **kwargs):
    """Replace skorch's print; unlike a lambda it can be pickled."""
