"""Options about networks and their training that commands have in common."""

from enum import StrEnum
from typing import Annotated

import typer

__all__ = [
    "BatchSize",
    "Device",
    "Epochs",
    "LearningRate",
    "Network",
    "Policies",
    "Policy",
    "Preset",
    "Presets",
    "Seed",
    "Track",
    "Tracker",
    "Validation",
    "Weights",
    "check_model",
    "given",
]


class Preset(StrEnum):
    """Settings of the training that have a name."""

    transfer = "transfer"
    adam_step = "adam_step"


class Policy(StrEnum):
    """What may be done to an image."""

    none = "none"
    light = "light"
    emotion = "emotion"
    strong = "strong"
    leaf = "leaf"
    roll = "roll"


class Tracker(StrEnum):
    """Where fits can be tracked."""

    mlflow = "mlflow"
    wandb = "wandb"
    tensorboard = "tensorboard"


_OWN = ("small_cnn", "deep_cnn", "residual_cnn")  # those of torchvision take seconds to list
Network = Annotated[
    str,
    typer.Option(
        "--model",
        autocompletion=lambda incomplete: [n for n in _OWN if n.startswith(incomplete)],
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
Policies = Annotated[
    Policy | None,
    typer.Option(
        "--augmentation",
        help="What new images may be made by.",
        show_default="emotion, and roll for MIDI files",
    ),
]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over the training images.")]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", min=1, help="Images at a time.", show_default="the preset's, or 64"
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--lr", help="Learning rate of the optimizer.", show_default="the preset's, or 0.001"
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="Where to train: cpu, cuda, cuda:1 ...",
        show_default="a GPU where there is one",
    ),
]
Validation = Annotated[
    float | None,
    typer.Option(
        "--validation-fraction",
        min=0.01,
        max=0.9,
        help="Stop early on this share of the training images, and keep the best epoch.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of all that is drawn.")]

Track = Annotated[Tracker | None, typer.Option("--track", help="Track every fit with this tool.")]


def check_model(name):
    """Refuse a misspelt network as misuse."""
    from imbemotion.networks import find_network

    try:
        find_network(name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--model") from error


def given(**settings):
    """Give those settings of the training that a command line names."""
    return {
        name: str(value) if isinstance(value, StrEnum) else value
        for name, value in settings.items()
        if value is not None
    }
