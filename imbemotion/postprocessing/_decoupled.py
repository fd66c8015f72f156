"""DecoupledClassifier: features learned on natural data, a head learned on balanced ones."""

from collections import Counter
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch, get_tags
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from imbemotion._base.registry import HEADS
from imbemotion._base.validation import (
    HasMethods,
    Interval,
    RegisteredName,
    check_labels,
    fit_context,
    forget_fit,
)
from imbemotion.postprocessing._held_out import MetaClassifierMixin, check_classes


def _has_probabilities(model):
    return isinstance(model.head, str) or hasattr(model.head, "predict_proba")


class DecoupledClassifier(MetaClassifierMixin, TransformerMixin, BaseEstimator):
    r"""Keep the features of a classifier, and learn its head again on balanced features.

    Skewed data hardly harm the features of a network, and mostly its decisions [1]_. So the
    estimator is fitted on the data as they are, and its last layer is replaced by a head that
    treats classes equally. Samplers work among features, which is fast.

    Parameters
    ----------
    estimator : estimator with ``transform``
        Computes the features: a ``CNNClassifier``, a pipeline that ends with one,
        ``LinearDiscriminantAnalysis``, or any other. A ``FrozenEstimator`` is not fitted again,
        so heads can be compared without its training.
    head : str or classifier, default="crt"
        What decides:

        - ``"crt"`` (classifier re-training): ``LogisticRegression`` on the features;
        - ``"lws"`` (learnable weight scaling): the estimator's logits, each times a learned
          factor of its class, 0 or more;
        - ``"ncm"`` (nearest class mean): the class with the nearest mean;
        - ``"tau_norm"``: the estimator's weights, those of each class divided by their norm
          to the power of ``tau``; nothing is learned or sampled;
        - a registered name, or any classifier, such as ``LogisticRegression(C=0.01)``.

        ``"lws"`` and ``"tau_norm"`` need an estimator with ``head_coef_`` and
        ``head_intercept_``, such as a ``CNNClassifier`` with a linear head.
    sampler : sampler or None, default=None
        Resamples the features that the head is fitted on. Without one, ``"crt"`` and ``"lws"``
        weight classes equally; any other classifier has to do so itself.
    tau : float, default=1.0
        For ``"tau_norm"``: 1 normalizes all weights, 0 keeps the estimator's head. The paper
        chooses it on validation data, between 0 and 1.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    head_ : classifier
        The fitted head, from features to labels. The four heads above have ``coef_`` and
        ``intercept_``.
    sampler_ : sampler or None
        The fitted sampler, or None if nothing was sampled.
    training_prior_ : ndarray of float of shape (n_classes,)
        Class shares that the probabilities are relative to: equal ones, or those after the
        sampler. Only for named heads, except ``"tau_norm"``.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Number of features of X, if the fitted estimator has it.
    feature_names_in_ : ndarray of str
        Names of the columns of X, if the fitted estimator has them.

    See Also
    --------
    TunedOffsetClassifierCV : Shifts the decisions of a classifier, and keeps its head.
    PriorCorrectedClassifier : Probabilities for other class shares, such as those of the data.

    Notes
    -----
    The head is fitted on rows that the estimator has seen. A network that memorized them
    separates them better than new ones. Where that matters, fit the head on other rows:
    ``DecoupledClassifier(FrozenEstimator(network)).fit(X_others, y_others)``.

    ``test_time_augmentation`` of a ``CNNClassifier`` has no effect on features. The paper drops
    the bias; here ``"tau_norm"`` keeps it, and ``"lws"`` scales it with the weights. ``"crt"``
    depends on the scale of the features: use a pipeline with ``StandardScaler`` as head if they
    differ much, and a smaller C for a network that memorized its training images. Probabilities
    of ``"ncm"``, the softmax of negative squared distances, are not calibrated.

    Arguments of ``fit`` go to the estimator; with scikit-learn's metadata routing they go where
    they are requested, also to a classifier as head unless there is a sampler.

    References
    ----------
    .. [1] B. Kang, S. Xie, M. Rohrbach, Z. Yan, A. Gordo, J. Feng, Y. Kalantidis, "Decoupling
       Representation and Classifier for Long-Tailed Recognition", ICLR 2020.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    >>> from sklearn.metrics import recall_score
    >>> X, y = make_classification(
    ...     2000, n_classes=3, n_informative=4, weights=[0.9, 0.07], random_state=3
    ... )
    >>> model = DecoupledClassifier(LinearDiscriminantAnalysis()).fit(X[:1000], y[:1000])
    >>> model.transform(X).shape
    (2000, 2)
    >>> before, after = model.estimator_.predict(X[1000:]), model.predict(X[1000:])
    >>> recall_score(y[1000:], before, average=None).round(2)
    array([0.97, 0.16, 0.03])
    >>> recall_score(y[1000:], after, average=None).round(2)
    array([0.66, 0.6 , 0.42])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "transform"])],
        "head": [RegisteredName(HEADS), HasMethods(["fit", "predict"])],
        "sampler": [HasMethods("fit_resample"), None],
        "tau": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self, estimator: Any, *, head: Any = "crt", sampler: Any = None, tau: float = 1.0
    ):
        self.estimator = estimator
        self.head = head
        self.sampler = sampler
        self.tau = tau

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike, **params: Any) -> "DecoupledClassifier":
        """Fit the estimator, and the head on its features.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Input of the estimator: flat data, images, an ``ImageArray`` or paths.
        y : array-like of shape (n_samples,)
            The labels.
        **params : dict
            Arguments of the estimator's ``fit``, or metadata to route.

        Returns
        -------
        self : object
            The classifier itself.

        Raises
        ------
        ValueError
            If y has a single class or another length than X, the features are not
            two-dimensional, or the sampler cannot resample them.
        TypeError
            If ``head`` needs ``head_coef_`` and the estimator has none.
        NotFittedError
            If the estimator is frozen and not fitted.
        """
        forget_fit(self)
        y = check_labels(y)
        check_classes(y)
        routed = self._route(params)
        self.estimator_ = clone(self.estimator).fit(X, y, **routed.estimator.fit)
        self.sampler_ = None
        self.head_ = self._fit_head(self.transform(X), y, routed.head.fit)
        self._copy_column_names()
        return self

    def _fit_head(self, features, y, params):
        n_rows = np.shape(features)[0]
        if n_rows != len(y):
            raise ValueError(
                f"transform must return one row of features per label, got {n_rows} rows from "
                f"{self.estimator_!r} for {len(y)} labels."
            )
        # tau_norm learns nothing: it has no use for resampled rows, and its prior is unknown.
        is_computed = isinstance(self.head, str) and self.head == "tau_norm"
        if self.sampler is not None and not is_computed:
            features, y = self._resample(features, y)
        if not isinstance(self.head, str):
            return clone(self.head).fit(features, y, **params)
        balance = self.sampler is None
        settings = {"estimator": self.estimator_, "balance": balance, "tau": self.tau}
        head = HEADS.load(self.head)(features, y, **settings)
        if not is_computed:
            # Balanced heads, and means of any number of rows, treat classes equally.
            counts = np.array([(y == label).sum() for label in head.classes_])
            counts = counts > 0 if balance or self.head == "ncm" else counts
            self.training_prior_ = counts / counts.sum()
        return head

    def _resample(self, features, y):
        self.sampler_ = clone(self.sampler)
        try:
            return self.sampler_.fit_resample(features, y)
        except ValueError as error:
            if "n_neighbors" not in str(error):  # of SMOTE and others that search neighbors
                raise
            n_rows, label = min((n, label) for label, n in Counter(y.tolist()).items())
            raise ValueError(
                f"{self.sampler!r} needs more rows than the smallest class has, got {n_rows} of "
                f"{label!r}: {error}. Use ImageSMOTE, which adapts the number of neighbors, or "
                "fewer neighbors."
            ) from error

    @property
    def classes_(self) -> NDArray:
        """The labels, (n_classes,)."""
        check_is_fitted(self, "head_")
        return self.head_.classes_

    def transform(self, X: ArrayLike) -> ArrayLike:
        """Compute the features that the head uses.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Input of the estimator.

        Returns
        -------
        features : array-like of shape (n_samples, n_features)
            The output of the estimator's ``transform``.

        Raises
        ------
        ValueError
            If the features are not two-dimensional.
        """
        check_is_fitted(self, "estimator_")
        features = self.estimator_.transform(X)
        shape = np.shape(features)
        if len(shape) != 2:
            raise ValueError(
                f"transform of {type(self.estimator_).__name__} must return features of shape "
                f"(n_samples, n_features), got shape {shape}. Put ImageFlattener behind it."
            )
        return features

    def predict(self, X: ArrayLike) -> NDArray:
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Input of the estimator.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The predicted labels.
        """
        check_is_fitted(self, "head_")
        return self.head_.predict(self.transform(X))

    @available_if(_has_probabilities)
    def predict_proba(self, X: ArrayLike) -> NDArray:
        """Estimate class probabilities, if the head does.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Input of the estimator.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probabilities relative to ``training_prior_``: rare classes are more probable than
            in the data.
        """
        check_is_fitted(self, "head_")
        return self.head_.predict_proba(self.transform(X))

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: ArrayLike) -> NDArray:
        """Estimate logarithms of class probabilities, if the head has probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Input of the estimator.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Logarithms of ``predict_proba``; -inf where it is 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _route(self, params):
        """Split the arguments of ``fit`` by receiver."""
        if not get_config()["enable_metadata_routing"]:
            # Its fit ignores arguments silently, and weights would be without effect.
            if params and isinstance(self.estimator, FrozenEstimator):
                raise ValueError(
                    f"A FrozenEstimator is not fitted, so it cannot use {', '.join(params)}, got "
                    f"{self.estimator!r}. Request it for the head by metadata routing."
                )
            return Bunch(estimator=Bunch(fit=params), head=Bunch(fit={}))
        routed = process_routing(self, "fit", **params)
        routed.setdefault("head", Bunch(fit={}))  # a named head requests nothing
        if routed.head.fit and self.sampler is not None:
            raise ValueError(
                f"The head cannot receive {', '.join(routed.head.fit)} together with a sampler, "
                f"which changes the rows, got {self.sampler!r}. Set sampler=None, or request "
                "nothing for the head."
            )
        return routed

    def _routed_parts(self):
        head = {} if isinstance(self.head, str) else {"head": (self.head, "fit")}
        return super()._routed_parts() | head

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        if inner.transformer_tags is not None:
            tags.transformer_tags = inner.transformer_tags
        return tags
