"""CNNClassifier: a convolutional network as a scikit-learn classifier."""

from collections.abc import Callable
from os import PathLike
from typing import Any

import pandas as pd
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from imbemotion._base.validation import fit_context
from imbemotion.classifier._export import ExportMixin
from imbemotion.classifier.parameters import CONSTRAINTS, NestedParameters


class CNNClassifier(
    NestedParameters, ExportMixin, ClassifierMixin, TransformerMixin, BaseEstimator
):
    """A convolutional network as a scikit-learn classifier.

    Labels may be of any kind; classes, channels, class weights and the scale of the pixels
    are learned from the data that ``fit`` receives. Use it as the last step of an
    imbalanced-learn pipeline. Entries of the ``*_params`` can be set and searched one by one,
    as in skorch: ``loss__gamma``, ``module__dropout``, ``net__precision``.

    Parameters
    ----------
    module : str or callable, default="plain_cnn"
        Name in :mod:`imbemotion.networks`, or an ``nn.Module`` class that takes ``n_classes``
        and ``channels`` and maps images (n, channels, height, width) to logits.
    module_params : dict, default=None
        Settings of the network, for example ``{"dropout": 0.5}``.
    loss : str or nn.Module class, default="cross_entropy"
        Name in :mod:`imbemotion.losses`, or a class, which receives class weights and sizes
        if it takes ``weight`` and ``class_counts``.
    loss_params : dict, default=None
        Settings of the loss: ``gamma`` of focal, ``tau`` of logit_adjusted, ``max_margin``
        and ``scale`` of ldam, ``cross_entropy`` of soft_f1; ``beta`` of
        ``class_weight="effective"``; and for every loss ``label_smoothing``, the probability
        with which a label counts as one drawn from the class shares in training (equal
        shares would ask for huge logits of rare classes where the loss knows the prior).
    class_weight : {"balanced", "sqrt", "effective"}, dict or None, default=None
        Class weights in the loss, inversely proportional to the class sizes in training,
        their square roots or the effective number of images; or by label.
    batch_sampling : {"balanced", "sqrt", "progressive"} or None, default=None
        Class shares among the images of an epoch: equal, proportional to the square roots
        of the class sizes, or moving from natural to equal [2]_. None takes every image once.
    balance_from : float, default=0.0
        Fraction of the steps after which class weights and ``batch_sampling`` start
        (deferred re-weighting [1]_); 1 means never.
    augmentation : str, Augmentation, callable or None, default="auto"
        Random changes of the training images, drawn anew in every epoch: a preset of
        :class:`Augmentation`, or ``"auto"``, which is ``"light"``, with mirror images where a
        linear classifier cannot tell the images of each class from their mirror images
        (faces, leaves; not digits or text).
    mixup : float, default=0.0
        Parameter of the beta distribution by which pairs of images are mixed [3]_; 0.2 to 1
        are usual, 0 mixes nothing.
    optimizer : {"adam", "adamw", "sgd"} or Optimizer class, default="adamw"
        Optimizer of the weights.
    optimizer_params : dict, default=None
        Settings of the optimizer, for example ``momentum``, and of the steps around it:

        - ``weight_decay``: weight decay; ``"auto"`` (the default) is 0.01 for AdamW, else 0;
        - ``backbone_lr``, ``backbone_weight_decay``: values for all layers but the head;
          in pretrained networks the rate is 3e-4, unless it or ``lr`` is set;
        - ``freezing``: as in :class:`~imbemotion.callbacks.FreezeBackbone`: ``"backbone"``,
          ``"gradual"`` or a fraction of the steps;
        - ``gradient_clipping``: largest norm of the gradient of a step;
        - ``weight_averaging``: how far an exponential moving average of the weights, which
          validates and predicts, reaches back, as a fraction of the steps (0.05 unless set;
          0 averages nothing).
    lr : float, default="auto"
        Learning rate. ``"auto"`` is the ``default_lr`` of the network (5e-3 for
        ``"plain_cnn"``, 1e-3 for others), ten times as much for ``"sgd"``.
    lr_schedule : {"step", "cosine", "onecycle"} or None, default="onecycle"
        ``"step"`` divides the learning rate by 10 after each third of the steps, ``"cosine"``
        decays it to 0 and ``"onecycle"`` raises it from ``lr / 25`` to ``lr``, then decays it
        to nearly 0.
    max_steps : int or None, default="auto"
        Number of optimizer steps; the last pass may be incomplete. ``"auto"`` is
        35 times the square root of the number of original images, at least 400, unless
        ``max_epochs`` is set.
    max_epochs : int, default=None
        Number of passes over the training images; the lower of the two limits counts.
    batch_size : int, default="auto"
        Images per step; ``"auto"`` is 32 up to 2,000 original images, 64 up to 10,000, else
        128.
    validation_fraction : float or None, default=None
        Share of the original images of every class held out for validation, after every
        epoch; the weights of the best one (macro-F1, then loss) are restored. Images derived
        from them are left out of training, and groups, or originals that look nearly the
        same, stay on one side. None keeps those at the end.
    patience : float, default=None
        Fraction of the steps without a better validation after which training stops; None
        never stops it. Epochs before ``balance_from`` do not count.
    device : str, default="auto"
        Device of PyTorch; ``"auto"`` takes a GPU where there is one, else the CPU.
    n_threads : int, default=None
        Threads of PyTorch during fit and predict, which change weights slightly. None
        leaves their number unchanged.
    net_params : dict, default=None
        Settings of the skorch net that no other keyword sets, for example
        ``{"iterator_train__num_workers": 2}``; and:

        - ``callbacks``: list of further skorch callbacks, which are copied to
          ``net_.callbacks_``. With ``mixup`` or ``sample_weight`` the labels of a batch are
          a list of ``imbemotion.losses.Target``;
        - ``precision``: ``"float32"``, ``"bfloat16"``, or ``"auto"`` (the default), which is
          bfloat16 in training where the GPU, or the CPU (with AMX, for images of 32 pixels
          and more), gains from it;
        - ``test_time_augmentation``: ``"flip"`` averages the probabilities of each image and
          its mirror image, ``"flip_zoom"`` those of three enlarged central crops as well;
          ``"auto"`` (the default) is ``"flip"`` where ``augmentation="auto"`` would mirror;
        - ``warm_start``: whether ``fit`` continues from the weights of the last fit.
    checkpoint : str or Path, default=None
        File in which ``fit`` keeps its state until it ends: after a crash or Ctrl-C an equal
        ``fit`` goes on to the same weights, bit by bit. It is written at the end of an epoch,
        at most every ten seconds, and has 12 digits of a digest of parameters, data and
        versions in its name. ``random_state`` must be an int, or None, where the seed in the
        file counts. The state of custom callbacks is not stored, except for attributes that
        end in an underscore and are numbers, text, arrays or tensors. ``partial_fit`` ignores
        it.
    random_state : int, RandomState instance or None, default=None
        Seed of weights, batches, dropout, augmentation and the validation split.
    verbose : int, default=0
        Whether a progress bar shows steps, losses, macro-F1 and time.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    class_counts_ : ndarray of int of shape (n_classes,)
        Training rows per class; after ``partial_fit`` summed over all calls.
    training_prior_ : ndarray of float of shape (n_classes,)
        Class shares that the probabilities imply: those in the batches of the last (or
        restored) epoch, times class and sample weights; balanced softmax and logit
        adjustment take the natural shares out. Exact for these and cross-entropy.
    head_coef_ : ndarray of shape (n_classes, n_features)
        Weights of the head, if it is linear (not in ``"deep_cnn"``, and in pretrained
        networks only with ``module__hidden=None``): ``transform(X) @ head_coef_.T
        + head_intercept_`` are the logits. Batch normalization is folded in.
    head_intercept_ : ndarray of shape (n_classes,)
        Intercept of the head, if it is linear.
    history_ : DataFrame of shape (n_iter_, n_figures)
        Figures of every epoch; ``best`` marks that whose weights the classifier has.
    net_ : ImageNeuralNetClassifier
        The fitted skorch net. Its labels are 0 to n_classes - 1.
    n_iter_ : int
        Number of epochs trained.
    interrupted_ : bool
        Whether Ctrl-C ended the training; the weights so far can be used.
    recipe_ : dict
        What ``"auto"`` became: ``max_steps``, ``batch_size``, ``lr`` and ``mirrored``,
        whether images may be mirrored (None if nothing depended on it).
    validation_indices_ : ndarray of int
        Held-out rows of X; empty without ``validation_fraction``.
    image_shape_ : tuple of int
        Shape of one image.
    n_features_in_ : int
        Size of axis 1 of X.

    See Also
    --------
    ImageNeuralNetClassifier : The skorch net inside, for use in skorch code.

    Notes
    -----
    Pixels of dtype uint8 are divided by 255; floats are standardized by mean and deviation
    of each channel in training. Flat X of shape (n_samples, n_features) counts as images
    one pixel high.

    References
    ----------
    .. [1] K. Cao, C. Wei, A. Gaidon, N. Arechiga, T. Ma, "Learning Imbalanced Datasets with
       Label-Distribution-Aware Margin Loss", NeurIPS 2019.

    .. [2] B. Kang, S. Xie, M. Rohrbach, Z. Yan, A. Gordo, J. Feng, Y. Kalantidis, "Decoupling
       Representation and Classifier for Long-Tailed Recognition", ICLR 2020.

    .. [3] H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.zeros((8, 12, 12), dtype=np.uint8)
    >>> X[4:, :6] = 255
    >>> y = np.repeat(["below", "above"], 4)
    >>> model = CNNClassifier(max_steps=50, random_state=0).fit(X, y)
    >>> model.predict(X[[0, 7]]).tolist()
    ['below', 'above']
    """

    _parameter_constraints: dict = CONSTRAINTS

    def __init__(
        self, *,
        module: str | Callable = "plain_cnn", module_params: dict | None = None,
        loss: str | Callable = "cross_entropy", loss_params: dict | None = None,
        class_weight: str | dict | None = None, batch_sampling: str | None = None,
        balance_from: float = 0.0,
        augmentation: Any = "auto", mixup: float = 0.0,
        optimizer: str | Callable = "adamw", optimizer_params: dict | None = None,
        lr: float | str = "auto", lr_schedule: str | None = "onecycle",
        max_steps: int | str | None = "auto", max_epochs: int | None = None,
        batch_size: int | str = "auto",
        validation_fraction: float | None = None, patience: float | None = None,
        device: str = "auto", n_threads: int | None = None,
        net_params: dict | None = None, checkpoint: str | PathLike | None = None,
        random_state: int | RandomState | None = None, verbose: int = 0,
    ):  # fmt: skip
        self.module, self.module_params = module, module_params
        self.loss, self.loss_params = loss, loss_params
        self.class_weight, self.batch_sampling = class_weight, batch_sampling
        self.balance_from = balance_from
        self.augmentation, self.mixup = augmentation, mixup
        self.optimizer, self.optimizer_params = optimizer, optimizer_params
        self.lr, self.lr_schedule = lr, lr_schedule
        self.max_steps, self.max_epochs, self.batch_size = max_steps, max_epochs, batch_size
        self.validation_fraction, self.patience = validation_fraction, patience
        self.device, self.n_threads = device, n_threads
        self.net_params, self.checkpoint = net_params, checkpoint
        self.random_state, self.verbose = random_state, verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None, validation_data: tuple[Any, ArrayLike] | None = None,
    ) -> "CNNClassifier":  # fmt: skip
        """Train a new network.

        Parameters
        ----------
        X : ImageArray, array-like of images (n_samples, height, width[, channels]), \
array-like of paths, or flat data of shape (n_samples, n_features)
            The training images.
        y : array-like of shape (n_samples,)
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each image in the loss. None means 1.
        groups : array-like of shape (n_entered,), default=None
            Groups, such as persons or videos, that the split by ``validation_fraction`` keeps
            on one side, one for each row before the first sampler: pass those of the whole
            data as ``cnn__groups`` to ``fit`` of a pipeline, or request them by
            ``set_fit_request(groups=True)``. Samplers of imbemotion that return images record
            the rows; behind others, plain arrays must have as many rows as there are groups,
            in their order. None: originals that look nearly the same are a group.
        validation_data : tuple of (X, y), default=None
            Validation images and labels, used instead of a ``validation_fraction``.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError
            If X, y and sample_weight differ in length, or y contains a single class; if
            groups are not one per row before sampling, or identical images differ in group.
        FloatingPointError
            If the loss becomes infinite or NaN.
        MemoryError
            If memory runs out; the message names what to lower. So does prediction.
        KeyboardInterrupt
            After Ctrl-C, with the weights so far kept and ``interrupted_`` set.

        Warns
        -----
        ConvergenceWarning
            Of each sign that the training failed or ended early: scores no better than chance,
            a loss that never fell, a class that is never predicted, a validation that was
            still rising, averaged weights that are worse than the last ones.
        DataWarning
            If the file of ``checkpoint`` is damaged, in use or of another fit.
        """
        from imbemotion.classifier import _fitting  # imports PyTorch, as the others below

        _fitting.fit(self, X, y, sample_weight, groups, validation_data)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: ArrayLike, classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "CNNClassifier":  # fmt: skip
        """Train one more epoch, on the same or new data.

        The learning rate is ``lr``; there is no validation, class weights and drawn batches
        start at once, and a backbone is frozen by ``freezing="backbone"`` only.

        Parameters
        ----------
        X, y, sample_weight
            As in :meth:`fit`, with images of the same shape in every call.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed in the first call if y lacks some.

        Returns
        -------
        self : object
            The classifier.

        Raises
        ------
        ValueError
            If y contains a label that the first call did not name.
        """
        from imbemotion.classifier import _fitting

        _fitting.partial_fit(self, X, y, classes, sample_weight)
        return self

    def predict_proba(self, X: Any) -> NDArray:
        """Estimate the probability of every class.

        Parameters
        ----------
        X : ImageArray or array-like
            Images of the same shape as in :meth:`fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``; rows sum to 1.
        """
        return self._run("predict_proba", X)

    def predict(self, X: Any) -> NDArray:
        """Predict the most probable label.

        Parameters
        ----------
        X : ImageArray or array-like
            As in :meth:`predict_proba`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            One of ``classes_`` per image.
        """
        proba = self.predict_proba(X)  # first, as it checks that the classifier is fitted
        return self.classes_[proba.argmax(axis=1)]

    def transform(self, X: Any) -> NDArray:
        """Compute the features that the head of the network receives.

        Parameters
        ----------
        X : ImageArray or array-like
            As in :meth:`predict_proba`.

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

    @property
    def history_(self) -> pd.DataFrame:
        """Losses, macro-F1 on validation images, and seconds of every epoch."""
        check_is_fitted(self, "net_")
        table = pd.DataFrame(self.net_.history.to_list())
        technical = table.columns.str.contains("batches$|_batch_count$|_best$|^event_")
        return table.loc[:, ~technical].rename(columns={"dur": "seconds"})

    def _run(self, method, X):
        from imbemotion.classifier import _fitting

        check_is_fitted(self, "net_")
        return _fitting.predict(self, method, X)

    def _views(self):
        views = self._own("net", "test_time_augmentation")
        mirrors = "flip" if self.recipe_["mirrored"] else None
        return mirrors if views == "auto" else views

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
