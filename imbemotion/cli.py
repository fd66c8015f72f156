"""The command line: ``imbemotion compare SOURCE`` and ``imbemotion demo``."""

import sys
import warnings
from collections import Counter
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from imbemotion._validation import DataWarning, shorten

__all__ = ["app", "main"]

app = typer.Typer(
    help="Balance, train and honestly judge classifiers of skewed image data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_DEMO_COUNTS = {"happy": 300, "neutral": 240, "sad": 60, "surprise": 40, "angry": 25, "fear": 15}


class Mode(StrEnum):
    """Grey or colour."""

    gray = "gray"
    rgb = "rgb"


class Resize(StrEnum):
    """How an image comes to the wanted size."""

    stretch = "stretch"
    crop = "crop"
    pad = "pad"


class Errors(StrEnum):
    """What to do with files that can't be used."""

    raise_ = "raise"
    skip = "skip"


class Model(StrEnum):
    """The networks that have a name."""

    small_cnn = "small_cnn"
    deep_cnn = "deep_cnn"
    residual_cnn = "residual_cnn"


class GroupBy(StrEnum):
    """What must not be on both sides of a split."""

    name = "name"
    groups = "groups"


Strategies = Annotated[
    str | None,
    typer.Option(
        help="Strategies to compare, with commas; the first is the baseline. There are none, "
        "oversample, undersample, hybrid, class_weight, focal; and, with new images, "
        "augmentation, smote, adasyn.",
        show_default="the first six",
    ),
]
Network = Annotated[Model, typer.Option("--model", help="The network.")]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over the training images.")]
Folds = Annotated[int, typer.Option(min=2, help="Folds of the cross-validation.")]
Repeats = Annotated[int, typer.Option(min=1, help="Repeats of everything with other seeds.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of folds, samplers and networks.")]
Jobs = Annotated[int, typer.Option(help="Fits at a time, one thread each; -1 uses every core.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Out = Annotated[Path | None, typer.Option(help="Write every fit into this CSV file.")]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and end.")] = False,
):
    if version:
        import imbemotion

        typer.echo(imbemotion.__version__)
        raise typer.Exit


@app.command()
def compare(
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder with a folder per class, a folder with a legend.csv, "
            "a CSV of image,label or an .npz archive.",
            show_default=False,
        ),
    ],
    images: Annotated[Path | None, typer.Option(help="Folder of the images of a CSV.")] = None,
    size: Annotated[int, typer.Option(min=1, help="Height and width in pixels.")] = 48,
    mode: Annotated[Mode, typer.Option(help="Grey or colour.")] = Mode.gray,
    resize: Annotated[Resize, typer.Option(help="How to come to the size.")] = Resize.stretch,
    errors: Annotated[
        Errors, typer.Option(help="Stop at bad files, or skip them.")
    ] = Errors.raise_,
    group_by: Annotated[
        GroupBy | None,
        typer.Option(
            help="Keep together in one fold: name (persons, from Name_0001.jpg) or "
            "groups (as the source holds them).",
        ),
    ] = None,
    strategies: Strategies = None,
    model: Network = Model.deep_cnn,
    epochs: Epochs = 10,
    folds: Folds = 5,
    repeats: Repeats = 1,
    seed: Seed = 0,
    jobs: Jobs = -1,
    out: Out = None,
    debug: Debug = False,
):
    """Compare balancing strategies on your images, by macro-F1 on paired folds."""
    with _errors_in_one_sentence(debug):
        plan = _plan(strategies, model, epochs, folds, repeats, seed, jobs, out)
        data = _load(source, images, size=size, mode=mode, resize=resize, errors=errors)
        groups = _groups(data, group_by)
        _show_data(f"{source}", data.data, data.target, groups)
        _run(data.data, data.target, groups, **plan)


@app.command()
def demo(
    strategies: Strategies = None,
    model: Network = Model.deep_cnn,
    epochs: Epochs = 12,
    folds: Folds = 3,
    repeats: Repeats = 1,
    seed: Seed = 0,
    jobs: Jobs = -1,
    out: Out = None,
    debug: Debug = False,
):
    """Compare balancing strategies on drawn faces; needs no data and no network."""
    from imbemotion.datasets import make_faces

    with _errors_in_one_sentence(debug):
        plan = _plan(strategies, model, epochs, folds, repeats, seed, jobs, out)
        X, y = make_faces(_DEMO_COUNTS, size=32, random_state=seed)
        _show_data("drawn faces", X, y, None)
        _run(X, y, None, **plan)


def main():
    """Run the command line."""
    app()


def _console(stderr=False):
    """Make a console: plain text of any width where nobody watches."""
    watched = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, width=None if watched else 160, highlight=False)


@contextmanager
def _errors_in_one_sentence(debug):
    console = _console(stderr=True)

    def show(message, category, *args, **kwargs):
        if issubclass(category, DataWarning):
            console.print(f"Note: {message}", style="yellow", markup=False)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = show
        try:
            yield
        except (ValueError, TypeError, OSError, RuntimeError) as error:
            if debug or isinstance(error, typer.Exit):
                raise
            console.print(f"Error: {error}", style="red", markup=False)
            raise typer.Exit(1) from error


def _load(source, images, **settings):
    from imbemotion.datasets import load_image_folder, load_legend, load_npz

    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist. Name a folder, a CSV or an .npz file.")
    legend = source / "legend.csv" if source.is_dir() else source
    if legend.suffix == ".npz":
        return load_npz(legend, **settings)
    if legend.suffix == ".csv" and legend.is_file():
        return load_legend(legend, images, **settings)
    if source.is_dir():
        return load_image_folder(source, **settings)
    raise ValueError(f"{source} is neither a folder nor a .csv or .npz file.")


def _groups(data, group_by):
    from imbemotion.splitting import name_groups

    if group_by is None:
        return None
    wanted = {"name": data.filenames, "groups": data.groups}[group_by]
    if wanted is None:
        column = {"name": "file names", "groups": "groups"}[group_by]
        raise ValueError(
            f"--group-by {group_by} needs {column}, and the source holds none. Leave it out, or "
            "add them to the source (an array files or groups in an .npz)."
        )
    groups = name_groups(wanted) if group_by == GroupBy.name else wanted
    if len(set(groups)) == len(groups):
        warnings.warn(
            f"Every image is a group of its own, so --group-by {group_by} keeps nothing together; "
            "persons are read from names such as Ann_Lee_0001.jpg.",
            DataWarning,
            stacklevel=2,
        )
    return groups


def _show_data(name, X, y, groups):
    counts = Counter(y.tolist()).most_common()
    n_groups = "" if groups is None else f", {len(set(groups))} groups"
    print_ = _console().print
    print_(
        f"{name}: {len(X):,} images of {X.shape[1]} x {X.shape[2]}, {len(counts)} classes"
        f"{n_groups}, imbalance ratio {counts[0][1] / counts[-1][1]:.0f}:1",
        markup=False,
    )
    print_("  " + ", ".join(f"{label} {n:,}" for label, n in counts), markup=False)


def _plan(strategies, model, epochs, folds, repeats, seed, jobs, out):
    """Check what was asked for before any picture is read."""
    from imbemotion.comparison import named_strategies

    names = None
    if strategies is not None:
        names = [name.strip() for name in strategies.split(",") if name.strip()]
    if out is not None and not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"--out {out}: the folder {out.parent} does not exist.")
    return {
        "strategies": named_strategies(names),
        "network": {"module": str(model), "max_epochs": epochs},
        "folding": {"cv": folds, "n_repeats": repeats, "n_jobs": jobs, "random_state": seed},
        "out": out,
    }


def _run(X, y, groups, strategies, network, folding, out):
    from imblearn.pipeline import Pipeline

    from imbemotion.classifier import CNNClassifier
    from imbemotion.comparison import Comparison, compare_strategies

    pipe = Pipeline([("balance", "passthrough"), ("cnn", CNNClassifier(n_threads=1, **network))])
    n_folds = folding["cv"] * folding["n_repeats"]
    start, records, stopped = perf_counter(), [], False
    try:
        with _progress(len(strategies) * n_folds, records) as advance:
            comparison = compare_strategies(
                pipe, X, y, strategies, groups=groups, on_fit=advance, **folding
            )
    except KeyboardInterrupt:
        stopped = True
        comparison = Comparison(records, list(strategies), sorted(set(y.tolist())))
    if records:
        _show(comparison, y, n_folds, perf_counter() - start, conclude=not stopped)
    if records and out is not None:
        comparison.fits.to_csv(out, index=False)
    if stopped:
        _console(stderr=True).print(f"Stopped after {len(records)} fits.", style="yellow")
        raise typer.Exit(130)


@contextmanager
def _progress(n_fits, records):
    """Show a bar on a terminal, elsewhere a line per fit; keep the records."""
    console = _console(stderr=True)
    columns = [TextColumn("{task.description:<40}"), BarColumn(), MofNCompleteColumn()]
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("fitting", total=n_fits)

        def advance(record):
            records.append(record)
            score = "failed" if record["error"] else f"macro-F1 {record['score']:.3f}"
            line = f"{record['strategy']}, fold {record['fold'] + 1}: {score}"
            bar.update(task, advance=1, description=line)
            if not console.is_terminal:
                console.print(f"[{len(records)}/{n_fits}] {line}", markup=False)

        yield advance


def _show(comparison, y, n_fits, seconds, conclude):
    console = _console()
    summary, per_class = comparison.summary(), comparison.per_class()
    console.print(_summary_table(summary, n_fits), _class_table(per_class, y))
    if conclude:
        console.print(_conclusion(summary))
    console.print(f"{len(comparison.fits)} fits in {seconds:.0f} s.")


def _table(title):
    """Make a table without lines, narrow enough for 80 columns."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _summary_table(summary, n_fits):
    table = _table(
        f"\nMacro-F1 over {n_fits} test folds, gain with 95 % intervals for all together"
    )
    for name in ("strategy", "macro-F1", "gain", "verdict", "rows", "s/fit"):
        table.add_column(name, justify="left" if name in ("strategy", "verdict") else "right")
    for name, line in summary.iterrows():
        gain = f"{line.gain:+.3f} [{line.gain_low:+.2f}, {line.gain_high:+.2f}]"
        table.add_row(
            escape(str(name)),
            "" if np.isnan(line["mean"]) else f"{line['mean']:.3f} ± {line['std']:.2f}",
            escape(gain) if line.verdict in ("better", "worse", "not distinguishable") else "",
            line.verdict + (f" ({line.n_failed} failed)" if line.n_failed else ""),
            "" if np.isnan(line.n_resampled) else f"{line.n_resampled:,.0f}",
            "" if np.isnan(line.fit_time) else f"{line.fit_time:.1f}",
        )
    return table


def _class_table(per_class, y):
    table = _table("\nF1 of every class")
    table.add_column("class")
    table.add_column("images", justify="right")
    for name in per_class.index:
        table.add_column(escape(str(name)), justify="right")
    for label, n in Counter(y.tolist()).most_common():
        scores = ["" if np.isnan(score) else f"{score:.3f}" for score in per_class[label]]
        table.add_row(escape(str(label)), f"{n:,}", *scores)
    return table


def _conclusion(summary):
    baseline = summary.index[0]
    better, worse, same = (
        shorten(summary.index[summary["verdict"] == verdict])
        for verdict in ("better", "worse", "not distinguishable")
    )
    lines = [
        f"Better than {baseline} on these folds: {better or 'no strategy'}.",
        f"Worse: {worse}." if worse else "",
        f"Not distinguishable: {same}; more folds or repeats narrow the intervals."
        if same
        else "",
    ]
    return "\n" + "\n".join(line for line in lines if line)
