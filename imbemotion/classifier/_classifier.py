"""CNNClassifier: a convolutional network as a plain scikit-learn classifier."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from imbemotion._training import limited_threads, pick_device, seeded
from imbemotion._validation import (
    HasMethods,
    Interval,
    StrOptions,
    check_labels,
    check_random_state,
    fit_context,
    forget_fit,
)
from imbemotion.classifier._composition import LR_SCHEDULES, OPTIMIZERS, compose_net
from imbemotion.classifier._input import check_images
from imbemotion.losses import LOSSES
from imbemotion.losses._weights import CLASS_WEIGHTS
from imbemotion.networks import NETWORKS
from imbemotion.splitting import split_originals

__all__ = ["CNNClassifier"]


class CNNClassifier(ClassifierMixin, BaseEstimator):
    """A convolutional network that learns what it needs from the training data.

    Labels may be of any kind; number of classes, channels, class weights and the scale of
    the pixels come from the data that ``fit`` is given, so that every fold has its own. It
    stands at the end of an imbalanced-learn pipeline.

    Parameters
    ----------
    module : {"small_cnn", "deep_cnn"} or callable, default="deep_cnn"
        The network: a name, or an ``nn.Module`` class that takes ``n_classes`` and
        ``channels`` and maps images (n, channels, height, width) to logits.

    loss : {"cross_entropy", "focal", "balanced_softmax", "logit_adjusted", "ldam", "soft_f1"} \
or nn.Module class, default="cross_entropy"
        The loss: a name (see :mod:`imbemotion.losses`), or a class. One that takes ``weight``
        is given the class weights, one that takes ``class_counts`` the class sizes.

    loss_params : dict, default=None
        Settings of the loss: ``gamma`` of focal, ``tau`` of logit_adjusted, ``max_margin``
        and ``scale`` of ldam, ``cross_entropy`` of soft_f1; and ``beta`` of
        ``class_weight="effective"``.

    class_weight : {"balanced", "sqrt", "effective"}, dict or None, default=None
        Weights of the classes in the loss: ``"balanced"`` is inversely proportional to the
        class sizes in training, ``"sqrt"`` to their square roots, ``"effective"`` to the
        effective number of images; a dict gives weights by label.

    optimizer : {"adam", "adamw", "sgd"} or Optimizer class, default="adam"
        How the weights are updated.

    lr : float, default=1e-3
        Learning rate.

    weight_decay : float, default=0.0
        Weight decay.

    lr_schedule : {"step", "cosine", "onecycle"} or None, default=None
        How the learning rate goes: ``"step"`` divides it by 10 after each third of
        ``max_epochs``; ``"cosine"`` lets it fall to 0; ``"onecycle"`` lets it rise from
        ``lr / 25`` to ``lr`` and fall to nearly 0. The last two change it with every batch.
        None keeps it.

    gradient_clipping : float or None, default=None
        Largest norm of the gradient of a step; larger ones are scaled down to it. None
        clips nothing.

    augmentation : Augmentation, callable or None, default=None
        What is done to the training images, afresh in every epoch, on top of what a sampler
        made. None takes them as they are.

    max_epochs : int, default=20
        Most passes over the training images.

    batch_size : int, default=64
        Images per step.

    validation_fraction : float or None, default=None
        Share of the original images of every class that is held out to stop early on
        macro-F1. Pictures made of held-out images are left out of training. None trains on
        everything for ``max_epochs``.

    patience : int, default=5
        With ``validation_fraction``: epochs without a better macro-F1 after which training
        stops. The best weights are restored.

    device : str, default="auto"
        ``"auto"`` takes a GPU where PyTorch finds one, else the processor.

    n_threads : int, default=None
        Threads of PyTorch during fit and predict. Weights differ slightly with their
        number, so set it for equal results elsewhere. None leaves it as it is.

    callbacks : list, default=None
        Further skorch callbacks.

    net_params : dict, default=None
        Further settings of the skorch net, for example ``{"module__dropout": 0.5}``.

    random_state : int, RandomState instance or None, default=None
        Seed of weights, batches, dropout and the validation split.

    verbose : int, default=0
        With 1 skorch prints a line per epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    class_counts_ : ndarray of int of shape (n_classes,)
        Training rows of each class, without those for validation.

    net_ : ImageNeuralNetClassifier
        The fitted skorch net. Its labels are 0 to n_classes - 1.

    n_iter_ : int
        Epochs that were trained.

    validation_indices_ : ndarray of int
        Rows that were held out; empty without ``validation_fraction``.

    image_shape_ : tuple of int
        Shape of one image.

    n_features_in_ : int
        Size of axis 1 of X.

    See Also
    --------
    ImageNeuralNetClassifier : The skorch net inside, for use in skorch code.

    Notes
    -----
    Pixels of dtype uint8 are divided by 255; floats are standardised by the mean and
    deviation of each channel in training. Flat X of shape (n_samples, n_features) counts
    as images one pixel high.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.zeros((8, 12, 12), dtype=np.uint8)
    >>> X[4:, :6] = 255
    >>> y = np.repeat(["below", "above"], 4)
    >>> model = CNNClassifier(module="small_cnn", lr=0.01, random_state=0).fit(X, y)
    >>> model.predict(X[[0, 7]]).tolist()
    ['below', 'above']
    >>> model.predict_proba(X).sum(axis=1).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """

    _parameter_constraints: dict = {
        "module": [StrOptions(set(NETWORKS)), callable],
        "loss": [StrOptions(set(LOSSES)), callable],
        "loss_params": [dict, None],
        "class_weight": [StrOptions(set(CLASS_WEIGHTS)), dict, None],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "lr_schedule": [StrOptions(set(LR_SCHEDULES)), None],
        "gradient_clipping": [Interval(Real, 0, None, closed="neither"), None],
        "augmentation": [HasMethods(["draw", "apply"]), callable, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "callbacks": [list, None],
        "net_params": [dict, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        module="deep_cnn",
        loss="cross_entropy",
        loss_params=None,
        class_weight=None,
        optimizer="adam",
        lr=1e-3,
        weight_decay=0.0,
        lr_schedule=None,
        gradient_clipping=None,
        augmentation=None,
        max_epochs=20,
        batch_size=64,
        validation_fraction=None,
        patience=5,
        device="auto",
        n_threads=None,
        callbacks=None,
        net_params=None,
        random_state=None,
        verbose=0,
    ):
        self.module = module
        self.loss = loss
        self.loss_params = loss_params
        self.class_weight = class_weight
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.gradient_clipping = gradient_clipping
        self.augmentation = augmentation
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.n_threads = n_threads
        self.callbacks = callbacks
        self.net_params = net_params
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Train a new network.

        Parameters
        ----------
        X : ImageArray, array-like of images (n_samples, height, width[, channels]), \
array-like of paths, or flat data of shape (n_samples, n_features)
            The training images.

        y : array-like of shape (n_samples,)
            Their labels.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError
            If X and y differ in length, or y holds one class only.

        FloatingPointError
            If the loss becomes infinite or NaN.
        """
        forget_fit(self)
        X, y = self._check_training_data(X, y)
        self.classes_, encoded = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y must hold two classes or more, got one class: {self.classes_[0]}."
            )
        random_state = check_random_state(self.random_state)
        seed = random_state.randint(2**31 - 1)
        train, valid = self._split(X, encoded, random_state)
        self.class_counts_ = np.bincount(encoded[train], minlength=len(self.classes_))
        self.validation_indices_ = valid
        device = pick_device(self.device)
        with limited_threads(self.n_threads), seeded(seed, device):
            net = compose_net(self, X, train, valid, device, seed).fit(X, encoded)
        self.net_, self.n_iter_ = net, len(net.history)
        return self

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
        check_is_fitted(self, "net_")
        X = check_images(self, X, reset=False)
        with limited_threads(self.n_threads):
            return self.net_.predict_proba(X)

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

    def _check_training_data(self, X, y):
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        X = check_images(self, X, reset=True)
        y = check_labels(y, n_samples=len(X))
        return X, y

    def _split(self, X, encoded, random_state):
        if self.validation_fraction is None:
            return np.arange(len(X)), np.empty(0, dtype=np.int64)
        return split_originals(X, encoded, self.validation_fraction, random_state)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
