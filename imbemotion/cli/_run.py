"""``imbemotion run CONFIG`` and ``imbemotion init``."""

from pathlib import Path
from typing import Annotated

import typer

from imbemotion._base.files import write_atomically
from imbemotion.cli._app import app
from imbemotion.cli._compare import compare_and_show
from imbemotion.cli._console import check_out, errors_in_one_sentence, make_console
from imbemotion.cli._options import Debug
from imbemotion.cli._train import train_and_show

__all__ = ["init", "run"]


@app.command()
def run(
    config: Annotated[
        Path,
        typer.Argument(help="Settings, as `imbemotion init` writes them.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write to.", show_default="the file's own"),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a training that was written there before.")
    ] = False,
    debug: Debug = False,
):
    """Train, or compare strategies, as a YAML file says."""
    from imbemotion.workflow import read_config

    with errors_in_one_sentence(debug):
        settings = read_config(config)
        if out is not None:
            settings["out"] = str(out)
        if settings["comparison"] is None:
            train_and_show(settings, force=force)
        else:
            compare_and_show(settings)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("config.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    debug: Debug = False,
):
    """Write a file of all settings for run, each with a comment."""
    from imbemotion.workflow import example_config

    with errors_in_one_sentence(debug):
        check_out(path, "PATH")
        if path.exists() and not force:
            raise FileExistsError(f"{path} is there already. Name another file, or add --force.")
        write_atomically(path, example_config().encode())
        make_console().print(
            f"Written: {path}. Name your data in it, then `imbemotion run {path}`.", markup=False
        )
