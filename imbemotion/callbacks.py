"""Callbacks of skorch: deferred weights, freezing, averaging, early stopping and progress."""

import math
import signal
import threading
from contextlib import contextmanager

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.metrics import f1_score
from skorch.callbacks import Callback, EarlyStopping, EpochScoring
from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = [
    "DeferredWeights",
    "Epochs",
    "ProgressBar",
    "Unfreezing",
    "WeightAveraging",
    "first_epoch",
    "noting_ctrl_c",
    "scoring",
    "stopping",
]


def first_epoch(fraction, n_epochs):
    """Find the epoch, from 0, in which begins what is put off for a fraction of the training."""
    return math.ceil(round(fraction * n_epochs, 9))  # 0.7 * 10 is more than 7


@contextmanager
def noting_ctrl_c():
    """Give a list that is not empty once Ctrl-C was pressed; it works as before all the same."""
    pressed, before = [], signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield pressed  # signals reach the main thread only
        return

    def note(number, frame):
        try:
            before(number, frame)
        except KeyboardInterrupt:
            pressed.append(number)
            raise

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


class Epochs(Callback):
    """Tell of every epoch; end the training where the answer is True."""

    def __init__(self, tell):
        self.tell = tell

    def on_epoch_end(self, net, **kwargs):
        """Tell of an epoch."""
        figures = {k: v for k, v in net.history[-1].items() if isinstance(v, int | float)}
        if self.tell(figures):
            raise KeyboardInterrupt  # as skorch's own callbacks end a training


_SHOWN = {"train_loss": "loss", "valid_loss": "validation loss", "valid_macro_f1": "macro-F1"}


class ProgressBar(Callback):
    """Show epochs, losses and the time left; without a terminal, one line per epoch."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_train_begin(self, net, **kwargs):
        """Show an empty bar."""
        self.console_ = Console()
        self.bar_ = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=self.console_,
            disable=not self.console_.is_terminal,
        )
        self.task_ = self.bar_.add_task("", total=self.n_epochs)
        self.bar_.start()

    def on_epoch_end(self, net, **kwargs):
        """Show the epoch's figures."""
        epoch = net.history[-1]
        figures = [f"{name} {epoch[key]:.3f}" for key, name in _SHOWN.items() if key in epoch]
        self.bar_.update(self.task_, advance=1, description=", ".join(figures))
        if not self.console_.is_terminal:
            line = f"epoch {len(net.history)} of {self.n_epochs}: {', '.join(figures)}"
            self.console_.print(line, highlight=False, soft_wrap=True)

    def on_train_end(self, net, **kwargs):
        """Leave the last state of the bar."""
        self.close()

    def close(self):
        """Give the terminal back, also after a training that failed."""
        if hasattr(self, "bar_"):
            if self.console_.is_terminal:  # elsewhere older versions of rich print a line
                self.bar_.stop()
            del self.bar_, self.console_  # a terminal can't be pickled


class DeferredWeights(Callback):
    """Leave the class weights out of the loss until an epoch is reached."""

    def __init__(self, first_epoch):
        self.first_epoch = first_epoch

    def on_train_begin(self, net, **kwargs):
        """Put the weights aside."""
        self.weight_ = getattr(net.criterion_, "weight", None)
        if not isinstance(self.weight_, torch.Tensor):
            raise TypeError(
                "weight_from puts off the weights that a loss keeps as its tensor `weight`, got "
                f"{type(net.criterion_).__name__}, which has none. Use weight_from=0."
            )
        net.criterion_.weight = None

    def on_epoch_begin(self, net, **kwargs):
        """Put them back when their time has come."""
        if len(net.history) - 1 >= self.first_epoch:
            net.criterion_.weight = self.weight_

    def on_train_end(self, net, **kwargs):
        """Put them back in any case."""
        net.criterion_.weight = self.weight_


class Unfreezing(Callback):
    """Freeze the backbone, and let it take part later."""

    def __init__(self, freezing, n_epochs):
        self.freezing = freezing
        self.n_epochs = n_epochs

    def on_epoch_begin(self, net, **kwargs):
        """Set which part of the network trains in this epoch."""
        net.module_.set_trainable(self.trainable(len(net.history) - 1))

    def trainable(self, epoch):
        """Give the share of the backbone that trains in an epoch, from 0."""
        if self.freezing == "backbone":
            return 0.0
        if self.freezing == "gradual":
            return min(1.0, epoch / max(1, first_epoch(0.5, self.n_epochs)))
        return float(epoch >= first_epoch(self.freezing, self.n_epochs))


class WeightAveraging(Callback):
    """Average the weights over the steps; validation and prediction use the average."""

    # It is an exponential moving average whose decay is smaller in the first steps, so that the
    # initial weights are soon forgotten.

    def __init__(self, decay):
        self.decay = decay

    def on_train_begin(self, net, **kwargs):
        """Start with the weights as they are."""
        self.n_steps_, self.averaged_ = 0, False
        self.kept_ = [tensor.detach().clone() for tensor in self._tensors(net)]

    def on_epoch_begin(self, net, **kwargs):
        """Train on from the weights themselves."""
        if self.averaged_:
            self._swap(net)

    def on_batch_begin(self, net, training=False, **kwargs):
        """Validate with the average."""
        if not training and not self.averaged_:
            self._swap(net)

    def on_batch_end(self, net, training=False, **kwargs):
        """Let a step into the average."""
        if training:
            decay = min(self.decay, (1 + self.n_steps_) / (10 + self.n_steps_))
            self.n_steps_ += 1
            get_ema_multi_avg_fn(decay)(self.kept_, self._tensors(net), None)

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
        """Give weights and running statistics; counters are left alone."""
        tensors = [*net.module_.parameters(), *net.module_.buffers()]
        return [tensor for tensor in tensors if torch.is_floating_point(tensor)]


def scoring():
    """Give the callback that scores the validation images after every epoch."""
    return EpochScoring(_macro_f1, name="valid_macro_f1", lower_is_better=False)


def stopping(patience, first_epoch=0, *, verbose=0):
    """Give the callback that stops the training and restores the best weights."""
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
