"""A callback that tells of every epoch, and can be told to stop."""

from skorch.callbacks import Callback

__all__ = ["Epochs"]


class Epochs(Callback):
    """Tell of every epoch; end the training where the answer is True.

    Parameters
    ----------
    tell : callable
        Called with the figures of an epoch, a dict.
    """

    def __init__(self, tell):
        self.tell = tell

    def on_epoch_end(self, net, **kwargs):
        """Tell of an epoch."""
        figures = {k: v for k, v in net.history[-1].items() if isinstance(v, int | float)}
        if self.tell(figures):
            raise KeyboardInterrupt  # as skorch's own callbacks end a training
