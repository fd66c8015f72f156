"""What an ImageArray is made of, and how such contents are packed and joined."""

from typing import Any, NamedTuple

import numpy as np

from imbemotion.images._recipes import Recipes, join_recipes

__all__ = [
    "Content",
    "check_lineage",
    "find_originals",
    "join",
    "lineage_of",
    "merge_parents",
    "pack",
    "share_originals",
]


class Root:
    """Stands for the first source: parents of arrays with one root name the same images."""


class Content(NamedTuple):
    """Source, recipes and policies of an array, and where the source's rows come from."""

    source: Any  # ndarray, np.memmap or ImageArray of m images
    recipes: Recipes  # of n pictures
    policies: tuple
    lineage: tuple | None  # parents (m, 2), made (m,); None: ask the source
    root: Root


def share_originals(images, others):
    """Tell whether the parents of two arrays are numbers of the same originals.

    Parameters
    ----------
    images : ImageArray
        An array.

    others : ImageArray
        Another one.

    Returns
    -------
    same : bool
        True where both were taken from one first source.
    """
    return images._content.root is others._content.root


def lineage_of(content):
    """Give parents and made of the source's rows, None each where all are originals."""
    if content.lineage is not None:
        return content.lineage
    if isinstance(content.source, np.ndarray):
        return None, None
    return content.source.parents, content.source.is_synthetic


def find_originals(content, numbers):
    """Find originals by their numbers in the first source, where it is known to hold them."""
    # Give the content of that source, the rows that were found, and their numbers.
    while content.lineage is None and not isinstance(content.source, np.ndarray):
        content = content.source._content
    size = len(content.source)
    known, made = (np.arange(size)[:, None], None) if content.lineage is None else content.lineage
    is_wanted = np.isin(known[:, 0], numbers)
    rows = np.flatnonzero(is_wanted if made is None else is_wanted & ~made)
    content = content._replace(recipes=Recipes(rows), policies=())
    return content, known[rows, 0]


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


def check_lineage(n_images, parents, made):
    """Check what is said of the origin of images; None stands for originals."""
    parents = np.arange(n_images) if parents is None else np.asarray(parents, dtype=np.int64)
    parents = parents[:, None] if parents.ndim == 1 else parents
    made = np.zeros(n_images, dtype=bool) if made is None else np.asarray(made, dtype=bool)
    if len(parents) != n_images or made.shape != (n_images,):
        raise ValueError(
            f"Expected parents and made for each of {n_images} images, "
            f"got shapes {parents.shape} and {made.shape}."
        )
    return merge_parents(parents, np.full_like(parents, -1)), made


def pack(content):
    """Keep only the rows in use, on a source that stands in memory and in no file."""
    source, recipes, policies, lineage, root = content
    moved = recipes.partners >= 0
    used = np.unique(np.concatenate([recipes.rows, recipes.partners[moved]]))
    if len(used) == len(source):
        source = np.array(source) if isinstance(source, np.memmap) else source
        return Content(source, recipes, policies, lineage, root)
    is_bare = isinstance(source, np.ndarray)
    if lineage is not None:
        lineage = tuple(part[used] for part in lineage)
    elif is_bare:  # an ImageArray knows by itself which of its rows are left
        lineage = check_lineage(len(used), used, None)
    source = np.array(source[used]) if is_bare else source[used]
    return Content(source, _looked_up(recipes, used), policies, lineage, root)


def _looked_up(recipes, used):
    """Give recipes for a source that holds the used rows alone."""
    rows = np.searchsorted(used, recipes.rows)
    if recipes.changes is None:
        return Recipes(rows)
    partners = np.searchsorted(used, recipes.partners)
    return _moved(recipes, rows, partners)


def _renumbered(recipes, first):
    """Give recipes for a source in which theirs begins at row `first`."""
    if recipes.changes is None:
        return Recipes(recipes.rows + first)
    return _moved(recipes, recipes.rows + first, recipes.partners + first)


def _moved(recipes, rows, partners):
    partners = np.where(recipes.partners >= 0, partners, -1)
    return Recipes(rows, recipes.changes).changed(partner=partners)


def join(contents):
    """Join the rows of contents; where they share one source no pixel is made."""
    first = contents[0]
    if any(c.source is not first.source or c.lineage is not first.lineage for c in contents):
        contents = _on_one_source(contents)
    policies = []
    numbers = [[_number_of(policy, policies) for policy in c.policies] for c in contents]
    recipes = join_recipes([content.recipes for content in contents], numbers)
    return contents[0]._replace(recipes=recipes, policies=tuple(policies))


def _number_of(policy, policies):
    for number, known in enumerate(policies):
        if known is policy:
            return number
    policies.append(policy)
    return len(policies) - 1


def _on_one_source(contents):
    """Join the sources as pixels; parents under different roots are different images."""
    kinds = {(content.source.shape[1:], content.source.dtype) for content in contents}
    if len(kinds) > 1:
        raise ValueError(
            "Images can be joined when shape and dtype are the same, got "
            + " and ".join(f"{shape} {dtype}" for shape, dtype in sorted(kinds, key=str))
        )
    contents = [pack(content) for content in contents]
    source = np.concatenate([np.asarray(content.source) for content in contents])
    known = [check_lineage(len(c.source), *lineage_of(c)) for c in contents]
    first_rows = np.cumsum([0, *(len(content.source) for content in contents)])
    roots = {c.root for c, rows in zip(contents, known, strict=True) if (rows[0] >= 0).any()}
    joined = contents[0]._replace(
        source=source,
        lineage=_joined_lineage(contents, known),
        root=roots.pop() if len(roots) == 1 else Root(),
    )
    return [
        joined._replace(recipes=_renumbered(content.recipes, first), policies=content.policies)
        for content, first in zip(contents, first_rows[:-1], strict=True)
    ]


def _joined_lineage(contents, known):
    sizes = {}  # by root: how many numbers its images take
    for content, (parents, _) in zip(contents, known, strict=True):
        sizes[content.root] = max(sizes.get(content.root, 0), parents.max(initial=-1) + 1)
    offsets = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
    width = max(parents.shape[1] for parents, _ in known)
    shifted = []
    for content, (parents, _) in zip(contents, known, strict=True):
        moved = np.where(parents >= 0, parents + offsets[content.root], -1)
        missing = width - moved.shape[1]
        shifted.append(np.pad(moved, ((0, 0), (0, missing)), constant_values=-1))
    return np.concatenate(shifted), np.concatenate([made for _, made in known])
