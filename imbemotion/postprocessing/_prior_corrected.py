"""PriorCorrectedClassifier: probabilities for other class shares than those of training."""

import warnings
from collections.abc import Mapping
from numbers import Real

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, clone
from sklearn.utils import indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from imbemotion._base.validation import (
    DataWarning,
    HasMethods,
    Interval,
    StrOptions,
    check_labels,
    fit_context,
    forget_fit,
    shorten,
)
from imbemotion.postprocessing._held_out import OffsetClassifierMixin, take_names
from imbemotion.postprocessing._trained_prior import (
    find_trained_prior,
    find_weight,
    noting_labels,
    share_out,
)

__all__ = [
    "PriorCorrectedClassifier",
]


class PriorCorrectedClassifier(OffsetClassifierMixin, BaseEstimator):
    r"""Correct a classifier's probabilities from the class shares of training to others.

    Over- and under-sampling, class weights and losses that know the prior change how often
    a classifier expects each class. This keeps the classifier and changes what it expects:

    .. math:: p'_c(x) \propto p_c(x) \, (\pi'_c / \pi_c)^\tau

    with the shares :math:`\pi` that it was trained on and those that are wanted, :math:`\pi'`
    [1]_ [2]_. With equal ones it decides as if all classes were equally frequent, which is
    logit adjustment after training [3]_; with ``target="observed"`` probabilities are those of
    the data again, whatever a sampler or weights did to them.

    Parameters
    ----------
    estimator : classifier
        Any classifier with ``predict_proba``; a pipeline with its samplers is one, too. One
        that is fitted already goes in as ``FrozenEstimator(estimator)``.

    trained_prior : "auto", array-like of shape (n_classes,) or dict, default="auto"
        The class shares that the probabilities are relative to: positive numbers in the order
        of ``classes_``, or by label in a dict or a pandas Series; they need not sum to 1.
        ``"auto"`` finds them, see Notes.

    target : {"uniform", "observed"}, array-like of shape (n_classes,) or dict, default="uniform"
        The class shares wanted, in the same forms: equal ones, or those of the labels that
        ``fit`` is given, before any sampler, each counting by its ``sample_weight``, also one
        with the name of a step before it.

    tau : float, default=1.0
        How much is corrected; 0 changes no probability. Labels are always those of the
        largest one, also where the classifier itself decides otherwise, as ``SVC`` does.

    Attributes
    ----------
    trained_prior_ : ndarray of float of shape (n_classes,)
        Class shares of training; they sum to 1.

    target_prior_ : ndarray of float of shape (n_classes,)
        Class shares that probabilities are corrected to; they sum to 1.

    offsets_ : ndarray of float of shape (n_classes,)
        What is added to the log-probabilities. A class without any weight in training has 0:
        nothing is known of it, which a ``DataWarning`` says.

    estimator_ : classifier
        The fitted classifier.

    classes_ : ndarray of shape (n_classes,)
        The labels.

    n_features_in_ : int
        Number of features. Only where the fitted classifier has it.

    feature_names_in_ : ndarray of str
        Names of the columns of X. Only where the fitted classifier has them.

    See Also
    --------
    TunedOffsetClassifierCV : Offsets that a score asks for, found on held-out rows.
    LogitAdjustedLoss : The correction during training.

    Notes
    -----
    This is Bayes' rule, exactly, where the probabilities are right for the shares of training
    and only the shares of the classes differ, not what their samples look like. So it undoes
    random over- and under-sampling, class weights, ``batch_sampling``, balanced softmax and
    logit adjustment. It does not make probabilities right that were not: after SMOTE,
    ADASYN or offline augmentation, where made samples look different; after cleaning
    such as edited nearest neighbours, which takes certain samples away; after focal, LDAM and
    soft F1 loss; and of networks that are too sure of themselves. Calibrate those on
    held-out rows, for example by ``CalibratedClassifierCV``.

    For macro-F1 equal shares often go too far, since every rare class found costs false
    alarms; try a ``tau`` of about 0.5, or search for it.

    ``trained_prior="auto"`` is, for the last step of a pipeline, its ``training_prior_`` where
    it has it, as ``CNNClassifier`` does; else the shares of the labels that this step was
    fitted on, after all samplers, times ``sample_weight`` and ``class_weight``. A search is
    looked into, and there, as in a ``FrozenEstimator``, samplers of this library tell their
    counts. A ValueError asks for ``trained_prior`` where this is not enough: for frozen
    classifiers without either, other samplers inside a search, classifiers that fit others or
    resample inside, and such that are told a prior by settings of their own.

    References
    ----------
    .. [1] M. Saerens, P. Latinne, C. Decaestecker, "Adjusting the Outputs of a Classifier to
       New a Priori Probabilities: A Simple Procedure", Neural Computation 14, 2002.

    .. [2] C. Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001.

    .. [3] A. K. Menon, S. Jayasumana, A. S. Rawat, H. Jain, A. Veit, S. Kumar, "Long-tail
       learning via logit adjustment", ICLR 2021.

    Examples
    --------
    >>> from imblearn.pipeline import make_pipeline
    >>> from imbemotion import RandomResampler
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = make_classification(2000, weights=[0.9], random_state=0)
    >>> pipe = make_pipeline(
    ...     RandomResampler(sampling_strategy="undersample", random_state=0), LogisticRegression()
    ... )
    >>> model = PriorCorrectedClassifier(pipe, target="observed").fit(X, y)
    >>> model.trained_prior_, model.target_prior_.round(2)
    (array([0.5, 0.5]), array([0.9, 0.1]))
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

    def __init__(self, estimator, *, trained_prior="auto", target="uniform", tau=1.0):
        self.estimator = estimator
        self.trained_prior = trained_prior
        self.target = target
        self.tau = tau

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, **params):
        """Fit the classifier and find the class shares that it was trained on.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the classifier takes: flat data, images, an ``ImageArray``, paths.

        y : array-like of shape (n_samples,)
            The labels.

        **params : dict
            For ``fit`` of the classifier. With scikit-learn's metadata routing on, all goes
            where it is requested.

        Returns
        -------
        self : object
            The classifier itself.

        Raises
        ------
        ValueError
            If X and y differ in length, shares are no positive numbers or lack a class, or
            ``trained_prior="auto"`` can't be told.
        """
        forget_fit(self)
        X, y = indexable(X, y)
        y = check_labels(y)
        estimator = clone(self.estimator)
        with noting_labels(estimator) as seen:
            self.estimator_ = estimator.fit(X, y, **self._route(params))
        take_names(self)
        self.trained_prior_ = self._find_trained(seen)
        self.target_prior_ = self._find_target(y, params, seen)
        known = self.trained_prior_ > 0
        ratios = self.target_prior_ / np.where(known, self.trained_prior_, self.target_prior_)
        self.offsets_ = self.tau * np.log(ratios)
        return self

    def _find_trained(self, seen):
        if not isinstance(self.trained_prior, str):
            return _check_shares(self.trained_prior, self.classes_, "trained_prior")
        prior = find_trained_prior(self.estimator_, self.classes_, seen)
        if not prior.all():
            warnings.warn(
                f"Training gave no weight to {shorten(self.classes_[prior == 0])}: nothing is "
                "known of these classes, and their probabilities are not corrected.",
                DataWarning,
                stacklevel=4,
            )
        return prior

    def _find_target(self, y, params, seen):
        classes = self.classes_
        if not isinstance(self.target, str):
            return _check_shares(self.target, classes, "target")
        if self.target == "uniform":
            return np.full(len(classes), 1 / len(classes))
        unknown = np.setdiff1d(y, classes)
        weight = params.get("sample_weight")
        if weight is None and seen and len(seen[0].y) == len(y):  # else it is of made rows
            weight = find_weight(self.estimator_, seen)
        shares = share_out(y, weight, classes) if not len(unknown) else np.zeros(1)
        if not shares.all():
            raise ValueError(
                f"target='observed' needs rows of every class of the classifier "
                f"({shorten(classes)}) and of no other, got rows of {shorten(np.unique(y))}. "
                "Give target as a dict of label to share."
            )
        return shares

    def _route(self, params):
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", **params).estimator.fit
        return params

    def get_metadata_routing(self):
        """Tell where scikit-learn's metadata routing has to go.

        Returns
        -------
        routing : MetadataRouter
            To ``fit`` of the classifier.
        """
        return MetadataRouter(owner=self).add(
            estimator=self.estimator,
            method_mapping=MethodMapping().add(caller="fit", callee="fit"),
        )


def _check_shares(given, classes, name):
    """Give class shares that sum to 1, in the order of the classes, (n_classes,)."""
    labels = classes.tolist()
    given = given.to_dict() if hasattr(given, "to_dict") else given  # a pandas Series
    if isinstance(given, Mapping):
        missing = [label for label in labels if label not in given]
        if missing:
            raise ValueError(
                f"{name} must name a share for every class, got {given!r}, which lacks "
                f"{shorten(map(repr, missing))}."
            )
        given = [given[label] for label in labels]
    try:
        shares = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold positive numbers, got {given!r}.") from error
    if shares.shape != classes.shape:
        raise ValueError(
            f"{name} must hold one share per class ({shorten(labels)}), got {given!r}."
        )
    if not (np.isfinite(shares) & (shares > 0)).all():
        raise ValueError(f"{name} must hold positive numbers, got {given!r}.")
    return shares / shares.sum()
