"""Commands about one model: ``train``, ``predict``, ``run`` and ``init``."""

import math
from pathlib import Path
from typing import Annotated

import typer

from imbemotion import workflow
from imbemotion.cli import output
from imbemotion.cli.app import command, watched_epochs
from imbemotion.cli.comparisons import compare_and_show
from imbemotion.cli.options import (
    LOADING,
    NETWORK,
    SHARES,
    AsJson,
    Force,
    out_option,
    resolve_settings,
)


@command(
    *LOADING, "labels", "val", "test", "split", *SHARES, *NETWORK, "sampler",
    "loss", "class_weight", "every_epoch", "out",
)  # fmt: skip
def train(options, force: Force = False, as_json: AsJson = False):
    """Train a network on some of your images, and test it on others.

    Among the sources, KEY=VALUE changes any setting that `imbemotion init` lists, for example
    loss.gamma=3.
    """
    _train_and_show(resolve_settings(options), force, as_json)


def _train_and_show(config, force, as_json=False):
    """Train as the settings say, and print the scores."""
    workflow.build_pipeline(config)  # refuses contradictory settings before data are loaded
    if config["out"] is not None:
        workflow.check_unused(Path(config["out"]), force)
    data = workflow.load_data(config)
    console = output.make_console(stderr=as_json)
    output.show_data(config["data"]["source"], data.X, data.y, data.groups, console)
    watched = watched_epochs()
    with workflow.claim_folder(config) as folder, watched as (on_epoch, stopped):
        trained = workflow.train_model(config, data, folder, on_epoch)
    if as_json:
        output.show_json(_scores(trained, folder), indent=None)
    else:
        _show_scores(trained, folder)
    if stopped:
        output.note(f"Stopped after {trained.classifier.n_iter_} epochs; the model is kept.")
        raise typer.Exit(128 + stopped[0])  # as a shell reports a signal


def _show_scores(trained, folder):
    record = trained.record
    output.make_console().print(output.metrics_table(record, trained.classes))
    before, after = record["n_train"], record["n_resampled"]
    balanced = "" if after == before else f", {after:,.0f} after balancing"
    valid = record["external_score"]
    output.say(
        f"\nTrained on {before:,} images{balanced}; {record['n_epochs']} epochs took "
        f"{record['fit_time']:.0f} s.\n"
        f"Macro-F1 on {record['n_test']:,} test images: {record['score']:.3f} (validation: "
        f"{'none' if math.isnan(valid) else f'{valid:.3f}'}, training: "
        f"{record['train_score']:.3f}); accuracy {record['accuracy']:.3f}.\n"
        f"Written to {folder}. Use it: `imbemotion predict {folder} IMAGES`."
    )


def _scores(trained, folder):
    """Return the scores by name, and F1 by class."""
    record = trained.record
    valid = record["external_score"]
    return {
        "folder": str(folder),
        "macro_f1": record["score"],
        "validation_macro_f1": None if math.isnan(valid) else valid,
        "train_macro_f1": record["train_score"],
        **{name: record[name] for name in ("accuracy", "weighted_f1", "n_test")},
        "f1": dict(zip(map(str, trained.classes), record["f1"].tolist(), strict=True)),
    }


@command("errors")
def predict(
    options,
    model: Annotated[
        Path, typer.Argument(help="A folder that train wrote, or a model.safetensors.")
    ],
    images: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    out: out_option("Write the table to this CSV file instead.") = None,
    as_json: AsJson = False,
):
    """Predict the classes of images, with probabilities."""
    from imbemotion._base.files import publish_or_rescue, to_csv

    output.check_out(out)
    table, skipped = workflow.predict_images(model, images, errors=options["errors"] or "raise")
    for name, reason in skipped:
        output.note(f"Note: {name} was skipped: {reason}.")
    if out is not None:
        content = to_csv(table, index=False)
        publish_or_rescue(out, lambda file: file.write_bytes(content))
    classes = [name.removeprefix("p_") for name in table.columns[3:]]
    if as_json:
        for file, label, confidence, *shares in table.itertuples(index=False):
            line = {"file": file, "predicted": label, "confidence": confidence}
            line["probabilities"] = dict(zip(classes, shares, strict=True))
            output.show_json(line, indent=None)
    elif out is None:
        output.make_console().print(output.prediction_table(table, classes))
    else:
        output.say(f"{len(table)} predictions written to {out}.")


@command()
def run(
    config: Annotated[Path, typer.Argument(help="Settings, as `imbemotion init` writes them.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings that replace the file's."),
    ] = None,
    out: out_option("Output folder, in place of the file's.") = None,
    force: Force = False,
):
    """Train, or compare strategies, as a YAML file says."""
    settings = workflow.read_config(config, workflow.parse_overrides(overrides or ()))
    if out is not None:
        settings["out"] = str(out)
    if settings["comparison"] is None:
        _train_and_show(settings, force)
    else:
        compare_and_show(settings)


@command()
def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("config.yaml"),
    force: Force = False,
):
    """Write a YAML file of all settings for run, each with a comment."""
    from imbemotion._base.files import write_atomically

    output.check_out(path, "PATH")
    output.check_new(path, force)
    write_atomically(path, workflow.example_config().encode())
    output.say(f"Written: {path}. Enter your data in it, then run `imbemotion run {path}`.")
