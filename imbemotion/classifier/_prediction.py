"""What a fitted classifier gives: probabilities, labels, features and its history."""

from copy import deepcopy

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.autograd.functional import jacobian

from imbemotion.classifier._fitting import check_images
from imbemotion.training import limited_threads

__all__ = [
    "PredictionMixin",
    "linear_head",
]

_AT_REST = (nn.Dropout, nn.Identity)  # in prediction they hand on what they are given
_TOLERANCE = 1e-3  # of logits, relative to the largest: float32 through a whole network


def linear_head(net, image_shape):
    """Give weights and bias by which a network makes logits of its features."""
    network = net.module_
    name, head = type(network).__name__, getattr(network, "head", None)
    if not callable(getattr(network, "features", None)) or not isinstance(head, nn.Module):
        raise AttributeError(
            "head_coef_ and head_intercept_ take networks that consist of features and head, "
            f"got {name}. Take module='residual_cnn', or name the parts of the network so."
        )
    layers = list(_layers(head))
    wrong = [layer for layer in layers if not _is_affine(layer)]
    if wrong or not any(type(layer) is nn.Linear for layer in layers):
        raise AttributeError(
            "head_coef_ and head_intercept_ take networks whose head is linear, got the head of "
            f"{name}, which holds {_named(wrong) or 'no linear layer'}. Take "
            "module='residual_cnn', or a pretrained network with module_params={'hidden': None}."
        )
    coef, intercept = _fold(head, layers)
    _check_logits(net, image_shape, coef, intercept)
    return coef, intercept


def _layers(head):
    """Give the layers in the order in which they run."""
    if type(head) is not nn.Sequential:
        yield head
        return
    for layer in head:
        yield from _layers(layer)


def _is_affine(layer):
    """Tell whether a layer is affine in prediction, and known not to be anything else."""
    if type(layer) is nn.BatchNorm1d:
        return layer.running_mean is not None
    return type(layer) in (nn.Linear, *_AT_REST)


def _named(layers):
    return ", ".join(dict.fromkeys(type(layer).__name__ for layer in layers))


def _fold(head, layers):
    """Make one layer of all: what they give for zeros, and how it changes with the features."""
    first = next(layer for layer in layers if not isinstance(layer, _AT_REST))
    n_features = first.in_features if isinstance(first, nn.Linear) else first.num_features
    head = deepcopy(head).cpu().double().eval()
    zeros = torch.zeros(1, n_features, dtype=torch.float64)
    coef = jacobian(lambda features: head(features)[0], zeros)[:, 0]  # (n_classes, n_features)
    return coef.contiguous().numpy(), head(zeros)[0].detach().numpy()


def _check_logits(net, image_shape, coef, intercept):
    """Compare with the network on two images, for it may do more than features and head."""
    noise = np.random.default_rng(0).uniform(size=(2, *image_shape))
    images = np.float32(net.input_mean + np.multiply(net.input_scale, noise))
    expected = net.transform(images) @ coef.T + intercept
    with torch.no_grad():  # transform has set the mode of prediction
        logits = net.infer(torch.as_tensor(images)).cpu().numpy()
    if np.abs(logits - expected).max() > _TOLERANCE * max(1.0, np.abs(expected).max()):
        raise AttributeError(
            "head_coef_ and head_intercept_ take networks whose logits are those of the head, "
            f"got {type(net.module_).__name__}, which does more than head(features(images))."
        )


class PredictionMixin:
    """The methods of a classifier that has a fitted ``net_`` and ``classes_``."""

    def predict_proba(self, X):
        """Estimate the probability of every class.

        Parameters
        ----------
        X : ImageArray, array-like of images, array-like of paths, or flat data
            Images of the same shape as in ``fit``.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``; rows sum to 1.
        """
        return self._run("predict_proba", X)

    def predict(self, X):
        """Predict the most probable label.

        Parameters
        ----------
        X : ImageArray, array-like of images, array-like of paths, or flat data
            Images of the same shape as in ``fit``.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            One of ``classes_`` for every image.
        """
        winners = self.predict_proba(X).argmax(axis=1)
        return self.classes_[winners]

    def transform(self, X):
        """Compute the features that the head of the network decides by.

        Parameters
        ----------
        X : ImageArray, array-like of images, array-like of paths, or flat data
            Images of the same shape as in ``fit``.

        Returns
        -------
        features : ndarray of float32 of shape (n_samples, n_features)
            Output of the network's part ``features``.

        Raises
        ------
        TypeError
            If the network has no such part.
        """
        return self._run("transform", X)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    def _run(self, method, X):
        check_is_fitted(self, "net_")
        X = check_images(self, X, reset=False)
        self.net_.test_time_augmentation = self.test_time_augmentation
        with limited_threads(self.n_threads):
            return getattr(self.net_, method)(X)

    @property
    def head_coef_(self):
        """Weights by which the head makes logits of the features, (n_classes, n_features)."""
        return self._linear_head()[0]

    @property
    def head_intercept_(self):
        """What the head adds to the logits, (n_classes,)."""
        return self._linear_head()[1]

    def _linear_head(self):
        check_is_fitted(self, "net_")
        with limited_threads(self.n_threads):
            return linear_head(self.net_, self.image_shape_)

    @property
    def history_(self):
        """Losses, macro-F1 on the validation images, and seconds of every epoch; the best one."""
        check_is_fitted(self, "net_")
        table = pd.DataFrame(self.net_.history.to_list())
        technical = table.columns.str.endswith(("batches", "_batch_count", "_best"))
        technical |= table.columns.str.startswith("event_")
        return table.loc[:, ~technical].rename(columns={"dur": "seconds"})
