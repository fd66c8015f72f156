"""What ``split`` and ``balance`` share: a source as a list of files, and three parts of it."""

from pathlib import Path

import numpy as np
import typer

from imbemotion.cli._sources import load_sources, name_sources

__all__ = [
    "NAMES",
    "check_shares",
    "count_parts",
    "load_list",
    "split_list",
]

NAMES = {"train": "train", "val": "valid", "test": "test"}  # here: in a Split
_SHARES = {"--train-ratio": 0.7, "--val-ratio": 0.15, "--test-ratio": 0.15}


def check_shares(*shares):
    """Check the shares of train, val and test; those that are None have their defaults."""
    from imbemotion.splitting.drawing import check_ratios

    given = zip(_SHARES.items(), shares, strict=True)
    named = {name: usual if share is None else share for (name, usual), share in given}
    try:
        check_ratios(named)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="shares") from error
    return dict(zip(NAMES.values(), named.values(), strict=True))


def load_list(source, additional, group_by, *, content=False, **settings):
    """Load sources, their pixels only where they are needed."""
    from imbemotion.leaks.groups import GROUPINGS

    columns = [name for name in group_by or () if name not in GROUPINGS]
    if len(columns) > 1 or (columns and "groups" in group_by):
        raise typer.BadParameter(
            f"a source has one column of groups, got {', '.join(group_by)}. Name one.",
            param_hint="--group-by",
        )
    paths = [Path(name) for name in name_sources(source, additional)]
    if columns and all(path.is_dir() and not (path / "legend.csv").is_file() for path in paths):
        raise typer.BadParameter(
            f"it takes name, groups, duplicates or a column of a list, got {columns[0]}, and "
            f"{paths[0]} is no list.",
            param_hint="--group-by",
        )
    settings |= {"group_column": columns[0] if columns else None}
    settings |= {"load_content": content or "duplicates" in (group_by or ())}
    return load_sources(source, additional, **settings)


def split_list(data, group_by, shares, *, stratify, seed):
    """Split what was loaded, and keep together what was asked for."""
    from imbemotion.leaks.groups import GROUPINGS, find_groups
    from imbemotion.splitting import stratified_split

    kinds = [name if name in GROUPINGS else "groups" for name in group_by or ()]
    groups = find_groups(data, kinds)
    split = stratified_split(
        data.target, **shares, groups=groups, stratify=stratify, random_state=seed
    )  # fmt: skip
    return split, groups


def count_parts(y, split):
    """Count the rows of every class in every part."""
    classes = np.unique(y).tolist()
    return {
        name: {str(label): int((y[getattr(split, part)] == label).sum()) for label in classes}
        for name, part in NAMES.items()
    }
