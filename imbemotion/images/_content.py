"""What an ImageArray is made of, and how such contents are packed and joined."""

from typing import Any, NamedTuple

import numpy as np

from imbemotion.images._recipes import merge_parents

__all__ = ["Content", "check_lineage", "join", "lineage_of", "pack"]


class Content(NamedTuple):
    """Source, recipes and policies of an array, and where the source's rows come from."""

    source: Any  # ndarray, np.memmap or ImageArray of m images
    recipes: np.ndarray  # (n,) of RECIPE
    policies: tuple = ()
    lineage: tuple | None = None  # parents (m, 2), made (m,); None: ask the source


def lineage_of(content):
    """Give parents and made of the source's rows, None each where all are originals."""
    if content.lineage is not None:
        return content.lineage
    if isinstance(content.source, np.ndarray):
        return None, None
    return content.source.parents, content.source.made


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
    moved = recipes["partner"] >= 0
    used = np.unique(np.concatenate([recipes["row"], recipes["partner"][moved]]))
    if len(used) == len(source):
        source = np.array(source) if isinstance(source, np.memmap) else source
        return Content(source, recipes, policies, lineage)
    recipes = recipes.copy()
    recipes["row"] = np.searchsorted(used, recipes["row"])
    recipes["partner"][moved] = np.searchsorted(used, recipes["partner"][moved])
    if isinstance(source, np.ndarray):
        parents, made = (used, None) if lineage is None else (part[used] for part in lineage)
        return Content(
            np.array(source[used]), recipes, policies, check_lineage(len(used), parents, made)
        )
    return Content(source[used], recipes, policies, None)


def join(contents):
    """Join the rows of contents; where they share one source no pixel is made."""
    if any(content.source is not contents[0].source for content in contents):
        contents = _on_one_source(contents)
    policies, recipes = [], []
    for content in contents:
        numbers = [_number_of(policy, policies) for policy in content.policies]
        part = content.recipes.copy()
        part["policy"] = np.array([*numbers, -1])[part["policy"]]  # -1 picks the -1 at the end
        recipes.append(part)
    return contents[0]._replace(recipes=np.concatenate(recipes), policies=tuple(policies))


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
    all_recipes, all_parents, all_made, n_rows, n_parents = [], [], [], 0, 0
    for content in contents:
        parents, made = check_lineage(len(content.source), *lineage_of(content))
        recipes = content.recipes.copy()
        recipes["row"] += n_rows
        recipes["partner"] += np.where(recipes["partner"] >= 0, n_rows, 0)
        all_recipes.append(recipes)
        all_parents.append(np.where(parents >= 0, parents + n_parents, -1))
        all_made.append(made)
        n_rows += len(content.source)
        n_parents = max(n_parents, all_parents[-1].max() + 1)
    width = max(parents.shape[1] for parents in all_parents)
    parents = np.concatenate(
        [np.pad(p, ((0, 0), (0, width - p.shape[1])), constant_values=-1) for p in all_parents]
    )
    lineage = check_lineage(n_rows, parents, np.concatenate(all_made))
    return [
        Content(source, recipes, content.policies, lineage)
        for recipes, content in zip(all_recipes, contents, strict=True)
    ]
