"""The steps of a fit: check the data, split them, train a net, keep what it learned; predict."""

import warnings
from contextlib import nullcontext
from copy import copy
from dataclasses import replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from skorch.history import History
from torch.utils.data import DataLoader, Dataset

from imbemotion._base.validation import (
    check_labels,
    check_random_state,
    check_sample_weight,
    forget_fit,
    holds_paths,
    looks_like_images,
    only_column,
    shorten,
    validate_data,
)
from imbemotion.callbacks import ProgressBar, WeightAveraging
from imbemotion.classifier._checkpoint import open_checkpoint
from imbemotion.classifier._composition import Task, compose_net, decide, training_prior
from imbemotion.images import ImageArray, check_finite
from imbemotion.loading import as_images
from imbemotion.splitting.holdout import check_entered, split_originals
from imbemotion.training.alarms import find_failures
from imbemotion.training.machine import limited_threads, pick_device, seeded

_TRAINED = (
    "class_counts_", "interrupted_", "net_", "n_iter_", "recipe_", "training_prior_",
    "validation_indices_",
)  # fmt: skip


def fit(classifier, X, y, sample_weight, groups, validation_data):
    """Train for all epochs, from new weights or, with ``warm_start``, from the last ones."""
    start = getattr(classifier, "net_", None) if classifier._own("net", "warm_start") else None
    X, y, sample_weight = _begin(classifier, X, y, sample_weight, start, classes=None)
    groups = None if groups is None else check_entered(groups, X)
    valid = (None, None) if validation_data is None else _check_valid(classifier, validation_data)
    opened = nullcontext()
    if classifier.checkpoint is not None:
        opened = open_checkpoint(classifier, X, y, sample_weight, groups, *valid)
    with opened as checkpoint:
        seed, again = getattr(checkpoint, "seed", classifier.random_state), start is not None
        random_state = check_random_state(seed)
        task = _make_task(classifier, X, y, sample_weight, random_state, groups, again=again)
        if validation_data is not None:
            task = _add_validation(task, *valid)
        trained = copy(classifier)  # a training that fails leaves the last fit
        trained.class_counts_ = np.bincount(y[task.train], minlength=len(trained.classes_))
        alarms = _train(trained, task, start=start, checkpoint=checkpoint)
        trained.validation_indices_ = task.valid[task.valid < len(X)]
        vars(classifier).update(vars(trained))
        vars(classifier).pop("_random_state", None)  # of an earlier partial_fit
        if trained.interrupted_:
            raise KeyboardInterrupt  # searches and comparisons stop, too
    for text in alarms:  # only now, as a warning may be an error
        warnings.warn(text, ConvergenceWarning, stacklevel=4)  # the caller of fit


def partial_fit(classifier, X, y, classes, sample_weight):
    """Train one epoch, from new weights or from the last ones, and defer nothing."""
    start = getattr(classifier, "net_", None)
    X, y, sample_weight = _begin(classifier, X, y, sample_weight, start, classes)
    if start is None or not hasattr(classifier, "_random_state"):
        classifier._random_state = check_random_state(classifier.random_state)
    once = copy(classifier)  # what is a fraction of the training would never start in one epoch
    once.set_params(max_epochs=1, max_steps=None, lr_schedule=None, validation_fraction=None)
    once.set_params(balance_from=0.0)
    if once._own("optimizer", "freezing") != "backbone":
        once.set_params(optimizer__freezing=None)
    again = start is not None
    task = _make_task(once, X, y, sample_weight, classifier._random_state, again=again)
    seen = 0 if start is None else classifier.class_counts_
    once.class_counts_ = seen + np.bincount(y, minlength=len(once.classes_))
    _train(once, task, start=start, resume=True)
    for name in _TRAINED:
        setattr(classifier, name, getattr(once, name))
    if once.interrupted_:
        raise KeyboardInterrupt


def predict(classifier, method, X):
    """Call a method of the fitted net on checked images."""
    net, X = classifier.net_, check_images(classifier, X, reset=False)
    # of prediction alone, so they may change after the fit
    net.test_time_augmentation = classifier._views()
    if size := classifier._others("net").get("iterator_valid__batch_size"):
        net.iterator_valid__batch_size = size
    n_rows, size = len(X), net.iterator_valid__batch_size
    if X.shape[1] == 1:  # flat data, in full batches, as the size of a batch changes rounding
        X = X[np.resize(np.arange(n_rows), -(-n_rows // size) * size)]
    with limited_threads(classifier.n_threads):
        return getattr(net, method)(X)[:n_rows]


def _check_valid(classifier, validation_data):
    """Return checked images and encoded labels that validate."""
    if classifier.validation_fraction is not None:
        raise ValueError(
            "validation_data and validation_fraction exclude each other, got validation_fraction="
            f"{classifier.validation_fraction}. Set it to None."
        )
    if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
        kind = type(validation_data).__name__
        raise ValueError(f"validation_data must be a pair (X, y), got an object of type {kind}.")
    X, y = validation_data
    X = check_images(classifier, X, reset=False)
    y = check_labels(y, n_samples=len(X))
    unknown = np.setdiff1d(y, classifier.classes_)
    if len(unknown):
        raise ValueError(
            f"The labels of validation_data must be among those of y, got {shorten(unknown)}."
        )
    return X, _encode(classifier, y)


def _add_validation(task, X, y):
    """Return a task in which images of their own validate."""
    weights, n_train = task.sample_weight, len(task.X)
    if weights is not None:
        weights = np.concatenate([weights, np.ones(len(X), weights.dtype)])
    return replace(
        task, X=np.concatenate([task.X, X]), y=np.concatenate([task.y, y]),
        sample_weight=weights, valid=np.arange(n_train, n_train + len(X)),
    )  # fmt: skip


def check_images(classifier, X, *, reset):
    """Convert X to images, and record or compare their shape and kind."""
    if isinstance(X, Dataset | DataLoader):
        pairs = "X.dataset" if isinstance(X, DataLoader) else "X"
        raise TypeError(
            f"X must be an array of images or paths, got a {type(X).__name__} of PyTorch. Pass "
            f"np.stack([np.asarray(image) for image, _ in {pairs}]), with channels last, and y = "
            f"[label for _, label in {pairs}]. ImageNeuralNetClassifier takes Datasets."
        )
    X = only_column(X)  # of paths in a data frame
    flat = not (isinstance(X, ImageArray) or looks_like_images(X) or holds_paths(X))
    if flat and not reset and classifier.image_shape_[0] != 1:
        raise ValueError(
            f"X must contain images of shape {classifier.image_shape_}, as in fit, got flat data "
            f"of shape {np.shape(X)}. A single image is X[:1], not X[0]."
        )
    if flat:  # images one pixel high
        X = validate_data(classifier, X, reset=reset, dtype=np.float32)[:, None]
    X = as_images(X)
    if not len(X):
        raise ValueError(f"X must contain at least one image, got shape {X.shape}.")
    if reset:
        classifier.image_shape_, classifier._dtype_kind = X.shape[1:], X.dtype.kind
        classifier.n_features_in_ = X.shape[2] if flat else X.shape[1]
    elif X.shape[1:] != classifier.image_shape_:
        raise ValueError(
            f"X must contain images of shape {classifier.image_shape_}, as in fit, "
            f"got {X.shape[1:]}. Put ImageLoader(size=...) before the classifier."
        )
    elif X.dtype.kind != classifier._dtype_kind:
        raise ValueError(
            f"Pixels must be of the kind seen in fit (uint8, or floats), got {X.dtype} images."
        )
    check_finite(X)
    return X


def _begin(classifier, X, y, sample_weight, start, classes):
    """Check the data; unless training continues, forget the last fit and set the classes."""
    reset, name = start is None, type(classifier).__name__
    if reset:
        forget_fit(classifier)  # a fit that fails leaves nothing of the last one
    # the sentence that scikit-learn's checks expect; for Datasets, check_images has another
    if y is None and not isinstance(X, Dataset | DataLoader):
        raise ValueError(f"{name} requires y to be passed, but the target y is None.")
    X = check_images(classifier, X, reset=reset)
    y = check_labels(y, n_samples=len(X))
    if sample_weight is not None:
        sample_weight = _check_weights(sample_weight, X)
    asked = classifier._own("net", "test_time_augmentation"), classifier.augmentation
    if X.shape[1] == 1 and not {None, "auto"}.issuperset(asked):
        raise ValueError(
            "augmentation and test_time_augmentation are for images, got flat data, or images "
            f"one pixel high, of shape {X.shape}. Leave them out."
        )
    _set_classes(classifier, y, classes, reset)
    return X, _encode(classifier, y), sample_weight


def _set_classes(classifier, y, classes, reset):
    """Set the classes, or compare them with those of the last fit."""
    if reset:
        classifier.classes_ = np.unique(check_labels(y if classes is None else classes))
        if len(classifier.classes_) < 2:
            raise ValueError(
                f"y must contain two classes or more, got one class: {classifier.classes_[0]}."
            )
    elif classes is not None and not np.array_equal(np.unique(classes), classifier.classes_):
        raise ValueError(
            f"classes must be those of the first partial_fit ({shorten(classifier.classes_)}), "
            f"got {shorten(np.unique(classes))}. Leave them out, or call fit."
        )


def _check_weights(sample_weight, X):
    values = np.asarray(sample_weight)
    # a sampler changes the rows, not the weights, and their numbers may agree by chance
    n_originals = len(np.unique(X.parents[:, 0]))
    if X.is_synthetic.any() or n_originals < len(X):
        raise ValueError(
            "sample_weight must belong to the rows of X one by one, got synthetic or repeated "
            f"images: {len(X)} rows of {n_originals} originals. Use class_weight or "
            "batch_sampling instead, or leave the sampler out."
        )
    if values.ndim == 1 and len(values) != len(X):
        raise ValueError(
            f"sample_weight must have one entry per image, got {len(values)} for {len(X)} images. "
            "If a sampler changes the rows, use class_weight or batch_sampling instead."
        )
    if not values.any():
        raise ValueError(f"sample_weight must have a value above 0, got {len(values)} zeros only.")
    return check_sample_weight(sample_weight, X, dtype=np.float32, ensure_non_negative=True)


def _encode(classifier, y):
    """Return the positions of labels in ``classes_``."""
    known = np.isin(y, classifier.classes_)
    if not known.all():
        raise ValueError(
            f"y must contain labels seen in the first fit ({shorten(classifier.classes_)}), "
            f"got {shorten(np.unique(y[~known]))}. Name all of them by classes in the first "
            "partial_fit, or fit without warm_start."
        )
    return np.searchsorted(classifier.classes_, y)


def _make_task(classifier, X, y, sample_weight, random_state, groups=None, *, again=False):
    """Split the images, in a warm start as in the first fit, and draw the seed."""
    seed = random_state.randint(2**31 - 1)
    if not (again and hasattr(classifier, "_split_seed")):
        # kept for warm starts: images that were trained on cannot validate
        classifier._split_seed = random_state.randint(2**31 - 1)
    train, valid = np.arange(len(X)), np.empty(0, dtype=np.int64)
    if classifier.validation_fraction is not None:
        split = np.random.RandomState(classifier._split_seed)
        train, valid = split_originals(X, y, classifier.validation_fraction, split, groups)
    if sample_weight is not None and not sample_weight[train].any():
        raise ValueError(f"sample_weight must not be 0 in training, got {len(train)} zeros only.")
    device = pick_device(classifier.device)
    known = getattr(classifier, "recipe_", {}).get("mirrored") if again else None
    return decide(classifier, Task(X, y, sample_weight, train, valid, device, seed), known)


def _train(classifier, task, *, start=None, resume=False, checkpoint=None):
    """Train a net, and set the fitted attributes that come of it."""
    if start is not None:  # its weights expect pixels of the first data's scale
        task = replace(task, input_scale=(start.input_mean, start.input_scale))
    with limited_threads(classifier.n_threads), seeded(task.seed, task.device):
        net = compose_net(classifier, task, pretrained=start is None).initialize()
        _check_backbone(classifier, net.module_)
        if start is not None:
            _take_over(net, start, resume)
        classifier.interrupted_ = False
        try:
            if checkpoint is None:
                net.partial_fit(task.X, task.y)
            else:
                checkpoint.train(net, task.X, task.y)
        except KeyboardInterrupt:  # what was learned so far is kept
            classifier.interrupted_ = True
        finally:
            _close(net, ProgressBar)  # which holds the terminal
        _keep(classifier, task, net, [] if start is None else start.history)
        judged = start is None and not classifier.interrupted_
        alarms = find_failures(classifier, net, task) if judged else []
        _close(net, WeightAveraging)  # the weights of the last step were needed until here
    return alarms


def _close(net, kind):
    for _, callback in net.callbacks_:
        if isinstance(callback, kind):
            callback.close()


def _keep(classifier, task, net, before):
    """Set the fitted attributes that come of a training."""
    if net.history and "train_loss" not in net.history[-1]:
        net.history.pop()  # of an epoch that was interrupted
    epoch = len(net.history)
    if len(task.valid):  # best_epoch_ is 0 if training ended before any epoch counted
        epoch = dict(net.callbacks_)["best_weights"].best_epoch_ or epoch
    classifier.training_prior_ = training_prior(classifier, task, net, max(0, epoch - 1))
    net.history = _join(before, net.history, best=len(before) + epoch)
    classifier.net_, classifier.n_iter_ = net, len(net.history)
    classifier.validation_indices_, recipe = task.valid, task.recipe
    classifier.recipe_ = {
        "max_steps": recipe.n_steps, "batch_size": recipe.batch_size, "lr": recipe.lr,
        "mirrored": recipe.mirrored,
    }  # fmt: skip


def _check_backbone(classifier, module):
    """Refuse settings of a backbone for a network without one."""
    names = ("backbone_lr", "backbone_weight_decay", "freezing")
    asked = [k for k in names if classifier._own("optimizer", k) not in (None, "auto")]
    if asked and not (hasattr(module, "features") and hasattr(module, "set_trainable")):
        raise ValueError(
            f"{shorten(asked)} needs a network of features and head, such as those of "
            f"imbemotion.networks, got {type(module).__name__}."
        )


def _take_over(net, start, resume):
    """Continue from the weights of another net, and on request the state of its optimizer."""
    try:
        net.module_.load_state_dict(start.module_.state_dict())
    except RuntimeError as error:
        raise ValueError(
            "warm_start and partial_fit continue with the network of the last fit, got one of "
            f"other layers or sizes: {str(error).splitlines()[-1].strip()} Reset module, "
            "module_params and net_params, or fit without warm_start."
        ) from error
    before, now = getattr(start, "optimizer_", None), net.optimizer_
    # a loaded net has no optimizer, and another one or other groups cannot use its state
    if resume and type(before) is type(now) and _shapes(before) == _shapes(now):
        now.load_state_dict({**now.state_dict(), "state": before.state_dict()["state"]})


def _shapes(optimizer):
    """Return the shapes of the weights of an optimizer, in the order of its state."""
    return [tuple(p.shape) for group in optimizer.param_groups for p in group["params"]]


def _join(before, after, best):
    """Join the histories of two trainings, number the epochs, and mark the best."""
    joined = History([dict(epoch) for epoch in (*before, *after)])
    scored = any("valid_macro_f1" in epoch for epoch in joined)
    for number, epoch in enumerate(joined, start=1):
        epoch |= {"epoch": number, "best": number == best} if scored else {"epoch": number}
    return joined
