"""Class sizes as pies, with a list of all classes beside them."""

from math import ceil, cos, radians, sin

from imbemotion._validation import cut_label
from imbemotion.plots._style import COLOURS, HATCHES, INK, PLAIN_TEXT

__all__ = ["draw_pies", "pies_size"]

_NAMED = 0.04  # shares below are written in the list only
_ROWS = 20  # of a column of the list
_APART = 2.4  # radii between the middles of two pies


def pies_size(n_classes, *, paired):
    """Give width and height of a figure of pies, in inches."""
    rows = min(n_classes, _ROWS)
    return (7.2 if paired else 3.9) + 2.8 * ceil(n_classes / _ROWS), max(3.6, 0.8 + 0.19 * rows)


def draw_pies(ax, counts, after=None):
    """Draw a pie of the classes, clockwise from the top, or one before and one after.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.

    counts : dict of class to int
        Samples of every class.

    after : dict of class to int, default=None
        The same after resampling.
    """
    _draw_pie(ax, counts, 0, "before: " if after else "")
    if after is not None:
        _draw_pie(ax, after, _APART, "after: ")
    ax.set(aspect="equal", xlim=(-1.1, 1.1 + (_APART if after else 0)), ylim=(-1.1, 1.25))
    ax.set_anchor("W")
    ax.set_axis_off()
    _list_classes(ax, counts, after)


def _look(number):
    """Give colour and hatch of a class."""
    return {
        "facecolor": COLOURS[number % len(COLOURS)],
        "hatch": HATCHES[number // len(COLOURS) % len(HATCHES)],
        "edgecolor": "white",
        "linewidth": 0.7,
    }


def _draw_pie(ax, counts, x, title):
    from matplotlib.patches import Wedge

    total, angle = sum(counts.values()), 90.0
    for number, n in enumerate(counts.values()):
        end = angle - 360 * n / total
        if n:
            ax.add_patch(Wedge((x, 0), 1, end, angle, **_look(number)))
        if n / total >= _NAMED:
            _write_share(ax, x, (angle + end) / 2, f"{100 * n / total:.1f} %")
        angle = end
    ax.text(x, 1.1, f"{title}{total:,} samples", ha="center", fontsize=10, color=INK)


def _write_share(ax, x, angle, text):
    where = x + 0.72 * cos(radians(angle)), 0.72 * sin(radians(angle))
    frame = {"facecolor": "white", "edgecolor": "none", "pad": 1.2, "alpha": 0.85}
    ax.text(*where, text, ha="center", va="center", fontsize=8, color="black", bbox=frame)


def _list_classes(ax, counts, after):
    from matplotlib.patches import Patch

    total = sum(counts.values())
    marks = [Patch(**_look(number)) for number in range(len(counts))]
    names = []
    for label, n in counts.items():
        sizes = f"{n:,} -> {after[label]:,}" if after else f"{n:,} ({100 * n / total:.1f} %)"
        names.append(f"{cut_label(label, 20)}  {sizes}")
    legend = ax.legend(
        marks, [" "] * len(names), loc="center left", bbox_to_anchor=(1.02, 0.5),
        ncols=ceil(len(counts) / _ROWS), frameon=False, fontsize=8.5, labelspacing=0.45,
        handleheight=1.1, borderaxespad=0,
    )  # fmt: skip
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, **PLAIN_TEXT)  # an underscore at the beginning hides no name
