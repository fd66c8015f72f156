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
    "write_plainly",
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


def new_axes(size, n=1):
    """Make a figure and give its axes.

    Parameters
    ----------
    size : tuple of float
        Width and height of the figure, inches.

    n : int, default=1
        Number of axes, side by side.

    Returns
    -------
    axes : list of matplotlib Axes of length n
        The axes, with room for all of their text.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, n, figsize=size, layout="constrained", squeeze=False)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # inches
    return axes[0].tolist()


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


def write_plainly(ax):
    """Write labels of ticks as they are, which others set: a "$" in them is a "$".

    Parameters
    ----------
    ax : matplotlib Axes
        The axes; changed in place.
    """
    for label in (*ax.get_xticklabels(), *ax.get_yticklabels()):
        label.set(**PLAIN_TEXT)
