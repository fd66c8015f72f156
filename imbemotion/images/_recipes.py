"""Recipes for pictures: which source row, and what is done to it."""

from dataclasses import dataclass

import numpy as np

from imbemotion.augmentation import apply_policy
from imbemotion.images.blocks import places_of

__all__ = ["CHANGE", "Recipes", "join_recipes", "render"]

# What is done to one row: it is moved by `weight` towards source row `partner` (-1: not
# moved), then augmented by policy number `policy` (-1: not augmented) under `seed`.
CHANGE = np.dtype(
    [
        ("partner", np.int64),
        ("weight", np.float64),
        ("seed", np.uint64),
        ("policy", np.int64),
    ]
)
_UNCHANGED = np.array((-1, 0, 0, -1), dtype=CHANGE)


@dataclass(frozen=True)
class Recipes:
    """One recipe per picture: 8 bytes for a row as it is, 40 where rows are changed."""

    rows: np.ndarray  # (n,) of int64: rows of the source
    changes: np.ndarray | None = None  # (n,) of CHANGE; None: all rows are taken as they are

    def pick(self, key):
        """Index the recipes as an array is indexed."""
        if self.changes is None:
            return Recipes(self.rows[key])
        return Recipes(self.rows[key], self.changes[key])

    def reshape(self, *shape):
        """Give the recipes another shape."""
        changes = None if self.changes is None else self.changes.reshape(*shape)
        return Recipes(self.rows.reshape(*shape), changes)

    def changed(self, **values):
        """Give the recipes with values of all changes set, for example ``policy=0``."""
        changes = self.written_out()
        for name, value in values.items():
            changes[name] = value
        return Recipes(self.rows, changes)

    def written_out(self):
        """Give a copy of the changes, also where there are none."""
        if self.changes is not None:
            return self.changes.copy()
        return np.full(self.rows.shape, _UNCHANGED)

    @property
    def partners(self):
        """The rows that rows are moved to, -1 for none."""
        return np.full_like(self.rows, -1) if self.changes is None else self.changes["partner"]

    @property
    def is_synthetic(self):
        """Whether each recipe makes a new picture."""
        if self.changes is None:
            return np.zeros(self.rows.shape, dtype=bool)
        return (self.changes["partner"] >= 0) | (self.changes["policy"] >= 0)

    @property
    def seeds(self):
        """The seeds of augmented rows as a list of int, None for the others."""
        if self.changes is None:
            return [None] * len(self.rows)
        pairs = zip(self.changes["seed"].tolist(), self.changes["policy"] >= 0, strict=True)
        return [seed if is_augmented else None for seed, is_augmented in pairs]

    @property
    def run(self):
        """The slice of the source that the recipes stand for, None where there is none."""
        rows = self.rows
        if len(rows) == 0 or rows[-1] - rows[0] != len(rows) - 1 or self.is_synthetic.any():
            return None
        return slice(rows[0], rows[-1] + 1) if (rows[1:] > rows[:-1]).all() else None


def join_recipes(parts, policy_numbers):
    """Put recipes one after another; `policy_numbers` gives each part's policies new numbers."""
    rows = np.concatenate([part.rows for part in parts])
    if all(part.changes is None for part in parts):
        return Recipes(rows)
    changes = np.full(len(rows), _UNCHANGED)
    start = 0
    for part, numbers in zip(parts, policy_numbers, strict=True):
        place = changes[start : start + len(part.rows)]
        if part.changes is not None:
            place[...] = part.changes
            place["policy"] = np.array([*numbers, -1])[place["policy"]]  # -1 picks the -1
        start += len(place)
    return Recipes(rows, changes)


def render(source, recipes, policies):
    """Make the pixels of recipes, (n,) -> (n, H, W[, C])."""
    # Rows that follow one another in an ndarray come back as a read-only view; what may be written
    # to is nobody else's.
    run = recipes.run
    if run is not None and isinstance(source, np.ndarray):
        view = np.asarray(source[run])
        view.flags.writeable = False
        return view
    is_made = recipes.is_synthetic
    if not is_made.any():
        return _take(source, recipes.rows)
    pixels = np.empty((len(recipes.rows), *source.shape[1:]), dtype=source.dtype)
    plain, made = np.flatnonzero(~is_made), np.flatnonzero(is_made)
    for place in places_of(len(plain), source.shape[1:]):
        batch = plain[place]
        pixels[batch] = _take(source, recipes.rows[batch])
    for place in places_of(len(made), source.shape[1:]):
        batch = made[place]
        pixels[batch] = _make(source, recipes.pick(batch), policies)
    return pixels


def _take(source, rows):
    if isinstance(source, np.ndarray) and source.flags.c_contiguous:
        return np.asarray(np.take(source, rows, axis=0))  # faster, but of others copies all
    return np.ascontiguousarray(source[rows])


def _make(source, recipes, policies):
    """Interpolate and augment one batch."""
    pixels, changes = _take(source, recipes.rows), recipes.changes
    pixels = np.require(pixels, requirements="W")  # of wrapped images it may be a view
    moved = np.flatnonzero(changes["partner"] >= 0)
    if moved.size:
        partners = _take(source, changes["partner"][moved])
        pixels[moved] = _interpolate(pixels[moved], partners, changes["weight"][moved])
    for number in np.unique(changes["policy"]):
        rows = np.flatnonzero(changes["policy"] == number)
        if number >= 0 and len(rows) == len(pixels):  # the usual case: no copy
            pixels = apply_policy(policies[number], pixels, changes["seed"])
        elif number >= 0:
            pixels[rows] = apply_policy(policies[number], pixels[rows], changes["seed"][rows])
    return pixels


def _interpolate(start, end, weights):
    """Move pixels towards others in float, then round: uint8 arithmetic would wrap around."""
    # The steps are those of imbalanced-learn on float32 pixels, so that the results are equal.
    start = start.astype(np.float64)
    steps = weights.reshape(-1, *[1] * (start.ndim - 1))
    mixed = (start + steps * (end - start)).astype(np.result_type(end, np.float32))
    return np.clip(np.rint(mixed), 0, 255) if end.dtype == np.uint8 else mixed
