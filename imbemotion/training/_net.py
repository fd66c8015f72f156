"""ImageNeuralNetClassifier: skorch's classifier with images fetched and scaled as batches."""

from functools import partial
from itertools import islice
from numbers import Real
from time import perf_counter

import cloudpickle
import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochTimer
from skorch.dataset import unpack_data

from imbemotion.losses import Target, batch_loss, label_loss, weighted_mean
from imbemotion.training.alarms import check_first_batch
from imbemotion.training.batches import (
    ImageDataset,
    check_order,
    check_views,
    collate,
    collate_items,
    softmax_probabilities,
    views,
)
from imbemotion.training.machine import explained_memory, record_interrupts

_TYPES = ("float32", "bfloat16")
_PREDICTED = "iterator_valid__batch_size (of CNNClassifier: net__iterator_valid__batch_size)"


class _EpochTimer(EpochTimer):
    """The timer of skorch, by a clock that does not run back."""

    def on_epoch_begin(self, net, **kwargs):
        self.epoch_start_time_ = perf_counter()

    def on_epoch_end(self, net, **kwargs):
        net.history.record("dur", perf_counter() - self.epoch_start_time_)


class ImageNeuralNetClassifier(NeuralNetClassifier):
    """A skorch classifier for images whose network returns logits.

    Images are fetched batch by batch, scaled on the device and put channels first; batches
    are shuffled; ``predict_proba`` returns probabilities whatever the loss; a loss that is not
    finite, and Ctrl-C, raise an error instead of leaving a half-trained network.

    Parameters
    ----------
    module : nn.Module class or callable
        The network, from (n, channels, height, width) to logits (n, n_classes).
    *args, **kwargs
        As in ``skorch.NeuralNetClassifier``.
    criterion : nn.Module class, default=torch.nn.CrossEntropyLoss
        The loss, from logits and encoded labels.
    input_mean : float or array-like of shape (channels,), default=0.0
        Subtracted from every pixel.
    input_scale : float or array-like of shape (channels,), default=255.0
        Divisor of every pixel, after the mean was subtracted.
    precision : {"float32", "bfloat16"}, default="float32"
        Precision of the network in training; weights, loss and predictions are float32.
    label_smoothing : float, default=0.0
        Probability with which every label counts as one drawn from ``class_shares``. It
        needs a criterion of single images, by ``criterion__reduction="none"``.
    class_shares : array-like of shape (n_classes,), default=None
        Class shares in training; needed by ``label_smoothing``.
    test_time_augmentation : {"flip", "flip_zoom"} or None, default=None
        Views whose probabilities are averaged, as in :class:`~imbemotion.CNNClassifier`.
    max_steps : int, default=None
        Number of steps after which training stops, also within an epoch; None means that only
        ``max_epochs`` limits it.
    dataset : Dataset class, default=ImageDataset
        Container of X and y.
    predict_nonlinearity : callable, "auto" or None, default=softmax
        From logits to probabilities.

    See Also
    --------
    CNNClassifier : A scikit-learn classifier that sets up one of these.

    Examples
    --------
    >>> import numpy as np
    >>> from imbemotion.networks import SmallCNN
    >>> X, y = np.zeros((6, 8, 8), dtype=np.uint8), np.array([0, 0, 0, 1, 1, 1])
    >>> net = ImageNeuralNetClassifier(SmallCNN, module__n_classes=2, train_split=None, verbose=0)
    >>> net.fit(X, y).predict_proba(X).shape
    (6, 2)
    """

    def __init__(
        self, module, *args, criterion=torch.nn.CrossEntropyLoss, input_mean=0.0,
        input_scale=255.0, precision: str = "float32", label_smoothing: float = 0.0,
        class_shares=None, test_time_augmentation: str | None = None, max_steps: int | None = None,
        dataset=ImageDataset, predict_nonlinearity=softmax_probabilities, **kwargs,
    ):  # fmt: skip
        kwargs.setdefault("iterator_train__shuffle", True)
        for part in ("train", "valid"):
            kwargs.setdefault(f"iterator_{part}__collate_fn", collate)
        kwargs |= {"dataset": dataset, "predict_nonlinearity": predict_nonlinearity}
        super().__init__(module, *args, criterion=criterion, **kwargs)
        self.input_mean = input_mean
        self.input_scale = input_scale
        self.precision = precision
        self.label_smoothing = label_smoothing
        self.class_shares = class_shares
        self.test_time_augmentation = test_time_augmentation
        self.max_steps = max_steps

    @property
    def _default_callbacks(self):
        given = super()._default_callbacks
        return [(name, _EpochTimer() if name == "epoch_timer" else call) for name, call in given]

    @explained_memory("batch_size")
    def initialize(self) -> "ImageNeuralNetClassifier":
        """Check the settings and create the network.

        Returns
        -------
        self : object
            The net.

        Raises
        ------
        ValueError
            If a setting is unknown, or another one is missing.
        """
        if self.precision not in _TYPES:
            raise ValueError(f"precision must be one of {_TYPES}, got {self.precision!r:.90}.")
        check_views(self.test_time_augmentation)
        if self.label_smoothing and self.class_shares is None:
            raise ValueError(
                f"label_smoothing={self.label_smoothing} needs class_shares, got None. Set the "
                'shares of the classes, and criterion__reduction="none".'
            )
        check_order(self.get_params_for("iterator_valid"))
        return super().initialize()

    def get_iterator(self, dataset, training: bool = False):
        """Return the batches of a dataset; a custom ``collate_fn`` receives items.

        Parameters
        ----------
        dataset, training
            As in skorch.

        Returns
        -------
        iterator : DataLoader
            Its ``collate_fn`` gets pairs of image (channels, height, width) and label.
        """
        iterator = super().get_iterator(dataset, training=training)
        if getattr(iterator, "collate_fn", collate) is not collate:
            iterator.collate_fn = partial(collate_items, iterator.collate_fn)
        return iterator

    _n_steps_left, _is_tried = None, False

    def on_train_begin(self, net, **kwargs) -> None:
        """Start to count steps; the first one tries the loss."""
        super().on_train_begin(net, **kwargs)
        self._n_steps_left, self._is_tried = self.max_steps, False

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params) -> None:
        """Pass over the data once, or until ``max_steps`` is reached.

        Parameters
        ----------
        iterator, training, prefix, step_fn, **fit_params
            As in skorch.
        """
        if training and self._n_steps_left is not None:
            n_steps = min(len(iterator), self._n_steps_left)
            if not n_steps:
                self.history.pop()
                raise KeyboardInterrupt  # by which skorch ends a training
            self._n_steps_left -= n_steps
            iterator = islice(iterator, n_steps)
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        if training and not self.history[-1, f"{prefix}_batch_count"]:
            raise ValueError(
                "An epoch must have a batch, got none: iterator_train__drop_last needs at least "
                f"{self.batch_size} images (batch_size). Leave it out, or lower batch_size."
            )

    def infer(self, x, **fit_params) -> torch.Tensor:
        """Scale a batch of images and compute their logits.

        Parameters
        ----------
        x : Tensor of shape (n, height, width[, channels])
            The images as they are stored.
        **fit_params
            Passed to the network.

        Returns
        -------
        logits : Tensor of shape (n, n_classes)
            In float32.
        """
        images = self._scale(x)
        # predictions are float32, so that they do not depend on where they are made
        half = self.precision == "bfloat16" and self.module_.training
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
            output = super().infer(images, **fit_params)
        # the first of several is the prediction, as in skorch
        output = output[0] if isinstance(output, tuple | list) else output
        if not isinstance(output, torch.Tensor):
            raise TypeError(
                "The network must return logits (n, n_classes), or a tuple that starts with "
                f"them, got {type(output).__name__} from {type(self.module_).__name__}."
            )
        return output.float()

    @explained_memory(_PREDICTED)
    def evaluation_step(self, batch, training: bool = False) -> torch.Tensor:
        """Compute the logits of a batch, with ``test_time_augmentation`` averaged over views.

        Parameters
        ----------
        batch, training
            As in skorch.

        Returns
        -------
        logits : Tensor of shape (n, n_classes)
            With views, the logarithms of their mean probabilities.
        """
        if self.test_time_augmentation is None or training:
            return super().evaluation_step(batch, training=training)
        images, labels = unpack_data(batch)
        shown = views(torch.as_tensor(images), self.test_time_augmentation)
        infer = super().evaluation_step  # which a comprehension of Python 3.11 cannot reach
        logits = torch.stack([infer((view, labels)) for view in shown])
        # the log of the mean of probabilities, whose softmax is the mean again
        return logits.double().log_softmax(dim=2).logsumexp(dim=0) - np.log(len(logits))

    def validation_step(self, batch, **fit_params) -> dict:
        """Compute logits, as for prediction, and loss of a validation batch.

        Parameters
        ----------
        batch, **fit_params
            As in skorch.

        Returns
        -------
        step : dict
            ``loss`` and ``y_pred``.
        """
        logits = self.evaluation_step(batch)
        labels = torch.as_tensor(unpack_data(batch)[1], device=logits.device)
        loss = weighted_mean(self.criterion_, self.get_loss(logits, labels), Target(labels))
        return {"loss": loss, "y_pred": logits}

    def get_loss(self, y_pred, y_true, X=None, training: bool = False) -> torch.Tensor:
        """Compute the loss of a batch; in training, smooth labels and check that it is finite.

        Parameters
        ----------
        y_pred : Tensor of shape (n, n_classes)
            The logits.
        y_true : array-like of int (n,) or of float (n, n_classes), or list of Target
            Labels, or class probabilities.
        X, training
            As in skorch.

        Returns
        -------
        loss : Tensor
            A scalar; outside of training of shape (n,) for ``criterion__reduction="none"``.

        Raises
        ------
        FloatingPointError
            If the loss of a training batch is infinite or NaN.
        ValueError
            If the network returns no logits for the classes, or the loss does not take them.
        """
        if not (isinstance(y_true, list) and all(isinstance(y, Target) for y in y_true)):
            y_true = [Target(torch.as_tensor(y_true))]
        targets = [target.to(y_pred.device) for target in y_true]
        if not training:
            return label_loss(self.criterion_, y_pred, targets[0].labels)
        if not self._is_tried:
            check_first_batch(self, y_pred, targets[0].labels)
            self._is_tried = True
        smoothing = {"label_smoothing": self.label_smoothing, "class_shares": self.class_shares}
        loss = batch_loss(self.criterion_, y_pred, targets, **smoothing)
        if not torch.isfinite(loss):
            number = len(self.history[-1, "batches"])
            raise self._overflow(f"The loss became {loss.item()}", f"batch {number}")
        return loss

    @explained_memory(_PREDICTED)
    def transform(self, X) -> NDArray:
        """Compute the features that the head of the network receives.

        Parameters
        ----------
        X : ImageArray, ndarray or Dataset
            The images.

        Returns
        -------
        features : ndarray of float32 of shape (n_samples, n_features)
            Output of ``module_.features``.

        Raises
        ------
        TypeError
            If the network has no part ``features``.
        """
        self.check_is_fitted(["module_"])
        features, name = getattr(self.module_, "features", None), type(self.module_).__name__
        if not callable(features):
            raise TypeError(f"transform needs a network of features and head, got {name}.")
        self._set_training(False)
        batches = self.get_iterator(self.get_dataset(X), training=False)
        with torch.no_grad():
            parts = [features(self._scale(images)).flatten(1).cpu() for images, _ in batches]
        return torch.cat(parts).numpy()

    def _scale(self, images):
        """Scale the pixels, (n, H, W[, C]) -> float32 (n, C, H, W)."""
        images = torch.as_tensor(images, device=self.device).float()
        if np.any(self.input_mean):  # which is 0 for uint8, and would cost a pass over the batch
            images = images - self._on_device(self.input_mean)
        images = images / self._on_device(self.input_scale)
        images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
        return images.contiguous()  # networks of tutorials flatten by view

    def _on_device(self, setting):
        if isinstance(setting, Real):  # a GPU rounds otherwise where it divides by a tensor
            return setting
        return torch.as_tensor(setting, dtype=torch.float32, device=self.device)

    def __getstate__(self):
        # skorch pickles the parts of the network with pickle, which cannot name classes that
        # were written in a notebook; cloudpickle includes them
        state = self.__dict__.copy()
        prefixes = tuple(self.cuda_dependent_attributes_)
        parts = {name: state.pop(name) for name in list(state) if name.startswith(prefixes)}
        return {**state, "__cuda_dependent_attributes__": cloudpickle.dumps(parts)}

    def on_epoch_end(self, net, **kwargs) -> None:
        """Stop when the last step of an epoch left weights that are not finite.

        Parameters
        ----------
        net, **kwargs
            As in skorch.

        Raises
        ------
        FloatingPointError
            If a weight is NaN, infinite, or so large that its square is.
        """
        super().on_epoch_end(net, **kwargs)
        # a larger weight overflows where it is squared, as in norms and variances
        weights = self.module_.parameters()
        if not all((w.abs() < torch.finfo(w.dtype).max ** 0.5).all() for w in weights):
            raise self._overflow("The weights became huge, infinite or NaN", "the last batch")

    def _overflow(self, what, where):
        rates = ", ".join(f"{group['lr']:.3g}" for group in self.optimizer_.param_groups)
        return FloatingPointError(
            f"{what} in epoch {len(self.history)}, {where}, at learning rate {rates}. Lower the "
            "learning rate, and check the images for outliers."
        )

    @explained_memory("batch_size")
    def partial_fit(self, X, y=None, classes=None, **fit_params) -> "ImageNeuralNetClassifier":
        """Continue training, as in skorch, but raise Ctrl-C when the net is in order.

        Parameters
        ----------
        X, y, classes, **fit_params
            As in skorch.

        Returns
        -------
        self : object
            The net.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C ended the training.
        """
        with record_interrupts() as pressed:
            super().partial_fit(X, y, classes=classes, **fit_params)
        if pressed:  # skorch mistakes every KeyboardInterrupt for a callback that stops early
            raise pressed[-1]
        return self
