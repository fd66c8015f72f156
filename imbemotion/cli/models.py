"""Commands about one model: ``train``, ``predict``, ``run`` and ``init``."""

import math
from pathlib import Path
from typing import Annotated

import typer

from imbemotion.cli.app import command
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
from imbemotion.cli.output import (
    check_out,
    make_console,
    note,
    say,
    show_data,
    show_json,
    watched_epochs,
)

__all__ = []


@command(
    *LOADING, "labels", "group_column", "val", "test", "split", *SHARES, *NETWORK, "sampler",
    "loss", "class_weight", "every_epoch", "out",
)  # fmt: skip
def train(options, force: Force = False, as_json: AsJson = False):
    """Train a network on some of your images, and test it on others.

    Among the sources, KEY=VALUE changes any setting that `imbemotion init` lists, for example
    loss.gamma=3.
    """
    _check_policy(options)
    train_and_show(resolve_settings(options), force=force, as_json=as_json)


def _check_policy(options):
    """Refuse an augmentation policy that nothing would apply."""
    is_applied = options["every_epoch"] or options["sampler"] == "augment"
    if options["augmentation"] is not None and not is_applied:
        raise typer.BadParameter(
            "nothing is augmented. Add --every-epoch or --sampler augment, or leave it out.",
            param_hint="--augmentation",
        )


def train_and_show(config, *, force=False, as_json=False):
    """Train as the settings say, and print the scores."""
    from imbemotion.workflow import (
        build_pipeline,
        check_unused,
        claim_folder,
        load_data,
        train_model,
    )

    build_pipeline(config)  # refuses settings that contradict each other, before data are loaded
    if config["out"] is not None:
        check_unused(Path(config["out"]), force)
    data = load_data(config)
    console = make_console(stderr=as_json)
    show_data(config["data"]["source"], data.X, data.y, data.groups, console)
    watched = watched_epochs(config["training"]["max_epochs"])
    with claim_folder(config) as folder, watched as (on_epoch, stopped):
        trained = train_model(config, data, folder, on_epoch)
    if as_json:
        show_json(_scores(trained, folder), indent=None)
    else:
        _show_scores(trained, folder)
    if stopped:
        note(f"Stopped after {trained.classifier.n_iter_} epochs; the model is kept.")
        raise typer.Exit(130)


def _show_scores(trained, folder):
    from imbemotion.cli.tables import metrics_table

    record = trained.record
    make_console().print(metrics_table(record, trained.classes))
    before, after = record["n_train"], record["n_resampled"]
    balanced = "" if after == before else f", {after:,.0f} after balancing"
    valid = record["external_score"]
    say(
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
        Path,
        typer.Argument(help="A folder that train wrote, or a model.safetensors."),
    ],
    images: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    out: out_option("Write the table to this CSV file instead.") = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object per image instead, one a line.")
    ] = False,
):
    """Predict the classes of images, with probabilities."""
    from imbemotion._base.files import write_atomically
    from imbemotion.cli.tables import prediction_table
    from imbemotion.workflow import predict_images

    check_out(out)
    table, skipped = predict_images(model, images, errors=options["errors"] or "raise")
    for name, reason in skipped:
        note(f"Note: {name} was skipped: {reason}.")
    if out is not None:
        write_atomically(out, table.to_csv(index=False, lineterminator="\n").encode())
    classes = [name.removeprefix("p_") for name in table.columns[3:]]
    if as_json:
        for file, predicted, confidence, *shares in table.itertuples(index=False):
            label = predicted.item() if hasattr(predicted, "item") else predicted
            line = {"file": file, "predicted": label, "confidence": float(confidence)}
            line["probabilities"] = dict(zip(classes, map(float, shares), strict=True))
            show_json(line, indent=None)
    elif out is None:
        make_console().print(prediction_table(table, classes))
    else:
        say(f"{len(table)} predictions written to {out}.")


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
    from imbemotion.workflow import parse_overrides, read_config

    settings = read_config(config, parse_overrides(overrides or ()))
    if out is not None:
        settings["out"] = str(out)
    if settings["comparison"] is None:
        train_and_show(settings, force=force)
    else:
        compare_and_show(settings)


@command()
def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("config.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
):
    """Write a YAML file of all settings for run, each with a comment."""
    from imbemotion._base.files import write_atomically
    from imbemotion.workflow import example_config

    check_out(path, "PATH")
    if path.exists() and not force:
        raise FileExistsError(f"{path} already exists. Name another file, or add --force.")
    write_atomically(path, example_config().encode())
    say(f"Written: {path}. Enter your data in it, then run `imbemotion run {path}`.")
