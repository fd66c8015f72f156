"""Commands about comparisons of strategies: ``compare``, ``demo`` and ``report``."""

import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from imbemotion import workflow
from imbemotion.cli import output
from imbemotion.cli.app import command, status_of
from imbemotion.cli.options import LOADING, NETWORK, out_option, resolve_settings

_DEMO_COUNTS = {"happy": 300, "neutral": 240, "sad": 60, "surprise": 40, "angry": 25, "fear": 15}
_DEMO = {"training.max_steps": 200, "comparison.folds": 3}
_PICTURE = "imbemotion_demo.png"
_COMPARING = ("strategies", "folds", "budget", "repeats", "jobs")


@command(
    *LOADING, *NETWORK, *_COMPARING, "race", "until", "max_minutes", "scheduler",
    "external_test", "out",
)  # fmt: skip
def compare(options):
    """Compare balancing strategies by training on your images.

    All are trained and tested on the same folds, and judged by macro-F1. With --out every fit is
    written as it is done, and the same command resumes where it stopped. Among the sources,
    KEY=VALUE changes any setting that `imbemotion init` lists, for example loss.gamma=3.
    """
    compare_and_show(resolve_settings(options, {"comparison": {}}))


@command("model", "epochs", *_COMPARING, "seed", "out", defaults=_DEMO)
def demo(options):
    """Compare balancing strategies on drawn faces; needs no data."""
    from imbemotion._base.files import write_atomically
    from imbemotion.comparison.artifacts import to_png
    from imbemotion.datasets import make_faces
    from imbemotion.plots import ComparisonDisplay

    source = {"source": ["drawn faces"], "additional": None, "size": 32}
    config = resolve_settings({**options, **source}, _DEMO)
    X, y = make_faces(_DEMO_COUNTS, size=32, difficulty=0.7, random_state=config["seed"])
    comparison = compare_and_show(config, workflow.Images(X, y, None, None))
    picture = Path(config["out"] or "") / _PICTURE
    display = ComparisonDisplay.from_comparison(comparison, kind="score")
    write_atomically(picture, to_png(display.figure_))
    output.say(
        f"The scores as a picture: {picture}. Next, with a folder that has a subfolder of images "
        "per class: `imbemotion analyze FOLDER`, then `imbemotion train FOLDER`."
    )


@command()
def report(
    folder: Annotated[Path, typer.Argument(help="A folder that compare --out wrote.")],
    out: out_option("The page; by default FOLDER/report.html.") = None,
):
    """Make one HTML page of a comparison."""
    # The comparison may be unfinished.
    from imbemotion.report import write_report

    output.check_out(out)
    output.say(f"Written: {write_report(folder, out)}")


@command()
def plan(
    folder: Annotated[Path, typer.Argument(help="A folder that compare --out wrote.")],
    gain: Annotated[float, typer.Option(help="True gain that should be found.")] = 0.05,
    power: Annotated[float, typer.Option(help="Probability of finding it.")] = 0.8,
):
    """Show which gains a comparison can find, and at what cost."""
    from imbemotion.analysis.verdicts import describe_plan
    from imbemotion.comparison import Comparison

    table = Comparison.load(folder).plan(gain, power=power)
    for line in describe_plan(table, gain, power):
        output.say(line)


def compare_and_show(config, data=None):
    """Compare strategies as the settings say, and print the results."""
    if config["out"] is None and config["tracking"]["tool"] is not None:
        raise typer.BadParameter("it needs a folder; add --out FOLDER.", param_hint="--track")
    workflow.check_comparison(config)
    data = workflow.load_data(config) if data is None else data
    name = ", ".join([config["data"]["source"], *config["data"]["additional"]])
    output.show_data(name, data.X, data.y, data.groups)
    external = workflow.load_external_test(config)
    if external is not None:
        output.show_data(f"{config['comparison']['test']} (test)", external.X, external.y)
    return _run(config, data, external)


def _run(config, data, external):
    """Run a comparison; Ctrl-C or a signal to end shows the results so far."""
    from imbemotion.comparison import Comparison, named_strategies

    names, folder = list(named_strategies(config["comparison"]["strategies"])), config["out"]
    n_folds = config["comparison"]["folds"] * config["comparison"]["repeats"]
    start, records, stopped = perf_counter(), [], None
    command = shlex.join(["imbemotion", *sys.argv[1:]])
    try:
        with _progress(len(names) * n_folds, records) as on_fit:
            comparison = workflow.run_comparison(config, data, external, on_fit, command)
    except KeyboardInterrupt as stop:
        stopped = status_of(stop)
        comparison = Comparison(records, names, sorted(set(data.y.tolist())))
        if records and folder is not None:
            comparison = Comparison.load(folder)
    if records:
        _show(comparison, data.y, n_folds, perf_counter() - start, conclude=stopped is None)
    if stopped:
        again = f" The same command resumes from {folder}." if folder else ""
        output.note(f"Stopped after {len(records)} fits.{again}")
        raise typer.Exit(stopped)
    if folder is not None:
        output.say(f"Written to {folder}. `imbemotion report {folder}` makes a page of it.")
    return comparison


@contextmanager
def _progress(n_fits, records):
    """Show every fit as it is done, and collect the records."""
    seen = set()
    with output.progress_bar(n_fits, "fitting") as advance:

        def on_fit(record):
            key = record["strategy"], record["repeat"], record["fold"]
            if key in seen:  # of an earlier look
                return
            seen.add(key)
            records.append(record)
            score = "failed" if record["error"] else f"macro-F1 {record['score']:.3f}"
            text = f"{record['strategy']}, fold {record['fold'] + 1}: {score}"
            advance(len(records), text, max(n_fits, len(records)))

        yield on_fit


def _show(comparison, y, n_folds, seconds, conclude):
    from imbemotion.report import findings

    summary = comparison.summary()
    n_folds = max(n_folds, comparison.fits.groupby(["repeat", "fold"]).ngroups)  # as were added
    scores = output.summary_table(summary, n_folds, comparison.scoring)
    costs, classes = output.cost_table(summary), output.class_table(comparison.per_class(), y)
    output.make_console().print(scores, classes, costs)
    if conclude:
        gains = comparison.per_class_gain()
        answer = findings.find_answer(summary, comparison.scoring, n_folds, per_class=gains)
        output.say(f"\n{answer}")
        for sentence in findings.describe_outlook(comparison.plan(), summary):
            output.say(sentence)
        for sentence in findings.describe_influence(comparison.influence(), summary):
            output.note(f"Note: {sentence}")
    output.say(f"{len(comparison.fits)} fits in {seconds:.0f} s.")
