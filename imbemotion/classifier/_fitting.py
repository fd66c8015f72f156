"""The steps of a fit: what is trained on, the training itself, and what is kept of it."""

from copy import copy
from dataclasses import replace

import numpy as np
from skorch.history import History

from imbemotion._training import limited_threads, pick_device, seeded
from imbemotion._validation import check_random_state, forget_fit
from imbemotion.classifier._composition import Task, compose_net
from imbemotion.classifier._input import check_classes, check_training_data, encode_labels
from imbemotion.classifier._losses import training_prior
from imbemotion.splitting import split_originals

__all__ = ["fit", "partial_fit"]


def fit(classifier, X, y, sample_weight):
    """Train for all epochs, from new weights or, with ``warm_start``, from the last ones."""
    start = getattr(classifier, "net_", None) if classifier.warm_start else None
    X, y, sample_weight = _begin(classifier, X, y, sample_weight, start, classes=None)
    task = _make_task(classifier, X, y, sample_weight, check_random_state(classifier.random_state))
    classifier.class_counts_ = _count(classifier, y[task.train])
    classifier.validation_indices_ = task.valid
    _train(classifier, task, start=start)


def partial_fit(classifier, X, y, classes, sample_weight):
    """Train one epoch, from new weights or from the last ones."""
    start = getattr(classifier, "net_", None)
    X, y, sample_weight = _begin(classifier, X, y, sample_weight, start, classes)
    if start is None or not hasattr(classifier, "_random_state"):
        classifier._random_state = check_random_state(classifier.random_state)
    once = _one_epoch(classifier)
    task = _make_task(once, X, y, sample_weight, classifier._random_state)
    seen = 0 if start is None else classifier.class_counts_
    once.class_counts_ = seen + _count(classifier, y)
    _train(once, task, start=start, resume=True)
    for name in ("class_counts_", "net_", "n_iter_", "training_prior_"):
        setattr(classifier, name, getattr(once, name))
    classifier.validation_indices_ = task.valid


def _begin(classifier, X, y, sample_weight, start, classes):
    """Check the data; where nothing is to be trained on from, start with nothing."""
    if start is None:
        forget_fit(classifier)
    reset = start is None
    X, y, sample_weight = check_training_data(classifier, X, y, sample_weight, reset=reset)
    if reset:
        classifier.classes_ = check_classes(y if classes is None else classes)
    return X, encode_labels(classifier, y), sample_weight


def _count(classifier, y):
    return np.bincount(y, minlength=len(classifier.classes_))


def _make_task(classifier, X, y, sample_weight, random_state):
    """Split the images, and draw the seed."""
    seed = random_state.randint(2**31 - 1)
    train, valid = np.arange(len(X)), np.empty(0, dtype=np.int64)
    if classifier.validation_fraction is not None:
        train, valid = split_originals(X, y, classifier.validation_fraction, random_state)
    device = pick_device(classifier.device)
    return Task(X, y, sample_weight, train, valid, device, seed)


def _train(classifier, task, *, start=None, resume=False):
    """Train a net and note what came of it in the classifier.

    Parameters
    ----------
    classifier : CNNClassifier
        Its parameters and ``classes_`` are used; ``class_counts_``, ``net_``, ``n_iter_``
        and ``training_prior_`` are set.

    task : Task
        What to train on.

    start : ImageNeuralNetClassifier, default=None
        A fitted net to train on from; None starts with new weights.

    resume : bool, default=False
        Whether to go on with the state of its optimizer, too.
    """
    if start is not None:
        task = replace(task, input_scale=(start.input_mean, start.input_scale))
    with limited_threads(classifier.n_threads), seeded(task.seed, task.device):
        net = compose_net(classifier, task).initialize()
        if start is not None:
            _take_over(net, start, resume)
        try:
            net.partial_fit(task.X, task.y)
        finally:
            _close(net)
    classifier.training_prior_ = _prior(classifier, task, net)
    if start is not None:
        net.history = _joined(start.history, net.history)
    classifier.net_, classifier.n_iter_ = net, len(net.history)


def _one_epoch(classifier):
    """Give a copy of a classifier whose parameters train one epoch as it stands."""
    once = copy(classifier)
    once.max_epochs, once.lr_schedule, once.validation_fraction = 1, None, None
    once.weight_from = once.sampling_from = 0.0
    once.freezing = "backbone" if classifier.freezing == "backbone" else None
    return once


def _take_over(net, start, resume):
    net.module_.load_state_dict(start.module_.state_dict())
    optimizer = getattr(start, "optimizer_", None)
    if resume and optimizer is not None:
        state = {**net.optimizer_.state_dict(), "state": optimizer.state_dict()["state"]}
        net.optimizer_.load_state_dict(state)


def _close(net):
    """Give back what callbacks hold, also when the training failed."""
    for _, callback in net.callbacks_:
        if hasattr(callback, "close"):
            callback.close()


def _prior(classifier, task, net):
    weights = None if task.sample_weight is None else task.sample_weight[task.train]
    stopping = dict(net.callbacks_).get("early_stopping")
    epoch = len(net.history) if stopping is None else stopping.best_epoch_
    return training_prior(classifier, task.y[task.train], weights, net.criterion_, epoch - 1)


def _joined(before, after):
    """Join the histories of two trainings and number the epochs through."""
    joined = History([*before, *after])
    for number, epoch in enumerate(joined, start=1):
        epoch["epoch"] = number
    return joined
