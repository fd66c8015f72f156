"""How verdicts, names and gains look: the same in every view of a comparison, also in grey."""

from textwrap import fill

from imbemotion.plots._style import GAIN, INK, LOSS

__all__ = ["LEGEND", "failed", "mark_of", "signed", "verdicts_in", "wrap"]

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
