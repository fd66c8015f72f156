"""Commands about classes and files: ``check``, ``analyze``, ``split``, ``balance`` ..."""

import shlex
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from imbemotion import workflow
from imbemotion.cli import output
from imbemotion.cli.app import command, explain
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

_MANY = 1000  # files from which on progress is shown
_OVERSAMPLE = {"balancing.strategy": "oversample"}  # what balance does by default


@command(*READING, "labels")
def check(
    options,
    quick: Annotated[bool, typer.Option("--quick", help="Do not decode the images.")] = False,
    as_json: AsJson = False,
):
    """Read everything once, and report what is wrong with it.

    The exit status is 0 if all is fine, 1 if something needs attention, and 2 if nothing in it can
    be used.
    """
    config, start = resolve_settings(options), perf_counter()
    with output.progress_bar(None, "reading", n_lines=20) as advance:

        def on_file(number, total):
            seconds = (perf_counter() - start) * (total / number - 1)
            if total >= _MANY:
                advance(number, f"reading, {seconds:.0f} s left", total)

        try:
            found = workflow.inspect_source(config, quick=quick, on_file=on_file)
        except (ValueError, OSError, ImportError) as error:
            found = {"findings": [explain(error)], "status": 2}
    found = {"sources": name_sources(options)[0], **found}
    if as_json:
        output.show_json(found)
    else:
        output.show_inspection(found)
    raise typer.Exit(found["status"])


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

    output.check_out(out)
    output.check_out(plot, "--plot", (".png", ".pdf", ".svg"))
    data = _load({**options, "labels": None})[1]
    y, (groups, meaning) = data.y, _groups_of(data, folds)
    expected = _expected_classes(options["labels"], y)
    planned = {"labels": expected, "n_folds": folds, "groups": groups}
    distribution, advice = analyze_distribution(y, **planned), advise(y, **planned)
    found = {"sources": name_sources(options)[0], **distribution}
    found["advice"] = [item._asdict() for item in advice]
    found["grouping"] = meaning
    if out is not None:
        write_atomically(out, f"{output.to_json(found)}\n".encode())
    if plot is not None:
        _draw(y, distribution["missing"], plot)
    if as_json:
        output.show_json(found)
        return
    _show_distribution(distribution, meaning, advice)
    _show_next(options, advice, ["strategies", "compare"])


def _load(options):
    """Return the settings of a command line and its labeled files; no image is decoded."""
    config = resolve_settings(options)
    return config, workflow.load_data(config, load_content=False)


def _expected_classes(names, y):
    """Return the expected classes, spelled as in the data."""
    known = {" ".join(str(label).split()).lower(): label for label in set(y.tolist())}
    return names and [known.get(" ".join(name.split()).lower(), name) for name in names]


def _draw(y, missing, path):
    """Draw the class sizes, the largest first, and the missing classes."""
    from imbemotion._base.files import publish_file
    from imbemotion.plots import ClassDistributionDisplay

    classes = [label for label, _ in Counter(y.tolist()).most_common()]
    display = ClassDistributionDisplay.from_labels(y, labels=[*classes, *missing])
    with publish_file(path) as building:
        display.figure_.savefig(building, bbox_inches="tight")


def _groups_of(data, n_folds):
    """Return groups, also where nobody asked for them, and sentences on what they are."""
    from imbemotion.leaks.advice import advise_groups

    if data.groups is not None:
        return data.groups, ["Groups are those of --group-by."]
    found = advise_groups(data.filenames, data.y, data.columns)
    sentence = found.expect_leak(n_folds)
    return found.groups, [*([sentence] if sentence else []), *str(found).split("\n")]


def _show_distribution(distribution, meaning, advice):
    from rich.text import Text

    console = output.make_console()
    if console.is_terminal and console.encoding.startswith("utf"):
        text = Text(distribution.to_text(width=console.width, mark="█"))
        text.highlight_regex("█+", "cyan")
    else:
        text = Text(str(distribution))
    console.print(text, soft_wrap=True)
    output.print_list(console, "\nGroups", meaning)
    output.print_list(console, "\nAdvice", advice)


def _show_next(options, advice, names):
    """Print commands that go on with the same sources."""
    words = name_sources(options)[0]
    for option in READING[2:-1]:
        if options[option] is not None:
            words += [f"--{option.replace('_', '-')}", str(options[option])]
    words += [word for kind in options["group_by"] or () for word in ("--group-by", kind)]
    advised = advice[0].strategy
    extra = [] if advised in (None, "none") else ["--strategies", f"none,{advised}"]
    lines = {
        "strategies": f"`imbemotion {shlex.join(['strategies', *words])}` shows the class sizes "
        "after balancing.",
        "compare": f"`imbemotion {shlex.join(['compare', *words, *extra])}` measures by training "
        "whether balancing helps.",
    }
    output.print_list(output.make_console(), "\nNext", [lines[name] for name in names])


@command(*READING, "preview")
def strategies(options, as_json: AsJson = False):
    """Compare class sizes under several strategies, side by side."""
    from imbemotion.analysis import advise, preview_targets

    chosen = options["preview"] or {name: name for name in SAMPLING}
    y = _load(options)[1].y
    previews = {name: preview_targets(y, value) for name, value in chosen.items()}
    if as_json:
        output.show_json({"sources": name_sources(options)[0], "strategies": previews})
        return
    output.make_console().print(*output.strategy_tables(previews))
    advice = advise(y)
    output.print_list(output.make_console(), "\nAdvice", [advice[0].text])
    _show_next(options, advice, ["compare"])


@command(*READING, *SHARES, "stratify", "seed")
def split(
    options,
    out: out_option("Save the rows of every subset in this JSON file.") = None,
    force: Force = False,
    as_json: AsJson = False,
):
    """Split your images into training, validation and test."""
    if out is not None and out.is_dir():
        raise IsADirectoryError(f"--out {out} is a folder. Name a file, such as {out}/split.json.")
    if out is not None:
        output.check_new(out, force)
    config, data = _load(options)
    rows, leaks = workflow.split_data(config, data)
    if out is not None:
        rows.save(out, X=data.filenames)
    counts, stratified = workflow.count_subsets(data.y, rows), config["split"]["stratify"]
    if as_json:
        found = {"parts": counts, "seed": config["seed"], "stratified": stratified}
        output.show_json({**found, "leaks": leaks, "out": out and str(out)})
    else:
        output.make_console().print(output.split_table(counts))
        output.say(f"\nSaved in {out}." if out else "\nNot saved: add --out FILE to keep it.")


@command(
    *LOADING, *SHARES, "stratify", "strategy", "method", "balance_splits", defaults=_OVERSAMPLE
)
def balance(
    options,
    out: out_option("Split the images, balance training, and write lists here.") = None,
    force: Force = False,
    as_json: AsJson = False,
):
    """Show what balancing does to your classes, or write the lists."""
    weighted = options["strategy"] == "weighted"
    config = resolve_settings(*_without_weights(options) if weighted else (options, _OVERSAMPLE))
    if out is not None:
        workflow.check_lists_folder(out, force)
    splitting = ("group_by", "stratify", "balance_splits", *SHARES)
    in_subsets = out is not None or any(options[name] is not None for name in splitting)
    found = workflow.balance_data(config, weighted=weighted, in_subsets=in_subsets, out=out)
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
    subset = next(iter(found.subsets.values()))
    if subset.weights is None:
        return None
    pairs = zip(found.y[subset.rows].tolist(), subset.weights.tolist(), strict=True)
    return {str(label): weight for label, weight in pairs}


def _show_balanced(found, out):
    counts = {name: subset.counts(found.y) for name, subset in found.subsets.items()}
    output.make_console().print(output.change_table(counts, _weights(found)))
    lines = [*output.change_lines(counts), found.about.get("remark"), found.note]
    if out is None:
        lines += ["Nothing is written: --out FOLDER splits, balances and writes lists."]
    else:
        lines += [f"Written to {out}: {', '.join(found.files)}."]
    output.say("\n" + "\n".join(filter(None, lines)))


def _print_balanced(found, out):
    parts = {}
    for name, subset in found.subsets.items():
        before, after = subset.counts(found.y)
        n_before, n_after = len(subset.before), len(subset.rows)
        parts[name] = {"before": before, "after": after, "n_before": n_before}
        parts[name] |= {"n_after": n_after, "change": n_after - n_before}
    content = {**found.about, "parts": parts, "weights": _weights(found), "out": out and str(out)}
    output.show_json({**content, "files": found.files, "note": found.note})
