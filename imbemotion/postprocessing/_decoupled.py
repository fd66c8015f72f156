"""DecoupledClassifier: features learned on natural data, a head learned on balanced ones."""

from collections import Counter
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch, get_tags
from sklearn.utils.validation import check_is_fitted

from imbemotion._base.fits import compute, fit_copy
from imbemotion._base.registry import HEADS
from imbemotion._base.validation import HasMethods, Interval, RegisteredName, brief
from imbemotion.postprocessing._held_out import MetaClassifierMixin, check_classes


class DecoupledClassifier(
    MetaClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    r"""Keep the features of a classifier, and learn its head again on balanced features.

    Skewed data harm the decisions of a network more than its features [1]_. So the estimator is
    fitted on the data as they are, and a new head on its features treats classes equally.

    Parameters
    ----------
    estimator : estimator with ``transform``
        Computes the features, such as a ``CNNClassifier``. A ``FrozenEstimator`` is not fitted.
    head : str or classifier, default="crt"
        - ``"crt"`` (classifier re-training): ``LogisticRegression`` on the features;
        - ``"lws"`` (learnable weight scaling): the estimator's logits, times a learned factor
          per class, 0 or more;
        - ``"ncm"``: the nearest class mean;
        - ``"tau_norm"``: the estimator's weights, divided by their norm per class to the power
          of ``tau``; nothing is learned or sampled;
        - a registered name, or any classifier, such as ``LogisticRegression(C=0.01)``.

        ``"lws"`` and ``"tau_norm"`` need an estimator with ``head_coef_`` and
        ``head_intercept_``, such as a ``CNNClassifier`` with a linear head.
    sampler : sampler or None, default=None
        Resamples the features for the head. Without one, ``"crt"`` and ``"lws"`` weight classes
        equally; other classifiers have to do so themselves.
    tau : float, default=1.0
        For ``"tau_norm"``: 1 normalizes all weights, 0 keeps the estimator's head.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    head_ : classifier
        The fitted head; the four heads above have ``coef_`` and ``intercept_``.
    sampler_ : sampler or None
        The fitted sampler, or None if nothing was sampled.
    training_prior_ : ndarray of float of shape (n_classes,)
        Class shares that probabilities are relative to: equal, or those after the sampler. Only
        for named heads, except ``"tau_norm"``.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_, feature_names_in_ : int, ndarray of str
        As in ``estimator_``, if it has them.

    Notes
    -----
    The head is fitted on rows that the estimator separates better than new ones. Where that
    matters, fit the head of a ``FrozenEstimator`` on other rows, or lower its C.

    ``test_time_augmentation`` has no effect on features. Unlike the paper, ``"tau_norm"`` keeps
    the bias, and ``"lws"`` scales it. ``"crt"`` depends on the scale of the features. The
    probabilities of ``"ncm"``, the softmax of negative squared distances, are not calibrated.

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
    >>> for predict in (model.estimator_.predict, model.predict):
    ...     print(recall_score(y[1000:], predict(X[1000:]), average=None).round(2))
    [0.97 0.16 0.03]
    [0.66 0.6  0.42]
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

    def _fit(self, X, y, params):
        check_classes(y)
        routed = self._route(params)
        self.estimator_, _ = fit_copy(self.estimator, X, y, routed.estimator.fit)
        self.sampler_ = None
        features = _without_names(self._features(X))
        self._n_features_out = features.shape[1]
        self.head_ = self._fit_head(features, y, routed.head.fit)

    def _fit_head(self, features, y, params):
        n_rows = features.shape[0]
        if n_rows != len(y):
            raise ValueError(
                f"transform must return one row of features per label, got {n_rows} rows from "
                f"{brief(self.estimator_)} for {len(y)} labels."
            )
        # tau_norm learns nothing: it has no use for resampled rows, and its prior is unknown.
        is_computed = isinstance(self.head, str) and self.head == "tau_norm"
        if self.sampler is not None and not is_computed:
            features, y = self._resample(features, y)
        if not isinstance(self.head, str):
            return clone(self.head).fit(features, y, **params)
        balance = self.sampler is None
        fit_head = HEADS.load(self.head)
        head = fit_head(features, y, estimator=self.estimator_, balance=balance, tau=self.tau)
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
                f"{brief(self.sampler)} needs more rows than the smallest class has, got {n_rows} "
                f"of {label!r:.90}: {error}. Use fewer neighbors, or ImageSMOTE, which adapts."
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
            As in ``fit``.

        Returns
        -------
        features : array-like of shape (n_samples, n_features)
            The output of the estimator's ``transform``.

        Raises
        ------
        ValueError
            If the features are not two-dimensional.
        """
        return self._features(X)

    def _features(self, X):
        check_is_fitted(self, "estimator_")
        features = compute(self.estimator_, "transform", X)
        shape = np.shape(features)
        if len(shape) != 2:
            raise ValueError(
                f"transform of {type(self.estimator_).__name__} must return features of shape "
                f"(n_samples, n_features), got shape {shape}. Put ImageFlattener behind it."
            )
        return features

    def _predict(self, X):
        return self._ask_head("predict", X)

    def _predict_proba(self, X):
        return self._ask_head("predict_proba", X)

    def _decision_function(self, X):
        return self._ask_head("decision_function", X)

    def _ask_head(self, method, X):
        check_is_fitted(self, "head_")
        return getattr(self.head_, method)(_without_names(self._features(X)))

    def _route(self, params):
        """Split the arguments of ``fit`` by receiver."""
        routing = get_config()["enable_metadata_routing"]
        if params and not routing and isinstance(self.estimator, FrozenEstimator):
            # Its fit ignores arguments silently, and weights would be without effect.
            raise ValueError(
                f"A FrozenEstimator is not fitted, so it cannot use {', '.join(params)}. Request "
                "it for the head by metadata routing."
            )
        routed = super()._route(params)
        routed.setdefault("head", Bunch(fit={}))  # a named head requests nothing
        if routed.head.fit and self.sampler is not None:
            raise ValueError(
                f"The head cannot receive {', '.join(routed.head.fit)} together with a sampler, "
                f"which changes the rows, got {brief(self.sampler)}. Request nothing or no "
                "sampler."
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


def _without_names(features):
    """Return features as an array or a sparse matrix, whatever ``set_output`` makes of them."""
    # It may be set otherwise when predicting: heads with names would warn of features without.
    return features if sparse.issparse(features) else np.asarray(features)
