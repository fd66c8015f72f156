"""The program: how commands are declared, listed and explained, and how they end."""

import inspect
import signal
import sys
import threading
import warnings
from contextlib import contextmanager
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from imbemotion.cli import output
from imbemotion.cli.options import OPTIONS, Debug, Misuse, describe_setting

_ORDER = (
    "init", "check", "analyze", "strategies", "split", "balance", "train", "predict", "compare",
    "report", "plan", "run", "demo",
)  # fmt: skip
_ENDING = [s for s in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, s)]
_LINES = 6  # of a long list in an error, the first lines are shown
# Errors of data, settings and machines; any other error is a bug and keeps its traceback.
_ERRORS = (
    ValueError, TypeError, OSError, RuntimeError, ImportError, ArithmeticError, MemoryError,
)  # fmt: skip


class _Program(TyperGroup):
    """Reports misuse in two lines, without a panel, and lists commands in the order of work."""

    def list_commands(self, ctx):
        return sorted(super().list_commands(ctx), key=_ORDER.index)

    def main(self, args=None, prog_name=None, standalone_mode=True, **settings):
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # no name may end a command that has done its work
                stream.reconfigure(errors="backslashreplace")
        try:
            status = super().main(args, prog_name, standalone_mode=False, **settings)
        except Misuse as error:
            if not standalone_mode:
                raise
            words = sys.argv[1:] if args is None else args
            status = _report(error, next((word for word in words if word in self.commands), ""))
        if not standalone_mode:
            return status
        sys.exit(status or 0)


def _report(error, name):
    """Print what is wrong with a command line, and return the exit status."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        message = error.format_message()
        message += "" if message.endswith((".", "?")) else "."
        program = f"imbemotion {name}".rstrip()
        typer.echo(f"Error: {message}\n`{program} --help` lists the options.", err=True)
    return error.exit_code


class _Command(TyperCommand):
    """Completes its help when it is shown: defaults of settings, and registered names."""

    def format_help(self, ctx, formatter):
        params = {param.name: param for param in self.params}
        shared = {name: OPTIONS[name] for name in self.callback.shared}
        for name, option in shared.items():
            if option.setting is not None:
                default = self.callback.defaults.get(option.setting)
                describe_setting(params[name], option.setting, default)
        super().format_help(ctx, formatter)
        for name, option in shared.items():
            rows = [(key, entry.help) for key, entry in option.known().items()]
            if rows:
                with formatter.section(f"{option.title} ({params[name].opts[0]})"):
                    formatter.write_dl(rows)


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
    from imbemotion._base.text import explain_memory

    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        remedy = " Name another path, or change its permissions." * (". " not in error.strerror)
        return f"{error.filename}: {error.strerror}.{remedy}"
    if sentence := explain_memory(error):
        return sentence
    if isinstance(error, RecursionError):
        return "Something in the input is nested too deeply. Use fewer levels."
    if isinstance(error, UnicodeEncodeError):
        part = error.object[max(0, error.start - 30) : error.end + 10]
        return f"A name must be text in UTF-8, got {part!r:.90}. Rename the file or folder."
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


app = typer.Typer(
    cls=_Program,
    help="Balance, train and honestly judge image classifiers on skewed data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,  # plain text for pipes and files
)


def command(*shared, defaults=None):
    """Declare a function as a command; it gets the shared options as one dict, first."""
    own_first = 1 if shared else 0

    def declare(function):
        own = list(inspect.signature(function).parameters.values())[own_first:]
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters = [OPTIONS[name].parameter(name) for name in shared]
        parameters += [param.replace(kind=kind) for param in own]
        parameters += [inspect.Parameter("debug", kind, default=False, annotation=Debug)]

        def call(debug, **values):
            options = {name: values.pop(name) for name in shared}
            with errors_in_one_sentence(debug):
                function(*[options][:own_first], **values)

        call.__name__, call.__doc__ = function.__name__, function.__doc__
        call.__signature__ = inspect.Signature(parameters)
        call.shared, call.defaults = shared, defaults or {}
        app.command(cls=_Command)(call)
        return function

    return declare


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
):
    if version:
        import imbemotion

        typer.echo(imbemotion.__version__)
        raise typer.Exit


def main():
    """Run the command line."""
    app()
