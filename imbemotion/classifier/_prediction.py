"""What a fitted classifier gives: probabilities, labels, features and its history."""

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from imbemotion._training import limited_threads
from imbemotion.classifier._head import linear_head
from imbemotion.classifier._input import check_images

__all__ = ["PredictionMixin"]


class PredictionMixin:
    """The methods of a classifier that has a fitted ``net_`` and ``classes_``."""

    def predict_proba(self, X):
        """Estimate the probability of every class.

        Parameters
        ----------
        X : ImageArray, array-like of images, array-like of paths, or flat data
            Images of the same shape as in ``fit``.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``; rows sum to 1.
        """
        return self._run("predict_proba", X)

    def predict(self, X):
        """Predict the most probable label.

        Parameters
        ----------
        X : ImageArray, array-like of images, array-like of paths, or flat data
            Images of the same shape as in ``fit``.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            One of ``classes_`` for every image.
        """
        winners = self.predict_proba(X).argmax(axis=1)
        return self.classes_[winners]

    def transform(self, X):
        """Compute the features that the head of the network decides by.

        Parameters
        ----------
        X : ImageArray, array-like of images, array-like of paths, or flat data
            Images of the same shape as in ``fit``.

        Returns
        -------
        features : ndarray of float32 of shape (n_samples, n_features)
            Output of the network's part ``features``.

        Raises
        ------
        TypeError
            If the network has no such part.
        """
        return self._run("transform", X)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    def _run(self, method, X):
        check_is_fitted(self, "net_")
        X = check_images(self, X, reset=False)
        self.net_.test_time_augmentation = self.test_time_augmentation
        with limited_threads(self.n_threads):
            return getattr(self.net_, method)(X)

    @property
    def head_coef_(self):
        """Weights by which the head makes logits of the features, (n_classes, n_features)."""
        return self._linear_head()[0]

    @property
    def head_intercept_(self):
        """What the head adds to the logits, (n_classes,)."""
        return self._linear_head()[1]

    def _linear_head(self):
        check_is_fitted(self, "net_")
        with limited_threads(self.n_threads):
            return linear_head(self.net_, self.image_shape_)

    @property
    def history_(self):
        """Losses, macro-F1 on the validation images, and seconds of every epoch; the best one."""
        check_is_fitted(self, "net_")
        table = pd.DataFrame(self.net_.history.to_list())
        technical = table.columns.str.endswith(("batches", "_batch_count", "_best"))
        technical |= table.columns.str.startswith("event_")
        return table.loc[:, ~technical].rename(columns={"dur": "seconds"})
