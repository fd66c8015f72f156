"""What an ImageArray is made of, and how such contents are packed and joined."""

from typing import Any, NamedTuple

import numpy as np

from imbemotion.images._recipes import Recipes, join_recipes

__all__ = ["Content", "check_lineage", "join", "lineage_of", "merge_parents", "pack"]


class Content(NamedTuple):
    """Source, recipes and policies of an array, and where the source's rows come from."""

    source: Any  # ndarray, np.memmap or ImageArray of m images
    recipes: Recipes  # of n pictures
    policies: tuple = ()
    lineage: tuple | None = None  # parents (m, 2), made (m,); None: ask the source


def lineage_of(content):
    """Give parents and made of the source's rows, None each where all are originals."""
    if content.lineage is not None:
        return content.lineage
    if isinstance(content.source, np.ndarray):
        return None, None
    return content.source.parents, content.source.made


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
    source, recipes, policies, lineage = content
    moved = recipes.partners >= 0
    used = np.unique(np.concatenate([recipes.rows, recipes.partners[moved]]))
    if len(used) == len(source):
        source = np.array(source) if isinstance(source, np.memmap) else source
        return Content(source, recipes, policies, lineage)
    recipes = _renumbered(recipes, lambda rows: np.searchsorted(used, rows))
    if isinstance(source, np.ndarray):
        parents, made = (used, None) if lineage is None else (part[used] for part in lineage)
        lineage = check_lineage(len(used), parents, made)
        return Content(np.array(source[used]), recipes, policies, lineage)
    return Content(source[used], recipes, policies, None)


def _renumbered(recipes, renumber):
    """Give recipes for a source whose rows have new numbers."""
    rows = renumber(recipes.rows)
    if recipes.changes is None:
        return Recipes(rows)
    partners = np.where(recipes.partners >= 0, renumber(recipes.partners), -1)
    return Recipes(rows, recipes.changes).changed(partner=partners)


def join(contents):
    """Join the rows of contents; where they share one source no pixel is made."""
    if any(content.source is not contents[0].source for content in contents):
        contents = _on_one_source(contents)
    policies, parts = [], []
    for content in contents:
        numbers = [_number_of(policy, policies) for policy in content.policies]
        recipes = content.recipes
        if recipes.changes is not None:  # number -1 picks the -1 at the end
            recipes = recipes.changed(policy=np.array([*numbers, -1])[recipes.changes["policy"]])
        parts.append(recipes)
    return contents[0]._replace(recipes=join_recipes(parts), policies=tuple(policies))


def _number_of(policy, policies):
    for number, known in enumerate(policies):
        if known is policy:
            return number
    policies.append(policy)
    return len(policies) - 1


def _on_one_source(contents):
    """Join the sources as pixels; parents of different arrays count as different images."""
    kinds = {(content.source.shape[1:], content.source.dtype) for content in contents}
    if len(kinds) > 1:
        raise ValueError(
            "Images can be joined when shape and dtype are the same, got "
            + " and ".join(f"{shape} {dtype}" for shape, dtype in sorted(kinds, key=str))
        )
    contents = [pack(content) for content in contents]
    source = np.concatenate([np.asarray(content.source) for content in contents])
    first_rows = np.cumsum([0, *(len(content.source) for content in contents)])
    lineage = _joined_lineage(contents)
    return [
        Content(
            source,
            _renumbered(content.recipes, lambda rows, first=first: rows + first),
            content.policies,
            lineage,
        )
        for content, first in zip(contents, first_rows[:-1], strict=True)
    ]


def _joined_lineage(contents):
    n_known, all_parents, all_made = 0, [], []
    for content in contents:
        parents, made = check_lineage(len(content.source), *lineage_of(content))
        all_parents.append(np.where(parents >= 0, parents + n_known, -1))
        all_made.append(made)
        n_known = max(n_known, all_parents[-1].max() + 1)
    width = max(parents.shape[1] for parents in all_parents)
    padded = [
        np.pad(parents, ((0, 0), (0, width - parents.shape[1])), constant_values=-1)
        for parents in all_parents
    ]
    return np.concatenate(padded), np.concatenate(all_made)
