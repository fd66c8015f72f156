"""The program that all commands belong to."""

import sys
from typing import Annotated

import typer
from typer.core import TyperGroup

__all__ = ["app", "main"]

_ORDER = (
    "init", "analyze", "strategies", "split", "balance", "train", "predict", "compare", "report",
    "run", "demo",
)  # fmt: skip

_Misuse = typer.BadParameter.__base__  # UsageError, which Typer does not hand on


class _Program(TyperGroup):
    """Says misuse in two lines, without a panel, and lists commands in the order of work."""

    def list_commands(self, ctx):
        return sorted(super().list_commands(ctx), key=_ORDER.index)

    def main(self, args=None, prog_name=None, standalone_mode=True, **settings):
        try:
            status = super().main(args, prog_name, standalone_mode=False, **settings)
        except _Misuse as error:
            if not standalone_mode:
                raise
            words = sys.argv[1:] if args is None else args
            status = _say(error, next((word for word in words if word in self.commands), ""))
        if not standalone_mode:
            return status
        sys.exit(status or 0)


def _say(error, command):
    """Say what is wrong with the words of a command line, and give the status to end with."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        message = error.format_message()
        message += "" if message.endswith((".", "?")) else "."
        program = f"imbemotion {command}".rstrip()
        typer.echo(f"Error: {message}\n`{program} --help` lists what is possible.", err=True)
    return error.exit_code


app = typer.Typer(
    cls=_Program,
    help="Balance, train and honestly judge classifiers of skewed image data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,  # plain where nobody watches
)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and end.")] = False,
):
    if version:
        import imbemotion

        typer.echo(imbemotion.__version__)
        raise typer.Exit


def main():
    """Run the command line."""
    app()
