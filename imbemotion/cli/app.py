"""The program: how commands are declared, listed and explained."""

import inspect
import sys
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from imbemotion.cli.endings import errors_in_one_sentence
from imbemotion.cli.options import OPTIONS, Debug, Misuse, describe_setting

_ORDER = (
    "init", "check", "analyze", "strategies", "split", "balance", "train", "predict", "compare",
    "report", "plan", "run", "demo",
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
