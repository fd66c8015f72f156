"""``imbemotion analyze SOURCE``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from imbemotion.cli._app import app
from imbemotion.cli._console import errors_in_one_sentence, make_console
from imbemotion.cli._options import Additional, Debug, Errors, HowBad, Images, Source

__all__ = ["analyze"]


@app.command()
def analyze(
    source: Source,
    additional: Additional = None,
    images: Images = None,
    errors: HowBad = Errors.raise_,
    labels: Annotated[
        str | None, typer.Option(help="Classes that are expected, with commas.")
    ] = None,
    folds: Annotated[int, typer.Option(min=1, help="Folds that are planned.")] = 5,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the figures to this JSON file.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the classes into this .png, .pdf or .svg file.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON, for programs.")
    ] = False,
    debug: Debug = False,
):
    """Count the classes of your images, and say what that means for training and testing."""
    from imbemotion.analysis import advise, analyze_distribution
    from imbemotion.datasets import load_source

    with errors_in_one_sentence(debug):
        expected = None if labels is None else [name.strip() for name in labels.split(",")]
        data = load_source(
            source, additional=additional or (), images=images, errors=errors, load_content=False
        )
        y = data.target
        distribution = analyze_distribution(y, labels=expected, n_folds=folds)
        advice = advise(y, labels=expected, n_folds=folds)
        found = {**distribution, "advice": [item._asdict() for item in advice]}
        text = json.dumps(found, indent=1, ensure_ascii=False)
        if out is not None:
            out.write_text(text + "\n", "utf-8")
        if plot is not None:
            _draw(y, plot)
        print_ = make_console().print
        if as_json:
            typer.echo(text)
            return
        print_(f"{distribution}\n\nAdvice", markup=False, soft_wrap=True)
        for item in advice:
            print_(f"- {item}", markup=False, soft_wrap=True)


def _draw(y, path):
    from imbemotion.plots import ClassDistributionDisplay

    display = ClassDistributionDisplay.from_labels(y)
    display.figure_.savefig(path, bbox_inches="tight")
