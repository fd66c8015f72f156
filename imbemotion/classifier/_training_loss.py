"""The loss of a classifier: its settings, its class weights, and the prior that it trains."""

from inspect import Parameter, signature

import numpy as np
import torch
from torch import nn

from imbemotion._base.registry import LOSSES
from imbemotion._base.validation import shorten
from imbemotion.callbacks import first_epoch
from imbemotion.losses import class_weights
from imbemotion.training import epoch_shares

__all__ = [
    "loss_settings",
    "training_prior",
]

_LEARNED = ("weight", "class_counts")  # settings that come from the training data


def loss_settings(classifier, *, weighted):
    """Find the settings of the net that belong to the loss."""
    loss = classifier.loss
    loss = LOSSES.load(loss) if isinstance(loss, str) else loss
    if isinstance(loss, nn.Module):
        raise TypeError(
            "loss must be a name, a class or a function that makes a loss, got an instance of "
            f"{type(loss).__name__}. Give the class, and its settings as loss_params."
        )
    params = dict(classifier.loss_params or {})
    weights = _class_weights(classifier, params)
    if weights is not None and "weight" in params:
        raise ValueError(
            f"class_weight={classifier.class_weight!r} and a weight in loss_params exclude each "
            "other. Give one of them."
        )
    if weights is not None:
        params["weight"] = weights
    _check_params(classifier, loss, params)
    if "weight" in params and params["weight"] is not None:
        params["weight"] = torch.as_tensor(params["weight"], dtype=torch.float32)
    if _takes(loss, "class_counts", by_name=True):
        params.setdefault("class_counts", classifier.class_counts_)
    if weighted or classifier.label_smoothing:
        _ask_for_single_losses(classifier, loss, params)
    settings = {f"criterion__{name}": value for name, value in params.items()}
    settings["criterion"] = loss
    settings["label_smoothing"] = classifier.label_smoothing
    settings["class_shares"] = classifier.class_counts_ / classifier.class_counts_.sum()
    return settings


def _class_weights(classifier, params):
    """Compute the class weights; beta belongs to them, not to the loss."""
    effective = classifier.class_weight == "effective"
    beta = {"beta": params.pop("beta")} if effective and "beta" in params else {}
    counts = classifier.class_counts_
    return class_weights(classifier.class_weight, classifier.classes_, counts, **beta)


def _takes(loss, name, *, by_name=False):
    """Tell whether a loss has a setting; one with ``**kwargs`` may have any."""
    parameters = signature(loss).parameters
    if name in parameters or by_name:
        return name in parameters
    return any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values())


def _check_params(classifier, loss, params):
    unknown = [name for name in params if not _takes(loss, name)]
    if not unknown:
        return
    known = [name for name in signature(loss).parameters if name not in _LEARNED]
    given = "class_weight" if unknown == ["weight"] else "loss_params"
    raise ValueError(
        f"{given} gives the loss {shorten(unknown)}, but loss={classifier.loss!r} takes "
        f"{shorten(known) or 'no settings'}. Choose another loss, or leave {given} out."
    )


def _ask_for_single_losses(classifier, loss, params):
    if not _takes(loss, "reduction"):
        raise ValueError(
            "sample_weight and label_smoothing need a loss of single images (one that takes "
            f"reduction), got loss={classifier.loss!r}. Use another one, or class_weight."
        )
    if params.setdefault("reduction", "none") not in ("none", "mean"):
        raise ValueError(
            "sample_weight and label_smoothing take the mean over the images, got "
            f"reduction={params['reduction']!r} in loss_params. Leave it out."
        )
    params["reduction"] = "none"


def training_prior(classifier, task, net, epoch):
    """Compute the prior that the probabilities of a trained network hold."""
    counts, n_epochs = classifier.class_counts_, classifier.max_epochs
    natural, smoothing = counts / counts.sum(), classifier.label_smoothing
    start = classifier.sampling_from
    shares = epoch_shares(classifier.batch_sampling, counts, epoch, n_epochs, start)
    if task.sample_weight is not None:
        shares = shares * _mean_weights(task, len(counts))
    shares = (1 - smoothing) * shares / shares.sum() + smoothing * natural
    weight = getattr(net, "criterion__weight", None)
    if weight is not None and epoch >= first_epoch(classifier.weight_from, n_epochs):
        shares = shares * weight.double().cpu().numpy()
    adjustment = getattr(net.criterion_, "adjustment", None)
    if isinstance(adjustment, torch.Tensor):  # was added to the logits, and need not be learned
        shares = shares * np.exp(-adjustment.double().cpu().numpy())
    return shares / shares.sum()


def _mean_weights(task, n_classes):
    """Average the weights of the images of every class, 1 for one without images."""
    y, weights = task.y[task.train], task.sample_weight[task.train]
    n_images = np.bincount(y, minlength=n_classes)
    sums = np.bincount(y, weights=weights, minlength=n_classes)
    return np.where(n_images > 0, sums / n_images.clip(min=1), 1.0)
