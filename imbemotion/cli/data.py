"""Commands about classes and files: ``analyze``, ``strategies``, ``split`` and ``balance``."""

import shlex
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from imbemotion.cli.app import command
from imbemotion.cli.options import (
    LOADING,
    READING,
    SAMPLING,
    SHARES,
    AsJson,
    Force,
    name_sources,
    out_option,
    resolve_settings,
)
from imbemotion.cli.output import check_out, make_console, print_list, say, show_json, to_json

__all__ = []

_OVERSAMPLE = {"balancing.strategy": "oversample"}  # what balance does by default


@command(*READING, "labels")
def analyze(
    options,
    folds: Annotated[int, typer.Option(min=1, help="Planned number of folds.")] = 5,
    out: out_option("Write the figures to this JSON file.") = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the class sizes into this .png, .pdf or .svg file.")
    ] = None,
    as_json: AsJson = False,
):
    """Count your classes, and advise what to do about them."""
    from imbemotion._base.files import write_atomically
    from imbemotion.analysis import advise, analyze_distribution

    check_out(out)
    check_out(plot, "--plot", (".png", ".pdf", ".svg"))
    y = _load({**options, "labels": None})[1].y
    planned = {"labels": _expected_classes(options["labels"], y), "n_folds": folds}
    distribution, advice = analyze_distribution(y, **planned), advise(y, **planned)
    found = {"sources": name_sources(options)[0], **distribution}
    found["advice"] = [item._asdict() for item in advice]
    if out is not None:
        write_atomically(out, f"{to_json(found)}\n".encode())
    if plot is not None:
        _draw(y, distribution["missing"], plot)
    if as_json:
        typer.echo(to_json(found))
        return
    _show_distribution(distribution, advice)
    _show_next(options, advice, ["strategies", "compare"])


def _load(options):
    """Return the settings of a command line and its labeled files; no image is decoded."""
    from imbemotion.workflow import load_data

    config = resolve_settings(options)
    return config, load_data(config, load_content=False)


def _expected_classes(names, y):
    """Return the expected classes, spelled as in the data."""
    known = {_normalize(label): label for label in set(y.tolist())}
    return names and [known.get(_normalize(name), name) for name in names]


def _normalize(label):
    return " ".join(str(label).split()).lower()


def _draw(y, missing, path):
    """Draw the class sizes, the largest first, and the missing classes."""
    from imbemotion._base.files import publish_file
    from imbemotion.plots import ClassDistributionDisplay

    classes = [label for label, _ in Counter(y.tolist()).most_common()]
    display = ClassDistributionDisplay.from_labels(y, labels=[*classes, *missing])
    with publish_file(path) as building:
        display.figure_.savefig(building, bbox_inches="tight")


def _show_distribution(distribution, advice):
    from rich.text import Text

    console = make_console()
    if console.is_terminal and console.encoding.startswith("utf"):
        text = Text(distribution.to_text(width=console.width, mark="█"))
        text.highlight_regex("█+", "cyan")
    else:
        text = Text(str(distribution))
    console.print(text, soft_wrap=True)
    print_list(console, "\nAdvice", advice)


def _show_next(options, advice, names):
    """Print commands that go on with the same sources."""
    purposes = {
        "strategies": "shows the class sizes after balancing",
        "compare": "measures by training whether balancing helps",
    }
    words = name_sources(options)[0]
    for option in ("images", "label_pattern", "image_column", "label_column", "errors"):
        if options[option] is not None:
            words += [f"--{option.replace('_', '-')}", str(options[option])]
    words += [word for kind in options["group_by"] or () for word in ("--group-by", kind)]
    advised = advice[0].strategy
    extra = [] if advised in (None, "none") else ["--strategies", f"none,{advised}"]
    print_list(make_console(), "\nNext", [
        f"`imbemotion {shlex.join([name, *words, *(extra if name == 'compare' else [])])}` "
        f"{purposes[name]}."
        for name in names
    ])  # fmt: skip


@command(*READING, "preview")
def strategies(options, as_json: AsJson = False):
    """Compare class sizes under several strategies, side by side."""
    from imbemotion.analysis import advise, preview_targets
    from imbemotion.cli.tables import strategy_tables

    chosen = options["preview"] or {name: name for name in SAMPLING}
    y = _load(options)[1].y
    previews = {name: preview_targets(y, value) for name, value in chosen.items()}
    if as_json:
        show_json({"sources": name_sources(options)[0], "strategies": previews})
        return
    make_console().print(*strategy_tables(previews))
    advice = advise(y)
    print_list(make_console(), "\nAdvice", [advice[0].text])
    _show_next(options, advice, ["compare"])


@command(*READING, *SHARES, "stratify", "seed")
def split(
    options,
    out: out_option("Save the rows of every subset in this JSON file.") = None,
    force: Force = False,
    as_json: AsJson = False,
):
    """Split your images into training, validation and test."""
    from imbemotion.cli.tables import split_table
    from imbemotion.workflow import count_subsets, split_data

    _check_split_file(out, force)
    config, data = _load(options)
    rows, leaks = split_data(config, data)
    if out is not None:
        rows.save(out, X=data.filenames)
    counts, stratified = count_subsets(data.y, rows), config["split"]["stratify"]
    if as_json:
        found = {"parts": counts, "seed": config["seed"], "stratified": stratified}
        show_json({**found, "leaks": leaks, "out": out and str(out)})
    else:
        make_console().print(split_table(counts))
        say(f"\nSaved in {out}." if out else "\nNot saved: add --out FILE to keep it.")


def _check_split_file(out, force):
    """Refuse what would only fail, or be lost, once all the work is done."""
    if out is not None and out.is_dir():
        raise IsADirectoryError(f"--out {out} is a folder. Name a file, such as {out}/split.json.")
    if out is not None and out.exists() and not force:
        raise FileExistsError(f"{out} exists. Name another file, or replace it by --force.")


@command(
    *LOADING, *SHARES, "stratify", "strategy", "method", "balance_splits",
    defaults=_OVERSAMPLE,
)  # fmt: skip
def balance(
    options,
    out: out_option(
        "Split the images, balance training, and write lists into this folder."
    ) = None,
    force: Force = False,
    as_json: AsJson = False,
):
    """Show what balancing does to your classes, or write the lists."""
    from imbemotion.workflow import balance_data, check_lists_folder

    weighted = options["strategy"] == "weighted"
    config = resolve_settings(*_without_weights(options) if weighted else (options, _OVERSAMPLE))
    if out is not None:
        check_lists_folder(out, force)
    splitting = ("group_by", "stratify", "balance_splits", *SHARES)
    in_subsets = out is not None or any(options[name] is not None for name in splitting)
    found = balance_data(config, weighted=weighted, in_subsets=in_subsets, out=out)
    if as_json:
        _print_balanced(found, out)
    else:
        _show_balanced(found, out)


def _without_weights(options):
    """Return options without the strategy "weighted", which is no setting of samplers."""
    if options["method"] not in (None, "repeat") or options["balance_splits"] == "all":
        raise typer.BadParameter(
            "weighted adds no images and weights training only. Leave out --method and "
            "--balance-splits, or name another strategy.",
            param_hint="--strategy",
        )
    return [{**options, "strategy": None, "method": None, "balance_splits": None}]


def _weights(found):
    """Return the weight of every class, or None."""
    subset = next(iter(found.subsets.values()))
    if subset.weights is None:
        return None
    pairs = zip(found.y[subset.rows].tolist(), subset.weights.tolist(), strict=True)
    return {str(label): weight for label, weight in pairs}


def _show_balanced(found, out):
    from imbemotion.cli.tables import change_lines, change_table

    counts = {name: subset.counts(found.y) for name, subset in found.subsets.items()}
    make_console().print(change_table(counts, _weights(found)))
    lines = [*change_lines(counts), found.about.get("remark"), found.note]
    if out is None:
        lines += ["Nothing is written: --out FOLDER splits, balances and writes lists."]
    else:
        lines += [f"Written to {out}: {', '.join(found.files)}."]
    say("\n" + "\n".join(filter(None, lines)))


def _print_balanced(found, out):
    parts = {}
    for name, subset in found.subsets.items():
        before, after = subset.counts(found.y)
        n_before, n_after = len(subset.before), len(subset.rows)
        totals = {"n_before": n_before, "n_after": n_after, "change": n_after - n_before}
        parts[name] = {"before": before, "after": after, **totals}
    content = {**found.about, "parts": parts, "weights": _weights(found)}
    show_json({**content, "out": out and str(out), "files": found.files, "note": found.note})
