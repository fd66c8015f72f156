"""What is written to a terminal: consoles, notes, and errors in one sentence."""

import json
import sys
import warnings
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = [
    "arrow",
    "check_out",
    "errors_in_one_sentence",
    "make_console",
    "make_table",
    "print_list",
    "show_json",
]

_LINES = 6  # how much of a list in an error is shown
_ERRORS = (  # of data, settings and machines; what else is raised is a mistake of ours
    ValueError, TypeError, OSError, RuntimeError, ImportError, ArithmeticError, MemoryError,
)  # fmt: skip


def make_console(stderr=False):
    """Make a console: plain text of any width where nobody watches."""
    watched = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, width=None if watched else 160, highlight=False)


def make_table(title):
    """Make a table without lines, narrow enough for 80 columns."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def arrow(console):
    """Give an arrow that the console can show."""
    return "→" if console.encoding.startswith("utf") else "->"


def print_list(console, head, items):
    """Print items under a head; on a terminal in lines as long as it is wide, if not commands."""
    console.print(head)
    for item in items:
        if console.is_terminal and not str(item).startswith("`"):
            line = Table.grid(padding=(0, 1))
            line.add_row("-", Text(str(item)))
            console.print(line)
        else:
            console.print(f"- {item}", markup=False, soft_wrap=True)


def show_json(found):
    """Write plain values as JSON, and nothing else, to the output."""
    typer.echo(json.dumps(found, indent=1, ensure_ascii=False))


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


@contextmanager
def errors_in_one_sentence(debug):
    """Say errors and what was noticed in the data in a sentence each."""
    # Failures end with status 1, Ctrl-C with 130; misuse goes on to the program (status 2).
    from imbemotion._base.validation import DataWarning

    console = make_console(stderr=True)

    def show(message, category, *args, **kwargs):
        if issubclass(category, DataWarning):
            console.print(f"Note: {message}", style="yellow", markup=False, soft_wrap=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = show
        try:
            yield
        except BrokenPipeError:  # as of `| head`, which Typer ends without a word
            raise
        except KeyboardInterrupt:
            console.print("Stopped.", style="yellow")
            raise typer.Exit(130) from None
        except _ERRORS as error:
            if debug or isinstance(error, typer.Exit):
                raise
            console.print(f"Error: {_say(error)}", style="red", markup=False, soft_wrap=True)
            raise typer.Exit(1) from error


def _say(error):
    """Say an error in words; of a long list in it, only the beginning."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}. Name another path, or change its permissions."
    if isinstance(error, MemoryError):
        reason = f": {error}" if str(error) else ""
        return f"The memory is too small{reason}. Take fewer or smaller images."
    if isinstance(error, UnicodeEncodeError):
        part = error.object[max(0, error.start - 30) : error.end + 10]
        return f"A name must be text in UTF-8, got {part!r}. Rename the file or folder."
    lines = str(error).splitlines()
    rest = [line for line in lines[_LINES:] if line.startswith("  ")]  # items of the list
    if len(rest) < 2:
        return "\n".join(lines)
    last = [line for line in lines[_LINES:] if not line.startswith("  ")]
    return "\n".join([*lines[:_LINES], f"  and {len(rest):,} more", *last])
