"""What classifiers share that add offsets to the log-probabilities of another one."""

from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin, MetaEstimatorMixin
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from imbemotion.postprocessing._held_out import log_probabilities

__all__ = ["OffsetClassifierMixin"]


class OffsetClassifierMixin(ClassifierMixin, MetaEstimatorMixin):
    """Predictions of a fitted ``estimator_`` whose log-probabilities are shifted.

    Subclasses name the fitted attribute that holds the offsets, (n_classes,), and may choose
    among equals by ``_decide``.
    """

    _offsets: str

    @property
    def classes_(self):
        """The labels, (n_classes,)."""
        return self.estimator_.classes_

    def predict(self, X):
        """Predict labels, with the offsets.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the classifier takes.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The predicted labels.
        """
        winners = self._decide(self._shift(X))
        return self.classes_[winners]

    def predict_proba(self, X):
        """Give probabilities times the exponential of the offsets, scaled to sum 1.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the classifier takes.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            The largest of a row is that of the predicted label. They are as if the shares of
            the classes were others; those of the classifier itself are in
            ``estimator_.predict_proba``.
        """
        return softmax(self._shift(X), axis=1)

    def predict_log_proba(self, X):
        """Give logarithms of ``predict_proba``.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the classifier takes.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            -inf where the classifier gives probability 0.
        """
        return log_softmax(self._shift(X), axis=1)

    def _shift(self, X):
        check_is_fitted(self, self._offsets)
        return log_probabilities(self.estimator_, X) + getattr(self, self._offsets)

    def _decide(self, log_proba):
        """Choose columns, the first among equals, (n_samples, n_classes) -> (n_samples,)."""
        return log_proba.argmax(axis=1)

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        if inner.classifier_tags is not None:
            tags.classifier_tags.multi_class = inner.classifier_tags.multi_class
        return tags
