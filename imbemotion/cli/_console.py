"""What is written to a terminal: consoles, notes, and errors in one sentence."""

import sys
import warnings
from contextlib import contextmanager

import typer
from rich.console import Console

from imbemotion._validation import DataWarning

__all__ = ["errors_in_one_sentence", "make_console"]


def make_console(stderr=False):
    """Make a console: plain text of any width where nobody watches."""
    watched = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, width=None if watched else 160, highlight=False)


@contextmanager
def errors_in_one_sentence(debug):
    """Say errors and what was noticed in the data in a sentence each; end with status 1."""
    console = make_console(stderr=True)

    def show(message, category, *args, **kwargs):
        if issubclass(category, DataWarning):
            console.print(f"Note: {message}", style="yellow", markup=False, soft_wrap=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = show
        try:
            yield
        except (ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
            if debug or isinstance(error, typer.Exit):
                raise
            console.print(f"Error: {error}", style="red", markup=False, soft_wrap=True)
            raise typer.Exit(1) from error
