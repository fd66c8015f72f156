"""What is printed: tables, conclusions, JSON, progress and notes."""

import json
import re
import sys
from collections import Counter
from contextlib import contextmanager

import typer

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_JUDGED = ("better", "worse", "not distinguishable")
_CLASSES = 30  # rows of a table of classes
_LEGEND = (
    "±: spread over the folds. \\[from, to]: where the true gains lie, all together, at 95 %\n"
    "confidence. p>1%: probability of a gain above 0.01. train: score on training images."
)


def make_console(stderr=False):
    """Return a console; pipes and files get plain text, 160 columns wide."""
    from rich.console import Console

    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, width=None if is_terminal else 160, highlight=False)


def print_list(console, head, items):
    """Print items under a head; prose is wrapped with an indent, commands are not."""
    from rich.table import Table
    from rich.text import Text

    console.print(head)
    for item in items:
        if console.is_terminal and not str(item).startswith("`"):
            line = Table.grid(padding=(0, 1))
            line.add_row("-", Text(str(item)))
            console.print(line)
        else:
            console.print(f"- {item}", markup=False, soft_wrap=True)


def say(text, *, stderr=False, style=None):
    """Print a text literally, in a style on terminals."""
    make_console(stderr).print(text, style=style, markup=False, soft_wrap=True)


def note(text):
    """Print a text to standard error, in yellow on terminals."""
    say(text, stderr=True, style="yellow")


def to_json(found, indent=1):
    """Return plain values as JSON, which escapes what UTF-8 cannot hold."""
    text = json.dumps(found, indent=indent, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()


def show_json(found, indent=1):
    """Print plain values as JSON, and nothing else, to standard output."""
    is_utf8 = (sys.stdout.encoding or "").lower().startswith("utf")
    typer.echo(to_json(found, indent) if is_utf8 else json.dumps(found, indent=indent))


def check_out(path, option="--out", suffixes=()):
    """Refuse a file that could not be written, before all the work."""
    from imbemotion._base.files import check_writable

    if path is None:
        return
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder; name a file.", param_hint=option)
    if suffixes and path.suffix.lower() not in suffixes:
        text = f"{path} must end in one of {', '.join(suffixes)}."
        raise typer.BadParameter(text, param_hint=option)
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"{option} {path}: the folder {path.parent} does not exist.")
    check_writable(path)


def check_new(path, force):
    """Refuse a file that exists, unless it is to be replaced."""
    if path.exists() and not force:
        raise FileExistsError(
            f"{path} already exists. Name another file, or replace it by --force."
        )


def show_data(name, X, y, groups=None, console=None):
    """Print how many images there are of each class."""
    counts = Counter(y.tolist()).most_common()
    n_groups = "" if groups is None else f", {len(set(groups))} groups"
    (console or make_console()).print(
        f"{name}: {len(X):,} images of {X.shape[1]} x {X.shape[2]}, {len(counts)} classes"
        f"{n_groups}, imbalance ratio {counts[0][1] / counts[-1][1]:.0f}:1\n  "
        + ", ".join(f"{label} {n:,}" for label, n in counts),
        markup=False,
    )


@contextmanager
def progress_bar(total, what, n_lines=None):
    """Show a bar on a terminal, elsewhere a line per step, or so many lines in all."""
    from rich import progress

    console = make_console(stderr=True)
    columns = progress.BarColumn(), progress.MofNCompleteColumn(), progress.TimeElapsedColumn()
    columns += progress.TextColumn("left:"), progress.TimeRemainingColumn()
    settings = {"console": console, "transient": True}
    with progress.Progress("{task.description:<40}", *columns, **settings) as bar:
        task, n_shown = bar.add_task(what, total=total), 0

        def advance(step, line, total=total):  # which may be known only now
            nonlocal n_shown
            bar.update(task, completed=step, total=total, description=line)
            n_due = step if n_lines is None else n_lines * step // total
            if n_due > n_shown and not console.is_terminal:
                n_shown = n_due
                console.print(f"[{step}/{total}] {line}", markup=False)

        yield advance


def _make_table(title, *columns, left=()):
    """Return a table without lines, narrow enough for 80 columns; its numbers are on the right."""
    from rich.table import Table

    table = Table(
        title=f"\n{title}" if title else None, title_justify="left", title_style="bold",
        box=None, pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for place, name in enumerate(columns):
        is_text = place == 0 or name in left
        table.add_column(_escape(name), justify="left" if is_text else "right")
    return table


def _left_out(n, which):
    return f"{n - _CLASSES:,} other classes, {which}, are left out." if n > _CLASSES else None


def _arrow():
    """Return an arrow that standard output can show."""
    return "→" if (sys.stdout.encoding or "").lower().startswith("utf") else "->"


def in_one_line(text):
    """Write line breaks and codes for terminals as escapes."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], str(text))


def _escape(text):
    """Return text as it is printed literally, brackets included."""
    from rich.markup import escape

    return escape(in_one_line(text))


def _number(value, form):
    return "" if value != value else format(value, form)  # nan: not measured


def change_table(counts, weights=None):
    """Lay out a row per class: its size before and after, in every subset."""
    table = _make_table("Samples by class", "class", *counts, *(["weight"] if weights else []))
    for label in next(iter(counts.values()))[0]:
        cells = [
            f"{before[label]:,}" if before == after else _change(before[label], after[label])
            for before, after in counts.values()
        ]
        cells += [f"{weights[label]:.3f}" if label in weights else ""] if weights else []
        table.add_row(_escape(label), *cells)
    return table


def change_lines(counts):
    """Return a line per subset and one for all: sizes and balance ratios, before and after."""
    pairs = {name: tuple(map(Counter, pair)) for name, pair in counts.items()}
    total = tuple(sum(side, Counter()) for side in zip(*pairs.values(), strict=True))
    pairs = {**pairs, "Total": total} if len(pairs) > 1 else {"Total": total}
    return [
        f"{name}: {_change(before.total(), after.total(), ' samples')}, "
        f"balance ratio {_balance_ratio(before)} {_arrow()} {_balance_ratio(after)}"
        for name, (before, after) in pairs.items()
    ]


def _change(before, after, what=""):
    """Write a change as ``225 → 300 samples (+75)``."""
    difference = f"{after - before:+,}" if after != before else "0"
    return f"{before:,} {_arrow()} {after:,}{what} ({difference})"


def _balance_ratio(counts):
    sizes = [n for n in counts.values() if n]
    return f"{min(sizes) / max(sizes):.3f}" if sizes else "-"


def strategy_tables(previews):
    """Lay out class sizes before and after every strategy, and what each strategy costs."""
    classes = _make_table("Samples by class", "class", "before", *previews)
    before = next(iter(previews.values())).before
    for label in sorted(before, key=before.get, reverse=True):
        after = [f"{preview.after[label]:,}" for preview in previews.values()]
        classes.add_row(_escape(label), f"{before[label]:,}", *after)
    totals = _make_table(
        "Total", "strategy", "samples", "imbalance ratio", "dropped", "most uses",
        left=("samples",),
    )  # fmt: skip
    for name, found in previews.items():
        dropped = -sum(min(n, 0) for n in found.delta.values()) / found.n_before
        uses = max(found.after[label] / n for label, n in found.before.items())
        samples = _change(found.n_before, found.n_after, " samples")
        ratios = found.imbalance_ratio_before, found.imbalance_ratio_after
        ratio = f" {_arrow()} ".join(f"{ratio:.2f}:1" for ratio in ratios)
        totals.add_row(name, samples, ratio, f"{100 * dropped:.0f} %", f"{max(uses, 1):,.1f}")
    return classes, totals


def split_table(counts):
    """Lay out a row per class: how many images are in every subset."""
    table = _make_table("Rows by class", "class", *counts, "total")
    for label in counts["train"]:
        sizes = [part[label] for part in counts.values()]
        table.add_row(_escape(label), *(f"{n:,}" for n in (*sizes, sum(sizes))))
    totals = [sum(part.values()) for part in counts.values()]
    table.add_section()
    table.add_row("total", *(f"{n:,}" for n in (*totals, sum(totals))), style="bold")
    return table


def metrics_table(record, classes):
    """Lay out precision, recall and F1 of every class, the largest class first."""
    table = _make_table(
        "Scores on the test images", "class", "images", "precision", "recall", "F1"
    )
    support = [round(share * record["n_test"]) for share in record["true_share"]]
    lowest = sorted(range(len(support)), key=record["f1"].__getitem__)[:_CLASSES]
    for place in sorted(lowest, key=lambda place: -support[place]):
        scores = [_number(record[name][place], ".3f") for name in ("precision", "recall", "f1")]
        table.add_row(_escape(classes[place]), f"{support[place]:,}", *scores)
    table.caption = _left_out(len(support), "with a higher F1")
    return table


def prediction_table(found, classes):
    """Lay out a row per image: its predicted class, and the probability of every class."""
    table = _make_table("", "file", "predicted", "confidence", *classes, left=("predicted",))
    table.columns[0].overflow = "fold"
    for file, predicted, *shares in found.itertuples(index=False):
        table.add_row(_escape(file), _escape(predicted), *(f"{share:.3f}" for share in shares))
    return table


def summary_table(summary, n_folds, scoring):
    """Lay out a row per strategy: score, gain and verdict."""
    from imbemotion.report.findings import describe_budget

    name = "Macro-F1" if scoring == "macro-F1" else scoring
    has_external = int(summary["external"].notna().any())
    what = f"{n_folds} test fold{'s' if n_folds > 1 else ''} {describe_budget(summary)}".strip()
    table = _make_table(
        f"{name} over {what}, and the gain over {summary.index[0]}",
        "strategy", scoring, "gain", "verdict", "p>1%", "train", *["external"] * has_external,
        left=("verdict",),
    )  # fmt: skip
    for name, row in summary.iterrows():
        is_judged = row.verdict in _JUDGED
        spread = _number(row["std"], ".2f")  # unknown after one fit
        cells = [
            _escape(name),
            _number(row["score"], ".3f") + (f" ± {spread}" if spread else ""),
            _escape(_gain(row)) if is_judged else "",
            row.verdict + (f" ({row.n_failed} failed)" if row.n_failed else ""),
            _number(row.p_better, ".2f") if is_judged else "",
            _number(row["mean"] + row.gap, ".3f"),
            *[_number(row.external, ".3f")] * has_external,
        ]
        table.add_row(*cells)
    table.caption_justify, table.caption = "left", _LEGEND
    return table


def cost_table(summary):
    """Lay out a row per strategy: what a fit took on average."""
    from imbemotion.comparison.budget import write_steps

    has_memory = int(summary["peak_memory"].notna().any())
    table = _make_table(
        "Cost of a fit", "strategy", "rows", "steps", "images seen", "seconds",
        *["MiB"] * has_memory,
    )  # fmt: skip
    for name, row in summary.iterrows():
        table.add_row(
            _escape(name),
            _number(row.n_resampled, ",.0f"),
            write_steps(row.n_steps, row.budget),
            _number(row.n_images_seen, ",.0f"),
            _number(row.fit_time, ".1f"),
            *[_number(row.peak_memory, ",.0f")] * has_memory,
        )
    return table


def _gain(row):
    low, high = _number(row.gain_low, "+.2f"), _number(row.gain_high, "+.2f")
    return _number(row.gain, "+.3f") + (f" [{low}, {high}]" if low else "")


def class_table(per_class, y):
    """Lay out F1 by strategy of the classes that change most, the largest class first."""
    table = _make_table("F1 by class", "class", "images", *per_class.index)
    change = (per_class - per_class.iloc[0]).abs().max().fillna(0)
    shown = set(change.nlargest(_CLASSES).index)
    for label, n in Counter(y.tolist()).most_common():
        if label in shown:
            scores = [_number(score, ".3f") for score in per_class[label]]
            table.add_row(_escape(label), f"{n:,}", *scores)
    table.caption = _left_out(len(change), "that change less")
    return table


def show_inspection(found):
    """Print one page about sources: what they hold, what is left out, what needs attention."""
    say(f"{', '.join(found['sources'])}: {_totals(found)}")
    names = {"formats": "Formats", "sizes": "Width x height", "classes": "Classes"}
    for key, name in names.items():
        counts = sorted(found.get(key, {}).items(), key=lambda pair: -pair[1])
        shown = [f"{label} {n:,}" for label, n in counts[:_CLASSES]]
        rest = [f"and {len(counts) - _CLASSES:,} more"] if len(counts) > _CLASSES else []
        say(f"{name}: {', '.join(shown + rest)}") if counts else None
    for mode, (low, high) in found.get("ranges", {}).items():
        say(f"Pixels of mode {mode}: {low:g} to {high:g}")
    left_out = [f"{name} {reason}" for name, reason in found.get("left_out", ())]
    for head, lines in (("Left out", left_out), ("Needs attention", found["findings"])):
        if lines:
            rest = len(lines) - _CLASSES
            more = [f"and {rest:,} more; --json lists all"] if rest > 0 else []
            print_list(make_console(), f"\n{head}", [*lines[:_CLASSES], *more])
    if not found["status"]:
        say("\nNothing needs attention.")


def _totals(found):
    if "images" not in found:
        return "cannot be used."
    files = f"{found['files']:,} files of {found['bytes'] / 1e6:,.1f} MB, " * bool(found["files"])
    images = f"{found['images']:,} images in {len(found['classes'])} classes"
    return f"{files}{images}{'' if found['decoded'] else ' (not decoded)'}"
