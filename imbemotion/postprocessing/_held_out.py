"""Base classes of the post-hoc classifiers, and predictions of held-out rows."""

from collections import Counter
from numbers import Integral, Real
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax
from sklearn import get_config
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import Bunch, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from imbemotion._base.fits import compute
from imbemotion._base.validation import (
    check_labels,
    check_method_params,
    fit_context,
    forget_fit,
    looks_like_images,
    safe_indexing,
    shorten,
    warn,
)
from imbemotion.images import ImageArray
from imbemotion.leaks import parent_groups
from imbemotion.leaks.duplicates import SMALLEST, duplicate_groups
from imbemotion.postprocessing._heads import as_scores
from imbemotion.splitting.folds import draw_folds

_DEFAULT_FOLDS = 5


def _has(method):
    """Return a check that a model's estimator has a method, or the head if that is an object."""

    def check(model):
        part = getattr(model, "head", model.estimator)  # the head of a DecoupledClassifier
        return isinstance(part, str) or hasattr(part, method)

    return check


class MetaClassifierMixin(ClassifierMixin, MetaEstimatorMixin):
    """Interface of a classifier around an ``estimator``, computed by private methods."""

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike, **params: Any) -> Self:
        """Fit the estimator, and what corrects it.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Input of the estimator: flat data, images, an ``ImageArray`` or paths.
        y : array-like of shape (n_samples,)
            The labels.
        **params : dict
            Arguments of the estimator's ``fit``; ``groups`` is for the folds of a
            TunedOffsetClassifierCV. With metadata routing they go where they are requested.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError
            If X and y differ in length, or a parameter does not fit them or the estimator.
        TypeError
            If ``head`` needs ``head_coef_`` and the estimator has none.
        NotFittedError
            If the estimator is not fitted, but frozen or used with ``cv="prefit"``.
        """
        forget_fit(self)
        self._fit(X, check_labels(y), params)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in ``fit``.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The predicted labels.
        """
        return self._predict(X)

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: ArrayLike) -> NDArray:
        """Estimate class probabilities, with the offsets or from the head.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in ``fit``.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probabilities; each row sums to 1.
        """
        return self._predict_proba(X)

    @available_if(_has("predict_proba"))
    def predict_log_proba(self, X: ArrayLike) -> NDArray:
        """Estimate logarithms of class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in ``fit``.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Logarithms of ``predict_proba``; -inf where the classifier returns 0.
        """
        return self._predict_log_proba(X)

    @available_if(_has("decision_function"))
    def decision_function(self, X: ArrayLike) -> NDArray:
        """Compute scores: log-probabilities with the offsets, or those of the head.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in ``fit``.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            The predicted label has the largest score; of two classes, the second has a
            positive one.
        """
        return self._decision_function(X)

    def _predict_log_proba(self, X):
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _route(self, params):
        """Split the arguments of ``fit`` by receiver."""
        if params and get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", **params)
        return Bunch(estimator=Bunch(fit=params))

    def _routed_parts(self):
        """Return what receives metadata of ``fit``, and in which method, by name."""
        return {"estimator": (self.estimator, "fit")}

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata routing.

        Returns
        -------
        routing : MetadataRouter
            Routes metadata of ``fit`` to the parts that request it.
        """
        router = MetadataRouter(owner=self).add_self_request(self)  # sample_weight of score
        for name, (part, method) in self._routed_parts().items():
            to_method = MethodMapping().add(caller="fit", callee=method)
            router.add(**{name: part}, method_mapping=to_method)
        return router

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        if inner.classifier_tags is not None:
            tags.classifier_tags.multi_class = inner.classifier_tags.multi_class
        return tags


class OffsetClassifierMixin(MetaClassifierMixin):
    """Predictions of a fitted ``estimator_`` whose log-probabilities are shifted."""

    _offsets: str  # name of the fitted attribute with the offsets, (n_classes,)

    @property
    def classes_(self) -> NDArray:
        """The labels, (n_classes,)."""
        return self.estimator_.classes_

    def _predict(self, X):
        columns = self._choose(self._shift(X))  # first, since it checks that the model is fitted
        return self.classes_[columns]

    def _predict_proba(self, X):
        return softmax(self._shift(X), axis=1)

    def _predict_log_proba(self, X):
        return log_softmax(self._shift(X), axis=1)

    def _decision_function(self, X):
        shifted = self._shift(X)
        with np.errstate(invalid="ignore"):  # -inf of both classes
            return as_scores(shifted)

    def _shift(self, X):
        check_is_fitted(self, self._offsets)
        return log_probabilities(self.estimator_, X) + getattr(self, self._offsets)

    def _choose(self, log_proba):
        """Return the column of each row; the first one of ties, as ``argmax`` does."""
        return log_proba.argmax(axis=1)


def check_classes(y):
    """Raise unless there are at least two classes."""
    if len(np.unique(y)) < 2:
        raise ValueError(f"y must hold at least two classes, not one class, got {np.unique(y)}.")


def class_shares(y, weight, classes):
    """Compute the class shares of labels, (n_classes,)."""
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


def log_probabilities(estimator, X):
    """Return logarithms of a classifier's probabilities, (n_samples, n_classes)."""
    proba = np.asarray(compute(estimator, "predict_proba", X), dtype=np.float64)
    name = type(estimator).__name__
    if proba.ndim != 2 or proba.shape[1] != len(estimator.classes_):
        raise ValueError(
            f"{name}.predict_proba must return a column per class, got shape {proba.shape}."
        )
    wrong = ~np.isfinite(proba).all(axis=1) | (proba < 0).any(axis=1) | (proba.sum(axis=1) <= 0)
    if wrong.any():
        raise ValueError(
            f"{name}.predict_proba must return probabilities, got {proba[wrong.argmax()]} for row "
            f"{wrong.argmax()}."
        )
    with np.errstate(divide="ignore"):  # -inf stays -inf, whatever the offset
        return np.log(proba)


class HeldOut(NamedTuple):
    """Rows of X that were predicted by a classifier fitted on others."""

    rows: np.ndarray  # (n_rows,), ascending; repeated if predicted several times
    classes: np.ndarray  # (n_classes,), sorted: of the labels and the classifiers
    codes: np.ndarray  # (n_rows,): the labels, as columns
    log_proba: np.ndarray  # (n_rows, n_classes); -inf for classes unknown to the classifier


def predict_held_out(estimator, X, y, splits, params, n_jobs):
    """Fit clones on the training rows and predict the test rows."""
    results = Parallel(n_jobs=n_jobs)(
        delayed(_fit_and_predict)(clone(estimator), X, y, *split, params, len(splits) == 1)
        for split in splits
    )
    return [part for part, _ in results], results[0][1]


def _fit_and_predict(estimator, X, y, train, test, params, keep):
    params = check_method_params(X, params, indices=train)  # weights and groups of these rows
    estimator.fit(safe_indexing(X, train), y[train], **params)
    log_proba = log_probabilities(estimator, safe_indexing(X, test))
    return (test, estimator.classes_, log_proba), estimator if keep else None


def pool(parts, y):
    """Join the predictions of all splits."""
    classes = np.unique(np.concatenate([y, *(known for _, known, _ in parts)]))
    rows = np.concatenate([test for test, _, _ in parts])
    seen = np.concatenate([np.isin(y[test], known) for test, known, _ in parts])
    blocks = [np.full((len(test), len(classes)), -np.inf) for test, _, _ in parts]
    for block, (_, known, log_p) in zip(blocks, parts, strict=True):
        block[:, np.searchsorted(classes, known)] = log_p
    if not seen.all():
        _warn_of_unseen(y[rows], seen, classes)
    order = np.argsort(rows, kind="stable")  # results must not depend on the order of the splits
    rows = rows[order]
    return HeldOut(rows, classes, np.searchsorted(classes, y[rows]), np.concatenate(blocks)[order])


def _warn_of_unseen(labels, seen, classes):
    """Warn of rows whose class was not in the training rows of their classifier."""
    sizes, unseen = Counter(labels.tolist()), Counter(labels[~seen].tolist())
    few = shorten([f"{label} ({n} of {sizes[label]})" for label, n in sorted(unseen.items())])
    if not seen.any():
        raise ValueError(
            f"y must hold classes that the classifier knows, got only rows of {few}; "
            f"the classes are {shorten(classes)}."
        )
    warn(
        f"Some rows were predicted by a classifier that was not fitted on their class: {few}. "
        "It assigns probability 0 to that class, which no offset changes."
    )


def make_splits(cv, X, y, params, random_state):
    """Return training and test rows, without splits that have no test rows."""
    cv, strata = _DEFAULT_FOLDS if cv is None else cv, y
    is_drawn = params.get("groups") is None and isinstance(cv, Real)
    if isinstance(cv, Real) and not isinstance(cv, Integral):
        kind = StratifiedShuffleSplit if params.get("groups") is None else GroupShuffleSplit
        cv = kind(1, test_size=cv, random_state=random_state)
        # A class of a single row cannot be on both sides: count it to the largest class.
        classes, codes, sizes = np.unique(y, return_inverse=True, return_counts=True)
        strata = np.where(sizes == 1, sizes.argmax(), np.arange(len(classes)))[codes]
    found = draw_folds(cv, X, strata, random_state, **params)
    copies = _equal_images(X) if is_drawn else None
    if copies is not None:
        found = [_without_copies(train, test, copies, y) for train, test in found]
    splits = [split for split in found if len(split[1])]
    if not splits:
        raise ValueError(
            f"cv must hold out some rows, got {len(found)} splits, none of them with test rows."
        )
    if isinstance(cv, Integral):
        _warn_of_small_classes(cv, y)
    _warn_of_copies(X, splits)
    return splits


def _equal_images(X):
    """Return groups of nearly equal images, None where there are none or X is no batch."""
    is_batch = isinstance(X, ImageArray | np.ndarray) and looks_like_images(X)
    if not is_batch or X.dtype.kind not in "uf" or X.shape[3:] not in ((), (1,), (2,), (3,), (4,)):
        return None
    if isinstance(X, ImageArray) and len(set(parent_groups(X.parents))) < len(X):
        return None  # copies by a sampler, of which a warning tells
    if X.dtype.kind == "f" and not np.isfinite(X).all():
        return None
    groups = duplicate_groups(X, near=min(X.shape[1:3]) >= SMALLEST)
    return groups if len(set(groups)) < len(groups) else None


def _without_copies(train, test, groups, y):
    """Leave out training rows that look like test rows, unless a class would go with them."""
    kept = train[~np.isin(groups[train], groups[test])]
    return (kept if len(set(y[kept])) == len(set(y[train])) else train), test


def _warn_of_small_classes(n_folds, y):
    sizes = Counter(y.tolist())
    few = [f"{label} ({n})" for label, n in sorted(sizes.items()) if 1 < n < n_folds]
    if few:
        warn(
            f"Classes with fewer rows than folds ({n_folds}): {shorten(few)}. Their offsets "
            "depend on these rows alone; l2 shrinks them towards 0."
        )


def _warn_of_copies(X, splits):
    """Warn if training and test rows derive from the same images."""
    if not isinstance(X, ImageArray):
        return
    parents = parent_groups(X.parents)
    n_shared = max(np.isin(parents[test], parents[train]).sum() for train, test in splits)
    if n_shared:
        warn(
            f"Up to {n_shared} images of a test fold are copies or synthetic images of training "
            "images, which the classifier has seen. Put the sampler inside, as in make_pipeline("
            "sampler, classifier), or pass groups=imbemotion.leaks.parent_groups(X.parents)."
        )
