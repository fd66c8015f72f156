"""A progress bar for a training."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from skorch.callbacks import Callback

__all__ = ["ProgressBar"]

_SHOWN = {"train_loss": "loss", "valid_loss": "validation loss", "valid_macro_f1": "macro-F1"}


class ProgressBar(Callback):
    """Show epochs, losses and the time that is left; a line per epoch where there is no terminal.

    Parameters
    ----------
    n_epochs : int
        Epochs in all.
    """

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_train_begin(self, net, **kwargs):
        """Show an empty bar."""
        self.console_ = Console()
        self.bar_ = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=self.console_,
            disable=not self.console_.is_terminal,
        )
        self.task_ = self.bar_.add_task("", total=self.n_epochs)
        self.bar_.start()

    def on_epoch_end(self, net, **kwargs):
        """Show the epoch's figures."""
        epoch = net.history[-1]
        figures = [f"{name} {epoch[key]:.3f}" for key, name in _SHOWN.items() if key in epoch]
        self.bar_.update(self.task_, advance=1, description=", ".join(figures))
        if not self.console_.is_terminal:
            line = f"epoch {len(net.history)} of {self.n_epochs}: {', '.join(figures)}"
            self.console_.print(line, highlight=False, soft_wrap=True)

    def on_train_end(self, net, **kwargs):
        """Leave the last state of the bar."""
        self.close()

    def close(self):
        """Give the terminal back, also after a training that failed."""
        if hasattr(self, "bar_"):
            if self.console_.is_terminal:  # elsewhere older versions of rich print a line
                self.bar_.stop()
            del self.bar_, self.console_  # a terminal can't be pickled
