"""``imbemotion compare SOURCE`` and ``imbemotion demo``."""

import shlex
import sys
from collections import Counter
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from imbemotion.cli._app import app
from imbemotion.cli._console import errors_in_one_sentence, make_console
from imbemotion.cli._options import (
    Additional,
    Debug,
    Errors,
    Groups,
    HowBad,
    Images,
    Mode,
    Pixels,
    Resize,
    Size,
    Sizing,
    Source,
)
from imbemotion.cli._sources import find_groups
from imbemotion.cli._tables import class_table, conclusion, summary_table

__all__ = ["compare", "demo"]

_DEMO_COUNTS = {"happy": 300, "neutral": 240, "sad": 60, "surprise": 40, "angry": 25, "fear": 15}


class Preset(StrEnum):
    """Settings of the training that have a name."""

    s0 = "s0"
    s4 = "s4"


class Tracker(StrEnum):
    """Where fits can be tracked."""

    mlflow = "mlflow"
    wandb = "wandb"
    tensorboard = "tensorboard"


Strategies = Annotated[
    str | None,
    typer.Option(
        help="Strategies to compare, with commas; the first is the baseline. There are none, "
        "oversample, undersample, hybrid, class_weight, focal, balanced_softmax, "
        "logit_adjusted, deferred_weights, mixup, tuned_offsets; with new images "
        "augmentation, smote, adasyn, smote_focal, augmentation_focal; and the sets usual, "
        "modern, s2, s4 and its groups, such as s4:resampling.",
        show_default="usual",
    ),
]
Network = Annotated[
    str,
    typer.Option(
        "--model",
        help="The network: small_cnn, deep_cnn, residual_cnn, a classification model of "
        "torchvision such as shufflenet_v2_x1_0, or timm/NAME.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="Weights of a torchvision or timm network: a file, torchvision's name, or none.",
        show_default="the usual ones, downloaded",
    ),
]
Presets = Annotated[
    Preset | None,
    typer.Option("--preset", help="Optimizer, rates and schedule of a known study."),
]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over the training images.")]
Validation = Annotated[
    float | None,
    typer.Option(
        "--validation-fraction",
        min=0.01,
        max=0.9,
        help="Stop early on this share of every training fold, and keep the best epoch.",
    ),
]
Folds = Annotated[int, typer.Option(min=2, help="Folds of the cross-validation.")]
Repeats = Annotated[int, typer.Option(min=1, help="Repeats of everything with other seeds.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of folds, samplers and networks.")]
Jobs = Annotated[
    int, typer.Option(help="Fits at a time, which share the cores; -1 uses every core.")
]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a Dask scheduler whose workers do the fits.")
]
Track = Annotated[
    Tracker | None, typer.Option("--track", help="Track every fit with this tool; needs --out.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Write every fit into this folder as it is done. Started again, the comparison "
        "goes on where it was; `imbemotion report` makes a page of it.",
    ),
]
Test = Annotated[
    Path | None, typer.Option("--test", help="A source that every model is scored on as well.")
]


@app.command()
def compare(
    source: Source,
    additional: Additional = None,
    images: Images = None,
    test: Test = None,
    size: Size = 48,
    mode: Pixels = Mode.gray,
    resize: Sizing = Resize.stretch,
    errors: HowBad = Errors.raise_,
    group_by: Groups = None,
    strategies: Strategies = None,
    model: Network = "deep_cnn",
    weights: Weights = None,
    preset: Presets = None,
    epochs: Epochs = 10,
    validation_fraction: Validation = None,
    folds: Folds = 5,
    repeats: Repeats = 1,
    seed: Seed = 0,
    jobs: Jobs = -1,
    scheduler: Scheduler = None,
    track: Track = None,
    out: Out = None,
    debug: Debug = False,
):
    """Compare balancing strategies on your images, by macro-F1 on paired folds."""
    from imbemotion.datasets import load_source

    with errors_in_one_sentence(debug):
        chosen = _choose(strategies)
        pipeline = _pipeline(
            model, weights, preset, max_epochs=epochs, validation_fraction=validation_fraction
        )
        _check_out(out, track)
        loading = {"size": size, "mode": mode, "resize": resize, "errors": errors}
        data = load_source(source, additional=additional or (), images=images, **loading)
        groups = find_groups(data, group_by)
        name = ", ".join(str(path) for path in (source, *(additional or ())))
        _show_data(name, data.data, data.target, groups)
        external = None
        if test is not None:
            external = load_source(test, **loading, return_X_y=True)
            _show_data(f"{test} (test)", *external, None)
        _run(
            pipeline, data.data, data.target, chosen, groups=groups, external_test=external,
            cv=folds, n_repeats=repeats, random_state=seed, n_jobs=jobs, scheduler=scheduler,
            track=track, folder=out, about={"source": name, "command": _command()},
        )  # fmt: skip


@app.command()
def demo(
    strategies: Strategies = None,
    model: Network = "deep_cnn",
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

    with errors_in_one_sentence(debug):
        chosen = _choose(strategies)
        pipeline = _pipeline(model, None, None, max_epochs=epochs)
        _check_out(out, None)
        X, y = make_faces(_DEMO_COUNTS, size=32, random_state=seed)
        _show_data("drawn faces", X, y, None)
        _run(
            pipeline, X, y, chosen, cv=folds, n_repeats=repeats, random_state=seed, n_jobs=jobs,
            folder=out, about={"source": "drawn faces", "command": _command()},
        )  # fmt: skip


def _command():
    return shlex.join(["imbemotion", *sys.argv[1:]])


def _choose(names):
    from imbemotion.comparison import named_strategies

    if names is None:
        return named_strategies()
    return named_strategies([name.strip() for name in names.split(",") if name.strip()])


def _pipeline(model, weights, preset, **keywords):
    """Make the pipeline that all strategies change; a misspelt network is misuse."""
    from imblearn.pipeline import Pipeline

    from imbemotion.classifier import CNN_PRESETS, CNNClassifier
    from imbemotion.networks import find_network

    try:
        find_network(model)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--model") from error
    settings = {**(CNN_PRESETS[preset] if preset else {}), **keywords}
    if weights is not None:
        settings["module_params"] = {"weights": None if weights == "none" else weights}
    network = CNNClassifier(module=model, n_threads=1, **settings)
    return Pipeline([("balance", "passthrough"), ("cnn", network)])


def _check_out(out, track):
    """Refuse what would only fail once all the work is done."""
    if out is None and track is not None:
        raise typer.BadParameter("it needs a folder; give --out FOLDER.", param_hint="--track")
    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out {out} is a file. Name a folder to write to.")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"--out {out}: the folder {out.parent} does not exist.")


def _show_data(name, X, y, groups):
    counts = Counter(y.tolist()).most_common()
    n_groups = "" if groups is None else f", {len(set(groups))} groups"
    print_ = make_console().print
    print_(
        f"{name}: {len(X):,} images of {X.shape[1]} x {X.shape[2]}, {len(counts)} classes"
        f"{n_groups}, imbalance ratio {counts[0][1] / counts[-1][1]:.0f}:1",
        markup=False,
    )
    print_("  " + ", ".join(f"{label} {n:,}" for label, n in counts), markup=False)


def _run(pipeline, X, y, strategies, **settings):
    from imbemotion.comparison import Comparison, compare_strategies

    n_folds = settings["cv"] * settings["n_repeats"]
    start, records, stopped = perf_counter(), [], False
    try:
        with _progress(len(strategies) * n_folds, records) as advance:
            comparison = compare_strategies(pipeline, X, y, strategies, on_fit=advance, **settings)
    except KeyboardInterrupt:
        stopped = True
        comparison = Comparison(records, list(strategies), sorted(set(y.tolist())))
    if records:
        _show(comparison, y, n_folds, perf_counter() - start, conclude=not stopped)
    folder = settings["folder"]
    if stopped:
        again = f" The same command goes on from {folder}." if folder else ""
        make_console(stderr=True).print(
            f"Stopped after {len(records)} fits.{again}", style="yellow", markup=False
        )
        raise typer.Exit(130)
    if folder is not None:
        make_console().print(
            f"Written to {folder}. `imbemotion report {folder}` makes a page of it.", markup=False
        )


@contextmanager
def _progress(n_fits, records):
    """Show a bar on a terminal, elsewhere a line per fit; keep the records."""
    console = make_console(stderr=True)
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


def _show(comparison, y, n_folds, seconds, conclude):
    console = make_console()
    summary = comparison.summary()
    console.print(
        summary_table(summary, n_folds, comparison.scoring),
        class_table(comparison.per_class(), y),
    )
    if conclude:
        console.print(conclusion(summary), markup=False)
    console.print(f"{len(comparison.fits)} fits in {seconds:.0f} s.")
