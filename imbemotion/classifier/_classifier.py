"""CNNClassifier: a convolutional network as a plain scikit-learn classifier."""

from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin

from imbemotion._base.validation import fit_context
from imbemotion.classifier._fitting import fit, partial_fit
from imbemotion.classifier._parameters import CONSTRAINTS
from imbemotion.classifier._prediction import PredictionMixin
from imbemotion.classifier._saving import SavingMixin

__all__ = ["CNNClassifier"]


class CNNClassifier(
    PredictionMixin, SavingMixin, ClassifierMixin, TransformerMixin, BaseEstimator
):
    """A convolutional network that learns what it needs from the training data.

    Labels may be of any kind; number of classes, channels, class weights and the scale of
    the pixels come from the data that ``fit`` is given, so that every fold has its own. It
    stands at the end of an imbalanced-learn pipeline. Every keyword that is about training
    has a neutral default, at which nothing changes.

    Parameters
    ----------
    module : str or callable, default="residual_cnn"
        The network: a name (see :mod:`imbemotion.networks`), or an ``nn.Module`` class that
        takes ``n_classes`` and ``channels`` and maps images (n, channels, height, width) to
        logits.

    module_params : dict, default=None
        Settings of the network, for example ``{"dropout": 0.5}``.

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

    weight_from : float, default=0.0
        Fraction of ``max_epochs`` after which the class weights start (deferred
        re-weighting [1]_); 1 means never.

    batch_sampling : {"balanced", "sqrt", "progressive"} or None, default=None
        Shares of the classes among the images of an epoch: equal, proportional to the
        square roots of their sizes, or moving from the natural ones to equal ones [2]_.
        None takes every image once.

    sampling_from : float, default=0.0
        Fraction of ``max_epochs`` after which ``batch_sampling`` starts; 1 means never.

    augmentation : Augmentation, callable or None, default=None
        What is done to the training images, afresh in every epoch, on top of what a sampler
        made. None takes them as they are.

    mixup : float, default=0.0
        Parameter of the beta distribution of the share by which every image of a batch is
        mixed with another one [3]_; 0.2 to 1 are usual. 0 mixes nothing.

    label_smoothing : float, default=0.0
        Probability with which a label counts as one drawn from the class shares in training.
        Smoothing towards equal shares would ask for huge logits of rare classes where the
        loss knows the prior.

    optimizer : {"adam", "adamw", "sgd"} or Optimizer class, default="adam"
        How the weights are updated.

    lr : float, default=1e-3
        Learning rate.

    weight_decay : float, default=0.0
        Weight decay.

    backbone_lr : float, default=None
        Learning rate of the backbone, which is all but the head. None means ``lr``.

    backbone_weight_decay : float, default=None
        Weight decay of the backbone. None means ``weight_decay``.

    freezing : {"backbone", "gradual"}, float or None, default=None
        ``"backbone"`` trains the head alone; ``"gradual"`` lets the stages of the backbone
        take part one after another, the last ones first, in the first half of the training;
        a number is the fraction of ``max_epochs`` in which the backbone is frozen. None
        freezes nothing.

    lr_schedule : {"step", "cosine", "onecycle"} or None, default=None
        How the learning rate goes: ``"step"`` divides it by 10 after each third of
        ``max_epochs``; ``"cosine"`` lets it fall to 0; ``"onecycle"`` lets it rise from
        ``lr / 25`` to ``lr`` and fall to nearly 0. The last two change it with every batch.
        None keeps it.

    gradient_clipping : float or None, default=None
        Largest norm of the gradient of a step; larger ones are scaled down to it. None
        clips nothing.

    weight_averaging : float, default=0.0
        Decay of the exponential moving average of the weights over the steps, for example
        0.999. Validation and prediction use the average. 0 uses the last weights.

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
        stops. The best weights are restored. Epochs before deferred weights or batches
        start do not count.

    warm_start : bool, default=False
        Whether ``fit`` trains on from the weights of the last fit.

    precision : {"auto", "float32", "bfloat16"}, default="auto"
        In what the network computes while it is trained; ``"auto"`` takes bfloat16 where the
        processor (with AMX) or GPU gains from it. Weights and predictions are float32 in any
        case.

    test_time_augmentation : {"flip", "flip_zoom"} or None, default=None
        ``"flip"`` averages the probabilities of every image and its mirror image,
        ``"flip_zoom"`` those of three enlarged central crops and theirs as well.

    device : str, default="auto"
        ``"auto"`` takes a GPU where PyTorch finds one, else the processor.

    n_threads : int, default=None
        Threads of PyTorch during fit and predict. Weights differ slightly with their
        number, so set it for equal results elsewhere. None leaves it as it is.

    callbacks : list, default=None
        Further skorch callbacks. They are copied; those that ran are in ``net_.callbacks_``.
        With ``mixup`` or ``sample_weight`` the labels of a batch are a list of
        ``imbemotion.losses.Target``.

    net_params : dict, default=None
        Further settings of the skorch net that no other keyword sets, for example
        ``{"iterator_train__num_workers": 2}``.

    random_state : int, RandomState instance or None, default=None
        Seed of weights, batches, dropout, augmentation and the validation split.

    verbose : int, default=0
        With 1 a progress bar shows epochs and losses.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    class_counts_ : ndarray of int of shape (n_classes,)
        Training rows of each class, without those for validation; after ``partial_fit``
        those of all calls.

    training_prior_ : ndarray of float of shape (n_classes,)
        Class shares that the probabilities are relative to: those in the batches of the
        last epoch, or of the one whose weights were restored, times class and sample
        weights; balanced softmax and logit adjustment take the natural shares out. Exact
        for these and cross-entropy; other losses distort probabilities.

    head_coef_ : ndarray of shape (n_classes, n_features)
        Weights of the head: ``transform(X) @ head_coef_.T + head_intercept_`` are the logits,
        whose softmax is ``predict_proba(X)`` without ``test_time_augmentation``. Only where
        the head is linear: AttributeError for ``"deep_cnn"``, and for pretrained networks
        unless ``module_params={"hidden": None}``. Their batch normalisation is folded in.

    head_intercept_ : ndarray of shape (n_classes,)
        What the head adds. Only where the head is linear.

    history_ : DataFrame of shape (n_iter_, n_figures)
        Losses, macro-F1 on the validation images, and seconds of every epoch; where there
        were any, ``best`` is True for the epoch whose weights the classifier has.

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

    References
    ----------
    .. [1] K. Cao, C. Wei, A. Gaidon, N. Arechiga, T. Ma, "Learning Imbalanced Datasets with
       Label-Distribution-Aware Margin Loss", NeurIPS 2019.

    .. [2] B. Kang, S. Xie, M. Rohrbach, Z. Yan, A. Gordo, J. Feng, Y. Kalantidis, "Decoupling
       Representation and Classifier for Long-Tailed Recognition", ICLR 2020.

    .. [3] H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz, "mixup: Beyond Empirical Risk
       Minimization", ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.zeros((8, 12, 12), dtype=np.uint8)
    >>> X[4:, :6] = 255
    >>> y = np.repeat(["below", "above"], 4)
    >>> model = CNNClassifier(module="small_cnn", lr=0.01, random_state=0).fit(X, y)
    >>> model.predict(X[[0, 7]]).tolist()
    ['below', 'above']
    >>> model.predict_proba(X).shape
    (8, 2)
    """

    _parameter_constraints: dict = CONSTRAINTS

    def __init__(
        self,
        *,
        module="residual_cnn",
        module_params=None,
        loss="cross_entropy",
        loss_params=None,
        class_weight=None,
        weight_from=0.0,
        batch_sampling=None,
        sampling_from=0.0,
        augmentation=None,
        mixup=0.0,
        label_smoothing=0.0,
        optimizer="adam",
        lr=1e-3,
        weight_decay=0.0,
        backbone_lr=None,
        backbone_weight_decay=None,
        freezing=None,
        lr_schedule=None,
        gradient_clipping=None,
        weight_averaging=0.0,
        max_epochs=20,
        batch_size=64,
        validation_fraction=None,
        patience=5,
        warm_start=False,
        precision="auto",
        test_time_augmentation=None,
        device="auto",
        n_threads=None,
        callbacks=None,
        net_params=None,
        random_state=None,
        verbose=0,
    ):
        self.module = module
        self.module_params = module_params
        self.loss = loss
        self.loss_params = loss_params
        self.class_weight = class_weight
        self.weight_from = weight_from
        self.batch_sampling = batch_sampling
        self.sampling_from = sampling_from
        self.augmentation = augmentation
        self.mixup = mixup
        self.label_smoothing = label_smoothing
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.backbone_lr = backbone_lr
        self.backbone_weight_decay = backbone_weight_decay
        self.freezing = freezing
        self.lr_schedule = lr_schedule
        self.gradient_clipping = gradient_clipping
        self.weight_averaging = weight_averaging
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.warm_start = warm_start
        self.precision = precision
        self.test_time_augmentation = test_time_augmentation
        self.device = device
        self.n_threads = n_threads
        self.callbacks = callbacks
        self.net_params = net_params
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train a new network.

        Parameters
        ----------
        X : ImageArray, array-like of images (n_samples, height, width[, channels]), \
array-like of paths, or flat data of shape (n_samples, n_features)
            The training images.

        y : array-like of shape (n_samples,)
            Their labels.

        sample_weight : array-like of shape (n_samples,), default=None
            How much every image counts in the loss. None means 1.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError
            If X, y and sample_weight differ in length, or y holds one class only.

        FloatingPointError
            If the loss becomes infinite or NaN.
        """
        fit(self, X, y, sample_weight)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train one more epoch, on data that may be new.

        The learning rate is ``lr``; nothing is held out for validation, weights and drawn
        batches start at once, and a backbone is frozen by ``freezing="backbone"`` only.

        Parameters
        ----------
        X : ImageArray, array-like of images, array-like of paths, or flat data
            Images of the same shape in every call.

        y : array-like of shape (n_samples,)
            Their labels.

        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed in the first call if y lacks some.

        sample_weight : array-like of shape (n_samples,), default=None
            How much every image counts in the loss. None means 1.

        Returns
        -------
        self : object
            The classifier.

        Raises
        ------
        ValueError
            If y holds a label that the first call did not name.
        """
        partial_fit(self, X, y, classes, sample_weight)
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
