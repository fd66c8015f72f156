"""Heads on features: linear ones that are scaled or computed, and one that is learned."""

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_array

from imbemotion._base.validation import shorten

__all__ = ["HEADS", "LinearHead", "balanced_weights", "fit_named_head", "learn_scales"]

HEADS = ("crt", "lws", "ncm", "tau_norm")


def _dense(features):
    """Give finite features as one table of float64: NaN would make every row the first class."""
    features = features.toarray() if sparse.issparse(features) else features
    return check_array(features, dtype=np.float64, input_name="features")


class LinearHead:
    """A classifier whose logits are linear in the features."""

    def __init__(self, coef, intercept, classes):
        self.coef_ = coef
        self.intercept_ = intercept
        self.classes_ = classes

    def logits(self, features):
        """Give the logits, (n_samples, n_classes)."""
        return _dense(features) @ self.coef_.T + self.intercept_

    def predict(self, features):
        """Give the label with the largest logit, (n_samples,)."""
        return self.classes_[self.logits(features).argmax(axis=1)]

    def predict_proba(self, features):
        """Give the softmax of the logits, (n_samples, n_classes)."""
        return softmax(self.logits(features), axis=1)


def fit_named_head(name, features, y, *, estimator, balance, tau):
    """Learn a head."""
    if name == "crt":
        weight = "balanced" if balance else None
        return LogisticRegression(class_weight=weight, max_iter=10_000).fit(features, y)
    features = _dense(features)
    if name == "ncm":
        return _nearest_centroids(features, y)
    head = _own_head(name, estimator, features)
    if name == "tau_norm":
        return _normalise(head, tau)
    return _scale(head, features, y, balance)


def _nearest_centroids(features, y):
    """Give logits that are the negative squared distances from the means of the classes."""
    # What is the same in all classes is left out: the square of the features, and where the middle
    # of the means lies, whose square could swallow the distances.
    classes = np.unique(y)
    means = np.stack([features[y == label].mean(axis=0) for label in classes])
    middle = means.mean(axis=0)
    apart = means - middle
    return LinearHead(2 * apart, -(apart * (apart + 2 * middle)).sum(axis=1), classes)


def _own_head(name, estimator, features):
    """Give the head that the estimator was trained with."""
    last = _last(estimator)
    try:
        coef, intercept = np.asarray(last.head_coef_), np.asarray(last.head_intercept_)
    except AttributeError as error:
        raise TypeError(
            f"head={name!r} needs an estimator that has head_coef_ and head_intercept_, got "
            f"{type(last).__name__}: {error} Or take head='crt' or 'ncm', which learn from the "
            "features alone."
        ) from error
    n_classes = len(estimator.classes_)
    if coef.shape != (n_classes, features.shape[1]) or intercept.shape != (n_classes,):
        raise ValueError(
            f"head_coef_ and head_intercept_ of {type(last).__name__} must be of shape "
            f"{(n_classes, features.shape[1])} and {(n_classes,)}, got {coef.shape} and "
            f"{intercept.shape}. With them transform(X) @ head_coef_.T + head_intercept_ are the "
            "logits."
        )
    return LinearHead(coef, intercept, np.asarray(estimator.classes_))


def _last(estimator):
    """Give what stands at the end of pipelines, in searches and frozen estimators."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        else:
            return estimator


def _normalise(head, tau):
    norms = np.linalg.norm(head.coef_, axis=1)
    norms[norms == 0] = 1.0  # weights that are all 0 stay so
    return LinearHead(head.coef_ / norms[:, None] ** tau, head.intercept_, head.classes_)


def _scale(head, features, y, balance):
    unknown = np.setdiff1d(y, head.classes_).tolist()
    if unknown:
        raise ValueError(
            "head='lws' scales the logits of classes that the estimator knows, got "
            f"{unknown[0]!r} in y, which is none of {shorten(head.classes_)}. Take head='crt' "
            "or 'ncm'."
        )
    order = np.argsort(head.classes_)
    codes = order[np.searchsorted(head.classes_, y, sorter=order)]
    weights = balanced_weights(codes) if balance else np.full(len(codes), 1 / len(codes))
    scales = learn_scales(head.logits(features), codes, weights)
    return LinearHead(head.coef_ * scales[:, None], head.intercept_ * scales, head.classes_)


def balanced_weights(codes):
    """Weigh rows so that all classes count alike."""
    sizes = np.bincount(codes)
    return 1 / (sizes[codes] * np.count_nonzero(sizes))


def learn_scales(logits, codes, weights):
    r"""Find the factor of every class's logit that makes the cross-entropy smallest."""
    # .. math:: -\sum_i w_i \log \mathrm{softmax}(s \, z_i)_{y_i} + \frac{1}{2n} \|s - 1\|^2
    # It is convex in s, and its last term, as small as that of ``LogisticRegression(C=1)``, gives
    # it a smallest value also where all rows are predicted right. No factor is negative: logits of
    # rare classes hardly ever are positive, and with a negative factor the rows that look least
    # like the class would be given to it.
    n_classes = logits.shape[1]
    seen = np.isin(np.arange(n_classes), codes)
    found = minimize(
        _cross_entropy,
        np.ones(n_classes),
        args=(logits, codes, weights),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None) if known else (1, 1) for known in seen],
        options={"maxiter": 1000},
    )
    return found.x


def _cross_entropy(scales, logits, codes, weights):
    """Give the penalised cross-entropy of scaled logits, and its gradient (n_classes,)."""
    rows = np.arange(len(codes))
    log_p = log_softmax(logits * scales, axis=1)
    wrong = np.exp(log_p)
    wrong[rows, codes] -= 1
    loss = -weights @ log_p[rows, codes] + ((scales - 1) ** 2).sum() / (2 * len(codes))
    return loss, weights @ (wrong * logits) + (scales - 1) / len(codes)
