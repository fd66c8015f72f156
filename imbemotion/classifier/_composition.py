"""From the parameters of a classifier to the skorch net that trains them."""

from copy import deepcopy
from inspect import signature

import torch
from skorch.callbacks import EarlyStopping, EpochScoring, GradientNormClipping, LRScheduler

from imbemotion._training import FixedSplit, input_scale, no_print, valid_macro_f1
from imbemotion.losses import LOSSES, class_weights
from imbemotion.net import ImageNeuralNetClassifier
from imbemotion.networks import NETWORKS

__all__ = ["LR_SCHEDULES", "OPTIMIZERS", "compose_net"]

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


def compose_net(classifier, X, train, valid, device, seed):
    """Compose an unfitted net.

    Parameters
    ----------
    classifier : CNNClassifier
        Its parameters, ``classes_`` and ``class_counts_`` are used.

    X : ImageArray of shape (n_samples, height, width[, channels])
        All images.

    train, valid : ndarray of int
        Rows for training, and for validation, which may be none.

    device : str
        Where to train.

    seed : int
        Of the augmentation.

    Returns
    -------
    net : ImageNeuralNetClassifier
        To be fitted on X and the encoded labels.
    """
    mean, scale = input_scale(X[train])
    settings = {
        "module__n_classes": len(classifier.classes_),
        "module__channels": X.shape[3] if X.ndim == 4 else 1,
        "criterion": LOSSES.get(classifier.loss, classifier.loss),
        "optimizer": OPTIMIZERS.get(classifier.optimizer, classifier.optimizer),
        "optimizer__weight_decay": classifier.weight_decay,
        "lr": classifier.lr,
        "max_epochs": classifier.max_epochs,
        "batch_size": classifier.batch_size,
        "train_split": FixedSplit(train, valid, classifier.augmentation, seed),
        "callbacks": _callbacks(classifier, len(train), validating=len(valid) > 0),
        "device": device,
        "input_mean": mean,
        "input_scale": scale,
        "verbose": classifier.verbose,
        **_loss_settings(classifier),
        **(classifier.net_params or {}),
    }
    return ImageNeuralNetClassifier(NETWORKS.get(classifier.module, classifier.module), **settings)


def _loss_settings(classifier):
    settings = dict(classifier.loss_params or {})
    loss = LOSSES.get(classifier.loss, classifier.loss)
    weights = _class_weights(classifier, settings)
    if "class_counts" in signature(loss).parameters:
        settings.setdefault("class_counts", classifier.class_counts_)
    if weights is not None and "weight" in settings:
        raise ValueError(
            f"class_weight={classifier.class_weight!r} and a weight in loss_params exclude each "
            "other. Give one of them."
        )
    if weights is not None:
        settings["weight"] = torch.as_tensor(weights)
    return {f"criterion__{name}": value for name, value in settings.items()}


def _class_weights(classifier, settings):
    """Compute the class weights; beta belongs to them, not to the loss."""
    effective = classifier.class_weight == "effective"
    beta = {"beta": settings.pop("beta")} if effective and "beta" in settings else {}
    counts = classifier.class_counts_
    return class_weights(classifier.class_weight, classifier.classes_, counts, **beta)


def _step(classifier, n_steps):
    third = max(1, -(-classifier.max_epochs // 3))
    return LRScheduler("StepLR", step_size=third, gamma=0.1, step_every="epoch")


def _cosine(classifier, n_steps):
    return LRScheduler("CosineAnnealingLR", T_max=n_steps, step_every="batch")


def _one_cycle(classifier, n_steps):
    return LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR,
        step_every="batch",
        max_lr=classifier.lr,
        total_steps=n_steps,
        cycle_momentum=False,  # not every optimizer has one
    )


LR_SCHEDULES = {"step": _step, "cosine": _cosine, "onecycle": _one_cycle}


def _callbacks(classifier, n_train, validating):
    callbacks = deepcopy(classifier.callbacks or [])  # skorch writes into them
    if classifier.lr_schedule is not None:
        n_steps = classifier.max_epochs * -(-n_train // classifier.batch_size)
        schedule = LR_SCHEDULES[classifier.lr_schedule](classifier, n_steps)
        callbacks.insert(0, ("lr_schedule", schedule))
    if classifier.gradient_clipping is not None:
        clipping = GradientNormClipping(classifier.gradient_clipping)
        callbacks.insert(0, ("gradient_clipping", clipping))
    if not validating:
        return callbacks
    scoring = EpochScoring(valid_macro_f1, name="valid_macro_f1", lower_is_better=False)
    stopping = EarlyStopping(
        "valid_macro_f1",
        patience=classifier.patience,
        lower_is_better=False,
        threshold=0,
        load_best=True,
        sink=no_print,
    )
    return [("valid_macro_f1", scoring), ("early_stopping", stopping), *callbacks]
