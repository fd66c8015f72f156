"""How verdicts, names and gains look: the same in every view of a comparison, also in grey."""

from textwrap import fill

from imbemotion._base.validation import cut_label

__all__ = [
    "BASELINE",
    "COLOURS",
    "GAIN",
    "HATCHES",
    "INK",
    "LEGEND",
    "LOSS",
    "PLAIN_TEXT",
    "cut_label",
    "failed",
    "mark_of",
    "new_axes",
    "quieten",
    "signed",
    "verdicts_in",
    "wrap",
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
    """Make a figure and give its axes."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, n, figsize=size, layout="constrained", squeeze=False)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # inches
    return axes[0].tolist()


def quieten(ax, grid=None):
    """Take lines away that carry nothing: the frame, ticks, all but a light grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(INK)
    ax.tick_params(length=0)
    if grid is not None:
        ax.grid(axis=grid, color="#D9D9D9", linewidth=0.8)
        ax.set_axisbelow(True)


def write_plainly(ax):
    """Write labels of ticks as they are, which others set: a "$" in them is a "$"."""
    for label in (*ax.get_xticklabels(), *ax.get_yticklabels()):
        label.set(**PLAIN_TEXT)


LEGEND = {  # of views whose legend stands above them, on the left
    "loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 3, "frameon": False, "fontsize": 8,
    "borderaxespad": 0.2, "handletextpad": 0.5, "columnspacing": 1.2,
}  # fmt: skip
_MARKS = {  # in the order of legends; shapes tell verdicts apart where colours can't
    "baseline": {"marker": "s", "color": "black"},
    "better": {"marker": "^", "color": GAIN},
    "not distinguishable": {"marker": "o", "color": INK, "markerfacecolor": "white"},
    "worse": {"marker": "v", "color": LOSS},
    "no baseline": {"marker": "D", "color": INK},
    "failed": {"marker": "x", "color": INK},
    "not run": {"marker": "x", "color": INK},
}


def mark_of(verdict):
    """Give the keywords of ``Axes.plot`` for a verdict."""
    return {"linestyle": "none", "markersize": 7, **_MARKS[verdict]}


def verdicts_in(summary):
    """Give the verdicts of a summary in the order of legends."""
    return [verdict for verdict in _MARKS if (summary["verdict"] == verdict).any()]


def failed(verdicts):
    """Tell which verdicts, or whether a verdict, stand for no result at all."""
    return (verdicts == "failed") | (verdicts == "not run")


def wrap(name, width=26):
    """Break a long name into two lines at most."""
    return fill(str(name), width, max_lines=2, placeholder="...")


def signed(gain, digits=3):
    """Write a gain with its sign, a true minus, and no sign where it rounds to nothing."""
    text = f"{gain:+.{digits}f}".replace("-", "\N{MINUS SIGN}")
    return text if any(digit in "123456789" for digit in text) else text[1:]
