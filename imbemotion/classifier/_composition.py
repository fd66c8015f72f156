"""From the parameters of a classifier to the skorch net that trains them."""

from copy import copy
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, signature

import numpy as np
import torch
from skorch.callbacks import GradientNormClipping, LRScheduler

from imbemotion._base.validation import shorten
from imbemotion.callbacks import (
    DeferredWeights,
    ProgressBar,
    Unfreezing,
    WeightAveraging,
    first_epoch,
    scoring,
    stopping,
)
from imbemotion.classifier._training_loss import loss_settings
from imbemotion.images import ImageArray
from imbemotion.networks import FeatureNetwork, PretrainedCNN, find_network
from imbemotion.training import (
    BalancedRows,
    FixedSplit,
    ImageNeuralNetClassifier,
    input_scale,
    pick_precision,
)

__all__ = [
    "LR_SCHEDULES",
    "OPTIMIZERS",
    "Task",
    "compose_net",
    "find_module",
    "make_callbacks",
    "module_settings",
    "without_weights",
]


def _step(classifier, n_steps):
    third = max(1, -(-classifier.max_epochs // 3))
    return LRScheduler("StepLR", step_size=third, gamma=0.1, step_every="epoch")


def _cosine(classifier, n_steps):
    return LRScheduler("CosineAnnealingLR", T_max=n_steps, step_every="batch")


def _one_cycle(classifier, n_steps):
    rates = [classifier.lr]
    if classifier.backbone_lr is not None or classifier.backbone_weight_decay is not None:
        backbone_lr = classifier.lr if classifier.backbone_lr is None else classifier.backbone_lr
        rates = [backbone_lr, classifier.lr]  # in the order of the optimizer's groups
    return LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR,
        step_every="batch",
        max_lr=rates if len(rates) > 1 else rates[0],
        total_steps=n_steps,
        cycle_momentum=False,  # not every optimizer has one
    )


LR_SCHEDULES = {"step": _step, "cosine": _cosine, "onecycle": _one_cycle}


def make_callbacks(classifier, task):
    """Make the callbacks in the order in which they have to run; those of the user come last."""
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


def without_weights(module):
    """Give the setting that spares a network of ours its pretrained weights."""
    kind = _class(module)
    takes = issubclass(kind, FeatureNetwork) and "weights" in signature(kind).parameters
    return {"module__weights": None} if takes else {}


def _class(module):
    """Give the class of a network, or ``object`` where a function makes it."""
    module = find_module(module)
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


def find_module(module):
    """Give the class or function of a network."""
    if isinstance(module, torch.nn.Module):
        raise TypeError(
            "module must be a name, a class or a function that makes a network, got an instance "
            f"of {type(module).__name__}. Give the class, and its settings as module_params."
        )
    return find_network(module) if isinstance(module, str) else module


def _checked(classifier):
    """Check the names in ``module_params``."""
    params = classifier.module_params or {}
    known = signature(find_module(classifier.module)).parameters
    unknown = [name for name in params if name not in known]
    if unknown and not any(p.kind is Parameter.VAR_KEYWORD for p in known.values()):
        own = [name for name in known if name not in ("n_classes", "channels")]
        raise ValueError(
            f"module_params gives the network {shorten(unknown)}, but module="
            f"{classifier.module!r} takes {shorten(own) or 'no settings'}."
        )
    return params


def module_settings(classifier, task):
    """Find the settings of the net that belong to the network and its input."""
    X = task.X
    mean, scale = task.input_scale or input_scale(X[task.train])
    params = {
        "n_classes": len(classifier.classes_),
        "channels": X.shape[3] if X.ndim == 4 else 1,
    }
    if X.dtype != np.uint8 and _normalizes(classifier.module):
        params["normalize"] = False  # floats are standardised already
    params |= _checked(classifier)
    settings = {f"module__{name}": value for name, value in params.items()}
    return {**settings, "input_mean": mean, "input_scale": scale}


OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
_BACKBONE = "features.*"  # names of the weights of a network's part "features"
_FREE = ("module__", "input_")  # of the settings made here, what net_params may replace


@dataclass
class Task:
    """What a net is to be trained on."""

    X: ImageArray  # (n_samples, height, width[, channels]) all images
    y: np.ndarray  # (n_samples,) their encoded labels
    sample_weight: np.ndarray | None  # (n_samples,) their weights
    train: np.ndarray  # rows for training, and for validation, which may be none
    valid: np.ndarray  # rows for training, and for validation, which may be none
    device: str  # where to train
    seed: int  # of weights, batches, dropout and augmentation
    input_scale: tuple | None = None  # what to subtract from pixels and divide them by


def compose_net(classifier, task, *, fresh=True):
    """Compose an unfitted net."""
    settings = {
        **module_settings(classifier, task),
        **loss_settings(classifier, weighted=task.sample_weight is not None),
        **_optimizer_settings(classifier),
        **_batch_settings(classifier, task),
        "iterator_valid__batch_size": _prediction_batch(classifier, task.X.shape[1:]),
        "max_epochs": classifier.max_epochs,
        "device": task.device,
        "precision": pick_precision(classifier.precision, task.device),
        "test_time_augmentation": classifier.test_time_augmentation,
        "callbacks": make_callbacks(classifier, task),
        "verbose": 0,
    }
    settings |= _check_net_params(classifier.net_params or {}, settings)
    settings |= {} if fresh else without_weights(classifier.module)
    return ImageNeuralNetClassifier(find_module(classifier.module), **settings)


def _check_net_params(net_params, settings):
    """Refuse what keywords of the classifier decide, and its figures are computed from."""
    owned = {*settings, "iterator_train__batch_size"} - {"iterator_valid__batch_size"}
    taken = [name for name in net_params if name in owned and not name.startswith(_FREE)]
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
    if classifier.batch_sampling is not None and first_epoch(start, n_epochs) < n_epochs:
        settings["iterator_train__shuffle"] = False
        settings["iterator_train__sampler"] = BalancedRows(
            task.y[task.train],
            classifier.batch_sampling,
            n_epochs,
            start,
            task.seed,
        )
    return settings
