"""From the parameters of a classifier to the skorch net that trains them."""

from copy import copy
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, signature

import numpy as np
import torch
from skorch.callbacks import GradientNormClipping

from imbemotion._training import (
    BalancedRows,
    DeferredWeights,
    FixedSplit,
    ProgressBar,
    Unfreezing,
    WeightAveraging,
    input_scale,
    pick_precision,
    scoring,
    stopping,
)
from imbemotion._validation import shorten
from imbemotion.classifier._losses import loss_settings
from imbemotion.classifier._schedules import LR_SCHEDULES
from imbemotion.images import ImageArray
from imbemotion.net import ImageNeuralNetClassifier
from imbemotion.networks import PretrainedCNN, find_network
from imbemotion.networks._base import _Network

__all__ = ["OPTIMIZERS", "Task", "compose_net", "without_weights"]

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
_BACKBONE = "features.*"  # names of the weights of a network's part "features"
_FREE = ("module__", "input_", "callbacks__", "iterator_")  # what net_params may hold


@dataclass
class Task:
    """What a net is to be trained on.

    Parameters
    ----------
    X : ImageArray of shape (n_samples, height, width[, channels])
        All images.

    y : ndarray of int of shape (n_samples,)
        Their encoded labels.

    sample_weight : ndarray of float32 of shape (n_samples,) or None
        Their weights.

    train, valid : ndarray of int
        Rows for training, and for validation, which may be none.

    device : str
        Where to train.

    seed : int
        Of weights, batches, dropout and augmentation.

    input_scale : tuple or None
        What to subtract from pixels and divide them by; None measures it.
    """

    X: ImageArray
    y: np.ndarray
    sample_weight: np.ndarray | None
    train: np.ndarray
    valid: np.ndarray
    device: str
    seed: int
    input_scale: tuple | None = None


def compose_net(classifier, task, *, fresh=True):
    """Compose an unfitted net.

    Parameters
    ----------
    classifier : CNNClassifier
        Its parameters, ``classes_`` and ``class_counts_`` are used.

    task : Task
        What is to be trained on.

    fresh : bool, default=True
        Whether its weights are new. False spares networks of ours their pretrained weights,
        which those of another net replace.

    Returns
    -------
    net : ImageNeuralNetClassifier
        To be fitted on the images and the encoded labels.
    """
    settings = {
        **_network_settings(classifier, task),
        **loss_settings(classifier, weighted=task.sample_weight is not None),
        **_optimizer_settings(classifier),
        **_batch_settings(classifier, task),
        "iterator_valid__batch_size": _prediction_batch(classifier, task.X.shape[1:]),
        "max_epochs": classifier.max_epochs,
        "device": task.device,
        "precision": pick_precision(classifier.precision, task.device),
        "test_time_augmentation": classifier.test_time_augmentation,
        "callbacks": _callbacks(classifier, task),
        "verbose": 0,
    }
    settings |= _check_net_params(classifier.net_params or {}, settings)
    settings |= {} if fresh else without_weights(classifier.module)
    return ImageNeuralNetClassifier(_network(classifier.module), **settings)


def _check_net_params(net_params, settings):
    """Refuse what keywords of the classifier decide, and its figures are computed from."""
    owned = {*settings, "iterator_train__batch_size"} - {"iterator_valid__batch_size"}
    taken = [name for name in net_params if name in owned and not name.startswith(_FREE[:3])]
    if taken:
        raise ValueError(
            f"net_params may not hold {shorten(taken)}, which CNNClassifier sets itself. Use its "
            "keywords of that name, such as callbacks, batch_size, lr, module_params or "
            "loss_params."
        )
    return net_params


def _prediction_batch(classifier, shape):
    """Choose how many images are predicted at once: more than in training where they are small."""
    return max(classifier.batch_size, min(256, 2**22 // max(1, int(np.prod(shape)))))


def without_weights(module):
    """Give the setting that spares a network of ours its pretrained weights.

    Parameters
    ----------
    module : str, class or callable
        As ``CNNClassifier`` takes it.

    Returns
    -------
    settings : dict
        Of the net; empty where there is nothing to spare.
    """
    kind = _class(module)
    takes = issubclass(kind, _Network) and "weights" in signature(kind).parameters
    return {"module__weights": None} if takes else {}


def _class(module):
    """Give the class of a network, or ``object`` where a function makes it."""
    module = _network(module)
    while isinstance(module, partial):
        module = module.func
    return module if isinstance(module, type) else object


def _normalizes(module):
    """Whether a network normalises pixels itself, and can be told not to."""
    kind = _class(module)
    if not issubclass(kind, PretrainedCNN):
        return False
    parameters = signature(kind).parameters
    hands_on = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values())
    return hands_on or "normalize" in parameters


def _network(module):
    if isinstance(module, torch.nn.Module):
        raise TypeError(
            "module must be a name, a class or a function that makes a network, got an instance "
            f"of {type(module).__name__}. Give the class, and its settings as module_params."
        )
    return find_network(module) if isinstance(module, str) else module


def _network_settings(classifier, task):
    X = task.X
    mean, scale = task.input_scale or input_scale(X[task.train])
    params = {
        "n_classes": len(classifier.classes_),
        "channels": X.shape[3] if X.ndim == 4 else 1,
    }
    if X.dtype != np.uint8 and _normalizes(classifier.module):
        params["normalize"] = False  # floats are standardised already
    params |= classifier.module_params or {}
    settings = {f"module__{name}": value for name, value in params.items()}
    return {**settings, "input_mean": mean, "input_scale": scale}


def _optimizer_settings(classifier):
    optimizer = OPTIMIZERS.get(classifier.optimizer, classifier.optimizer)
    settings = {"optimizer": optimizer, "lr": classifier.lr}
    if classifier.weight_decay or "weight_decay" in signature(optimizer).parameters:
        settings["optimizer__weight_decay"] = classifier.weight_decay
    backbone = {"lr": classifier.backbone_lr, "weight_decay": classifier.backbone_weight_decay}
    backbone = {name: value for name, value in backbone.items() if value is not None}
    if backbone:
        settings["optimizer__param_groups"] = [(_BACKBONE, backbone)]
    return settings


def _batch_settings(classifier, task):
    split = FixedSplit(
        task.train,
        task.valid,
        augmentation=classifier.augmentation,
        mixup=classifier.mixup,
        sample_weight=task.sample_weight,
        seed=task.seed,
    )
    settings = {"train_split": split, "batch_size": classifier.batch_size}
    n_epochs, start = classifier.max_epochs, classifier.sampling_from
    if classifier.batch_sampling is not None and np.ceil(start * n_epochs) < n_epochs:
        settings["iterator_train__shuffle"] = False
        settings["iterator_train__sampler"] = BalancedRows(
            task.y[task.train],
            classifier.batch_sampling,
            n_epochs,
            start,
            task.seed,
        )
    return settings


def _callbacks(classifier, task):
    """Give the callbacks in the order in which they have to run; those of the user come last."""
    callbacks, n_epochs = [], classifier.max_epochs
    if classifier.weight_averaging:
        callbacks.append(("weight_averaging", WeightAveraging(classifier.weight_averaging)))
    if len(task.valid):
        callbacks.append(("valid_macro_f1", scoring()))
    if classifier.verbose:
        callbacks.append(("progress", ProgressBar(n_epochs)))  # it shows the last epoch, too
    if len(task.valid):
        callbacks.append(("early_stopping", stopping(classifier.patience)))
    if classifier.gradient_clipping is not None:
        clipping = GradientNormClipping(classifier.gradient_clipping)
        callbacks.append(("gradient_clipping", clipping))
    if classifier.lr_schedule is not None:
        n_steps = n_epochs * -(-len(task.train) // classifier.batch_size)
        schedule = LR_SCHEDULES[classifier.lr_schedule](classifier, n_steps)
        callbacks.append(("lr_schedule", schedule))
    weighted = classifier.class_weight is not None or "weight" in (classifier.loss_params or {})
    if classifier.weight_from and weighted:
        first = int(np.ceil(classifier.weight_from * n_epochs))
        callbacks.append(("deferred_weights", DeferredWeights(first)))
    if classifier.freezing is not None:
        callbacks.append(("unfreezing", Unfreezing(classifier.freezing, n_epochs)))
    return callbacks + [_copied(callback) for callback in classifier.callbacks or []]


def _copied(callback):
    """Copy a callback, into which skorch writes; what it collects in is the user's own."""
    if isinstance(callback, tuple):
        return callback[0], copy(callback[1])
    return copy(callback)
