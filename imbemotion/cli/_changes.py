"""Classes before and after balancing, as a table and sentences for a terminal."""

from collections import Counter

from rich.markup import escape

from imbemotion._base.text import signed
from imbemotion.cli._console import make_table

__all__ = ["change_lines", "change_table"]


def change_table(counts, arrow, weights=None):
    """Lay out a row per class: how many there are before and after, in every part."""
    table = make_table("\nSamples by class")
    table.add_column("class")
    for name in (*counts, *(["weight"] if weights else [])):
        table.add_column(name, justify="right")
    for label in next(iter(counts.values()))[0]:
        cells = [
            f"{before[label]:,}"
            if before == after
            else _change(before[label], after[label], arrow)
            for before, after in counts.values()
        ]
        cells += [f"{weights[label]:.3f}" if label in weights else ""] if weights else []
        table.add_row(escape(label), *cells)
    return table


def change_lines(counts, arrow):
    """Say how many samples every part and all together have, before and after."""
    if len(counts) > 1:
        both = (map(Counter, side) for side in zip(*counts.values(), strict=True))
        counts = {**counts, "Total": tuple(sum(side, Counter()) for side in both)}
    else:
        counts = {"Total": next(iter(counts.values()))}
    return [
        f"{name}: {_change(before.total(), after.total(), arrow, ' samples')}, "
        f"balance ratio {_balance_ratio(before)} {arrow} {_balance_ratio(after)}"
        for name, pair in counts.items()
        for before, after in [map(Counter, pair)]
    ]


def _balance_ratio(counts):
    numbers = [n for n in counts.values() if n]
    return f"{min(numbers) / max(numbers):.3f}" if numbers else "-"


def _change(before, after, arrow, what=""):
    """Write a change as ``225 → 300 samples (+75)``."""
    return f"{before:,} {arrow} {after:,}{what} ({signed(after - before)})"
