"""``imbemotion analyze SOURCE``."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from imbemotion._base.files import publish_file, write_atomically
from imbemotion.cli._app import app
from imbemotion.cli._console import check_out, errors_in_one_sentence, make_console, print_list
from imbemotion.cli._options import (
    Additional,
    AsJson,
    Debug,
    Errors,
    HowBad,
    ImageColumn,
    Images,
    LabelColumn,
    LabelPattern,
    Labels,
    Source,
)
from imbemotion.cli._sources import (
    expected_classes,
    load_sources,
    name_sources,
    next_command,
)

__all__ = ["analyze"]

_PICTURES = (".png", ".pdf", ".svg")


@app.command()
def analyze(
    source: Source,
    additional: Additional = None,
    images: Images = None,
    label_pattern: LabelPattern = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    labels: Labels = None,
    errors: HowBad = Errors.raise_,
    folds: Annotated[int, typer.Option(min=1, help="Folds that are planned.")] = 5,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the figures to this JSON file.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the classes into this .png, .pdf or .svg file.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
):
    """Count your classes, and say what that means for training."""
    # Reads no image, only names and labels.
    from imbemotion.analysis import advise, analyze_distribution

    with errors_in_one_sentence(debug):
        check_out(out)
        check_out(plot, "--plot", _PICTURES)
        columns = {
            "images": images, "label_pattern": label_pattern,
            "image_column": image_column, "label_column": label_column, "errors": errors,
        }  # fmt: skip
        data = load_sources(source, additional, load_content=False, **columns)
        planned = {"labels": expected_classes(labels, data.target), "n_folds": folds}
        distribution = analyze_distribution(data.target, **planned)
        advice = advise(data.target, **planned)
        sources = name_sources(source, additional)
        text = _as_json(sources, distribution, advice)
        if out is not None:
            write_atomically(out, f"{text}\n".encode())
        if plot is not None:
            _draw(data.target, distribution["missing"], plot)
        if as_json:
            typer.echo(text)
            return
        _show(distribution, advice)
        show = next_command("strategies", sources, columns)
        compare = next_command("compare", sources, columns, advice)
        what = [
            f"`{show}` shows what balancing would make of the data.",
            f"`{compare}` tells by training what it is worth.",
        ]
        print_list(make_console(), "\nNext", what)


def _as_json(sources, distribution, advice):
    found = {"sources": sources, **distribution}
    found["advice"] = [item._asdict() for item in advice]
    return json.dumps(found, indent=1, ensure_ascii=False)


def _show(distribution, advice):
    console = make_console()
    if console.is_terminal and console.encoding.startswith("utf"):
        text = Text(distribution.to_text(width=console.width, mark="█"))
        text.highlight_regex("█+", "cyan")
    else:
        text = Text(str(distribution))
    console.print(text, soft_wrap=True)
    print_list(console, "\nAdvice", advice)


def _draw(y, missing, path):
    """Draw the classes, the largest first, and those that are missing."""
    from imbemotion.plots import ClassDistributionDisplay

    classes = [label for label, _ in Counter(y.tolist()).most_common()]
    display = ClassDistributionDisplay.from_labels(y, labels=[*classes, *missing])
    with publish_file(path) as building:
        display.figure_.savefig(building, bbox_inches="tight")
