"""Scores, gains and costs of the strategies of a comparison, drawn on axes."""

import numpy as np

from imbemotion.plots.style import (
    BASELINE,
    INK,
    LEGEND,
    PLAIN_TEXT,
    failed,
    mark_of,
    quieten,
    signed,
    verdicts_in,
    wrap,
)

__all__ = [
    "draw_costs",
    "draw_gains",
    "draw_scores",
    "label_points",
    "order_classes",
]

_DIRECTIONS = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)]
_DISTANCES = (0, 8, 18, 30, 44, 60, 80, 105)  # points, beyond the edge of the mark
_NEAR = 8  # points; names further away than this get a line to their mark
_GAP = 3  # points between a mark and its name


def label_points(ax, x, y, names, diameters):
    """Write names beside points of data coordinates x, y (n,) with marks of given diameters."""
    # Every name takes the nearest free place inside the axes, points in the thick of it first.
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


_WIDE = 8  # from this ratio of times on their axis is logarithmic
_EQUAL = 1.1  # up to this ratio sizes would say nothing
_SMALLEST, _USUAL, _LARGEST = 5, 8, 17  # points across
_SIZES = {"peak_memory": "{:,.0f} MiB at the peak", "n_resampled": "{:,.0f} rows"}


def draw_costs(ax, summary, scoring):
    """Draw scores against the seconds of a fit; marks are larger where more was needed."""
    done = summary[~failed(summary["verdict"])]
    times, column = done["fit_time"], _size_column(done)
    diameters = _diameters(done[column]) if column else np.full(len(done), _USUAL)
    for (_, line), diameter in zip(done.iterrows(), diameters, strict=True):
        mark = {**mark_of(line["verdict"]), "markersize": diameter}
        ax.plot(line["fit_time"], line["mean"], alpha=0.85, **mark)
    if len(times) and times.min() > 0 and times.max() > _WIDE * times.min():
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
    ax.margins(0.18)
    ax.set_xlabel("seconds to fit (mean of the folds)")
    ax.set_ylabel(scoring, **PLAIN_TEXT)
    quieten(ax, grid="both")
    sizes = _size_handles(ax, done[column], diameters, _SIZES[column]) if column else []
    _write_cost_legend(ax, summary, sizes)
    names = [wrap(name) for name in done.index]
    label_points(ax, times.to_numpy(), done["mean"].to_numpy(), names, diameters)


def _size_column(done):
    """Choose what sizes show: memory if it is known, else rows; None if they hardly differ."""
    for column in _SIZES:
        values = done[column] if column in done else done["fit_time"] * np.nan
        if values.notna().all() and values.max() > _EQUAL * values.min():
            return column
    return None


def _diameters(values):
    """Make areas proportional to values, but for marks that would be too small to see."""
    return np.maximum(_LARGEST * np.sqrt(values / values.max()), _SMALLEST).to_numpy()


def _size_handles(ax, values, diameters, unit):
    style = {"marker": "o", "linestyle": "none", "color": INK, "markerfacecolor": "none"}
    return [
        ax.plot([], [], label=unit.format(values.iloc[k]), markersize=diameters[k], **style)[0]
        for k in (values.argmin(), values.argmax())
    ]


def _write_cost_legend(ax, summary, sizes):
    handles = []
    for verdict in verdicts_in(summary):
        named = summary.index[summary["verdict"] == verdict]
        label = f"{verdict}: {', '.join(map(str, named))}" if failed(verdict) else verdict
        handles += ax.plot([], [], label=wrap(label, 40), **mark_of(verdict))
    for text in ax.legend(handles=[*handles, *sizes], labelspacing=0.8, **LEGEND).get_texts():
        text.set(**PLAIN_TEXT)


_LEAST_RANGE = 0.05  # smaller gains than this never get a full colour
_DARK = 0.62  # share of the range from which numbers are written in white
_BAR_HEIGHT = 2.5  # inches
_NOTES = {"baseline": "\n(F1)", "failed": "\n(failed)", "not run": "\n(not run)"}


def order_classes(labels, counts):
    """Order classes by the number of images, the largest first, where that is known."""
    if not counts:
        return list(labels)
    return sorted(labels, key=lambda label: -counts.get(str(label), 0))


def draw_gains(ax, per_class_gain, baseline, verdicts, counts):
    """Draw classes as rows and strategies as columns; the baseline's F1 comes first."""
    # per_class_gain is of shape (n_strategies, n_classes), the baseline's F1 of (n_classes,).
    classes = order_classes(baseline.index, counts)  # which may be booleans: no mask of rows
    gains = per_class_gain.reindex(columns=classes).T.to_numpy(dtype=float, copy=True)
    gains[:, 0] = np.nan  # (n_classes, n_strategies)
    limit = max(_LEAST_RANGE, np.abs(gains[np.isfinite(gains)]).max(initial=0))
    image = ax.imshow(gains, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
    _write_cells(ax, baseline.reindex(classes).to_numpy(), gains, limit)
    _name_classes(ax, classes, counts)
    _name_strategies(ax, per_class_gain.index, verdicts)
    _separate(ax, gains.shape)
    _add_bar(ax, image)


def _write_cells(ax, baseline, gains, limit):
    style = {"ha": "center", "va": "center", "fontsize": 8 if gains.shape[1] < 13 else 7}
    for (row, column), gain in np.ndenumerate(gains):
        text = f"{baseline[row]:.2f}" if column == 0 else signed(gain, 2)
        color = "white" if abs(gain) > _DARK * limit else "black"
        ax.text(column, row, "-" if "nan" in text else text, color=color, **style)


def _name_classes(ax, classes, counts):
    n = {label: f" (n = {count:,})" for label, count in (counts or {}).items()}
    labels = [wrap(label) + n.get(str(label), "") for label in classes]
    ax.set_yticks(range(len(classes)), labels, fontsize=9, **PLAIN_TEXT)


def _name_strategies(ax, strategies, verdicts):
    labels = [wrap(name, 22) + _NOTES.get(verdicts[name], "") for name in strategies]
    ax.set_xticks(range(len(labels)), labels, fontsize=9, **PLAIN_TEXT)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    for label in ax.get_xticklabels():
        label.set(rotation=50, rotation_mode="anchor", ha="left", va="center")


def _separate(ax, shape):
    """Set cells apart by white lines, and the baseline from the gains by a broad one."""
    ax.spines[:].set_visible(False)
    ax.set_yticks(np.arange(shape[0] - 1) + 0.5, minor=True)
    ax.set_xticks(np.arange(shape[1] - 1) + 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1)
    ax.tick_params(which="minor", length=0)
    ax.axvline(0.5, color="white", linewidth=5)


def _add_bar(ax, image):
    figure = ax.figure
    height = ax.get_window_extent().height / figure.dpi
    bar = figure.colorbar(image, ax=ax, shrink=min(0.8, _BAR_HEIGHT / height), aspect=20, pad=0.02)
    bar.set_label("gain in F1", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)


_FOLDS = {"marker": "o", "linestyle": "none", "markersize": 3.5, "color": BASELINE}
_BELOW = 0.25  # single folds stand below the mark, so that none is covered
_COMPARED = ("better", "worse", "not distinguishable")


def draw_scores(ax, summary, fits, scoring, confidence):
    """Draw a line per strategy: single folds, the score, and the interval of its gain."""
    summary = summary.sort_values("mean", ascending=False, kind="stable", na_position="last")
    baseline = summary[summary["verdict"] == "baseline"]
    start = baseline["mean"].iloc[0] if len(baseline) else np.nan
    ax.axvline(start, color=INK, linewidth=0.8, linestyle="--", zorder=0)
    for place, (name, line) in enumerate(summary.iterrows()):
        _draw_strategy(ax, place, line, fits.loc[fits["strategy"] == name, "score"], start)
        side = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": 8}
        ax.text(1.02, place, _describe(line), **side)
    ax.set_yticks(range(len(summary)), [wrap(name) for name in summary.index], **PLAIN_TEXT)
    ax.set_ylim(len(summary) - 0.5, -0.5)
    ax.set_xlabel(scoring, **PLAIN_TEXT)
    _limit(ax, fits["score"])
    quieten(ax, grid="y")
    ax.spines["left"].set_visible(False)
    _write_legend(ax, summary, confidence)


def _draw_strategy(ax, place, line, scores, start):
    mark = mark_of(line["verdict"])
    if failed(line["verdict"]):
        ax.plot(0.01, place, transform=ax.get_yaxis_transform(), **mark)
        return
    ax.plot(scores, np.full(len(scores), place + _BELOW), **_FOLDS)
    score = line["mean"]
    if line["verdict"] in _COMPARED:
        # Where fits failed, the gain over the folds in common counts, as for the verdict.
        score = start + line["gain"]
        ends = [start + line["gain_low"], start + line["gain_high"]]
        ax.plot(ends, [place, place], color=mark["color"], linewidth=2, solid_capstyle="butt")
    ax.plot(score, place, zorder=3, **mark)


def _limit(ax, scores):
    """Keep long intervals from squeezing scores that lie between 0 and 1."""
    if scores.between(0, 1).any():
        low, high = ax.get_xlim()
        ax.set_xlim(max(low, min(-0.02, scores.min())), min(high, max(1.02, scores.max())))


def _describe(line):
    """Write the gain and its interval, or why there is none."""
    text = line["verdict"]
    if text in _COMPARED:
        ends = ", ".join(signed(line[end]) for end in ("gain_low", "gain_high"))
        known = np.isfinite(line["gain_low"])
        text = signed(line["gain"]) + (f" [{ends}]" if known else ", one fold only")
    some = line["n_failed"] and line["verdict"] != "failed"
    return text + (f", {line['n_failed']:.0f} failed" if some else "")


def _write_legend(ax, summary, confidence):
    verdicts = verdicts_in(summary)
    handles = [ax.plot([], [], label=verdict, **mark_of(verdict))[0] for verdict in verdicts]
    if set(_COMPARED) & set(verdicts):
        label = f"interval of the gain ({confidence:.0%} for all together)"
        handles += ax.plot([], [], color=INK, linewidth=2, label=label)
    handles += ax.plot([], [], label="single folds", **_FOLDS)
    ax.legend(handles=handles, **LEGEND)
