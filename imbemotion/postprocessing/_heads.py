"""Heads on features: logistic regression, scaled or normalized weights, nearest class means."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_array

from imbemotion._base.validation import shorten


def _dense(features):
    """Return finite features as float64; NaN would make every row the first class."""
    features = features.toarray() if sparse.issparse(features) else features
    return check_array(features, dtype=np.float64, input_name="features")


def as_scores(logits):
    """Return logits as scikit-learn's decision functions do: one number for two classes."""
    return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits


@dataclass
class LinearHead:
    """A classifier whose logits are linear in the features."""

    coef_: np.ndarray  # (n_classes, n_features)
    intercept_: np.ndarray  # (n_classes,)
    classes_: np.ndarray

    def logits(self, features):
        """Return the logits, (n_samples, n_classes)."""
        return _dense(features) @ self.coef_.T + self.intercept_

    def decision_function(self, features):
        """Return the logits; of two classes their difference, (n_samples,)."""
        return as_scores(self.logits(features))

    def predict(self, features):
        """Return the label with the largest logit, (n_samples,)."""
        return self.classes_[self.logits(features).argmax(axis=1)]

    def predict_proba(self, features):
        """Return the softmax of the logits, (n_samples, n_classes)."""
        return softmax(self.logits(features), axis=1)


# Each of these returns a classifier; with balance, classes count equally.
def fit_crt(features, y, *, estimator, balance, tau):
    """Retrain the classifier: logistic regression."""
    weight = "balanced" if balance else None
    return LogisticRegression(class_weight=weight, max_iter=10_000).fit(features, y)


def fit_ncm(features, y, *, estimator, balance, tau):
    """Choose the nearest class mean: logits are negative squared distances."""
    features, classes = _dense(features), np.unique(y)
    means = np.stack([features[y == label].mean(axis=0) for label in classes])
    # Terms equal for all classes are left out: the squares of the features, and the middle of the
    # means, whose square could swallow the distances.
    middle = means.mean(axis=0)
    apart = means - middle
    return LinearHead(2 * apart, -(apart * (apart + 2 * middle)).sum(axis=1), classes)


def fit_tau_norm(features, y, *, estimator, balance, tau):
    """Divide the weights of each class by their norm to the power of tau."""
    head = estimator_head("tau_norm", estimator, features)
    norms = np.linalg.norm(head.coef_, axis=1)
    norms[norms == 0] = 1.0  # weights that are all 0 stay 0
    return LinearHead(head.coef_ / norms[:, None] ** tau, head.intercept_, head.classes_)


def fit_lws(features, y, *, estimator, balance, tau):
    """Learn a factor for the logit of each class."""
    head = estimator_head("lws", estimator, features)
    unknown = np.setdiff1d(y, head.classes_).tolist()
    if unknown:
        raise ValueError(
            "head='lws' scales the logits of the estimator's classes "
            f"({shorten(head.classes_)}), got {unknown[0]!r:.90} in y. Use head='crt' or 'ncm'."
        )
    order = np.argsort(head.classes_)
    codes = order[np.searchsorted(head.classes_, y, sorter=order)]
    weights = balanced_weights(codes) if balance else np.full(len(codes), 1 / len(codes))
    scales = learn_scales(head.logits(features), codes, weights)
    return LinearHead(head.coef_ * scales[:, None], head.intercept_ * scales, head.classes_)


def estimator_head(name, estimator, features):
    """Return the head that the estimator was trained with."""
    last = estimator
    while hasattr(last, "best_estimator_") or hasattr(last, "steps"):  # FrozenEstimator, too
        last = last.best_estimator_ if hasattr(last, "best_estimator_") else last.steps[-1][1]
    try:
        coef, intercept = np.asarray(last.head_coef_), np.asarray(last.head_intercept_)
    except AttributeError as error:
        raise TypeError(
            f"head={name!r:.90} needs an estimator with head_coef_ and head_intercept_, got "
            f"{type(last).__name__}: {error} Or use head='crt' or 'ncm', which need features only."
        ) from error
    expected = (len(estimator.classes_), np.shape(features)[1]), (len(estimator.classes_),)
    if (coef.shape, intercept.shape) != expected:
        raise ValueError(
            f"head_coef_ and head_intercept_ of {type(last).__name__} must be of shape "
            f"{expected[0]} and {expected[1]}, got {coef.shape} and {intercept.shape}. The logits "
            "must be transform(X) @ head_coef_.T + head_intercept_."
        )
    return LinearHead(coef, intercept, np.asarray(estimator.classes_))


def balanced_weights(codes):
    """Weight rows so that all classes count equally."""
    sizes = np.bincount(codes)
    return 1 / (sizes[codes] * np.count_nonzero(sizes))


def learn_scales(logits, codes, weights):
    """Return the factor of each class's logit that minimizes the cross-entropy, by L-BFGS."""
    # The penalty |s - 1|^2 / 2n, as small as that of LogisticRegression(C=1), gives the convex
    # loss a minimum also where all rows are predicted right. No factor is negative: logits of rare
    # classes are seldom positive, and a negative factor would assign them the rows that look least
    # like the class. Classes without rows keep 1.
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
    """Return the penalized cross-entropy of scaled logits, and its gradient (n_classes,)."""
    rows = np.arange(len(codes))
    log_p = log_softmax(logits * scales, axis=1)
    wrong = np.exp(log_p)
    wrong[rows, codes] -= 1
    loss = -weights @ log_p[rows, codes] + ((scales - 1) ** 2).sum() / (2 * len(codes))
    return loss, weights @ (wrong * logits) + (scales - 1) / len(codes)
