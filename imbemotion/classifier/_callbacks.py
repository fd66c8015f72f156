"""The callbacks that the parameters of a classifier ask for."""

from copy import copy

from skorch.callbacks import GradientNormClipping

from imbemotion._training import (
    DeferredWeights,
    ProgressBar,
    Unfreezing,
    WeightAveraging,
    first_epoch,
    scoring,
    stopping,
)
from imbemotion.classifier._schedules import LR_SCHEDULES

__all__ = ["make_callbacks"]


def make_callbacks(classifier, task):
    """Make the callbacks in the order in which they have to run; those of the user come last.

    Parameters
    ----------
    classifier : CNNClassifier
        Its parameters are used.

    task : Task
        What is to be trained on.

    Returns
    -------
    callbacks : list
        As skorch takes them.
    """
    callbacks, n_epochs = [], classifier.max_epochs
    if classifier.weight_averaging:
        callbacks.append(("weight_averaging", WeightAveraging(classifier.weight_averaging)))
    if len(task.valid):
        callbacks.append(("valid_macro_f1", scoring()))
    if classifier.verbose:
        callbacks.append(("progress", ProgressBar(n_epochs)))  # it shows the last epoch, too
    if len(task.valid):
        first = _first_full_epoch(classifier)
        early = stopping(classifier.patience, first, verbose=classifier.verbose)
        callbacks.append(("early_stopping", early))
    if classifier.gradient_clipping is not None:
        clipping = GradientNormClipping(classifier.gradient_clipping)
        callbacks.append(("gradient_clipping", clipping))
    if classifier.lr_schedule is not None:
        n_steps = n_epochs * -(-len(task.train) // classifier.batch_size)
        schedule = LR_SCHEDULES[classifier.lr_schedule](classifier, n_steps)
        callbacks.append(("lr_schedule", schedule))
    if classifier.weight_from and _is_weighted(classifier):
        first = first_epoch(classifier.weight_from, n_epochs)
        callbacks.append(("deferred_weights", DeferredWeights(first)))
    if classifier.freezing is not None:
        callbacks.append(("unfreezing", Unfreezing(classifier.freezing, n_epochs)))
    return callbacks + [_copied(callback) for callback in classifier.callbacks or []]


def _is_weighted(classifier):
    return classifier.class_weight is not None or "weight" in (classifier.loss_params or {})


def _first_full_epoch(classifier):
    """Find the epoch, from 0, in which all that was deferred has begun."""
    starts = [classifier.weight_from] if _is_weighted(classifier) else []
    starts += [classifier.sampling_from] if classifier.batch_sampling is not None else []
    epochs = [first_epoch(start, classifier.max_epochs) for start in starts]
    return max((epoch for epoch in epochs if epoch < classifier.max_epochs), default=0)


def _copied(callback):
    """Copy a callback, into which skorch writes; what it collects in is the user's own."""
    if isinstance(callback, tuple):
        return callback[0], copy(callback[1])
    return copy(callback)
