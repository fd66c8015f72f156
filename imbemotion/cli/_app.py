"""The program that all commands belong to."""

from typing import Annotated

import typer

__all__ = ["app", "main"]

app = typer.Typer(
    help="Balance, train and honestly judge classifiers of skewed image data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
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
