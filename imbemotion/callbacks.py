"""Callbacks of skorch: deferred weights, freezing, averaging, early stopping and progress."""

import math
from collections.abc import Callable
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from sklearn.metrics import f1_score
from skorch.callbacks import Callback, EpochScoring
from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = ["BestWeights", "DeferredWeights", "EpochHook", "FreezeBackbone", "MacroF1",
           "ProgressBar", "StepCallback", "TrainingScores", "WeightAveraging"]  # fmt: skip


def first_step(fraction, n_steps):
    """Return the step, counted from 0, that starts after a fraction of the training."""
    return math.ceil(round(fraction * n_steps, 9))  # 0.7 * 10 is more than 7


def total_steps(net, dataset):
    """Return how many steps a net will train on a dataset."""
    n_steps = net.max_epochs * len(net.get_iterator(dataset, training=True))
    return min(n_steps, getattr(net, "max_steps", None) or n_steps)


class StepCallback(Callback):
    """Base of callbacks that count steps: ``step_`` of ``n_steps_``, from 0.

    Examples
    --------
    >>> class Halve(StepCallback):
    ...     def on_batch_begin(self, net, training=False, **kwargs):
    ...         if training and self.step_ == self.n_steps_ // 2:
    ...             net.optimizer_.param_groups[0]["lr"] /= 2
    """

    def on_train_begin(self, net, **kwargs):
        """Reset the counter."""
        self.step_, self.n_steps_ = 0, None

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        """Set the number of steps."""
        if self.n_steps_ is None:
            self.n_steps_ = total_steps(net, dataset_train)

    def on_batch_end(self, net, training=False, **kwargs):
        """Count a step."""
        self.step_ += bool(training)


class EpochHook(StepCallback):
    """Call a function after every epoch; training stops when it returns True.

    Parameters
    ----------
    function : callable
        Receives a dict with the figures of the epoch, such as ``train_loss`` and ``dur``, the
        ``step`` it ended with, and ``n_steps`` of the training.

    Examples
    --------
    >>> hook = EpochHook(lambda figures: figures["train_loss"] < 0.01)
    """

    def __init__(self, function: Callable[[dict], bool | None]):
        self.function = function

    def on_epoch_end(self, net, **kwargs):
        """Call the function with the figures of the epoch."""
        figures = {k: v for k, v in net.history[-1].items() if isinstance(v, int | float)}
        if self.function({**figures, "step": self.step_, "n_steps": self.n_steps_}):
            raise KeyboardInterrupt  # as skorch's own callbacks end a training


_N_LINES = 20  # without a terminal
_SHOWN = {"train_loss": "loss", "valid_loss": "validation loss", "valid_macro_f1": "macro-F1"}


class ProgressBar(StepCallback):
    """Show steps, losses, macro-F1, and time; without a terminal, print at most 20 lines."""

    def on_train_begin(self, net, **kwargs):
        """Show an empty bar."""
        super().on_train_begin(net)
        self.console_ = Console()
        self.shown_ = self.console_.is_terminal or self.console_.is_jupyter
        self.bar_ = Progress(
            BarColumn(), MofNCompleteColumn(), TextColumn("steps"),
            TextColumn("{task.description}"), TimeElapsedColumn(), TextColumn("left:"),
            TimeRemainingColumn(), console=self.console_, disable=not self.shown_,
        )  # fmt: skip
        self.task_, self.n_lines_ = self.bar_.add_task("", total=None), 0
        self.bar_.start()

    def on_batch_end(self, net, training=False, **kwargs):
        """Show a step."""
        super().on_batch_end(net, training)
        self.bar_.update(self.task_, completed=self.step_, total=self.n_steps_)

    def on_epoch_end(self, net, **kwargs):
        """Show the figures of the epoch."""
        epoch = net.history[-1]
        figures = [f"{name} {epoch[key]:.3f}" for key, name in _SHOWN.items() if key in epoch]
        self.bar_.update(self.task_, description=", ".join(figures))
        n_due = _N_LINES * self.step_ // self.n_steps_
        if n_due > self.n_lines_ and not self.shown_:
            self.n_lines_ = n_due
            line = f"epoch {len(net.history)}, step {self.step_} of {self.n_steps_}: "
            self.console_.print(line + ", ".join(figures), highlight=False, soft_wrap=True)

    def on_train_end(self, net, **kwargs):
        """Leave the last state of the bar."""
        self.close()

    def close(self):
        """Release the terminal; after a training that failed, call it yourself."""
        if hasattr(self, "bar_"):
            if self.shown_:  # elsewhere older versions of rich print a line
                self.bar_.stop()
            del self.bar_, self.console_  # a terminal cannot be pickled


class DeferredWeights(StepCallback):
    """Leave the class weights out of the loss for the first part of the training.

    Parameters
    ----------
    start : float
        Fraction of the steps after which the loss is weighted.

    Examples
    --------
    >>> callbacks = [DeferredWeights(0.8)]  # with criterion__weight=torch.tensor([1.0, 9.0])
    """

    def __init__(self, start: float):
        self.start = start

    def on_train_begin(self, net, **kwargs):
        """Take the weights out of the loss."""
        super().on_train_begin(net)
        self.weight_ = getattr(net.criterion_, "weight", None)
        if not isinstance(self.weight_, torch.Tensor):
            raise TypeError(
                "Only class weights in a tensor `weight` of the loss can be deferred, got "
                f"{type(net.criterion_).__name__} without one. Use balance_from=0."
            )
        net.criterion_.weight = None

    def on_batch_begin(self, net, training=False, **kwargs):
        """Put the weights back when they are due."""
        if training and self.step_ >= first_step(self.start, self.n_steps_):
            net.criterion_.weight = self.weight_

    def on_train_end(self, net, **kwargs):
        """Put the weights back in any case."""
        net.criterion_.weight = self.weight_


class FreezeBackbone(StepCallback):
    """Freeze the backbone of a network, and unfreeze it during the training.

    Parameters
    ----------
    freezing : {"backbone", "gradual"} or float
        ``"backbone"`` never unfreezes it, ``"gradual"`` one layer after another in the first
        half of the training, a number all of it after that fraction of the steps.

    Examples
    --------
    >>> FreezeBackbone("gradual").trainable(step=20, n_steps=80)
    0.5
    """

    def __init__(self, freezing: str | float):
        self.freezing = freezing

    def on_train_begin(self, net, **kwargs):
        """Start with what the first step trains."""
        super().on_train_begin(net)
        self.share_ = None

    def on_batch_begin(self, net, training=False, **kwargs):
        """Set the share of the backbone that trains in this step."""
        share = self.trainable(self.step_, self.n_steps_)
        if training and share != self.share_:
            net.module_.set_trainable(share)
            self.share_ = share

    def trainable(self, step: int, n_steps: int) -> float:
        """Return the share of the backbone that trains in a step, counted from 0."""
        if self.freezing == "backbone":
            return 0.0
        if self.freezing == "gradual":  # in twentieths, as each change costs time
            return min(1.0, math.floor(20 * step / max(1, first_step(0.5, n_steps))) / 20)
        return float(step >= first_step(self.freezing, n_steps))


class WeightAveraging(StepCallback):
    """Average the weights exponentially over the steps; validate and predict with the average.

    Parameters
    ----------
    span : float
        How far the average reaches back, as a fraction of the steps. It is never more than the
        steps taken: the average after one step equals its weights.

    Examples
    --------
    >>> callbacks = [WeightAveraging(0.05)]  # of an ImageNeuralNetClassifier
    """

    def __init__(self, span: float):
        self.span = span

    def on_train_begin(self, net, **kwargs):
        """Start from the current weights."""
        super().on_train_begin(net)
        self.averaged_ = False
        self.kept_ = [tensor.detach().clone() for tensor in self._tensors(net)]

    def on_epoch_begin(self, net, **kwargs):
        """Continue with the weights of the last step."""
        super().on_epoch_begin(net, **kwargs)
        if self.averaged_:
            self._swap(net)

    def on_batch_begin(self, net, training=False, **kwargs):
        """Validate with the average."""
        if not training and not self.averaged_:
            self._swap(net)

    def on_batch_end(self, net, training=False, **kwargs):
        """Add a step to the average."""
        if training:
            longest = 1 - 1 / max(1.0, self.span * self.n_steps_)
            decay = min(longest, self.step_ / (self.step_ + 10))
            get_ema_multi_avg_fn(decay)(self.kept_, self._tensors(net), None)  # in place
        super().on_batch_end(net, training)

    def on_train_end(self, net, **kwargs):
        """Leave the average in the network."""
        if not self.averaged_:
            self._swap(net)

    @contextmanager
    def last_weights(self, net):
        """Put the weights of the last step into a trained network until the block ends."""
        self._swap(net)
        try:
            yield
        finally:
            self._swap(net)

    def close(self):
        """Forget the weights of the last step."""
        vars(self).pop("kept_", None)

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
    """Record macro-F1 on validation images, over all classes, as ``valid_macro_f1``.

    The network has to take ``n_classes``.
    """

    def __init__(self):
        super().__init__(_macro_f1, name="valid_macro_f1", lower_is_better=False)


class TrainingScores(Callback):
    """Record macro-F1 of the training batches as they are seen, as ``train_macro_f1``.

    Dropout and augmentation are on, so it is lower than the score of a prediction. Of mixed
    images the label with the larger share counts.

    Attributes
    ----------
    confusions_ : list of ndarray of int of shape (n_classes, n_classes)
        Confusion matrix of each epoch, true labels in rows.
    """

    def on_train_begin(self, net, **kwargs):
        """Start with no epoch."""
        self.confusions_ = []

    def on_epoch_begin(self, net, **kwargs):
        """Start to count."""
        self.confusions_.append(np.zeros((1, 1), dtype=np.int64))

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        """Count the predictions of a step."""
        if training:
            labels = batch[1]
            if isinstance(labels, list):
                labels = max(labels, key=lambda target: target.share).labels
            labels = labels.argmax(dim=1) if labels.is_floating_point() else labels
            n_classes, predicted = y_pred.shape[1], y_pred.argmax(dim=1).cpu()
            pairs = np.bincount(n_classes * labels.cpu() + predicted, minlength=n_classes**2)
            self.confusions_[-1] = self.confusions_[-1] + pairs.reshape(n_classes, n_classes)

    def on_epoch_end(self, net, **kwargs):
        """Record the score of the epoch."""
        net.history.record("train_macro_f1", macro_f1(self.confusions_[-1]))


def macro_f1(confusion):
    """Return the macro-F1 of a confusion matrix."""
    sums = confusion.sum(axis=0) + confusion.sum(axis=1)
    return float(np.mean(2 * np.diag(confusion) / np.maximum(sums, 1)))


class BestWeights(StepCallback):
    """Restore the weights of the best validation, by macro-F1 and then by loss.

    It needs :class:`MacroF1` before it.

    Parameters
    ----------
    patience : float, default=None
        Fraction of the steps without a better validation after which training stops. None
        never stops it.
    start : float, default=0.0
        Fraction of the steps after which validations count.
    verbose : int, default=0
        Whether to print why training stopped.

    Examples
    --------
    >>> callbacks = [MacroF1(), BestWeights(patience=0.3)]
    """

    def __init__(self, patience: float | None = None, start: float = 0.0, verbose: int = 0):
        self.patience = patience
        self.start = start
        self.verbose = verbose

    def on_train_begin(self, net, **kwargs):
        """Forget the last training."""
        super().on_train_begin(net)
        self.best_epoch_, self.best_step_, self.best_ = 0, 0, (-math.inf, -math.inf)

    def on_epoch_end(self, net, **kwargs):
        """Keep the weights if they are the best so far; stop after too long a wait."""
        if self.step_ <= first_step(self.start, self.n_steps_):
            return
        found = net.history[-1, "valid_macro_f1"], -net.history[-1, "valid_loss"]
        if found > self.best_:
            self.best_, self.best_epoch_, self.best_step_ = found, len(net.history), self.step_
            self.weights_ = deepcopy(net.module_.state_dict())
        elif self.patience and self.step_ - self.best_step_ >= self.patience * self.n_steps_:
            if self.verbose:
                print(
                    f"Stopped after {self.step_} of {self.n_steps_} steps: the validation has "
                    f"not improved since step {self.best_step_}, whose weights are kept."
                )
            raise KeyboardInterrupt  # by which skorch ends a training

    def on_train_end(self, net, **kwargs):
        """Restore the best weights."""
        if self.best_epoch_:
            net.module_.load_state_dict(self.weights_)
            del self.weights_


def _macro_f1(net, X, y):
    """Score encoded labels over all classes of the network."""
    classes = np.arange(net.get_params()["module__n_classes"])
    return f1_score(y, net.predict(X), labels=classes, average="macro", zero_division=0.0)
