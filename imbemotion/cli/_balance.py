"""``imbemotion balance SOURCE``."""

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from imbemotion.cli._app import app
from imbemotion.cli._console import errors_in_one_sentence
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

__all__ = ["balance"]


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
    """Show what balancing does to your classes, or write the lists."""
    # With --out the images are split, training is balanced, and lists of all are written.
    from imbemotion.cli._balancing import Plan
    from imbemotion.cli._parts import check_shares
    from imbemotion.cli._rebalance import rebalance, show
    from imbemotion.cli._writing import check_folder

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
        in_parts = out or group_by or no_stratify or balance_splits == Balanced.all_
        in_parts = in_parts or any(ratio is not None for ratio in ratios)
        found = rebalance(source, additional, loading, plan, out, in_parts=bool(in_parts))
        show(found, plan, out, as_json=as_json)


def _check_strategy(text, method, balance_splits):
    """Give the strategy as a name or number; what makes no sense is misuse."""
    from imbemotion.compat import WEIGHTED, check_strategy

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
