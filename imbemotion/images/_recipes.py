"""Recipes of images: which source row, what is changed, and their pixels in blocks."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from imbemotion.augmentation import apply_policy

_ROWS, _VALUES = 1024, 2**22  # per block at most, but one row at least


def places_of(n_rows, shape):
    """Yield slices that cut rows of a shape into blocks."""
    step = max(1, min(_ROWS, _VALUES // max(1, int(np.prod(shape)))))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def blocks_of(X, rows=None):
    """Yield pairs (slice, pixels) of some rows of X, all of them by default."""
    for place in places_of(len(X) if rows is None else len(rows), X.shape[1:]):
        yield place, np.asarray(X[place if rows is None else rows[place]])


def check_finite(images):
    """Refuse NaN and infinite pixels; a network would make NaN of them, and the first class."""
    if images.dtype.kind != "f":
        return
    for place, pixels in blocks_of(images):
        wrong = ~np.isfinite(pixels).reshape(len(pixels), -1).all(axis=1)
        if wrong.any():
            row = place.start + int(wrong.argmax())
            raise ValueError(
                f"X must hold finite pixels, got NaN or infinity in row {row} of {len(images)}. "
                "Leave such images out, or replace the pixels."
            )


# One changed row: it is moved by `weight` towards source row `partner` (-1: not moved), then
# augmented by policy number `policy` (-1: not augmented) under `seed`.
_CHANGE = np.dtype([("partner", "i8"), ("weight", "f8"), ("seed", "u8"), ("policy", "i8")])
_UNCHANGED = np.array((-1, 0, 0, -1), dtype=_CHANGE)


@dataclass(frozen=True)
class Recipes:
    """One recipe per image: 8 bytes for an unchanged row, 40 where rows are changed."""

    rows: np.ndarray  # (n,) of int64: rows of the source
    changes: np.ndarray | None = None  # (n,) of _CHANGE; None: no row is changed

    def __getitem__(self, key):
        return Recipes(self.rows[key], None if self.changes is None else self.changes[key])

    def changed(self, **values):
        """Return a copy with these fields of all changes set, for example ``policy=0``."""
        known = _UNCHANGED if self.changes is None else self.changes
        changes = np.array(np.broadcast_to(known, self.rows.shape))
        for name, value in values.items():
            changes[name] = value
        return Recipes(self.rows, changes)

    def flat(self):
        """Return the recipes in one dimension."""
        return Recipes(self.rows.ravel(), None if self.changes is None else self.changes.ravel())

    def renumbered(self, rows, partners):
        """Return the same changes of other source rows."""
        if self.changes is None:
            return Recipes(rows)
        partners = np.where(self.partners >= 0, partners, -1)
        return Recipes(rows, self.changes).changed(partner=partners)

    @property
    def partners(self):
        """Source rows that rows are moved to, -1 for none."""
        return np.full_like(self.rows, -1) if self.changes is None else self.changes["partner"]

    @property
    def is_synthetic(self):
        """Whether each recipe changes its row."""
        if self.changes is None:
            return np.zeros(self.rows.shape, dtype=bool)
        return (self.changes["partner"] >= 0) | (self.changes["policy"] >= 0)

    @property
    def run(self):
        """The slice of the source that the recipes equal, or None."""
        rows = self.rows
        if len(rows) == 0 or rows[-1] - rows[0] != len(rows) - 1 or self.is_synthetic.any():
            return None
        return slice(rows[0], rows[-1] + 1) if (rows[1:] > rows[:-1]).all() else None


class Content(NamedTuple):
    """Source, recipes and policies of an array, and the lineage of the source's rows."""

    source: Any  # ndarray, np.memmap or ImageArray of m images
    recipes: Recipes  # of n images
    policies: tuple
    lineage: tuple | None  # parents (m, k), is_synthetic (m,); None: ask the source
    root: object  # parents under the same root number the same originals
    before: np.ndarray | None = None  # see ImageArray.sampled_from

    @property
    def parents(self):
        """Numbers of the originals of every row in the first source, (n, 2) or wider."""
        rows, partners, known = self.recipes.rows, self.recipes.partners, self._origins()[0]
        if known is None:
            return np.stack([rows, partners], axis=1)
        return merge_parents(known[rows], np.where(partners[:, None] >= 0, known[partners], -1))

    @property
    def is_synthetic(self):
        """Whether each row is neither an original nor a copy of one, (n,)."""
        of_source = self._origins()[1]
        return self.recipes.is_synthetic | (of_source is not None and of_source[self.recipes.rows])

    def _origins(self):
        """Return parents and is_synthetic of the source's rows, None each if all are originals."""
        if self.lineage is not None:
            return self.lineage
        if isinstance(self.source, np.ndarray):
            return None, None
        return self.source.parents, self.source.is_synthetic

    def originals(self, numbers):
        """Return the content of the originals of these numbers, and the numbers found."""
        if self.lineage is None and not isinstance(self.source, np.ndarray):
            return self.source._content.originals(numbers)
        size = len(self.source)
        known, synthetic = self.lineage or (np.arange(size)[:, None], np.zeros(size, dtype=bool))
        rows = np.flatnonzero(np.isin(known[:, 0], numbers) & ~synthetic)
        return self._replace(recipes=Recipes(rows), policies=(), before=None), known[rows, 0]

    def pack(self):
        """Keep only the rows in use, on a source in memory that refers to no file."""
        source, recipes, _, lineage = self[:4]
        partners = recipes.partners
        used = np.unique(np.concatenate([recipes.rows, partners[partners >= 0]]))
        if len(used) == len(source):
            is_mapped = isinstance(source, np.memmap)
            return self._replace(source=np.array(source) if is_mapped else source)
        is_bare = isinstance(source, np.ndarray)
        if lineage is not None:
            lineage = tuple(part[used] for part in lineage)
        elif is_bare:  # an ImageArray keeps the lineage of the rows that are left
            lineage = check_lineage(len(used), used, None)
        source = np.array(source[used]) if is_bare else source[used]
        rows, partners = np.searchsorted(used, recipes.rows), np.searchsorted(used, partners)
        recipes = recipes.renumbered(rows, partners)
        return self._replace(source=source, recipes=recipes, lineage=lineage)

    def pixels(self):
        """Compute the pixels, (n, H, W[, C])."""
        # Consecutive rows of an ndarray are a read-only view; any writable result is a copy.
        source, recipes, run = self.source, self.recipes, self.recipes.run
        if run is not None and isinstance(source, np.ndarray):
            view = np.asarray(source[run])
            view.flags.writeable = False
            return view
        synthetic = recipes.is_synthetic
        if not synthetic.any():
            return _take(source, recipes.rows)
        pixels = np.empty((len(recipes.rows), *source.shape[1:]), dtype=source.dtype)
        for numbers in (np.flatnonzero(~synthetic), np.flatnonzero(synthetic)):
            for place in places_of(len(numbers), source.shape[1:]):
                batch = numbers[place]
                pixels[batch] = _change(source, recipes[batch], self.policies)
        return pixels


def share_originals(images: Any, others: Any) -> bool:
    """Return whether the parents of two arrays number the same originals."""
    return images._content.root is others._content.root


def merge_parents(*groups):
    """Merge the parents of every row, (n, k) each, without repeats: -1 last, width 2 or more."""
    joined = np.concatenate(groups, axis=1)
    for column in range(1, joined.shape[1]):
        repeats = (joined[:, :column] == joined[:, [column]]).any(axis=1)
        joined[repeats, column] = -1
    unknown_last = np.argsort(joined < 0, axis=1, kind="stable")
    joined = np.take_along_axis(joined, unknown_last, axis=1)
    width = max(2, int((joined >= 0).sum(axis=1).max(initial=0)))
    return joined[:, :width]


def check_lineage(n_images, parents, synthetic):
    """Return checked parents and synthetic rows; None stands for originals."""
    parents = np.arange(n_images) if parents is None else np.asarray(parents, dtype=np.int64)
    parents = parents[:, None] if parents.ndim == 1 else parents
    synthetic = np.asarray(np.zeros(n_images) if synthetic is None else synthetic, dtype=bool)
    if len(parents) != n_images or synthetic.shape != (n_images,):
        raise ValueError(
            f"parents and is_synthetic must be given for each of {n_images} images, got shapes "
            f"{parents.shape} and {synthetic.shape}."
        )
    return merge_parents(parents, np.full_like(parents, -1)), synthetic


def join(contents):
    """Join the rows of contents; if they share one source, no pixel is computed."""
    first = contents[0]
    if any(c.source is not first.source or c.lineage is not first.lineage for c in contents):
        contents = _on_one_source(contents)
    policies, known = [], {}  # known: number of each policy by its identity
    for policy in (policy for content in contents for policy in content.policies):
        if known.setdefault(id(policy), len(policies)) == len(policies):
            policies.append(policy)
    first = contents[0]._replace(policies=tuple(policies), before=None)
    rows = np.concatenate([content.recipes.rows for content in contents])
    if all(content.recipes.changes is None for content in contents):
        return first._replace(recipes=Recipes(rows))
    parts = [content.recipes.changed().changes for content in contents]
    for content, changes in zip(contents, parts, strict=True):
        numbers = [known[id(policy)] for policy in content.policies]
        changes["policy"] = np.array([*numbers, -1])[changes["policy"]]  # -1 picks the last
    return first._replace(recipes=Recipes(rows, np.concatenate(parts)))


def _on_one_source(contents):
    """Join the sources as pixels; parents under different roots are different images."""
    kinds = {(content.source.shape[1:], content.source.dtype) for content in contents}
    if len(kinds) > 1:
        raise ValueError(
            "Images can be joined if shape and dtype are the same, got "
            + " and ".join(f"{shape} {dtype}" for shape, dtype in sorted(kinds, key=str))
            + ". Use ImageLoader(size=...) to resize them."
        )
    contents = [content.pack() for content in contents]
    source = np.concatenate([np.asarray(content.source) for content in contents])
    known = [check_lineage(len(c.source), *c._origins()) for c in contents]
    roots = {c.root for c, rows in zip(contents, known, strict=True) if (rows[0] >= 0).any()}
    root = roots.pop() if len(roots) == 1 else object()
    lineage = _joined_lineage(contents, known)
    joined = contents[0]._replace(source=source, lineage=lineage, root=root)
    starts = np.cumsum([0, *(len(content.source) for content in contents)])[:-1]
    return [
        joined._replace(recipes=r.renumbered(r.rows + start, r.partners + start), policies=p)
        for (_, r, p, *_), start in zip(contents, starts, strict=True)
    ]


def _joined_lineage(contents, known):
    """Join parents and synthetic rows, with the numbers of each root after one another."""
    sizes = {}  # root -> how many numbers its images take
    for content, (parents, _) in zip(contents, known, strict=True):
        sizes[content.root] = max(sizes.get(content.root, 0), parents.max(initial=-1) + 1)
    offsets = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
    width = max(parents.shape[1] for parents, _ in known)
    shifted = []
    for content, (parents, _) in zip(contents, known, strict=True):
        moved = np.where(parents >= 0, parents + offsets[content.root], -1)
        shifted.append(np.pad(moved, ((0, 0), (0, width - moved.shape[1])), constant_values=-1))
    return np.concatenate(shifted), np.concatenate([synthetic for _, synthetic in known])


def _take(source, rows):
    if isinstance(source, np.ndarray) and source.flags.c_contiguous:
        return np.asarray(np.take(source, rows, axis=0))  # faster, but copies all of others
    return np.ascontiguousarray(source[rows])


def _change(source, recipes, policies):
    """Interpolate and augment one batch, where its recipes say so."""
    pixels, changes = _take(source, recipes.rows), recipes.changes
    pixels = np.require(pixels, requirements="W")  # it may be a view of wrapped images
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
    # Precision and order of operations are imbalanced-learn's on float pixels, so that results
    # are equal.
    start = start.astype(np.result_type(start, np.float32))
    steps = weights.reshape(-1, *[1] * (start.ndim - 1))
    mixed = (start + steps * (end - start)).astype(np.result_type(end, np.float32))
    return np.clip(np.rint(mixed), 0, 255) if end.dtype == np.uint8 else mixed
