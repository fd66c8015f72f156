"""The house's look: colours that everyone can tell apart, and quiet axes.

The colours are those of Okabe and Ito, which stay distinct under the usual kinds of colour
blindness. Where two stand side by side, they differ in lightness too, or one is hatched, so that
a grey print can be read.
"""

from imbemotion._validation import cut_label

__all__ = [
    "BASELINE",
    "COLOURS",
    "GAIN",
    "HATCHES",
    "INK",
    "LOSS",
    "PLAIN_TEXT",
    "cut_label",
    "new_axes",
    "quieten",
]

BASELINE = "#A6A6A6"  # grey: what things are compared with, what was there before
GAIN = "#0072B2"  # blue, dark: what was won, what is right
LOSS = "#D55E00"  # vermillion, lighter than the blue: what was lost, what is wrong
INK = "#404040"  # lines and text that only guide the eye
COLOURS = (  # neighbours differ in lightness
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#009E73",  # bluish green
    "#F0E442",  # yellow
    "#D55E00",  # vermillion
    "#56B4E9",  # sky blue
    "#555555",  # dark grey, in the place of black
    "#CC79A7",  # reddish purple
)
HATCHES = ("", "///", "...", "xxx", "---", "\\\\\\", "ooo")  # one per round of the colours
PLAIN_TEXT = {"parse_math": False}  # a "$" in a label is a "$"


def new_axes(ax, size):
    """Give the axes to draw in.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Axes that were handed in; None makes a figure.

    size : tuple of float
        Width and height of a new figure, inches.

    Returns
    -------
    ax : matplotlib Axes
        The axes; those of a new figure leave room for all of their text.
    """
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def quieten(ax, grid=None):
    """Take lines away that carry nothing: the frame, ticks, all but a light grid.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes; changed in place.

    grid : {"x", "y", "both"}, default=None
        Along which axis grid lines stand. None draws none.
    """
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(INK)
    ax.tick_params(length=0)
    if grid is not None:
        ax.grid(axis=grid, color="#D9D9D9", linewidth=0.8)
        ax.set_axisbelow(True)
