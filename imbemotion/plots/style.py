"""The look of all displays: colors, axes, legends and texts, readable in gray too."""

import warnings
from contextlib import contextmanager
from math import ceil
from textwrap import fill

import numpy as np

from imbemotion._base.validation import text_width

BASELINE = "#A6A6A6"  # gray: what things are compared with, the state before
GAIN = "#0072B2"  # blue, dark: gains, correct predictions
LOSS = "#D55E00"  # vermillion, lighter than the blue: losses, wrong predictions
INK = "#404040"  # lines and text that only guide the eye
COLORS = (  # blue, orange, bluish green, yellow; vermillion, sky blue, dark gray, purple
    "#0072B2", "#E69F00", "#009E73", "#F0E442",  # neighbors differ in lightness
    "#D55E00", "#56B4E9", "#555555", "#CC79A7",
)  # fmt: skip
HATCHES = ("", "///", "...", "xxx", "---", "\\\\\\", "ooo")  # one per round of the colors
MOST_NUMBERED = 30  # classes up to which a chart writes a number into every cell, or at every bar
MOST_NAMED = 60  # classes up to which it names them all
_FONTS = (  # for Chinese, Japanese, Korean, Hindi and Thai
    "Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Microsoft YaHei", "Yu Gothic",
    "Malgun Gothic", "Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Noto Sans Devanagari",
    "Nirmala UI", "Noto Sans Thai", "Leelawadee UI", "Arial Unicode MS",
)  # fmt: skip
PLAIN_TEXT = {"parse_math": False}  # a "$" in a label is a "$"
_SIDES = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)])
_DISTANCES = np.array([0, 8, 18, 30, 44, 60, 80, 105])  # points, beyond the edge of the mark
_NEAR = 8  # points; names further away than this get a line to their mark
_GAP = 3  # points between a mark and its name


@contextmanager
def any_script(**settings):
    """Draw names of any script for which a font is installed."""
    from matplotlib import font_manager, rc_context

    installed = set(font_manager.get_font_names())
    fonts = ["DejaVu Sans", *(font for font in _FONTS if font in installed)]
    with rc_context({"font.family": fonts, **settings}), warnings.catch_warnings():
        # of a script without any font, and of names that leave charts no room
        warnings.filterwarnings("ignore", message="Glyph|.*[Ll]ayout", category=UserWarning)
        yield


def new_axes(size, n=1):
    """Return the axes, side by side, of a new figure of that size in inches."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, n, figsize=size, layout="constrained", squeeze=False)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # inches
    return axes[0].tolist()


def styled(kind, given, **usual):
    """Return properties of an artist, the usual ones and instead of them those that were given."""
    from matplotlib.cbook import normalize_kwargs

    given = normalize_kwargs(given, kind)  # "lw" is "linewidth"
    if "color" in given:  # of patches it is both
        usual = {key: usual[key] for key in usual if key not in ("facecolor", "edgecolor")}
    return usual | given


def simplify(ax, grid=None):
    """Remove the frame, ticks and all lines but a light grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(INK)
    ax.tick_params(length=0)
    if grid is not None:
        ax.grid(axis=grid, color="#D9D9D9", linewidth=0.8)
        ax.set_axisbelow(True)


def legend_above(ax, handles=None, name=None, **how):
    """Put a legend above the axes, on the left, where it covers nothing, and a name above it."""
    usual = {"ncols": 3, "fontsize": 8.5, "labelspacing": 0.3, "handlelength": 1.6, "borderpad": 0}
    legend = ax.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), frameon=False,
        borderaxespad=0.4, columnspacing=1.2, handletextpad=0.5, title=name, alignment="left",
        **usual | how,
    )  # fmt: skip
    for text in [legend.get_title(), *legend.get_texts()]:
        text.set(**PLAIN_TEXT)


def write_title(ax, name):
    """Write a name above the axes; without one, they keep the title that they may have."""
    if name is not None:
        ax.set_title(name, **PLAIN_TEXT)


def named_places(n):
    """Return the places of n classes, or every second, third ... where names would overlap."""
    return np.arange(0, n, ceil(n / MOST_NAMED))


def wrap(name, width=26):
    """Break a long name into two lines at most; Chinese characters count twice."""
    name = str(name)
    width = width * len(name) // max(text_width(name), 1)
    return fill(name, max(width, 4), max_lines=2, placeholder="...")


def signed(gain, digits=3):
    """Write a gain with its sign, a true minus, and no sign where it rounds to zero."""
    text = f"{gain:+.{digits}f}".replace("-", "\N{MINUS SIGN}")
    return text if any(digit in "123456789" for digit in text) else text[1:]


def label_points(ax, x, y, names, diameters):
    """Write names next to points of data coordinates x, y (n,) with marks of these diameters."""
    # Every name takes the nearest free place inside the axes, points in crowds first.
    ax.figure.draw_without_rendering()  # settles the layout, by which places are measured
    scale = ax.figure.dpi / 72  # pixels per point
    centers = ax.transData.transform(np.column_stack([x, y])) / scale
    radii = np.asarray(diameters) / 2
    marks = np.column_stack([centers - radii[:, None], centers + radii[:, None]])
    frame = np.array(ax.get_window_extent().extents) / scale
    taken = list(marks)  # boxes as (left, bottom, right, top), in points
    distances = np.sort(np.linalg.norm(centers[:, None] - centers[None], axis=-1), axis=1)
    for number in np.argsort(distances[:, :4].sum(axis=1), kind="stable"):  # crowds first
        text = ax.annotate(
            names[number], (x[number], y[number]), (0, 0), textcoords="offset points",
            ha="left", va="bottom", fontsize=8.5, **PLAIN_TEXT,
        )  # fmt: skip
        size = np.array(text.get_window_extent().size) / scale
        box = _free_place(centers[number], radii[number] + _GAP, size, np.array(taken), frame)
        taken.append(box)
        text.set_position(box[:2] - centers[number])
        _draw_line(text, box - np.tile(centers[number], 2), radii[number])


def _free_place(center, radius, size, taken, frame):
    """Find the nearest box that covers nothing, or else the one that covers least."""
    reach = (radius + _DISTANCES)[:, None, None] / np.linalg.norm(_SIDES, axis=1, keepdims=True)
    middles = (center + _SIDES * (reach + size / 2)).reshape(-1, 2)
    boxes = np.hstack([middles - size / 2, middles + size / 2])
    outside = size.prod() - _overlaps(boxes, frame[None])[:, 0]
    covered = _overlaps(boxes, taken).sum(axis=1)
    return boxes[np.argmin(np.round(covered + outside, 3))]


def _overlaps(boxes, others):
    """Compute the areas that boxes (n, 4) share with others (m, 4), (n, m)."""
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum(boxes[:, None, 2:], others[:, 2:])
    return np.clip(high - low, 0, None).prod(axis=2)


def _draw_line(text, box, radius):
    """Draw a line from a mark to the box of its name, both around (0, 0), if that is far away."""
    end = np.clip(0, box[:2], box[2:])
    if np.linalg.norm(end) > radius + _NEAR:
        line = {"arrowstyle": "-", "color": INK, "linewidth": 0.7, "shrinkA": 1, "shrinkB": radius}
        text.axes.annotate("", text.xy, end, textcoords="offset points", arrowprops=line)
