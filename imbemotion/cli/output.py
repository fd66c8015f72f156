"""What is printed: consoles, tables, JSON, progress, notes, and errors in one sentence."""

import json
import signal
import sys
import warnings
from collections import Counter
from contextlib import contextmanager

import typer

__all__ = [
    "arrow",
    "check_out",
    "errors_in_one_sentence",
    "escape",
    "make_console",
    "make_table",
    "note",
    "print_list",
    "progress_bar",
    "say",
    "show_data",
    "show_json",
    "to_json",
    "watched_epochs",
]

_LINES = 6  # of a long list in an error, the first lines are shown
# Errors of data, settings and machines; any other error is a bug and keeps its traceback.
_ERRORS = (
    ValueError, TypeError, OSError, RuntimeError, ImportError, ArithmeticError, MemoryError,
)  # fmt: skip


def make_console(stderr=False):
    """Return a console; pipes and files get plain text, 160 columns wide."""
    from rich.console import Console

    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, width=None if is_terminal else 160, highlight=False)


def make_table(title, *columns, left=()):
    """Return a table without lines, narrow enough for 80 columns; its numbers are on the right."""
    from rich.table import Table

    table = Table(
        title=f"\n{title}" if title else None, title_justify="left", title_style="bold",
        box=None, pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for place, name in enumerate(columns):
        is_text = place == 0 or name in left
        table.add_column(escape(name), justify="left" if is_text else "right")
    return table


def arrow():
    """Return an arrow that standard output can show."""
    return "→" if (sys.stdout.encoding or "").lower().startswith("utf") else "->"


def escape(text):
    """Return text as it is printed literally, brackets included."""
    from rich.markup import escape

    return escape(str(text))


def print_list(console, head, items):
    """Print items under a head; prose is wrapped with an indent, commands are not."""
    from rich.table import Table
    from rich.text import Text

    console.print(head)
    for item in items:
        if console.is_terminal and not str(item).startswith("`"):
            line = Table.grid(padding=(0, 1))
            line.add_row("-", Text(str(item)))
            console.print(line)
        else:
            console.print(f"- {item}", markup=False, soft_wrap=True)


def say(text, *, stderr=False, style=None):
    """Print a text literally, in a style on terminals."""
    make_console(stderr).print(text, style=style, markup=False, soft_wrap=True)


def note(text):
    """Print a text to standard error, in yellow on terminals."""
    say(text, stderr=True, style="yellow")


def to_json(found, indent=1):
    """Return plain values as JSON."""
    return json.dumps(found, indent=indent, ensure_ascii=False)


def show_json(found, indent=1):
    """Print plain values as JSON, and nothing else, to standard output."""
    typer.echo(to_json(found, indent))


def check_out(path, option="--out", suffixes=()):
    """Refuse a file that could not be written, before all the work."""
    if path is None:
        return
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder; name a file.", param_hint=option)
    if suffixes and path.suffix.lower() not in suffixes:
        expected = ", ".join(suffixes)
        raise typer.BadParameter(f"{path} must end in one of {expected}.", param_hint=option)
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"{option} {path}: the folder {path.parent} does not exist.")


def show_data(name, X, y, groups=None, console=None):
    """Print how many images there are of each class."""
    counts = Counter(y.tolist()).most_common()
    n_groups = "" if groups is None else f", {len(set(groups))} groups"
    console = console or make_console()
    console.print(
        f"{name}: {len(X):,} images of {X.shape[1]} x {X.shape[2]}, {len(counts)} classes"
        f"{n_groups}, imbalance ratio {counts[0][1] / counts[-1][1]:.0f}:1",
        markup=False,
    )
    console.print("  " + ", ".join(f"{label} {n:,}" for label, n in counts), markup=False)


@contextmanager
def errors_in_one_sentence(debug):
    """Print errors and warnings about the data in a sentence each."""
    # Failures end with status 1, Ctrl-C with 130; misuse goes on to the program (status 2).
    from imbemotion._base.validation import DataWarning

    def show(message, category, *args, **kwargs):
        if issubclass(category, DataWarning):
            note(f"Note: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = show
        try:
            yield
        except BrokenPipeError:  # as of `| head`, which Typer ends without a word
            raise
        except KeyboardInterrupt:
            note("Stopped.")
            raise typer.Exit(130) from None
        except _ERRORS as error:
            if debug or isinstance(error, typer.Exit):
                raise
            say(f"Error: {_explain(error)}", stderr=True, style="red")
            raise typer.Exit(1) from error


def _explain(error):
    """Return an error in words; of a long list in it, only the beginning."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}. Name another path, or change its permissions."
    if isinstance(error, MemoryError):
        reason = f": {error}" if str(error) else ""
        return f"Out of memory{reason}. Use fewer or smaller images."
    if isinstance(error, UnicodeEncodeError):
        part = error.object[max(0, error.start - 30) : error.end + 10]
        return f"A name must be text in UTF-8, got {part!r}. Rename the file or folder."
    lines = str(error).splitlines()
    rest = [line for line in lines[_LINES:] if line.startswith("  ")]  # items of the list
    if len(rest) < 2:
        return "\n".join(lines)
    last = [line for line in lines[_LINES:] if not line.startswith("  ")]
    return "\n".join([*lines[:_LINES], f"  and {len(rest):,} more", *last])


@contextmanager
def progress_bar(total, what):
    """Show a bar on a terminal, elsewhere a line per step."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    console = make_console(stderr=True)
    columns = [TextColumn("{task.description:<40}"), BarColumn(), MofNCompleteColumn()]
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)

        def advance(step, line):
            bar.update(task, completed=step, description=line)
            if not console.is_terminal:
                console.print(f"[{step}/{total}] {line}", markup=False)

        yield advance


@contextmanager
def watched_epochs(n_epochs):
    """Show every epoch; Ctrl-C ends the training after the current one, twice at once."""
    stopped, before = [], signal.getsignal(signal.SIGINT)

    def stop(number, frame):
        if stopped:
            raise KeyboardInterrupt
        stopped.append(number)
        note("Stopping after this epoch; press Ctrl-C again to stop at once.")

    with progress_bar(n_epochs, "training") as advance:

        def on_epoch(figures):
            text = f"loss {figures['train_loss']:.3f}"
            if "valid_macro_f1" in figures:
                text += f", validation macro-F1 {figures['valid_macro_f1']:.3f}"
            advance(figures["epoch"], text)
            return bool(stopped)

        signal.signal(signal.SIGINT, stop)
        try:
            yield on_epoch, stopped
        finally:
            signal.signal(signal.SIGINT, before)
