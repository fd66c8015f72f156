"""Callbacks of skorch for what changes in the course of a training."""

import torch
from skorch.callbacks import Callback
from torch.optim.swa_utils import get_ema_multi_avg_fn

from imbemotion._training._epochs import first_epoch

__all__ = ["DeferredWeights", "Unfreezing", "WeightAveraging"]


class DeferredWeights(Callback):
    """Leave the class weights out of the loss until an epoch is reached.

    Parameters
    ----------
    first_epoch : int
        The epoch that weights first, from 0.
    """

    def __init__(self, first_epoch):
        self.first_epoch = first_epoch

    def on_train_begin(self, net, **kwargs):
        """Put the weights aside."""
        self.weight_ = getattr(net.criterion_, "weight", None)
        if not isinstance(self.weight_, torch.Tensor):
            raise TypeError(
                "weight_from puts off the weights that a loss keeps as its tensor `weight`, got "
                f"{type(net.criterion_).__name__}, which has none. Use weight_from=0."
            )
        net.criterion_.weight = None

    def on_epoch_begin(self, net, **kwargs):
        """Put them back when their time has come."""
        if len(net.history) - 1 >= self.first_epoch:
            net.criterion_.weight = self.weight_

    def on_train_end(self, net, **kwargs):
        """Put them back in any case."""
        net.criterion_.weight = self.weight_


class Unfreezing(Callback):
    """Freeze the backbone, and let it take part later.

    Parameters
    ----------
    freezing : "backbone", "gradual" or float
        ``"backbone"`` keeps it frozen; ``"gradual"`` lets its stages take part one after
        another, the last ones first, in the first half of the training; a number is the
        fraction of the training in which it is frozen.

    n_epochs : int
        Epochs in all.
    """

    def __init__(self, freezing, n_epochs):
        self.freezing = freezing
        self.n_epochs = n_epochs

    def on_epoch_begin(self, net, **kwargs):
        """Set which part of the network trains in this epoch."""
        net.module_.set_trainable(self.trainable(len(net.history) - 1))

    def trainable(self, epoch):
        """Give the share of the backbone that trains in an epoch, from 0.

        Parameters
        ----------
        epoch : int
            The epoch.

        Returns
        -------
        share : float
            From 0 to 1.
        """
        if self.freezing == "backbone":
            return 0.0
        if self.freezing == "gradual":
            return min(1.0, epoch / max(1, first_epoch(0.5, self.n_epochs)))
        return float(epoch >= first_epoch(self.freezing, self.n_epochs))


class WeightAveraging(Callback):
    """Average the weights over the steps; validation and prediction use the average.

    It is an exponential moving average whose decay is smaller in the first steps, so that
    the initial weights are soon forgotten.

    Parameters
    ----------
    decay : float
        Share of the former average that a step keeps.
    """

    def __init__(self, decay):
        self.decay = decay

    def on_train_begin(self, net, **kwargs):
        """Start with the weights as they are."""
        self.n_steps_, self.averaged_ = 0, False
        self.kept_ = [tensor.detach().clone() for tensor in self._tensors(net)]

    def on_epoch_begin(self, net, **kwargs):
        """Train on from the weights themselves."""
        if self.averaged_:
            self._swap(net)

    def on_batch_begin(self, net, training=False, **kwargs):
        """Validate with the average."""
        if not training and not self.averaged_:
            self._swap(net)

    def on_batch_end(self, net, training=False, **kwargs):
        """Let a step into the average."""
        if training:
            decay = min(self.decay, (1 + self.n_steps_) / (10 + self.n_steps_))
            self.n_steps_ += 1
            get_ema_multi_avg_fn(decay)(self.kept_, self._tensors(net), None)

    def on_train_end(self, net, **kwargs):
        """Leave the average in the network."""
        if not self.averaged_:
            self._swap(net)
        del self.kept_

    def _swap(self, net):
        for live, kept in zip(self._tensors(net), self.kept_, strict=True):
            value = live.detach().clone()
            live.data.copy_(kept)
            kept.copy_(value)
        self.averaged_ = not self.averaged_

    def _tensors(self, net):
        """Give weights and running statistics; counters are left alone."""
        tensors = [*net.module_.parameters(), *net.module_.buffers()]
        return [tensor for tensor in tensors if torch.is_floating_point(tensor)]
