"""How a command ends: errors in one sentence, and signals that lose no work."""

import re
import signal
import threading
import warnings
from contextlib import contextmanager

import typer

from imbemotion.cli import output

_ENDING = [s for s in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, s)]
_TOO_LARGE = re.compile("out of memory|allocate memory", re.IGNORECASE)  # of PyTorch
_LINES = 6  # of a long list in an error, the first lines are shown
# Errors of data, settings and machines; any other error is a bug and keeps its traceback.
_ERRORS = (
    ValueError, TypeError, OSError, RuntimeError, ImportError, ArithmeticError, MemoryError,
)  # fmt: skip


@contextmanager
def errors_in_one_sentence(debug):
    """Print errors and warnings about the data in a sentence each."""
    # Failures end with status 1, Ctrl-C with 130; misuse goes on to the program (status 2).
    from sklearn.exceptions import ConvergenceWarning

    from imbemotion._base.validation import DataWarning

    def show(message, category, *args, **kwargs):
        if issubclass(category, DataWarning | ConvergenceWarning):
            output.note(f"Note: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.simplefilter("always", ConvergenceWarning)
        warnings.showwarning = show
        try:
            with _handled(_interrupt, _ENDING[1:]):  # Ctrl-C does so anyway
                yield
        except BrokenPipeError:  # as of `| head`, which Typer ends without a word
            raise
        except KeyboardInterrupt as stop:
            output.note("Stopped.")
            raise typer.Exit(status_of(stop)) from None
        except _ERRORS as error:
            if debug or isinstance(error, typer.Exit):
                raise
            output.say(f"Error: {explain(error)}", stderr=True, style="red")
            raise typer.Exit(1) from error


def _interrupt(number, frame):
    raise KeyboardInterrupt(number)  # so that a killed command, too, removes what is unfinished


def status_of(interrupt):
    """Return the exit status by which a shell reports the signal of an interrupt."""
    return 128 + (interrupt.args or (signal.SIGINT,))[0]


@contextmanager
def _handled(handler, names):
    """Handle signals, except those that this process was told to ignore, as by nohup."""
    is_main = threading.current_thread() is threading.main_thread()  # only it may set them
    before = {n: signal.getsignal(getattr(signal, n)) for n in names if is_main}
    before = {n: old for n, old in before.items() if callable(old) or old == signal.SIG_DFL}
    try:
        for name in before:
            signal.signal(getattr(signal, name), handler)
        yield
    finally:
        for name, old in before.items():
            signal.signal(getattr(signal, name), old)


def explain(error):
    """Return an error in words; of a long list in it, only the beginning."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        remedy = " Name another path, or change its permissions." * (". " not in error.strerror)
        return f"{error.filename}: {error.strerror}.{remedy}"
    if isinstance(error, MemoryError) or _TOO_LARGE.search(str(error)):
        reason = str(error).splitlines()[0].rstrip(".")[:200] if str(error) else ""
        reason = f": {reason}" if reason else ""
        return f"Out of memory{reason}. Use fewer or smaller images, or a lower batch_size."
    if isinstance(error, RecursionError):
        return "Something in the input is nested too deeply. Use fewer levels."
    if isinstance(error, UnicodeEncodeError):
        part = error.object[max(0, error.start - 30) : error.end + 10]
        return f"A name must be text in UTF-8, got {part!r}. Rename the file or folder."
    lines = str(error).splitlines()
    last = [line for line in lines[_LINES:] if not line.startswith("  ")]  # after the list
    n_left_out = len(lines[_LINES:]) - len(last)
    if n_left_out > 1:
        lines = [*lines[:_LINES], f"  and {n_left_out:,} more", *last]
    return "\n".join(lines)


@contextmanager
def watched_epochs():
    """Show every epoch; a signal ends the training after the current one, a second at once."""
    stopped = []

    def stop(number, frame):
        if stopped and number == signal.SIGINT:  # the others may come twice, as from `timeout`
            raise KeyboardInterrupt
        if not stopped:
            stopped.append(number)
            output.note("Stopping after this epoch; press Ctrl-C again to stop at once.")

    with output.progress_bar(None, "training", n_lines=20) as advance:

        def on_epoch(figures):
            text = f"loss {figures['train_loss']:.3f}"
            if "valid_macro_f1" in figures:
                text += f", validation macro-F1 {figures['valid_macro_f1']:.3f}"
            advance(figures["step"], text, figures["n_steps"])
            return bool(stopped)

        with _handled(stop, _ENDING):
            yield on_epoch, stopped
