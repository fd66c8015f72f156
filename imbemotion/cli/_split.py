"""``imbemotion split SOURCE``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from imbemotion.cli._app import app
from imbemotion.cli._console import errors_in_one_sentence, make_console, make_table, show_json
from imbemotion.cli._options import (
    Additional,
    AsJson,
    Debug,
    Errors,
    Force,
    HowBad,
    ImageColumn,
    Images,
    LabelColumn,
    LabelPattern,
    NoStratify,
    Source,
    SplitSeed,
    TestRatio,
    Together,
    TrainRatio,
    ValRatio,
)

__all__ = ["split"]


@app.command()
def split(
    source: Source,
    additional: Additional = None,
    images: Images = None,
    label_pattern: LabelPattern = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    errors: HowBad = Errors.raise_,
    train_ratio: TrainRatio = None,
    val_ratio: ValRatio = None,
    test_ratio: TestRatio = None,
    group_by: Together = None,
    no_stratify: NoStratify = False,
    seed: SplitSeed = 42,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Save the rows of every part in this JSON file."),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
    debug: Debug = False,
):
    """Split your images into training, validation and test."""
    from imbemotion.cli._parts import check_shares, count_parts, load_list, split_list
    from imbemotion.leaks.copies import find_leaks

    with errors_in_one_sentence(debug):
        shares = check_shares(train_ratio, val_ratio, test_ratio)
        _check_out(out, force)
        data = load_list(
            source, additional, group_by, images=images, label_pattern=label_pattern,
            image_column=image_column, label_column=label_column, errors=errors,
        )  # fmt: skip
        rows, _ = split_list(data, group_by, shares, stratify=not no_stratify, seed=seed)
        leaks = find_leaks(data.target, data.filenames, data.groups, rows, group_by)
        if out is not None:
            rows.save(out, X=data.filenames)
        counts = count_parts(data.target, rows)
        if as_json:
            found = {"parts": counts, "seed": seed, "stratified": not no_stratify}
            found |= {"leaks": leaks, "out": out and str(out)}
            show_json(found)
        else:
            _show(counts, out)


def _check_out(out, force):
    """Refuse what would only fail, or be lost, once all the work is done."""
    if out is not None and out.is_dir():
        raise IsADirectoryError(f"--out {out} is a folder. Name a file, such as {out}/split.json.")
    if out is not None and out.exists() and not force:
        raise FileExistsError(f"{out} exists. Name another file, or replace it by --force.")


def _show(counts, out):
    console = make_console()
    table = make_table("\nRows by class")
    table.add_column("class")
    for name in (*counts, "total"):
        table.add_column(name, justify="right")
    for label in counts["train"]:
        numbers = [part[label] for part in counts.values()]
        table.add_row(escape(label), *(f"{n:,}" for n in (*numbers, sum(numbers))))
    totals = [sum(part.values()) for part in counts.values()]
    table.add_section()
    table.add_row("total", *(f"{n:,}" for n in (*totals, sum(totals))), style="bold")
    console.print(table)
    said = "Not saved: --out FILE keeps it." if out is None else f"Saved in {out}."
    console.print(f"\n{said}", markup=False, soft_wrap=True)
