"""``imbemotion compare SOURCE`` and ``imbemotion demo``."""

import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from imbemotion._base.files import write_atomically
from imbemotion._base.registry import STRATEGIES, STRATEGY_SETS
from imbemotion.cli._app import app
from imbemotion.cli._console import errors_in_one_sentence, make_console
from imbemotion.cli._network import (
    BatchSize,
    Device,
    Epochs,
    LearningRate,
    Network,
    Policies,
    Presets,
    Seed,
    Track,
    Validation,
    Weights,
    check_model,
    given,
)
from imbemotion.cli._options import (
    Additional,
    Debug,
    Errors,
    GroupColumn,
    Groups,
    HowBad,
    ImageColumn,
    Images,
    LabelColumn,
    LabelPattern,
    Mode,
    Pixels,
    Resize,
    Size,
    Sizing,
    Source,
)
from imbemotion.cli._showing import progress_bar, show_data
from imbemotion.cli._sources import data_settings, split_names

__all__ = ["compare", "compare_and_show", "demo"]

_DEMO_COUNTS = {"happy": 300, "neutral": 240, "sad": 60, "surprise": 40, "angry": 25, "fear": 15}
_N_THREADS = 1  # of each fit, whatever the number of fits at a time


def _complete(incomplete: str):
    """Complete the last of the names with commas."""
    before, comma, last = incomplete.rpartition(",")
    names = [*STRATEGIES, *STRATEGY_SETS]
    return [f"{before}{comma}{name}" for name in names if name.startswith(last)]


def _check_jobs(jobs: int):
    if jobs == 0:
        raise typer.BadParameter("0 is no number of fits; -1 uses every core.")
    return jobs


Strategies = Annotated[
    str | None,
    typer.Option(
        autocompletion=_complete,
        help="Strategies to compare, with commas; the first is the baseline. There are "
        f"{', '.join(STRATEGIES)}; and the sets {', '.join(STRATEGY_SETS)}.",
        show_default="basic",
    ),
]
Folds = Annotated[int, typer.Option(min=2, help="Folds of the cross-validation.")]
Repeats = Annotated[int, typer.Option(min=1, help="Repeats of everything with other seeds.")]
Jobs = Annotated[
    int,
    typer.Option(
        callback=_check_jobs, help="Fits at a time, which share the cores; -1 uses every core."
    ),
]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a Dask scheduler whose workers do the fits.")
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
    label_pattern: LabelPattern = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    group_column: GroupColumn = None,
    test: Test = None,
    size: Size = 48,
    mode: Pixels = Mode.gray,
    resize: Sizing = Resize.stretch,
    errors: HowBad = Errors.raise_,
    group_by: Groups = None,
    strategies: Strategies = None,
    model: Network = "deep_cnn",
    weights: Weights = None,
    augmentation: Policies = None,
    preset: Presets = None,
    epochs: Epochs = 10,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    device: Device = None,
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
    """Compare balancing strategies by training on your images."""
    # All are trained and tested on the same folds, and judged by macro-F1.
    from imbemotion.workflow import resolve_config

    with errors_in_one_sentence(debug):
        check_model(model)
        comparison = {
            "strategies": _listed(strategies), "folds": folds, "repeats": repeats, "jobs": jobs,
            "scheduler": scheduler, "test": test and str(test),
        }  # fmt: skip
        config = resolve_config({
            "seed": seed,
            "out": out and str(out),
            "data": data_settings(
                source, additional, images=images, label_pattern=label_pattern,
                image_column=image_column, label_column=label_column, group_column=group_column,
                size=size, mode=mode, resize=resize, errors=errors,
            ),
            "split": {"group_by": [str(kind) for kind in group_by or ()]},
            "augmentation": {"preset": augmentation and str(augmentation)},
            "model": {"name": model, "weights": weights},
            "training": given(
                preset=preset, max_epochs=epochs, batch_size=batch_size, lr=lr, device=device,
                validation_fraction=validation_fraction, n_threads=_N_THREADS,
            ),
            "comparison": comparison,
            "tracking": {"tool": track and str(track)},
        })  # fmt: skip
        compare_and_show(config)


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
    """Compare balancing strategies on drawn faces; needs no data."""
    from imbemotion.datasets import make_faces
    from imbemotion.workflow import Images, resolve_config

    with errors_in_one_sentence(debug):
        check_model(model)
        config = resolve_config({
            "seed": seed,
            "out": out and str(out),
            "data": {"source": "drawn faces", "size": 32},
            "model": {"name": model},
            "training": {"max_epochs": epochs, "n_threads": _N_THREADS},
            "comparison": {
                "strategies": _listed(strategies), "folds": folds, "repeats": repeats,
                "jobs": jobs,
            },
        })  # fmt: skip
        X, y = make_faces(_DEMO_COUNTS, size=32, random_state=seed)
        compare_and_show(config, Images(X, y, None, None))


def _listed(strategies):
    if strategies is None:
        return ["basic"]
    names = split_names(strategies)
    if not names:
        raise typer.BadParameter("name at least one strategy.", param_hint="--strategies")
    return names


def _command():
    return shlex.join(["imbemotion", *sys.argv[1:]])


def compare_and_show(config, data=None):
    """Compare strategies as the settings say, and print what came of it."""
    from imbemotion.comparison import named_strategies
    from imbemotion.workflow import build_pipeline, build_policy, load_data

    comparison, track = config["comparison"], config["tracking"]["tool"]
    out = None if config["out"] is None else Path(config["out"])
    if not comparison["strategies"]:
        raise ValueError("comparison.strategies must name at least one strategy, got [].")
    chosen = named_strategies(comparison["strategies"], build_policy(config))
    pipeline = build_pipeline(config)
    _check_out(out, track)
    if config["data"]["valid"] or config["data"]["test"]:
        raise ValueError(
            "data.valid and data.test are for one training; a comparison has folds. Leave them "
            "out, or name comparison.test, which every model is scored on as well."
        )
    data = load_data(config) if data is None else data
    name = ", ".join([config["data"]["source"], *config["data"]["additional"]])
    show_data(name, data.X, data.y, data.groups)
    external = _load_test(config)
    with _written_beside(config, out):
        _run(
            pipeline, data.X, data.y, chosen, groups=data.groups, external_test=external,
            cv=comparison["folds"], n_repeats=comparison["repeats"], random_state=config["seed"],
            n_jobs=comparison["jobs"], scheduler=comparison["scheduler"], track=track,
            folder=out, about={"source": name, "command": _command()},
        )  # fmt: skip


@contextmanager
def _written_beside(config, out):
    """Write the settings into the folder, and those that were there if it is refused."""
    from imbemotion.workflow import CONFIG, write_config

    if out is None:
        yield
        return
    out.mkdir(exist_ok=True)
    path = out / CONFIG
    before = path.read_bytes() if path.exists() else None
    write_config(config, path)
    try:
        yield
    except ValueError:  # the folder is that of another comparison
        if before is not None:
            write_atomically(path, before)
        raise


def _load_test(config):
    """Load what every model is scored on as well; None where nothing is named."""
    from imbemotion.datasets.source import check_different
    from imbemotion.workflow import load_data

    path = config["comparison"]["test"]
    if path is None:
        return None
    check_different([config["data"]["source"], *config["data"]["additional"], path])
    data = {**config["data"], "source": path, "additional": []}
    test = load_data({**config, "data": data, "split": {"group_by": []}})
    show_data(f"{path} (test)", test.X, test.y)
    return test.X, test.y


def _check_out(out, track):
    """Refuse what would only fail once all the work is done."""
    from imbemotion.workflow import MODEL

    if out is None and track is not None:
        raise typer.BadParameter("it needs a folder; give --out FOLDER.", param_hint="--track")
    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out {out} is a file. Name a folder to write to.")
    if (out / MODEL).exists():
        raise FileExistsError(f"--out {out} holds a training. Name another folder.")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"--out {out}: the folder {out.parent} does not exist.")


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
    """Show every fit as it is done, and keep the records."""
    with progress_bar(n_fits, "fitting") as advance:

        def tell(record):
            records.append(record)
            score = "failed" if record["error"] else f"macro-F1 {record['score']:.3f}"
            line = f"{record['strategy']}, fold {record['fold'] + 1}: {score}"
            advance(len(records), line)

        yield tell


def _show(comparison, y, n_folds, seconds, conclude):
    from imbemotion.cli._tables import class_table, conclusion, summary_table

    console = make_console()
    summary = comparison.summary()
    console.print(
        summary_table(summary, n_folds, comparison.scoring),
        class_table(comparison.per_class(), y),
    )
    if conclude:
        console.print(conclusion(summary), markup=False)
    console.print(f"{len(comparison.fits)} fits in {seconds:.0f} s.")
