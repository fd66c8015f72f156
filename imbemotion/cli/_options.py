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
    "GroupBy",
    "Groups",
    "HowBad",
    "Images",
    "Labels",
    "Mode",
    "Pixels",
    "Resize",
    "Size",
    "Sizing",
    "Source",
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
    Path,
    typer.Argument(
        help="A folder with a folder per class, a folder with a legend.csv, "
        "a CSV of image,label or an .npz archive.",
        show_default=False,
    ),
]
Additional = Annotated[
    list[Path] | None, typer.Option(help="A further source to add; may be given several times.")
]
Images = Annotated[Path | None, typer.Option(help="Folder of the images of a CSV.")]
Labels = Annotated[str | None, typer.Option(help="Classes that are expected, with commas.")]
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
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON alone, for programs.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
