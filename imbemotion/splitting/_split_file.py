"""Split files: written whole, read for the same data only."""

import json
from pathlib import Path

from imbemotion._base.files import write_atomically
from imbemotion._base.validation import shorten
from imbemotion.leaks.fingerprints import count_labels, digest_data, digest_labels

__all__ = [
    "check_length",
    "check_same_data",
    "check_same_labels",
    "read_split",
    "write_split",
]

_FORMAT = "imbemotion split 1"


def write_split(path, content):
    """Write a split into a JSON file, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"format": _FORMAT, **content}, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode())


def read_split(path, parts):
    """Read a split file, and make sure that every row is in one part."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        rows = sorted(row for name in parts for row in content[name])
        intact = content["format"] == _FORMAT and set(content["ratios"]) == set(parts)
        intact = intact and rows == list(range(sum(content["counts"].values())))
        intact = intact and {"seed", "labels", "data"} <= set(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no saved split, or it is damaged ({error!r}). Save it again."
        ) from error
    if not intact:
        raise ValueError(
            f"{path} is no saved split, or it is damaged: its format is "
            f"{content['format']!r}, and it holds {len(rows)} rows. Save it again."
        )
    return content


def check_length(X, counts):
    """Make sure that data have as many rows as a split, and give them back."""
    if len(X) != sum(counts.values()):
        raise ValueError(
            f"The split was made of {sum(counts.values())} rows, got {len(X)}. "
            "Make a new one by stratified_split."
        )
    return X


def check_same_labels(y, counts, fingerprint):
    """Make sure that labels are those that a split was made of."""
    if digest_labels(check_length(y, counts)) == fingerprint:
        return
    found = count_labels(y)
    differ = [
        f"{label} (then {counts.get(label, 0)} rows, now {found.get(label, 0)})"
        for label in {**counts, **found}
        if counts.get(label, 0) != found.get(label, 0)
    ]
    difference = shorten(differ) or "as many of every class, but in another order or type"
    raise ValueError(
        f"The split was made of other labels: {difference}. Bring the data back into the order "
        "they had, or make a new split by stratified_split."
    )


def check_same_data(X, expected):
    """Make sure that images or files are those that a split was saved with."""
    if expected is None:
        raise ValueError(
            "The split was saved without a digest of the data, so X can't be compared. "
            "Leave out X, or save the split again with X."
        )
    kind, found = expected.split()[0], digest_data(X)
    if found.split()[0] != kind:
        raise ValueError(
            f"The split was saved with a digest of {kind}, got {found.split()[0]} as X. "
            f"Pass the {kind}."
        )
    if found != expected:
        raise ValueError(
            f"The split was made of other {kind}, or of the same in another order. Bring them "
            "back, or make a new split by stratified_split."
        )
