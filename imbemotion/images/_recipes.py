"""Recipes for pictures: what they hold, how pixels are made of them, whom they come from."""

import numpy as np

from imbemotion.augmentation import apply_policy

__all__ = ["RECIPE", "is_made", "merge_parents", "plain_recipes", "render", "run_of_rows"]

# One picture: source row `row`, moved by `weight` towards source row `partner` (-1: not
# moved), then augmented by policy number `policy` (-1: not augmented) under `seed`.
RECIPE = np.dtype(
    [
        ("row", np.int64),
        ("partner", np.int64),
        ("weight", np.float64),
        ("seed", np.uint64),
        ("policy", np.int64),
    ]
)
_BATCH = 256  # new pictures are made in batches of this size, which stay in the cache


def plain_recipes(rows):
    """Make the recipes of rows that are taken as they are."""
    recipes = np.zeros(len(rows), dtype=RECIPE)
    recipes["row"] = rows
    recipes["partner"] = recipes["policy"] = -1
    return recipes


def is_made(recipes):
    """Tell for each recipe whether it makes a new picture."""
    return (recipes["partner"] >= 0) | (recipes["policy"] >= 0)


def run_of_rows(recipes):
    """Give the slice of the source that the recipes stand for, None where there is none."""
    rows = recipes["row"]
    if len(rows) == 0 or rows[-1] - rows[0] != len(rows) - 1 or is_made(recipes).any():
        return None
    return slice(rows[0], rows[-1] + 1) if (rows[1:] > rows[:-1]).all() else None


def render(source, recipes, policies):
    """Make the pixels of recipes, (n,) -> (n, H, W[, C]).

    Rows that follow one another in an ndarray come back as a read-only view.
    """
    run = run_of_rows(recipes)
    if run is not None and isinstance(source, np.ndarray):
        view = np.asarray(source[run])
        view.flags.writeable = False
        return view
    pixels = _take(source, recipes["row"])
    made = np.flatnonzero(is_made(recipes))
    for start in range(0, len(made), _BATCH):
        batch = made[start : start + _BATCH]
        pixels[batch] = _make(pixels[batch], source, recipes[batch], policies)
    return pixels


def _take(source, rows):
    if isinstance(source, np.ndarray):
        return np.asarray(np.take(source, rows, axis=0))
    return np.array(source[rows])


def _make(pixels, source, recipes, policies):
    """Interpolate and augment one batch; `pixels` holds the rows themselves."""
    moved = np.flatnonzero(recipes["partner"] >= 0)
    if moved.size:
        partners = _take(source, recipes["partner"][moved])
        pixels[moved] = _interpolate(pixels[moved], partners, recipes["weight"][moved])
    for number in np.unique(recipes["policy"]):
        if number >= 0:
            rows = np.flatnonzero(recipes["policy"] == number)
            pixels[rows] = apply_policy(policies[number], pixels[rows], recipes["seed"][rows])
    return pixels


def _interpolate(start, end, weights):
    """Move pixels towards others in float, then round: uint8 arithmetic would wrap around."""
    working = np.result_type(start.dtype, np.float32)  # uint8 -> float32, float64 stays
    weights = weights.astype(working).reshape(-1, *[1] * (start.ndim - 1))
    mixed = start + weights * (end.astype(working) - start)
    return np.clip(np.rint(mixed), 0, 255) if start.dtype == np.uint8 else mixed


def merge_parents(*groups):
    """Join the parents of every row, (n, k) each, without repeats: -1 last, width 2 or more."""
    joined = np.concatenate(groups, axis=1)
    for column in range(1, joined.shape[1]):
        repeats = (joined[:, :column] == joined[:, [column]]).any(axis=1)
        joined[repeats, column] = -1
    unknown_last = np.argsort(joined < 0, axis=1, kind="stable")
    joined = np.take_along_axis(joined, unknown_last, axis=1)
    width = max(2, int((joined >= 0).sum(axis=1).max(initial=0)))
    return joined[:, :width]
