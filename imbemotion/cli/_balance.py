"""``imbemotion balance SOURCE``."""

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from imbemotion.cli._app import app
from imbemotion.cli._balancing import Plan, balance_parts, balance_whole
from imbemotion.cli._changes import change_lines, change_table
from imbemotion.cli._console import arrow, errors_in_one_sentence, make_console, show_json
from imbemotion.cli._options import (
    Additional,
    AsJson,
    Debug,
    Errors,
    Force,
    HowBad,
    ImageColumn,
    Images,
    LabelColumn,
    LabelPattern,
    Mode,
    NoStratify,
    Pixels,
    Resize,
    Size,
    Sizing,
    Source,
    SplitSeed,
    TestRatio,
    Together,
    TrainRatio,
    ValRatio,
)
from imbemotion.cli._parts import check_shares, find_leaks, has_files, load_list, split_list
from imbemotion.cli._sources import name_sources
from imbemotion.cli._writing import check_folder, write_folder
from imbemotion.samples import WEIGHTED, check_strategy

__all__ = ["balance"]

_REMARK = (
    "Validation and test are balanced, too: scores on them are not those of natural data, whose "
    "classes are as unequal as before."
)


class Method(StrEnum):
    """How images are added."""

    repeat = "repeat"
    augment = "augment"
    smote = "smote"
    adasyn = "adasyn"


class Balanced(StrEnum):
    """Which parts are balanced."""

    train = "train"
    all_ = "all"


Strategy = Annotated[
    str,
    typer.Option(
        "--strategy",
        "-s",
        help="oversample (all classes to the largest), undersample (the smallest), hybrid (the "
        "median), mean, sqrt, a number for every class, a share of the largest class such as "
        "0.5, or weighted (a weight per image instead).",
    ),
]
HowMade = Annotated[
    Method, typer.Option("--method", help="Repeat images, or make new ones of them.")
]
Which = Annotated[
    Balanced,
    typer.Option(
        "--balance-splits", help="Balance training only, or validation and test in proportion."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Split the images, balance training, and write lists of all into this folder.",
        show_default="nothing is written",
    ),
]


@app.command()
def balance(
    source: Source,
    strategy: Strategy = "oversample",
    method: HowMade = Method.repeat,
    out: Out = None,
    force: Force = False,
    balance_splits: Which = Balanced.train,
    train_ratio: TrainRatio = None,
    val_ratio: ValRatio = None,
    test_ratio: TestRatio = None,
    group_by: Together = None,
    no_stratify: NoStratify = False,
    seed: SplitSeed = 42,
    additional: Additional = None,
    images: Images = None,
    label_pattern: LabelPattern = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    size: Size = 48,
    mode: Pixels = Mode.gray,
    resize: Sizing = Resize.stretch,
    errors: HowBad = Errors.raise_,
    as_json: AsJson = False,
    debug: Debug = False,
):
    """Show what balancing does to your classes; with --out, write the balanced lists."""
    with errors_in_one_sentence(debug):
        ratios = train_ratio, val_ratio, test_ratio
        plan = Plan(
            _check_strategy(strategy, method, balance_splits), method.value, balance_splits.value,
            check_shares(*ratios), group_by, not no_stratify, seed,
        )  # fmt: skip
        if out is not None:
            check_folder(out, force)
        loading = {
            "images": images, "label_pattern": label_pattern, "image_column": image_column,
            "label_column": label_column, "size": size, "mode": mode, "resize": resize,
            "errors": errors,
        }  # fmt: skip
        data, from_files = _load((source, additional, group_by), loading, out, method)
        in_parts = out or group_by or no_stratify or balance_splits == Balanced.all_
        if in_parts or any(ratio is not None for ratio in ratios):
            names = name_sources(source, additional)
            found = _balance_parts(data, plan, names, out, from_files)
        else:
            found = Found(balance_whole(data.target, plan))
        if as_json:
            _print_json(found, data.target, plan, out)
        else:
            _show(found, data.target, plan, out)


class Found(NamedTuple):
    """What is told in the end."""

    parts: dict  # of str to Part
    files: tuple = ()  # that were written
    note: str = ""  # about the pictures that were written


def _check_strategy(text, method, balance_splits):
    """Give the strategy as a name or number; what makes no sense is misuse."""
    strategy = text
    for kind in (float, int):
        with suppress(ValueError):
            strategy = kind(text)
    try:
        check_strategy(strategy, "it")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--strategy") from error
    if strategy == WEIGHTED and (method != Method.repeat or balance_splits == Balanced.all_):
        raise typer.BadParameter(
            "weighted adds no images and weighs training only. Leave out --method and "
            "--balance-splits, or name another strategy.",
            param_hint="--strategy",
        )
    return strategy


def _load(where, loading, out, method):
    """Load the source, and tell whether its rows are files; pixels only if they are written."""
    content = out is not None and method != Method.repeat
    data = load_list(*where, content=content, **loading)
    # lists of made pictures and MIDI files together could not be read
    from_files = has_files(data) and not (content and _holds_midi(data.filenames))
    if out is not None and not content and not from_files:
        data = load_list(*where, content=True, **loading)
    return data, from_files


def _holds_midi(names):
    return any(name.lower().endswith((".mid", ".midi")) for name in names)


def _balance_parts(data, plan, sources, out, from_files):
    """Split and balance, and write it if there is a folder."""
    how = {"stratify": plan.stratify, "seed": plan.seed}
    split, groups = split_list(data, plan.group_by, plan.shares, **how)
    find_leaks(data, split, plan.group_by)
    if out is None:  # then no pixels are needed
        return Found(balance_parts(data, split, plan._replace(method="repeat")))
    parts = balance_parts(data, split, plan)
    n_written = sum(int(part.made.sum()) for part in parts.values())
    n_written += 0 if from_files else len(data.target)
    about = {"sources": sources, **plan.about(), "n_images_written": n_written}
    if n_written:
        about["image_shape"] = list(data.data.shape[1:])
    if plan.balance == "all":
        about["remark"] = _REMARK
    files = write_folder(
        out, data, split, parts,
        about=about, balanced=plan.balanced, groups=groups, from_files=from_files,
    )  # fmt: skip
    return Found(parts, files, _say_written(n_written, data.data, from_files))


def _say_written(n_written, X, from_files):
    if not n_written:
        return ""
    size = f"{X.shape[1]} x {X.shape[2]}"
    if not from_files:
        return (
            f"The source holds no picture files: all {n_written:,} images of {size} are written."
        )
    return (
        f"{n_written:,} images of {size} are made. Load all images at that size, or their "
        "sharpness tells made ones from others."
    )


def _weights(parts, y):
    """Give the weight of every class, or None."""
    part = next(iter(parts.values()))
    if part.weights is None:
        return None
    return {str(label): w for label, w in zip(y[part.rows].tolist(), part.weights, strict=True)}


def _show(found, y, plan, out):
    console = make_console()
    counts = {name: part.counts(y) for name, part in found.parts.items()}
    console.print(change_table(counts, arrow(console), _weights(found.parts, y)))
    said = [
        *change_lines(counts, arrow(console)),
        _REMARK if plan.balance == "all" else "",
        found.note,
    ]
    if out is None:
        said += ["Nothing is written: --out FOLDER splits, balances and writes lists."]
    else:
        said += [f"Written to {out}: {', '.join(found.files)}."]
    console.print("\n" + "\n".join(filter(None, said)), markup=False, soft_wrap=True)


def _print_json(found, y, plan, out):
    parts = {}
    for name, part in found.parts.items():
        before, after = part.counts(y)
        totals = {"n_before": len(part.before), "n_after": len(part.rows)}
        change = len(part.rows) - len(part.before)
        parts[name] = {"before": before, "after": after, **totals, "change": change}
    content = {**plan.about(), "parts": parts, "weights": _weights(found.parts, y)}
    content |= {"remark": _REMARK} if plan.balance == "all" else {}
    content |= {"out": out and str(out), "files": list(found.files), "note": found.note}
    show_json(content)
