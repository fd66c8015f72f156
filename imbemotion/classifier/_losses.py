"""The loss of a classifier: its settings, its class weights, and the prior that it trains."""

from inspect import signature

import numpy as np
import torch

from imbemotion._training import epoch_shares
from imbemotion.losses import LOSSES, class_weights

__all__ = ["loss_settings", "training_prior"]


def loss_settings(classifier, *, weighted):
    """Find the settings of the net that belong to the loss.

    Parameters
    ----------
    classifier : CNNClassifier
        Its parameters, ``classes_`` and ``class_counts_`` are used.

    weighted : bool
        Whether the images have weights.

    Returns
    -------
    settings : dict
        Keywords of ``ImageNeuralNetClassifier``.

    Raises
    ------
    ValueError
        If class weights are given twice, or the loss can't do what is asked for.
    """
    loss = LOSSES.get(classifier.loss, classifier.loss)
    params = dict(classifier.loss_params or {})
    weights = _class_weights(classifier, params)
    if "class_counts" in signature(loss).parameters:
        params.setdefault("class_counts", classifier.class_counts_)
    if weights is not None and "weight" in params:
        raise ValueError(
            f"class_weight={classifier.class_weight!r} and a weight in loss_params exclude each "
            "other. Give one of them."
        )
    if weights is not None:
        params["weight"] = torch.as_tensor(weights)
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


def _ask_for_single_losses(classifier, loss, params):
    if "reduction" not in signature(loss).parameters:
        raise ValueError(
            "sample_weight and label_smoothing need a loss of single images (one that takes "
            f"reduction), got loss={classifier.loss!r}. Use another one, or class_weight."
        )
    params["reduction"] = "none"


def training_prior(classifier, y, sample_weight, criterion, epoch):
    """Compute the prior that the probabilities of a trained network hold.

    Parameters
    ----------
    classifier : CNNClassifier
        Its parameters and ``class_counts_`` are used.

    y : ndarray of int of shape (n_train,)
        Encoded labels of the training rows.

    sample_weight : ndarray of shape (n_train,) or None
        Their weights.

    criterion : nn.Module
        The loss with its class weights.

    epoch : int
        The epoch that the weights come from, from 0.

    Returns
    -------
    prior : ndarray of float of shape (n_classes,)
        They sum to 1.
    """
    counts, n_epochs = classifier.class_counts_, classifier.max_epochs
    start = classifier.sampling_from
    shares = epoch_shares(classifier.batch_sampling, counts, epoch, n_epochs, start)
    if sample_weight is not None:
        sums = np.bincount(y, weights=sample_weight, minlength=len(counts))
        shares = shares * sums / np.bincount(y, minlength=len(counts)).clip(min=1)
    weight = getattr(criterion, "weight", None)
    if weight is not None and epoch >= np.ceil(classifier.weight_from * n_epochs):
        shares = shares * weight.double().cpu().numpy()
    adjustment = getattr(criterion, "adjustment", None)
    if adjustment is not None:  # was added to the logits, so the network need not learn it
        shares = shares * np.exp(-adjustment.double().cpu().numpy())
    return shares / shares.sum()
