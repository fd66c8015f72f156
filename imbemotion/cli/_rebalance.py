"""What ``balance`` does: sources loaded, balanced, written and shown."""

from typing import NamedTuple

import numpy as np

from imbemotion.cli._balancing import balance_parts, balance_whole
from imbemotion.cli._changes import change_lines, change_table
from imbemotion.cli._console import arrow, make_console, show_json
from imbemotion.cli._parts import load_list, split_list
from imbemotion.cli._sources import name_sources
from imbemotion.cli._writing import write_folder
from imbemotion.leaks.copies import find_leaks, has_files

__all__ = ["Found", "rebalance", "show"]

_REMARK = (
    "Validation and test are balanced, too: scores on them are not those of natural data, whose "
    "classes are as unequal as before."
)


class Found(NamedTuple):
    """What is told in the end."""

    y: np.ndarray  # labels of the source
    parts: dict  # of str to Part
    files: tuple = ()  # that were written
    note: str = ""  # about the pictures that were written


def rebalance(source, additional, loading, plan, out, *, in_parts):
    """Balance sources, and write what came of it if there is a folder."""
    data, from_files = _load((source, additional, plan.group_by), loading, out, plan.method)
    if in_parts:
        return _balance_parts(data, plan, name_sources(source, additional), out, from_files)
    return Found(data.target, balance_whole(data.target, plan))


def _load(where, loading, out, method):
    """Load the source, and tell whether its rows are files; pixels only if they are written."""
    content = out is not None and method != "repeat"
    data = load_list(*where, content=content, **loading)
    # lists of made pictures and MIDI files together could not be read
    from_files = has_files(data.filenames) and not (content and _holds_midi(data.filenames))
    if out is not None and not content and not from_files:
        data = load_list(*where, content=True, **loading)
    return data, from_files


def _holds_midi(names):
    return any(name.lower().endswith((".mid", ".midi")) for name in names)


def _balance_parts(data, plan, sources, out, from_files):
    """Split and balance, and write it if there is a folder."""
    how = {"stratify": plan.stratify, "seed": plan.seed}
    split, groups = split_list(data, plan.group_by, plan.shares, **how)
    find_leaks(data.target, data.filenames, data.groups, split, plan.group_by)
    if out is None:  # then no pixels are needed
        return Found(data.target, balance_parts(data, split, plan._replace(method="repeat")))
    parts = balance_parts(data, split, plan)
    n_written = sum(int(part.is_synthetic.sum()) for part in parts.values())
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
    return Found(data.target, parts, files, _say_written(n_written, data.data, from_files))


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


def show(found, plan, out, *, as_json):
    """Print what was found."""
    if as_json:
        _print_json(found, plan, out)
    else:
        _print_table(found, plan, out)


def _print_table(found, plan, out):
    console = make_console()
    counts = {name: part.counts(found.y) for name, part in found.parts.items()}
    console.print(change_table(counts, arrow(console), _weights(found.parts, found.y)))
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


def _print_json(found, plan, out):
    parts = {}
    for name, part in found.parts.items():
        before, after = part.counts(found.y)
        totals = {"n_before": len(part.before), "n_after": len(part.rows)}
        change = len(part.rows) - len(part.before)
        parts[name] = {"before": before, "after": after, **totals, "change": change}
    content = {**plan.about(), "parts": parts, "weights": _weights(found.parts, found.y)}
    content |= {"remark": _REMARK} if plan.balance == "all" else {}
    content |= {"out": out and str(out), "files": list(found.files), "note": found.note}
    show_json(content)
