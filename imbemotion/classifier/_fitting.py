"""The steps of a fit: what is trained on, the training itself, and what is kept of it."""

from copy import copy
from dataclasses import replace

import numpy as np
from skorch.history import History

from imbemotion._training import limited_threads, pick_device, seeded
from imbemotion._validation import check_random_state, forget_fit, shorten
from imbemotion.classifier._composition import Task, compose_net
from imbemotion.classifier._input import check_classes, check_training_data, encode_labels
from imbemotion.classifier._losses import training_prior
from imbemotion.splitting import split_originals

__all__ = ["fit", "partial_fit"]

_PARTS = ("backbone_lr", "backbone_weight_decay", "freezing")  # need features and head


def fit(classifier, X, y, sample_weight):
    """Train for all epochs, from new weights or, with ``warm_start``, from the last ones."""
    start = getattr(classifier, "net_", None) if classifier.warm_start else None
    X, y, sample_weight = _begin(classifier, X, y, sample_weight, start, classes=None)
    random_state = check_random_state(classifier.random_state)
    task = _make_task(classifier, X, y, sample_weight, random_state, again=start is not None)
    trained = copy(classifier)
    trained.class_counts_ = _count(classifier, y[task.train])
    _train(trained, task, start=start)
    vars(classifier).update(vars(trained))
    vars(classifier).pop("_random_state", None)  # of an earlier partial_fit


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
    for name in ("class_counts_", "net_", "n_iter_", "training_prior_", "validation_indices_"):
        setattr(classifier, name, getattr(once, name))


def _begin(classifier, X, y, sample_weight, start, classes):
    """Check the data; where nothing is to be trained on from, start with nothing."""
    if start is None:
        forget_fit(classifier)
    reset = start is None
    X, y, sample_weight = check_training_data(classifier, X, y, sample_weight, reset=reset)
    if reset:
        classifier.classes_ = check_classes(y if classes is None else classes)
    elif classes is not None and not np.array_equal(np.unique(classes), classifier.classes_):
        raise ValueError(
            f"classes must be those of the first partial_fit ({shorten(classifier.classes_)}), "
            f"got {shorten(np.unique(classes))}. Leave them out, or fit anew."
        )
    return X, encode_labels(classifier, y), sample_weight


def _count(classifier, y):
    return np.bincount(y, minlength=len(classifier.classes_))


def _make_task(classifier, X, y, sample_weight, random_state, *, again=False):
    """Split the images, in a warm start as in the first fit, and draw the seed."""
    seed = random_state.randint(2**31 - 1)
    if not (again and hasattr(classifier, "_split_seed")):
        classifier._split_seed = random_state.randint(2**31 - 1)
    train, valid = np.arange(len(X)), np.empty(0, dtype=np.int64)
    if classifier.validation_fraction is not None:
        split = np.random.RandomState(classifier._split_seed)
        train, valid = split_originals(X, y, classifier.validation_fraction, split)
    if sample_weight is not None and not sample_weight[train].any():
        raise ValueError(
            "sample_weight must have an entry above 0 among the training images, got zeros only."
        )
    return Task(X, y, sample_weight, train, valid, pick_device(classifier.device), seed)


def _train(classifier, task, *, start=None, resume=False):
    """Train a net and note what came of it in the classifier.

    Parameters
    ----------
    classifier : CNNClassifier
        Its parameters, ``classes_`` and ``class_counts_`` are used; ``net_``, ``n_iter_``,
        ``training_prior_`` and ``validation_indices_`` are set.

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
        net = compose_net(classifier, task, fresh=start is None).initialize()
        _check_parts(classifier, net.module_)
        if start is not None:
            _take_over(net, start, resume)
        try:
            net.partial_fit(task.X, task.y)
        finally:
            _close(net)
    epoch = len(net.history)
    if len(task.valid):  # whose weights were restored; 0 where it ended before any counted
        epoch = dict(net.callbacks_)["early_stopping"].best_epoch_ or epoch
    classifier.training_prior_ = training_prior(classifier, task, net, epoch - 1)
    before = [] if start is None else start.history
    net.history = _joined(before, net.history, best=len(before) + epoch)
    classifier.net_, classifier.n_iter_ = net, len(net.history)
    classifier.validation_indices_ = task.valid


def _check_parts(classifier, module):
    """Refuse keywords about the backbone where there is none."""
    asked = [name for name in _PARTS if getattr(classifier, name) is not None]
    if asked and not (hasattr(module, "features") and hasattr(module, "set_trainable")):
        raise ValueError(
            f"{shorten(asked)} needs a network of features and head, as those of "
            f"imbemotion.networks are, got {type(module).__name__}."
        )


def _one_epoch(classifier):
    """Give a copy of a classifier whose parameters train one epoch as it stands."""
    once = copy(classifier)
    once.max_epochs, once.lr_schedule, once.validation_fraction = 1, None, None
    once.weight_from = once.sampling_from = 0.0
    once.freezing = "backbone" if classifier.freezing == "backbone" else None
    return once


def _take_over(net, start, resume):
    try:
        net.module_.load_state_dict(start.module_.state_dict())
    except RuntimeError as error:
        raise ValueError(
            "Training on takes the network of the last fit, got one of other layers or sizes. "
            "Put module, module_params and net_params back, or fit anew without warm_start."
        ) from error
    before, optimizer = getattr(start, "optimizer_", None), net.optimizer_
    if resume and type(before) is type(optimizer) and _shapes(before) == _shapes(optimizer):
        state = {**optimizer.state_dict(), "state": before.state_dict()["state"]}
        optimizer.load_state_dict(state)


def _shapes(optimizer):
    """Give the shapes of the weights of an optimizer, in the order of its state."""
    return [tuple(p.shape) for group in optimizer.param_groups for p in group["params"]]


def _close(net):
    """Give back what callbacks hold, also when the training failed."""
    for _, callback in net.callbacks_:
        if hasattr(callback, "close"):
            callback.close()


def _joined(before, after, best):
    """Join the histories of two trainings, number the epochs through, and mark the best."""
    joined = History([dict(epoch) for epoch in (*before, *after)])
    scored = any("valid_macro_f1" in epoch for epoch in joined)
    for number, epoch in enumerate(joined, start=1):
        epoch |= {"epoch": number, "best": number == best} if scored else {"epoch": number}
    return joined
