"""``imbemotion train SOURCE``."""

import json
import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from imbemotion.cli._app import app
from imbemotion.cli._console import errors_in_one_sentence, make_console
from imbemotion.cli._network import (
    BatchSize,
    Device,
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
    AsJson,
    Debug,
    Errors,
    Force,
    GroupColumn,
    Groups,
    HowBad,
    ImageColumn,
    Images,
    LabelColumn,
    LabelPattern,
    Labels,
    Mode,
    Pixels,
    Resize,
    Size,
    Sizing,
    Source,
)
from imbemotion.cli._showing import show_data, watched_epochs
from imbemotion.cli._sources import data_settings, split_names

__all__ = ["train", "train_and_show"]

_METHODS = {"augmentation": "augment", "smote": "smote", "adasyn": "adasyn"}


class Sampler(StrEnum):
    """How training images are balanced."""

    none = "none"
    oversample = "oversample"
    undersample = "undersample"
    hybrid = "hybrid"
    mean = "mean"
    sqrt = "sqrt"
    augmentation = "augmentation"
    smote = "smote"
    adasyn = "adasyn"


class Loss(StrEnum):
    """What a network minimises."""

    cross_entropy = "cross_entropy"
    focal = "focal"
    balanced_softmax = "balanced_softmax"
    logit_adjusted = "logit_adjusted"
    ldam = "ldam"
    soft_f1 = "soft_f1"


class ClassWeight(StrEnum):
    """Weights of the classes in the loss."""

    balanced = "balanced"
    sqrt = "sqrt"
    effective = "effective"


@app.command()
def train(
    source: Source,
    additional: Additional = None,
    images: Images = None,
    label_pattern: LabelPattern = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    group_column: GroupColumn = None,
    labels: Labels = None,
    size: Size = 48,
    mode: Pixels = Mode.gray,
    resize: Sizing = Resize.stretch,
    errors: HowBad = Errors.raise_,
    group_by: Groups = None,
    val: Annotated[
        str | None, typer.Option(help="A source to choose models by, in place of a share.")
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="A source to test on, in place of a share.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option(help="A split that `imbemotion split` saved, of these shares.")
    ] = None,
    train_ratio: Annotated[float, typer.Option(help="Share of the images to train on.")] = 0.7,
    val_ratio: Annotated[float, typer.Option(help="Share to choose models by.")] = 0.15,
    test_ratio: Annotated[float, typer.Option(help="Share to test on in the end.")] = 0.15,
    model: Network = "residual_cnn",
    weights: Weights = None,
    sampler: Annotated[
        Sampler,
        typer.Option(
            metavar="NAME",
            help="How training images are balanced: by repeating and dropping (oversample, "
            "undersample, hybrid, mean, sqrt), by making new ones (augmentation, smote, "
            "adasyn), or none.",
        ),
    ] = Sampler.none,
    loss: Annotated[Loss, typer.Option(help="What is minimised.")] = Loss.cross_entropy,
    class_weight: Annotated[
        ClassWeight | None, typer.Option(help="Weights of the classes in the loss.")
    ] = None,
    augmentation: Policies = None,
    every_epoch: Annotated[
        bool, typer.Option("--every-epoch", help="Change images anew in every epoch.")
    ] = False,
    preset: Presets = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Passes over the training images.", show_default="the preset's, or 20"
        ),
    ] = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    device: Device = None,
    validation_fraction: Validation = None,
    seed: Seed = 42,
    track: Track = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write to.", show_default="runs/SETTINGS"),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
    debug: Debug = False,
):
    """Train a network on some of your images, and test it on others."""
    from imbemotion.workflow import resolve_config

    with errors_in_one_sentence(debug):
        check_model(model)
        _check_policy(augmentation, sampler, every_epoch)
        training = given(
            preset=preset, max_epochs=epochs, batch_size=batch_size, lr=lr, device=device,
            validation_fraction=validation_fraction,
        )  # fmt: skip
        config = resolve_config({
            "seed": seed,
            "out": None if out is None else str(out),
            "data": data_settings(
                source, additional, images=images, label_pattern=label_pattern,
                image_column=image_column, label_column=label_column, group_column=group_column,
                labels=split_names(labels), valid=val, test=test, size=size, mode=mode,
                resize=resize, errors=errors,
            ),
            "split": {
                "train": train_ratio, "valid": val_ratio, "test": test_ratio,
                "group_by": [str(kind) for kind in group_by or ()],
                "file": split and str(split),
            },
            "balancing": _balancing(sampler),
            "augmentation": {
                "preset": augmentation and str(augmentation), "every_epoch": every_epoch,
            },
            "model": {"name": model, "weights": weights},
            "loss": {"name": str(loss), "class_weight": class_weight and str(class_weight)},
            "tracking": {"tool": track and str(track)},
            "training": training,
        })  # fmt: skip
        train_and_show(config, force=force, as_json=as_json)


def _check_policy(augmentation, sampler, every_epoch):
    """Refuse a policy by which nothing is made."""
    if augmentation is not None and sampler != Sampler.augmentation and not every_epoch:
        raise typer.BadParameter(
            "nothing is augmented. Add --every-epoch or --sampler augmentation, or leave it out.",
            param_hint="--augmentation",
        )


def _balancing(sampler):
    if sampler == Sampler.none:
        return {}
    method = _METHODS.get(sampler)
    return {"strategy": "oversample" if method else str(sampler), "method": method or "repeat"}


def train_and_show(config, *, force=False, as_json=False):
    """Train as the settings say, and print what came of it."""
    from imbemotion.workflow import (
        build_pipeline,
        check_unused,
        claim_folder,
        load_data,
        train_model,
    )

    build_pipeline(config)  # what makes no sense is said before anything is loaded
    if config["out"] is not None:
        check_unused(Path(config["out"]), force)
    data = load_data(config)
    console = make_console(stderr=as_json)
    show_data(config["data"]["source"], data.X, data.y, data.groups, console)
    watched = watched_epochs(config["training"]["max_epochs"])
    with claim_folder(config) as folder, watched as (on_epoch, stopped):
        trained = train_model(config, data, folder, on_epoch)
    if as_json:
        typer.echo(json.dumps(_figures(trained, folder)))
    else:
        _show(trained, folder)
    if stopped:
        make_console(stderr=True).print(
            f"Stopped after {trained.classifier.n_iter_} epochs; what they taught is used.",
            style="yellow",
        )
        raise typer.Exit(130)


def _show(trained, folder):
    from imbemotion.cli._tables import metrics_table

    console, record = make_console(), trained.record
    console.print(metrics_table(record, trained.classes))
    before, after = record["n_train"], record["n_resampled"]
    balanced = "" if after == before else f", {after:,.0f} after balancing"
    console.print(
        f"\nTrained on {before:,} images{balanced}, {record['n_epochs']} epochs in "
        f"{record['fit_time']:.0f} s.\n"
        f"Macro-F1 on {record['n_test']:,} test images: {record['score']:.3f} (validation: "
        f"{_or_none(record['external_score'])}, training: {record['train_score']:.3f}); accuracy "
        f"{record['accuracy']:.3f}.\n"
        f"Written to {folder}. `imbemotion predict {folder} IMAGES` uses it.",
        markup=False,
    )


def _or_none(score):
    return "none" if math.isnan(score) else f"{score:.3f}"


def _figures(trained, folder):
    """Give the scores by name, and per class."""
    record = trained.record
    named = {
        "folder": str(folder), "macro_f1": record["score"],
        "validation_macro_f1": None if math.isnan(record["external_score"])
        else record["external_score"],
        "train_macro_f1": record["train_score"], "accuracy": record["accuracy"],
        "weighted_f1": record["weighted_f1"], "n_test": record["n_test"],
    }  # fmt: skip
    named["f1"] = dict(zip(map(str, trained.classes), record["f1"].tolist(), strict=True))
    return named
