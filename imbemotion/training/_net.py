"""ImageNeuralNetClassifier: skorch's classifier with images fetched and scaled as batches."""

from numbers import Real

import cloudpickle
import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.dataset import unpack_data

from imbemotion.losses import Target, batch_loss
from imbemotion.training._machine import check_settings, is_sound, overflow, record_ctrl_c
from imbemotion.training._rows import ImageDataset, collate, views

__all__ = [
    "ImageNeuralNetClassifier",
    "softmax_probabilities",
]


def _to_channels_first(images):
    """Give (n, H, W) and (n, H, W, C) the shape that networks take, (n, C, H, W)."""
    return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)


def softmax_probabilities(logits):
    """Turn logits into probabilities, in double precision so that rows sum to 1."""
    return torch.softmax(logits.double(), dim=-1)


class ImageNeuralNetClassifier(NeuralNetClassifier):
    """A skorch classifier for images whose network gives logits.

    It differs from ``skorch.NeuralNetClassifier`` in this: images are fetched batch by
    batch, scaled on the device (by 255, unless ``input_scale`` says otherwise) and put
    channels first; ``predict_proba`` gives probabilities whatever the loss; a loss that is
    not finite, and Ctrl-C, stop the training with an error instead of leaving a half-trained
    network.

    Parameters
    ----------
    module : nn.Module class or callable
        The network, from (n, channels, height, width) to logits (n, n_classes).

    *args : tuple
        As in ``skorch.NeuralNetClassifier``.

    criterion : nn.Module class, default=torch.nn.CrossEntropyLoss
        The loss, from logits and encoded labels.

    input_mean : float or array-like of shape (channels,), default=0.0
        Subtracted from every pixel.

    input_scale : float or array-like of shape (channels,), default=255.0
        Every pixel is divided by it, after the mean was subtracted.

    dataset : Dataset class, default=ImageDataset
        Holds X and y.

    precision : {"float32", "bfloat16"}, default="float32"
        In what the network computes while it is trained; weights, loss and predictions are
        float32 in any case.

    label_smoothing : float, default=0.0
        Probability with which every label counts as one drawn from ``class_shares``. It
        takes a criterion of single images, by ``criterion__reduction="none"``.

    class_shares : array-like of shape (n_classes,), default=None
        Shares of the classes in training; needed by ``label_smoothing``.

    test_time_augmentation : {"flip", "flip_zoom"} or None, default=None
        ``"flip"`` averages the probabilities of every image and its mirror image,
        ``"flip_zoom"`` those of three enlarged central crops and theirs as well.

    predict_nonlinearity : callable, "auto" or None, default=softmax
        From logits to probabilities.

    iterator_train__shuffle : bool, default=True
        Whether to draw the batches in a new order each epoch.

    iterator_train__collate_fn : callable, default=collate
        Makes a training batch; the default takes images and labels as the dataset gives
        them.

    iterator_valid__collate_fn : callable, default=collate
        The same for validation and prediction.

    **kwargs : dict
        As in ``skorch.NeuralNetClassifier``.

    See Also
    --------
    CNNClassifier : A scikit-learn classifier that sets up one of these.

    Examples
    --------
    >>> import numpy as np
    >>> from imbemotion.networks import SmallCNN
    >>> X = np.zeros((6, 8, 8), dtype=np.uint8)
    >>> X[3:] = 255
    >>> net = ImageNeuralNetClassifier(
    ...     SmallCNN, module__n_classes=2, max_epochs=1, train_split=None, verbose=0
    ... ).fit(X, np.array([0, 0, 0, 1, 1, 1]))
    >>> net.predict_proba(X).shape
    (6, 2)
    """

    def __init__(
        self,
        module,
        *args,
        criterion=torch.nn.CrossEntropyLoss,
        input_mean=0.0,
        input_scale=255.0,
        precision="float32",
        label_smoothing=0.0,
        class_shares=None,
        test_time_augmentation=None,
        dataset=ImageDataset,
        predict_nonlinearity=softmax_probabilities,
        iterator_train__shuffle=True,
        iterator_train__collate_fn=collate,
        iterator_valid__collate_fn=collate,
        **kwargs,
    ):
        super().__init__(
            module,
            *args,
            criterion=criterion,
            dataset=dataset,
            predict_nonlinearity=predict_nonlinearity,
            iterator_train__shuffle=iterator_train__shuffle,
            iterator_train__collate_fn=iterator_train__collate_fn,
            iterator_valid__collate_fn=iterator_valid__collate_fn,
            **kwargs,
        )
        self.input_mean = input_mean
        self.input_scale = input_scale
        self.precision = precision
        self.label_smoothing = label_smoothing
        self.class_shares = class_shares
        self.test_time_augmentation = test_time_augmentation

    def initialize(self):
        """Check the settings and make the network.

        Returns
        -------
        self : object
            The net itself.

        Raises
        ------
        ValueError
            If a setting is unknown, or settings do not go together.
        """
        check_settings(self)
        return super().initialize()

    def infer(self, x, **fit_params):
        """Scale a batch of images and compute their logits.

        Parameters
        ----------
        x : Tensor of shape (n, height, width[, channels])
            The images as they were stored.

        **fit_params : dict
            Handed on to the network.

        Returns
        -------
        logits : Tensor of shape (n, n_classes)
            What the network makes of them.
        """
        images = self._scale(x)
        half = self.precision == "bfloat16" and self.module_.training
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
            return super().infer(images, **fit_params).float()

    def evaluation_step(self, batch, training=False):
        """Compute the logits of a batch, averaged over views if that is asked for.

        Parameters
        ----------
        batch : tuple
            Images and labels.

        training : bool, default=False
            Whether the network is in training mode.

        Returns
        -------
        logits : Tensor of shape (n, n_classes)
            With ``test_time_augmentation`` the logarithms of the averaged probabilities.
        """
        if self.test_time_augmentation is None or training:
            return super().evaluation_step(batch, training=training)
        images, labels = unpack_data(batch)
        shown = views(torch.as_tensor(images), self.test_time_augmentation)
        infer = super().evaluation_step
        logits = torch.stack([infer((view, labels)) for view in shown])
        return logits.double().log_softmax(dim=2).logsumexp(dim=0) - np.log(len(logits))

    def validation_step(self, batch, **fit_params):
        """Compute logits, as for prediction, and loss of a validation batch.

        Parameters
        ----------
        batch : tuple
            Images and labels.

        **fit_params : dict
            Not used.

        Returns
        -------
        step : dict
            ``loss`` and ``y_pred``.
        """
        logits = self.evaluation_step(batch)
        return {"loss": self.get_loss(logits, unpack_data(batch)[1]), "y_pred": logits}

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Compute the loss of a batch.

        Parameters
        ----------
        y_pred : Tensor of shape (n, n_classes)
            The logits.

        y_true : Tensor of int of shape (n,) or list of Target
            The labels.

        X : Tensor, default=None
            Not used.

        training : bool, default=False
            Whether labels are smoothed.

        Returns
        -------
        loss : Tensor
            A scalar.
        """
        targets = y_true if isinstance(y_true, list) else [Target(y_true)]
        targets = [target.to(y_pred.device) for target in targets]
        smoothing = self.label_smoothing if training else 0.0
        shares = torch.as_tensor(self.class_shares) if smoothing else None
        return batch_loss(
            self.criterion_, y_pred, targets, label_smoothing=smoothing, class_shares=shares
        )

    def transform(self, X):
        """Compute the features that the head of the network is given.

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
        features = getattr(self.module_, "features", None)
        if not callable(features):
            raise TypeError(
                f"transform takes networks that consist of features and head, got "
                f"{type(self.module_).__name__}, which has no features."
            )
        self._set_training(False)
        batches = self.get_iterator(self.get_dataset(X), training=False)
        with torch.no_grad():
            parts = [features(self._scale(images)).flatten(1).cpu() for images, _ in batches]
        return torch.cat(parts).numpy()

    def _scale(self, images):
        """Scale the pixels, (n, H, W[, C]) -> float32 (n, C, H, W)."""
        images = torch.as_tensor(images, device=self.device).float()
        if np.any(self.input_mean):
            images = images - self._on_device(self.input_mean)
        images = _to_channels_first(images / self._on_device(self.input_scale))
        if getattr(self.module_, "takes_channels_last", False):
            return images
        return images.contiguous()  # networks of tutorials flatten by view

    def _on_device(self, setting):
        if isinstance(setting, Real):
            return setting
        return torch.as_tensor(setting, dtype=torch.float32, device=self.device)

    def __getstate__(self):
        # skorch pickles the parts of the network with pickle, which can't name classes that
        # were written in a notebook; cloudpickle takes them along
        state = self.__dict__.copy()
        prefixes = tuple(self.cuda_dependent_attributes_)
        parts = {name: state.pop(name) for name in list(state) if name.startswith(prefixes)}
        return {**state, "__cuda_dependent_attributes__": cloudpickle.dumps(parts)}

    def on_batch_end(self, net, batch=None, training=False, loss=None, **kwargs):
        """Stop when the loss of a training batch is not a number.

        Parameters
        ----------
        net : NeuralNet
            This net.

        batch : tuple, default=None
            The batch.

        training : bool, default=False
            Whether it is a training batch.

        loss : Tensor, default=None
            Its loss.

        **kwargs : dict
            What skorch adds.

        Raises
        ------
        FloatingPointError
            If the loss is infinite or NaN.
        """
        super().on_batch_end(net, batch=batch, training=training, loss=loss, **kwargs)
        if training and loss is not None and not torch.isfinite(loss):
            number = len(self.history[-1, "batches"])
            raise overflow(self, f"The loss became {loss.item()}", f"batch {number}")

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Stop when the last step of an epoch left weights that are not numbers.

        Parameters
        ----------
        net : NeuralNet
            This net.

        dataset_train, dataset_valid : Dataset, default=None
            The images.

        **kwargs : dict
            What skorch adds.

        Raises
        ------
        FloatingPointError
            If a weight is infinite or NaN.
        """
        super().on_epoch_end(
            net, dataset_train=dataset_train, dataset_valid=dataset_valid, **kwargs
        )
        if not is_sound(self.module_):
            raise overflow(self, "The weights became huge, infinite or NaN", "the last batch")

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train on, as in skorch, except that Ctrl-C is raised when the net is in order.

        skorch takes every KeyboardInterrupt for a callback that wants to stop early.

        Parameters
        ----------
        X : ImageArray, ndarray or Dataset
            The images.

        y : ndarray of int, default=None
            The encoded labels.

        classes : array-like, default=None
            Not used.

        **fit_params : dict
            Handed on to the network.

        Returns
        -------
        self : object
            The net itself.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C ended the training.
        """
        with record_ctrl_c() as pressed:
            super().partial_fit(X, y, classes=classes, **fit_params)
        if pressed:
            raise KeyboardInterrupt
        return self
