"""DecoupledClassifier: features learned on natural data, a head learned on balanced ones."""

from collections import Counter
from numbers import Real

import numpy as np
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
)
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from imbemotion._base.validation import (
    HasMethods,
    Interval,
    StrOptions,
    check_labels,
    fit_context,
    forget_fit,
)
from imbemotion.postprocessing._heads import HEADS, fit_named_head
from imbemotion.postprocessing._held_out import check_classes, take_names

__all__ = ["DecoupledClassifier"]


def _gives_probabilities(model):
    return isinstance(model.head, str) or hasattr(model.head, "predict_proba")


class DecoupledClassifier(ClassifierMixin, TransformerMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Keep the features that a classifier learned, and learn its head anew on balanced ones.

    Skewed data hardly harm what a network sees, and mostly how it decides [1]_. So the
    estimator is fitted on the data as they are, and its last layer is replaced by a head that
    treats classes alike. Balancing happens among features, which is quick, and where an
    interpolated row makes more sense than among pixels.

    Parameters
    ----------
    estimator : estimator with ``transform``
        Gives the features: a ``CNNClassifier``, a pipeline that ends with one (its samplers
        work in training alone), ``LinearDiscriminantAnalysis``, or any other. A
        ``FrozenEstimator`` is not fitted again: heads can be compared without its training.

    head : {"crt", "lws", "ncm", "tau_norm"} or classifier, default="crt"
        What decides:

        - ``"crt"`` (classifier re-training): ``LogisticRegression`` on the features;
        - ``"lws"`` (learnable weight scaling): the estimator's own logits, each times a factor
          of its class; only the factors are learned;
        - ``"ncm"`` (nearest class mean): the class with the nearest mean;
        - ``"tau_norm"``: the estimator's own weights, those of each class divided by their norm
          to the power of ``tau``; nothing is learned, and nothing sampled;
        - any classifier of scikit-learn's, for example ``LogisticRegression(C=0.01)``.

        ``"lws"`` and ``"tau_norm"`` take estimators with ``head_coef_`` and
        ``head_intercept_``, which a ``CNNClassifier`` with a linear head has.

    sampler : sampler or None, default=None
        Resamples the features that the head is fitted on: one of this library for flat data,
        or of imbalanced-learn. None leaves them as they are; ``"crt"`` and ``"lws"`` then
        weigh classes so that all count alike, and any other classifier has to do so itself.

    tau : float, default=1.0
        For ``"tau_norm"``: 1 makes all weights of norm 1, 0 keeps the estimator's own head.
        The paper chooses it on validation data, between 0 and 1; search it likewise.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.

    head_ : classifier
        The fitted head, from features to labels. All named heads have ``coef_`` and
        ``intercept_``.

    sampler_ : sampler or None
        The fitted sampler. None where nothing was sampled.

    training_prior_ : ndarray of float of shape (n_classes,)
        Class shares that the probabilities are relative to: equal ones, or those that the
        sampler made, except for ``"ncm"``. Exact for ``"crt"``. Only for ``"crt"``, ``"lws"``
        and ``"ncm"``.

    classes_ : ndarray of shape (n_classes,)
        The labels.

    n_features_in_ : int
        Number of features of X. Only where the fitted estimator has it.

    feature_names_in_ : ndarray of str
        Names of the columns of X. Only where the fitted estimator has them.

    See Also
    --------
    TunedOffsetClassifierCV : Shifts the decisions of a classifier, and keeps its head.
    PriorCorrectedClassifier : Probabilities for other class shares, such as those of the data.

    Notes
    -----
    The head is fitted on the features of the rows that the estimator was fitted on. A network
    that knows these by heart shows them better separated than new ones, and the head believes
    it. Where that matters, fit the network on some rows, and the head on others:
    ``DecoupledClassifier(FrozenEstimator(network)).fit(X_others, y_others)``.

    Features are those of the images as they are: ``test_time_augmentation`` of a
    ``CNNClassifier`` has no effect here. Without it, ``head="tau_norm", tau=0`` gives the
    estimator's own probabilities back.

    The paper drops the bias; here ``"tau_norm"`` keeps it as it is, and ``"lws"`` scales it
    with the weights. The factors are 0 or more, found by L-BFGS, and pulled towards 1 a little,
    as ``LogisticRegression(C=1)`` pulls weights towards 0. ``"crt"`` is that regression, so C
    is relative to the scale of the features: give a pipeline with ``StandardScaler`` as head
    for features that differ much, and a smaller C for those of a network that knows its
    training images by heart. Probabilities of ``"ncm"`` are the softmax of the negative squared
    distances; they rank, and are not calibrated.

    ``sample_weight`` and whatever else ``fit`` is given goes to the estimator. With
    scikit-learn's metadata routing it goes where it is requested, to a classifier as head,
    too, unless there is a sampler, whose rows are others.

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
        "head": [StrOptions(set(HEADS)), HasMethods(["fit", "predict"])],
        "sampler": [HasMethods("fit_resample"), None],
        "tau": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, estimator, *, head="crt", sampler=None, tau=1.0):
        self.estimator = estimator
        self.head = head
        self.sampler = sampler
        self.tau = tau

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, **params):
        """Fit the estimator, and the head on its features.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the estimator takes: flat data, images, an ``ImageArray``, paths.

        y : array-like of shape (n_samples,)
            The labels.

        **params : dict
            Goes to ``fit`` of the estimator. With scikit-learn's metadata routing on, all
            goes where it is requested.

        Returns
        -------
        self : object
            The classifier itself.

        Raises
        ------
        ValueError
            If y holds one class only or differs in length from X, the features are no table,
            or the sampler can't resample them.

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
        take_names(self)
        return self

    def _fit_head(self, features, y, params):
        n_rows = np.shape(features)[0]
        if n_rows != len(y):
            raise ValueError(
                f"transform must give one row of features per label, got {n_rows} rows from "
                f"{self.estimator_!r} for {len(y)} labels."
            )
        named = isinstance(self.head, str)
        if self.sampler is not None and not (named and self.head == "tau_norm"):
            features, y = self._resample(features, y)
        if not named:
            return clone(self.head).fit(features, y, **params)
        balance = self.sampler is None
        head = fit_named_head(
            self.head, features, y, estimator=self.estimator_, balance=balance, tau=self.tau
        )
        if self.head != "tau_norm":
            counts = np.array([(y == label).sum() for label in head.classes_])
            counts = counts > 0 if balance or self.head == "ncm" else counts
            self.training_prior_ = counts / counts.sum()
        return head

    def _resample(self, features, y):
        self.sampler_ = clone(self.sampler)
        try:
            return self.sampler_.fit_resample(features, y)
        except ValueError as error:
            if "n_neighbors" not in str(error):
                raise
            n_rows, label = min((n, label) for label, n in Counter(y.tolist()).items())
            raise ValueError(
                f"{self.sampler!r} needs more rows than the smallest class has, got {n_rows} of "
                f"{label!r}: {error}. Take ImageSMOTE, which searches as many neighbors as there "
                "are, or fewer neighbors."
            ) from error

    @property
    def classes_(self):
        """The labels, (n_classes,)."""
        check_is_fitted(self, "head_")
        return self.head_.classes_

    def transform(self, X):
        """Compute the features that the head decides by.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the estimator takes.

        Returns
        -------
        features : array-like of shape (n_samples, n_features)
            As the estimator gives them.

        Raises
        ------
        ValueError
            If these are no table.
        """
        check_is_fitted(self, "estimator_")
        features = self.estimator_.transform(X)
        shape = np.shape(features)
        if len(shape) != 2:
            raise ValueError(
                f"transform of {type(self.estimator_).__name__} must give features of shape "
                f"(n_samples, n_features), got shape {shape}. Put ImageFlattener behind it."
            )
        return features

    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the estimator takes.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The predicted labels.
        """
        check_is_fitted(self, "head_")
        return self.head_.predict(self.transform(X))

    @available_if(_gives_probabilities)
    def predict_proba(self, X):
        """Estimate the probability of every class, where the head does.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the estimator takes.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Of the head, which has learned of balanced classes: rare ones are more probable
            than in the data.
        """
        check_is_fitted(self, "head_")
        return self.head_.predict_proba(self.transform(X))

    @available_if(_gives_probabilities)
    def predict_log_proba(self, X):
        """Give logarithms of ``predict_proba``.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the estimator takes.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            -inf where the probability is 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _route(self, params):
        """Sort what ``fit`` was given by who takes it."""
        if not get_config()["enable_metadata_routing"]:
            if params and isinstance(self.estimator, FrozenEstimator):
                raise ValueError(
                    f"A FrozenEstimator is not fitted, so it can't use {', '.join(params)}, got "
                    f"{self.estimator!r}. Request it for the head by metadata routing."
                )
            return Bunch(estimator=Bunch(fit=params), head=Bunch(fit={}))
        routed = process_routing(self, "fit", **params)
        routed.setdefault("head", Bunch(fit={}))
        if routed.head.fit and self.sampler is not None:
            raise ValueError(
                f"The head can't be given {', '.join(routed.head.fit)} together with a sampler, "
                f"whose rows are others, got {self.sampler!r}. Set sampler=None, or request "
                "nothing for the head."
            )
        return routed

    def get_metadata_routing(self):
        """Tell where scikit-learn's metadata routing has to go.

        Returns
        -------
        routing : MetadataRouter
            To ``fit`` of the estimator, and of a head that is a classifier.
        """
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=to_fit)
        if not isinstance(self.head, str):
            router.add(head=self.head, method_mapping=to_fit)
        return router

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        if inner.transformer_tags is not None:
            tags.transformer_tags = inner.transformer_tags
        if inner.classifier_tags is not None:
            tags.classifier_tags.multi_class = inner.classifier_tags.multi_class
        return tags
