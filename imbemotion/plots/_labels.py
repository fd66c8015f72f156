"""Names beside points, so that none covers another."""

import numpy as np

from imbemotion.plots._style import INK, PLAIN_TEXT

__all__ = ["label_points"]

_DIRECTIONS = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)]
_DISTANCES = (0, 8, 18, 30, 44, 60, 80, 105)  # points, beyond the edge of the mark
_NEAR = 8  # points; names further away than this get a line to their mark
_GAP = 3  # points between a mark and its name


def label_points(ax, x, y, names, diameters):
    """Write names beside points of data coordinates x, y (n,) with marks of given diameters.

    Every name takes the nearest free place inside the axes, points in the thick of it first.
    """
    ax.figure.draw_without_rendering()  # settles the layout, by which places are measured
    scale = ax.figure.dpi / 72  # pixels per point
    centres = ax.transData.transform(np.column_stack([x, y])) / scale
    radii = np.asarray(diameters) / 2
    marks = np.column_stack([centres - radii[:, None], centres + radii[:, None]])
    frame = np.array(ax.get_window_extent().extents) / scale
    taken = list(marks)  # boxes as (left, bottom, right, top), in points
    for number in _most_crowded_first(centres):
        text = ax.annotate(
            names[number], (x[number], y[number]), (0, 0), textcoords="offset points",
            ha="left", va="bottom", fontsize=8.5, **PLAIN_TEXT,
        )  # fmt: skip
        size = np.array(text.get_window_extent().size) / scale
        box = _free_place(centres[number], radii[number] + _GAP, size, taken, frame)
        taken.append(box)
        text.set_position(box[:2] - centres[number])
        _draw_line(text, box - np.tile(centres[number], 2), radii[number])


def _most_crowded_first(centres):
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
    return np.argsort(np.sort(distances, axis=1)[:, :4].sum(axis=1), kind="stable")


def _free_place(centre, radius, size, taken, frame):
    """Find the nearest box that covers nothing; where there is none, the one that covers least."""
    taken = np.array(taken)
    boxes = [_box(centre, radius + far, side, size) for far in _DISTANCES for side in _DIRECTIONS]
    covered = [_overlap(box, taken).sum() + _outside(box, frame) for box in boxes]
    return boxes[int(np.argmin(np.round(covered, 3)))]


def _box(centre, distance, side, size):
    side = np.array(side)
    if side.all():
        distance = distance * np.sqrt(0.5)
    middle = centre + side * (distance + size / 2)
    return np.concatenate([middle - size / 2, middle + size / 2])


def _overlap(box, others):
    """Compute the area that a box (4,) shares with each of others (n, 4)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    return np.clip(high - low, 0, None).prod(axis=1)


def _outside(box, frame):
    area = (box[2:] - box[:2]).prod()
    return area - _overlap(box, frame[None])[0]


def _draw_line(text, box, radius):
    """Draw a line from a mark to the box of its name, both around (0, 0), if that is far away."""
    end = np.clip(0, box[:2], box[2:])
    if np.linalg.norm(end) > radius + _NEAR:
        line = {"arrowstyle": "-", "color": INK, "linewidth": 0.7, "shrinkA": 1, "shrinkB": radius}
        text.axes.annotate("", text.xy, end, textcoords="offset points", arrowprops=line)
