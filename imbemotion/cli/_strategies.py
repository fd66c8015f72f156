"""``imbemotion strategies SOURCE``."""

from difflib import get_close_matches
from typing import Annotated

import typer
from rich.markup import escape

from imbemotion.cli._app import app
from imbemotion.cli._console import (
    arrow,
    errors_in_one_sentence,
    make_console,
    make_table,
    print_list,
    show_json,
)
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
    Source,
)
from imbemotion.cli._sources import load_sources, name_sources, next_command

__all__ = ["strategies"]

_NAMES = ("oversample", "undersample", "hybrid", "mean", "sqrt")


@app.command()
def strategies(
    source: Source,
    additional: Additional = None,
    images: Images = None,
    label_pattern: LabelPattern = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    errors: HowBad = Errors.raise_,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategies",
            "-s",
            help="Strategies, with commas: oversample (all classes to the largest), undersample "
            "(to the smallest), hybrid (to the median), mean, sqrt; a whole number such as 300 "
            "(for every class), or a share of the largest class such as 0.5 (at least).",
        ),
    ] = ",".join(_NAMES),
    as_json: AsJson = False,
    debug: Debug = False,
):
    """Show side by side what strategies would make of your classes."""
    # Nothing is trained or written, and no image is read.
    from imbemotion.analysis import advise, preview_targets

    with errors_in_one_sentence(debug):
        chosen = {name.strip(): _parse(name.strip()) for name in strategy.split(",")}
        columns = {
            "images": images, "label_pattern": label_pattern,
            "image_column": image_column, "label_column": label_column, "errors": errors,
        }  # fmt: skip
        y = load_sources(source, additional, load_content=False, **columns).target
        sources = name_sources(source, additional)
        previews = {name: preview_targets(y, value) for name, value in chosen.items()}
        if as_json:
            show_json({"sources": sources, "strategies": previews})
            return
        console = make_console()
        console.print(_class_table(previews), _total_table(previews, arrow(console)))
        advice = advise(y)
        command = next_command("compare", sources, columns, advice)
        print_list(console, "\nAdvice", [advice[0].text])
        print_list(console, "\nNext", [f"`{command}` tells by training what it is worth."])


def _parse(name):
    """Give a strategy as samplers take it; a misspelt one is misuse."""
    if name in _NAMES:
        return name
    for kind in (int, float):
        try:
            value = kind(name)
        except ValueError:
            continue
        if value >= 1 if kind is int else 0 < value <= 1:
            return value
    near = get_close_matches(name, _NAMES, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise typer.BadParameter(
        f"{name!r} is none of {', '.join(_NAMES)}, a whole number from 1, or a share up to 1."
        f"{hint}",
        param_hint="--strategies",
    )


def _class_table(previews):
    table = make_table("Samples of every class")
    table.add_column("class")
    for name in ("before", *previews):
        table.add_column(name, justify="right")
    before = next(iter(previews.values())).before
    for label in sorted(before, key=before.get, reverse=True):
        after = [f"{preview.after[label]:,}" for preview in previews.values()]
        table.add_row(escape(str(label)), f"{before[label]:,}", *after)
    return table


def _total_table(previews, arrow):
    """Lay out what every strategy costs."""
    table = make_table("\nAll together")
    for name in ("strategy", "samples", "imbalance ratio", "dropped", "most uses"):
        table.add_column(name, justify="left" if name in ("strategy", "samples") else "right")
    for name, found in previews.items():
        change = f"{found.change:+,}" if found.change else "0"
        dropped = -sum(min(n, 0) for n in found.delta.values()) / found.n_before
        uses = max(found.after[label] / n for label, n in found.before.items())
        table.add_row(
            name,
            f"{found.n_before:,} {arrow} {found.n_after:,} samples ({change})",
            f"{found.imbalance_ratio_before:.2f}:1 {arrow} {found.imbalance_ratio_after:.2f}:1",
            f"{100 * dropped:.0f} %",
            f"{max(uses, 1):,.1f}",
        )
    return table
