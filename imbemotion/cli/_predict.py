"""``imbemotion predict MODEL IMAGES``."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from imbemotion._base.files import write_atomically
from imbemotion.cli._app import app
from imbemotion.cli._console import check_out, errors_in_one_sentence, make_console
from imbemotion.cli._options import Debug, Errors, HowBad

__all__ = ["predict"]


@app.command()
def predict(
    model: Annotated[
        Path,
        typer.Argument(
            help="What train wrote: its folder, or a model.safetensors.", show_default=False
        ),
    ],
    images: Annotated[
        list[Path], typer.Argument(help="Images, or folders of them.", show_default=False)
    ],
    errors: HowBad = Errors.raise_,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the table to this CSV file instead."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object per image instead, a line each.")
    ] = False,
    debug: Debug = False,
):
    """Say what a trained model sees in images, and how sure it is."""
    from imbemotion.workflow import predict_images

    with errors_in_one_sentence(debug):
        check_out(out)
        table, skipped = predict_images(model, images, errors=str(errors))
        notes = make_console(stderr=True)
        for name, reason in skipped:
            notes.print(f"Note: {name} was left out: {reason}.", style="yellow", markup=False)
        if out is not None:
            write_atomically(out, table.to_csv(index=False, lineterminator="\n").encode())
        if as_json:
            _print_lines(table)
        elif out is None:
            make_console().print(_layout(table))
        else:
            make_console().print(f"{len(table)} predictions written to {out}.", markup=False)


def _classes(table):
    return [name for name in table.columns if name.startswith("p_")]


def _print_lines(table):
    """Print an object per image, a line each."""
    for row in table.to_dict("records"):
        shares = {name.removeprefix("p_"): row[name] for name in _classes(table)}
        line = {k: row[k] for k in ("file", "predicted", "confidence")} | {"probabilities": shares}
        typer.echo(json.dumps(line, ensure_ascii=False, default=lambda number: number.item()))


def _layout(table):
    layout = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    layout.add_column("file", overflow="fold")
    layout.add_column("predicted")
    for name in ["confidence", *_classes(table)]:
        layout.add_column(escape(name.removeprefix("p_")), justify="right")
    for row in table.itertuples(index=False):
        numbers = [f"{share:.3f}" for share in row[2:]]
        layout.add_row(escape(row[0]), escape(str(row[1])), *numbers)
    return layout
