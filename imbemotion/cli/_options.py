"""Options that commands have in common."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Additional",
    "AsJson",
    "Debug",
    "Errors",
    "Force",
    "GroupBy",
    "GroupColumn",
    "Groups",
    "HowBad",
    "ImageColumn",
    "Images",
    "LabelColumn",
    "LabelPattern",
    "Labels",
    "Mode",
    "NoStratify",
    "Pixels",
    "Resize",
    "Size",
    "Sizing",
    "Source",
    "SplitSeed",
    "TestRatio",
    "Together",
    "TrainRatio",
    "ValRatio",
]


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


class GroupBy(StrEnum):
    """What must not be on both sides of a split."""

    name = "name"
    groups = "groups"
    duplicates = "duplicates"


Source = Annotated[
    list[str],
    typer.Argument(
        help="A folder with a folder per class or with a legend.csv; a list of paths and labels "
        "(.csv, .tsv, .json, .jsonl, .parquet); fer2013.csv; an .npz archive; a folder of MIDI "
        "files; or facial_expressions (downloaded) or faces (drawn). Several are joined.",
        metavar="SOURCE",
        show_default=False,
    ),
]
Additional = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SOURCE",
        help="Further sources to add to the first: --additional A B, or --additional A "
        "--additional B.",
    ),
]
Images = Annotated[
    Path | None, typer.Option(help="The folder that the paths in a list are relative to.")
]
LabelPattern = Annotated[
    str | None,
    typer.Option(
        "--label-pattern",
        metavar="REGEX",
        help="Take labels from the paths in a folder, by the group in brackets, such as "
        "'^([a-z]+)_'; or by (?P<label>...), and (?P<group>...) for persons.",
    ),
]
ImageColumn = Annotated[
    str | None,
    typer.Option("--image-column", metavar="NAME", help="Column of the paths in a list."),
]
LabelColumn = Annotated[
    str | None,
    typer.Option("--label-column", metavar="NAME", help="Column of the labels in a list."),
]
GroupColumn = Annotated[
    str | None,
    typer.Option("--group-column", metavar="NAME", help="Column of the persons in a list."),
]
Labels = Annotated[
    str | None,
    typer.Option("--labels", metavar="A,B,C", help="The classes that are expected, with commas."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON alone, for programs.")]
Size = Annotated[int, typer.Option(min=1, help="Height and width in pixels.")]
Pixels = Annotated[Mode, typer.Option("--mode", help="Grey or colour.")]
Sizing = Annotated[Resize, typer.Option("--resize", help="How to come to the size.")]
HowBad = Annotated[Errors, typer.Option("--errors", help="Stop at bad files, or skip them.")]
Groups = Annotated[
    list[GroupBy] | None,
    typer.Option(
        "--group-by",
        help="Keep together in one fold: name (persons, from Name_0001.jpg), groups (as the "
        "source holds them) or duplicates (pictures that show the same). May be given several "
        "times.",
    ),
]
Together = Annotated[
    list[str] | None,
    typer.Option(
        "--group-by",
        help="Keep together in one part: name (persons, from Name_0001.jpg), groups (as the "
        "source holds them), duplicates (pictures that show the same), or a column of a list. "
        "May be given several times.",
    ),
]
TrainRatio = Annotated[
    float | None, typer.Option("--train-ratio", help="Share of training.", show_default="0.7")
]
ValRatio = Annotated[
    float | None, typer.Option("--val-ratio", help="Share of validation.", show_default="0.15")
]
TestRatio = Annotated[
    float | None, typer.Option("--test-ratio", help="Share of test.", show_default="0.15")
]
NoStratify = Annotated[
    bool, typer.Option("--no-stratify", help="Draw the parts whatever the class.")
]
SplitSeed = Annotated[
    int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of everything that is drawn.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace what this command wrote there before.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
