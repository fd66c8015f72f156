"""The class shares that a classifier was trained on: counted, or as the classifier tells."""

from contextlib import contextmanager
from functools import wraps
from typing import NamedTuple

import numpy as np
from sklearn.frozen import FrozenEstimator

__all__ = ["Seen", "find_trained_prior", "noting_labels", "share_out"]

_OWN_PRIORS = {  # settings by which others than this library change the prior
    "auto_class_weights", "class_prior", "class_weights", "criterion__weight", "is_unbalance",
    "priors", "sampling_strategy", "scale_pos_weight",
}  # fmt: skip
_NEUTRAL = {"None", "False", "1", "1.0"}


class Seen(NamedTuple):
    """What the last step of a pipeline was fitted on."""

    y: np.ndarray  # (n_samples,), after all samplers
    weight: np.ndarray | None  # (n_samples,)


class _UnknownPriorError(Exception):
    """Says why the prior can't be told."""


def share_out(y, weight, classes):
    """Compute the shares of classes among labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        The labels; all of them among the classes.

    weight : array-like of shape (n_samples,) or None
        How much every label counts; None means 1.

    classes : ndarray of shape (n_classes,)
        The classes, in any order.

    Returns
    -------
    shares : ndarray of float of shape (n_classes,)
        They sum to 1.
    """
    order = np.argsort(classes)
    codes = order[np.searchsorted(classes, np.asarray(y), sorter=order)]
    sums = np.bincount(codes, weights=weight, minlength=len(classes))
    return sums / sums.sum()


@contextmanager
def noting_labels(estimator):
    """Note what the last step of a pipeline is fitted on, whatever samplers do before it.

    Samplers say in many ways how many rows they gave, and some not at all.

    Parameters
    ----------
    estimator : classifier
        A pipeline, also a nested one, or any other classifier; its ``fit`` runs inside.

    Yields
    ------
    seen : list of Seen
        Empty for a frozen classifier, which ``fit`` does not fit.
    """
    last, seen = estimator, []
    while hasattr(last, "steps") and not isinstance(last, FrozenEstimator):
        last = last.steps[-1][1]
    if isinstance(last, FrozenEstimator):
        yield seen
        return
    fit = last.fit

    @wraps(fit)
    def noting_fit(X, y, **params):
        seen.append(Seen(np.asarray(y), params.get("sample_weight")))
        return fit(X, y, **params)

    last.fit = noting_fit
    try:
        yield seen
    finally:
        vars(last).pop("fit")


def find_trained_prior(fitted, classes, seen):
    """Find the class shares that probabilities of a fitted classifier are relative to.

    Parameters
    ----------
    fitted : classifier
        A pipeline, a search, a frozen estimator, or any other classifier.

    classes : ndarray of shape (n_classes,)
        Its labels.

    seen : list of Seen
        As of ``noting_labels``.

    Returns
    -------
    prior : ndarray of float of shape (n_classes,)
        They sum to 1. Those of the last step's ``training_prior_`` where it has it, else its
        labels as they were weighted.

    Raises
    ------
    ValueError
        If they can't be told.
    """
    last, samplers, frozen = _last_step(fitted)
    if hasattr(last, "training_prior_"):
        prior = np.asarray(last.training_prior_, dtype=np.float64)
        return prior / prior.sum()
    try:
        _refuse_what_hides_it(last)
        if samplers:
            shares = _totals(samplers[-1], classes)
        elif frozen or not seen:
            raise _UnknownPriorError("was fitted before, on rows that are not known here")
        else:
            shares = share_out(*seen[0], classes)
        weighted = not samplers and seen[0].weight is not None
        shares = shares * _class_weights(last, classes, shares, weighted)
    except _UnknownPriorError as reason:
        raise ValueError(
            f"trained_prior='auto' can't tell which class shares {type(last).__name__} was "
            f"trained on, since it {reason}. Give trained_prior: an array in the order of "
            "classes_, or a dict of label to share."
        ) from reason
    return shares / shares.sum()


def _last_step(fitted):
    """Give the innermost classifier, samplers whose labels were not noted, and if it is frozen."""
    samplers, frozen, noted = [], False, True
    while True:
        if isinstance(fitted, FrozenEstimator):  # samplers before it were not for it
            fitted, samplers, frozen, noted = fitted.estimator, [], True, False
        elif hasattr(fitted, "steps"):
            steps = [step for _, step in fitted.steps]
            samplers += [s for s in steps[:-1] if hasattr(s, "fit_resample") and not noted]
            fitted = steps[-1]
        elif hasattr(fitted, "best_estimator_"):  # a search
            fitted, noted = fitted.best_estimator_, False
        else:
            return fitted, samplers, frozen


def _totals(sampler, classes):
    """Give the numbers of rows that a sampler of this library ended with, (n_classes,)."""
    if not hasattr(sampler, "target_counts"):
        raise _UnknownPriorError(
            f"was fitted on what {type(sampler).__name__} made, inside a search or before, which "
            "does not tell numbers of rows"
        )
    return np.array([sampler.sampling_strategy_.get(c, 0) for c in classes.tolist()], float)


def _refuse_what_hides_it(classifier):
    """Refuse what holds other classifiers, resamples inside, or is told a prior of its own."""
    if not hasattr(classifier, "get_params"):
        return
    for name, value in classifier.get_params().items():
        if hasattr(value, "fit_resample") or (hasattr(value, "fit") and hasattr(value, "predict")):
            raise _UnknownPriorError(f"fits {type(value).__name__} inside ({name})")
        if _sets_prior(name, value):
            raise _UnknownPriorError(f"has the setting {name}={value!r}")


def _sets_prior(name, value):
    if name == "fit_prior":  # of naive Bayes
        return not value
    if name == "criterion":  # of skorch, and of trees, where it is a name
        return callable(value) and getattr(value, "__name__", "") != "CrossEntropyLoss"
    return name in _OWN_PRIORS and str(value) not in _NEUTRAL


def _class_weights(classifier, classes, shares, weighted):
    """Give the weights of the classes in training, (n_classes,) or 1."""
    given = getattr(classifier, "class_weight", None)
    if given is None:
        return 1
    if hasattr(classifier, "probA_"):
        raise _UnknownPriorError(f"fits its probabilities to what class_weight={given!r} made")
    if not isinstance(given, str):
        return np.array([given.get(label, 1.0) for label in classes.tolist()])
    if weighted:  # some count rows, others weights
        raise _UnknownPriorError(f"has sample_weight and class_weight={given!r} at once")
    return 1 / np.where(shares > 0, shares, 1)
