"""PriorCorrectedClassifier: probabilities for other class shares than those of training."""

from collections.abc import Mapping
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils import indexable

from imbemotion._base.fits import fit_copy
from imbemotion._base.validation import HasMethods, Interval, StrOptions, brief, shorten, warn
from imbemotion.postprocessing._held_out import OffsetClassifierMixin, class_shares

_OWN_PRIORS = {  # settings by which other libraries change the prior
    "auto_class_weights", "class_prior", "class_weights", "criterion__pos_weight",
    "criterion__weight", "is_unbalance", "iterator_train__batch_sampler",
    "iterator_train__sampler", "priors", "sampling_strategy", "scale_pos_weight",
}  # fmt: skip
_NEUTRAL = {"None", "False", "1", "1.0"}
_CROSS_ENTROPIES = {"BCEWithLogitsLoss", "CrossEntropyLoss", "NLLLoss"}


class _LastStep(NamedTuple):
    """The innermost classifier, and what is around it."""

    classifier: Any
    samplers: list  # those whose labels were not recorded
    frozen: bool
    searched: bool
    path: str  # prefix of its parameters in the innermost search


class PriorCorrectedClassifier(OffsetClassifierMixin, BaseEstimator):
    r"""Correct a classifier's probabilities from the class shares of training to others.

    Resampling, class weights and losses that use the prior change how often a classifier expects
    each class. This keeps the classifier and changes the expectation:

    .. math:: p'_c(x) \propto p_c(x) \, (\pi'_c / \pi_c)^\tau

    with the class shares :math:`\pi` of training and the target :math:`\pi'` [1]_ [2]_. Equal
    targets are post-hoc logit adjustment [3]_; ``target="observed"`` restores the probabilities
    of the data, whatever a sampler or weights did to them.

    Parameters
    ----------
    estimator : classifier
        Any with ``predict_proba``, also a pipeline with samplers or a ``FrozenEstimator``.
    trained_prior : "auto", array-like of shape (n_classes,) or dict, default="auto"
        Class shares of training: positive numbers in the order of ``classes_``, or by label in
        a dict or pandas Series; they need not sum to 1. ``"auto"`` infers them, see Notes.
    target : {"uniform", "observed"}, array-like of shape (n_classes,) or dict, default="uniform"
        Target class shares in the same forms, equal ones, or those of the labels in ``fit``,
        before any sampler, weighted by ``sample_weight``.
    tau : float, default=1.0
        Strength of the correction; with 0, labels are those of the largest probability.

    Attributes
    ----------
    trained_prior_, target_prior_ : ndarray of float of shape (n_classes,)
        Class shares of training and target class shares; they sum to 1.
    offsets_ : ndarray of float of shape (n_classes,)
        Offsets of the log-probabilities; 0, with a warning, for classes that training lacks.
    estimator_ : classifier
        The fitted classifier.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_, feature_names_in_ : int, ndarray of str
        As in ``estimator_``, if it has them.

    Notes
    -----
    Bayes' rule undoes random over- and under-sampling, class weights, ``batch_sampling``, balanced
    softmax and logit adjustment. It cannot undo SMOTE, ADASYN, augmentation or cleaning, which
    change the samples of a class, nor focal, LDAM and soft F1 loss or overconfidence: calibrate
    those with ``CalibratedClassifierCV``. For macro-F1 try a ``tau`` of about 0.5.

    ``trained_prior="auto"`` is ``training_prior_`` of the last step of a pipeline, such as a
    ``CNNClassifier``, or else the shares of the labels that it was fitted on, after all samplers,
    times ``sample_weight`` and ``class_weight``. Inside a search or a ``FrozenEstimator`` only
    samplers of this library report their counts.

    References
    ----------
    .. [1] M. Saerens, P. Latinne, C. Decaestecker, "Adjusting the Outputs of a Classifier to
       New a Priori Probabilities: A Simple Procedure", Neural Computation 14, 2002.
    .. [2] C. Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001.
    .. [3] A. K. Menon et al., "Long-tail learning via logit adjustment", ICLR 2021.

    Examples
    --------
    >>> from imblearn.pipeline import make_pipeline
    >>> from imbemotion import RandomResampler
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = make_classification(2000, weights=[0.9], random_state=0)
    >>> sampler = RandomResampler(sampling_strategy="undersample", random_state=0)
    >>> pipe = make_pipeline(sampler, LogisticRegression())
    >>> model = PriorCorrectedClassifier(pipe, target="observed").fit(X, y)
    >>> model.estimator_.predict_proba(X).mean(axis=0).round(2)  # as if half were rare
    array([0.84, 0.16])
    >>> model.predict_proba(X).mean(axis=0).round(2)
    array([0.9, 0.1])
    """

    _offsets = "offsets_"
    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "trained_prior": [StrOptions({"auto"}), "array-like", Mapping],
        "target": [StrOptions({"uniform", "observed"}), "array-like", Mapping],
        "tau": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self, estimator: Any, *, trained_prior: str | ArrayLike | Mapping = "auto",
        target: str | ArrayLike | Mapping = "uniform", tau: float = 1.0,
    ):  # fmt: skip
        self.estimator = estimator
        self.trained_prior = trained_prior
        self.target = target
        self.tau = tau

    def _fit(self, X, y, params):
        X, y = indexable(X, y)
        self.estimator_, seen = fit_copy(self.estimator, X, y, self._route(params).estimator.fit)
        if isinstance(self.trained_prior, str):
            self.trained_prior_ = _infer_prior(self.estimator_, self.classes_, seen)
        else:
            self.trained_prior_ = _check_shares(self.trained_prior, self.classes_, "trained_prior")
        self.target_prior_ = self._find_target(y, params, seen)
        known = self.trained_prior_ > 0
        if not known.all():
            warn(
                f"Training gave no weight to {shorten(self.classes_[~known])}, so the "
                "probabilities of these classes are not corrected."
            )
        ratios = self.target_prior_ / np.where(known, self.trained_prior_, self.target_prior_)
        self.offsets_ = self.tau * np.log(ratios)

    def _find_target(self, y, params, seen):
        classes = self.classes_
        if not isinstance(self.target, str):
            return _check_shares(self.target, classes, "target")
        if self.target == "uniform":
            return np.full(len(classes), 1 / len(classes))
        unknown = np.setdiff1d(y, classes)
        weight = params.get("sample_weight")
        # With other numbers of rows, a sampler changed them.
        if weight is None and seen and len(seen[0][0]) == len(y):
            weight = _find_weight(self.estimator_, seen)
        shares = class_shares(y, weight, classes) if not len(unknown) else np.zeros(1)
        if not shares.all():
            raise ValueError(
                f"target='observed' needs rows of every class of the classifier "
                f"({shorten(classes)}) and of no other, got rows of {shorten(np.unique(y))}. "
                "Set target to a dict of label to share."
            )
        return shares


def _check_shares(given, classes, name):
    """Return class shares that sum to 1, in the order of the classes, (n_classes,)."""
    labels = classes.tolist()
    shares = given.to_dict() if hasattr(given, "to_dict") else given  # a pandas Series
    if isinstance(shares, Mapping):
        shares = [shares.get(label) for label in labels]
    try:
        shares = np.asarray(shares, dtype=np.float64)  # NaN for a label that is missing
    except (TypeError, ValueError):
        shares = np.zeros(0)
    if shares.shape != classes.shape or not (np.isfinite(shares) & (shares > 0)).all():
        raise ValueError(
            f"{name} must hold one positive number per class ({shorten(labels)}), got "
            f"{brief(given)}."
        )
    return shares / shares.sum()


def _infer_prior(fitted, classes, seen):
    """Return the class shares that the probabilities of a fitted classifier are relative to."""
    step = _last_step(fitted)
    last = step.classifier
    if hasattr(last, "training_prior_"):
        prior = np.asarray(last.training_prior_, dtype=np.float64)
        return prior / prior.sum()
    _refuse_unknown_priors(last)
    weight = None if step.samplers else _find_weight(fitted, seen)
    shares = _count_rows(step, classes, seen, weight)
    shares = shares * _class_weights(last, classes, shares, weighted=weight is not None)
    return shares / shares.sum()


def _unknown_prior(classifier, reason):
    return ValueError(
        "trained_prior='auto' cannot determine the class shares of training: "
        f"{type(classifier).__name__} {reason}. Set trained_prior to an array in the order of "
        "classes_, or a dict of label to share."
    )


def _find_weight(fitted, seen):
    """Return the weights of rows that reached the last step."""
    step, name = _last_step(fitted), "sample_weight"
    if step.frozen or not seen:
        return None
    if step.searched and get_config()["enable_metadata_routing"]:
        requests = getattr(step.classifier.get_metadata_routing(), "fit", None)
        name = getattr(requests, "requests", {}).get(name)
        name = "sample_weight" if name is True else name  # or False, None, an alias
    else:
        name = step.path + name
    return seen[0][1].get(name)


def _last_step(fitted):
    """Follow pipelines, searches and frozen estimators to the innermost classifier."""
    samplers, frozen, searched, path = [], False, False, ""
    while True:
        if isinstance(fitted, FrozenEstimator):  # its rows did not pass the samplers before it
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


def _count_rows(step, classes, seen, weight):
    """Return the shares or numbers of rows, (n_classes,)."""
    if step.samplers:
        sampler = step.samplers[-1]
        if not hasattr(sampler, "target_counts"):
            reason = f"was fitted on the output of {type(sampler).__name__}, without row counts"
            raise _unknown_prior(step.classifier, reason)
        return np.array([sampler.sampling_strategy_.get(c, 0) for c in classes.tolist()], float)
    if step.frozen or not seen:
        raise _unknown_prior(step.classifier, "was fitted before, on unknown rows")
    y = seen[0][0]
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        reason = f"was fitted on labels ({shorten(unknown)}) that are not in its classes_"
        raise _unknown_prior(step.classifier, f"{reason} ({shorten(classes)})")
    return class_shares(y, weight, classes)


def _refuse_unknown_priors(classifier):
    """Refuse classifiers that contain others, resample inside, or set a prior of their own."""
    settings = classifier.get_params() if hasattr(classifier, "get_params") else {}
    for name, value in settings.items():
        if hasattr(value, "fit_resample") or (hasattr(value, "fit") and hasattr(value, "predict")):
            raise _unknown_prior(classifier, f"fits {type(value).__name__} inside ({name})")
        if _sets_prior(name, value):
            raise _unknown_prior(classifier, f"has the setting {name}={value!r:.90}")


def _sets_prior(name, value):
    if name == "fit_prior":  # of naive Bayes
        return not value
    if name == "criterion":  # of skorch, and of trees, where it is a name
        return callable(value) and getattr(value, "__name__", "") not in _CROSS_ENTROPIES
    return name in _OWN_PRIORS and str(value) not in _NEUTRAL


def _class_weights(classifier, classes, shares, weighted):
    """Return the class weights of training, (n_classes,) or 1."""
    given = getattr(classifier, "class_weight", None)
    if given is None:
        return 1
    if getattr(classifier, "probability", None) is True:  # of SVC
        raise _unknown_prior(
            classifier, f"fits its probabilities after class_weight={brief(given)}"
        )
    if isinstance(given, Mapping):
        return np.array([given.get(label, 1.0) for label in classes.tolist()])
    if str(given) not in ("balanced", "balanced_subsample"):
        raise _unknown_prior(classifier, f"has the setting class_weight={brief(given)}")
    if weighted:  # some count rows, others weights
        raise _unknown_prior(
            classifier, f"has sample_weight and class_weight={brief(given)} at once"
        )
    return 1 / np.where(shares > 0, shares, 1)
