"""The class shares that a classifier was trained on: counted, or as the classifier tells."""

from collections.abc import Mapping
from contextlib import contextmanager
from functools import update_wrapper
from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.frozen import FrozenEstimator

from imbemotion._base.validation import shorten

__all__ = ["Seen", "find_trained_prior", "find_weight", "noting_labels", "share_out"]

_OWN_PRIORS = {  # settings by which others than this library change the prior
    "auto_class_weights", "class_prior", "class_weights", "criterion__pos_weight",
    "criterion__weight", "is_unbalance", "iterator_train__batch_sampler",
    "iterator_train__sampler", "priors", "sampling_strategy", "scale_pos_weight",
}  # fmt: skip
_NEUTRAL = {"None", "False", "1", "1.0"}
_CROSS_ENTROPIES = {"BCEWithLogitsLoss", "CrossEntropyLoss", "NLLLoss"}


class Seen(NamedTuple):
    """What the last step of a pipeline was fitted on."""

    y: np.ndarray  # (n_samples,), after all samplers
    params: dict  # what else its fit was given


class _LastStep(NamedTuple):
    """The innermost classifier, and what lies around it."""

    classifier: Any
    samplers: list  # those whose labels were not noted
    frozen: bool
    searched: bool
    path: str  # by which the innermost search gives it parameters


class _UnknownPriorError(Exception):
    """Says why the prior can't be told."""


def share_out(y, weight, classes):
    """Compute the shares of classes among labels."""
    order, y = np.argsort(classes), np.asarray(y)
    codes = order[np.searchsorted(classes, y, sorter=order)]
    weights = np.broadcast_to(1.0 if weight is None else weight, y.shape)
    sums = np.bincount(codes, weights=weights, minlength=len(classes))
    if not ((sums >= 0).all() and 0 < sums.sum() < np.inf):
        raise ValueError(
            f"sample_weight must be finite and at least 0, and not 0 for all rows, got sums of "
            f"{shorten(sums.tolist())} for the classes {shorten(classes)}."
        )
    return sums / sums.sum()


@contextmanager
def noting_labels(estimator):
    """Note what the last step of a pipeline is fitted on, whatever samplers do before it."""
    # Samplers say in many ways how many rows they gave, and some not at all.
    last, seen = estimator, []
    while hasattr(last, "steps") and not isinstance(last, FrozenEstimator):
        last = last.steps[-1][1]
    if isinstance(last, FrozenEstimator):
        yield seen
        return
    last.fit = _NotingFit(last, seen)
    try:
        yield seen
    finally:
        vars(last).pop("fit", None)


class _NotingFit:
    """The ``fit`` of one classifier, which notes what it is given."""

    # A copy or a pickle that the classifier makes of itself meanwhile has its own ``fit`` instead.

    def __init__(self, classifier, seen):
        update_wrapper(self, classifier.fit)
        self._classifier, self._seen = classifier, seen

    def __call__(self, X, y, **params):
        self._seen.append(Seen(np.asarray(y), params))
        return self.__wrapped__(X, y, **params)

    def __reduce__(self):
        return getattr, (self._classifier, "fit")


def find_trained_prior(fitted, classes, seen):
    """Find the class shares that probabilities of a fitted classifier are relative to."""
    step = _last_step(fitted)
    last = step.classifier
    if hasattr(last, "training_prior_"):
        prior = np.asarray(last.training_prior_, dtype=np.float64)
        return prior / prior.sum()
    try:
        _refuse_what_hides_it(last)
        weight = None if step.samplers else find_weight(fitted, seen)
        shares = _counted(step, classes, seen, weight)
        shares = shares * _class_weights(last, classes, shares, weighted=weight is not None)
    except _UnknownPriorError as reason:
        raise ValueError(
            f"trained_prior='auto' can't tell which class shares {type(last).__name__} was "
            f"trained on, since it {reason}. Give trained_prior: an array in the order of "
            "classes_, or a dict of label to share."
        ) from reason
    return shares / shares.sum()


def find_weight(fitted, seen):
    """Find the weights of rows that reached the last step."""
    step, name = _last_step(fitted), "sample_weight"
    if step.frozen or not seen:
        return None
    if step.searched and get_config()["enable_metadata_routing"]:
        requests = getattr(step.classifier.get_metadata_routing(), "fit", None)
        name = getattr(requests, "requests", {}).get(name)
        name = "sample_weight" if name is True else name  # or False, None, an alias
    else:
        name = step.path + name
    return seen[0].params.get(name)


def _last_step(fitted):
    """Follow pipelines, searches and frozen estimators to the innermost classifier."""
    samplers, frozen, searched, path = [], False, False, ""
    while True:
        if isinstance(fitted, FrozenEstimator):  # samplers before it were not for it
            fitted, samplers, frozen = fitted.estimator, [], True
        elif hasattr(fitted, "steps"):
            name, last = fitted.steps[-1]
            if frozen or searched:
                samplers += [s for _, s in fitted.steps[:-1] if hasattr(s, "fit_resample")]
                path += f"{name}__"
            fitted = last
        elif hasattr(fitted, "best_estimator_"):
            fitted, searched = fitted.best_estimator_, True
        else:
            return _LastStep(fitted, samplers, frozen, searched, path)


def _counted(step, classes, seen, weight):
    """Give the shares or numbers of rows, (n_classes,)."""
    if step.samplers:
        return _totals(step.samplers[-1], classes)
    if step.frozen or not seen:
        raise _UnknownPriorError("was fitted before, on rows that are not known here")
    unknown = np.setdiff1d(seen[0].y, classes)
    if len(unknown):
        raise _UnknownPriorError(
            f"was fitted on labels ({shorten(unknown)}) that are not among its classes_ "
            f"({shorten(classes)})"
        )
    return share_out(seen[0].y, weight, classes)


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
        return callable(value) and getattr(value, "__name__", "") not in _CROSS_ENTROPIES
    return name in _OWN_PRIORS and str(value) not in _NEUTRAL


def _class_weights(classifier, classes, shares, weighted):
    """Give the weights of the classes in training, (n_classes,) or 1."""
    given = getattr(classifier, "class_weight", None)
    if given is None:
        return 1
    if getattr(classifier, "probability", None) is True:  # of SVC
        raise _UnknownPriorError(f"fits its probabilities to what class_weight={given!r} made")
    if isinstance(given, Mapping):
        return np.array([given.get(label, 1.0) for label in classes.tolist()])
    if str(given) not in ("balanced", "balanced_subsample"):
        raise _UnknownPriorError(f"has the setting class_weight={given!r}")
    if weighted:  # some count rows, others weights
        raise _UnknownPriorError(f"has sample_weight and class_weight={given!r} at once")
    return 1 / np.where(shares > 0, shares, 1)
