"""``imbemotion report FOLDER``."""

from pathlib import Path
from typing import Annotated

import typer

from imbemotion.cli._app import app
from imbemotion.cli._console import check_out, errors_in_one_sentence, make_console
from imbemotion.cli._options import Debug

__all__ = ["report"]


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="What compare --out wrote.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The page.", show_default="FOLDER/report.html"),
    ] = None,
    debug: Debug = False,
):
    """Make one page of a comparison, to read in a browser."""
    # The comparison may be finished or not.
    from imbemotion.report import write_report

    with errors_in_one_sentence(debug):
        check_out(out)
        make_console().print(f"Written: {write_report(folder, out)}", markup=False)
