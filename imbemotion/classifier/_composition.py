"""From the parameters of a classifier to the skorch net that trains them."""

from dataclasses import dataclass
from inspect import signature

import numpy as np
import torch

from imbemotion._training import BalancedRows, FixedSplit, first_epoch, pick_precision
from imbemotion._validation import shorten
from imbemotion.classifier._callbacks import make_callbacks
from imbemotion.classifier._losses import loss_settings
from imbemotion.classifier._modules import find_module, module_settings, without_weights
from imbemotion.images import ImageArray
from imbemotion.net import ImageNeuralNetClassifier

__all__ = ["OPTIMIZERS", "Task", "compose_net"]

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
_BACKBONE = "features.*"  # names of the weights of a network's part "features"
_FREE = ("module__", "input_")  # of the settings made here, what net_params may replace


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
