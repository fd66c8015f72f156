"""ImageNeuralNetClassifier: skorch's classifier with images fetched and scaled as batches."""

import signal
import threading
from contextlib import contextmanager
from numbers import Real

import cloudpickle
import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch.utils.data import Dataset, default_collate

__all__ = ["ImageDataset", "ImageNeuralNetClassifier"]


class ImageDataset(Dataset):
    """Images and labels that are fetched a batch at a time.

    Parameters
    ----------
    X : ImageArray or ndarray of shape (n_samples, height, width[, channels])
        The images.

    y : ndarray of int of shape (n_samples,), default=None
        The encoded labels; zeros where there are none.
    """

    def __init__(self, X, y=None):
        self.X = X
        self.y = np.zeros(len(X), dtype=np.int64) if y is None else np.asarray(y, dtype=np.int64)

    def __len__(self):
        return len(self.X)

    def __getitem__(self, row):
        images, labels = self.__getitems__([row])
        return images[0], labels[0]

    def __getitems__(self, rows):
        """Fetch a batch, rows (n,) -> uint8 or float images (n, H, W[, C]), labels (n,)."""
        rows = np.asarray(rows)
        images = np.asarray(self.X[rows])
        if not images.flags.writeable:  # PyTorch wants to own what it is given
            images = images.copy()
        return torch.from_numpy(images), torch.from_numpy(self.y[rows])


def _collate(batch):
    """Hand on a batch that an ``ImageDataset`` gave whole, and stack what comes singly."""
    return batch if isinstance(batch, tuple) else default_collate(batch)


def _to_channels_first(images):
    """Give (n, H, W) and (n, H, W, C) the shape that networks take, (n, C, H, W)."""
    return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)


def _probabilities(logits):
    """Turn logits into probabilities, in double precision so that rows sum to 1."""
    return torch.softmax(logits.double(), dim=-1)


class ImageNeuralNetClassifier(NeuralNetClassifier):
    """A skorch classifier for images whose network gives logits.

    It differs from ``skorch.NeuralNetClassifier`` in this: images are fetched batch by
    batch, scaled on the device and put channels first; ``predict_proba`` gives
    probabilities whatever the loss; a loss that is not finite, and Ctrl-C, stop the
    training with an error instead of leaving a half-trained network.

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

    predict_nonlinearity : callable, "auto" or None, default=softmax
        From logits to probabilities.

    iterator_train__shuffle : bool, default=True
        Whether to draw the batches in a new order each epoch.

    iterator_train__collate_fn : callable, default=_collate
        Makes a training batch; the default takes images and labels as the dataset gives
        them.

    iterator_valid__collate_fn : callable, default=_collate
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
        dataset=ImageDataset,
        predict_nonlinearity=_probabilities,
        iterator_train__shuffle=True,
        iterator_train__collate_fn=_collate,
        iterator_valid__collate_fn=_collate,
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
        images = torch.as_tensor(x, device=self.device).float()
        if np.any(self.input_mean):
            images = images - self._on_device(self.input_mean)
        images = _to_channels_first(images / self._on_device(self.input_scale))
        return super().infer(images.contiguous(), **fit_params)

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
            epoch = len(self.history)
            number = len(self.history[-1, "batches"])
            raise FloatingPointError(
                f"The loss became {loss.item()} in epoch {epoch}, batch {number}, at learning "
                f"rate {self.lr}. Lower the learning rate, and check the images for odd values."
            )

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
        with _noting_ctrl_c() as pressed:
            super().partial_fit(X, y, classes=classes, **fit_params)
        if pressed:
            raise KeyboardInterrupt
        return self


@contextmanager
def _noting_ctrl_c():
    """Give a list that is not empty once Ctrl-C was pressed; it works as before all the same."""
    pressed, before = [], signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield pressed  # signals reach the main thread only
        return

    def note(number, frame):
        pressed.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
