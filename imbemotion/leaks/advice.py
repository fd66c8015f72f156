"""What belongs together among files, what to do about it, and --group-by that does it."""

import os
import re
import shlex
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from imbemotion._base.validation import DataWarning, check_labels, looks_like_images, shorten
from imbemotion.leaks import duplicates, groups as named

_PERSONAL = re.compile(  # columns that likely hold groups, unlike age or gender
    r"(?!.*(?:age_?group|ethnic|race|blood|skin|assess|score|annotat|rater|coder|worker|licen|"
    r"class|label|categ|data_?set|source|split|fold)).*(?:person|subject|actor|speaker|identity|"
    r"participant|patient|user|group|video|clip|song|sess|sequence|individual|famil|parent|celeb|"
    r"performer|leaf|lesion|specimen|(?:_|\b)id$|(?-i:[a-z](?:I[dD]|UID))$)",
    re.IGNORECASE,
)
_MANY = 5  # groups that a coarser grouping must keep, to be preferred
_OTHERS = "validation and test images"
_WORD = re.compile(r"name(?::([1-9]))?|duplicates|auto")


class Grouping(NamedTuple):
    """One way to group files: its option of --group-by, and what speaks against it, if so."""

    option: str
    source: str
    groups: NDArray[Any]
    reason: str

    def __str__(self):
        found = (
            f"not advised, as {self.reason}" if self.reason else named.describe_groups(self.groups)
        )
        return f"{self.option or self.source}: {found}"


@dataclass(frozen=True, eq=False, repr=False)
class FoundGroups:
    """What belongs together among files, and what to do about it."""

    groupings: tuple[Grouping, ...]
    advised: tuple[Grouping, ...]
    groups: NDArray[Any] | None
    why: str
    effective: dict[Any, float]

    def __str__(self):
        lines = [*map(str, self.groupings), f"{self.option or 'no groups'}: advised, {self.why}"]
        if self.effective:
            numbers = (f"{label} {number:.1f}" for label, number in self.effective.items())
            lines.append(f"effective groups per class: {', '.join(numbers)}")
        return "\n".join(lines)

    __repr__ = __str__

    @property
    def option(self) -> str:
        """The advice as words of a command line."""
        return " ".join(f"--group-by {shlex.quote(one.option)}" for one in self.advised)

    def describe_leak(self, n_rows: int, n_tested: int, what: str = "test images") -> str:
        """Return one sentence on images of a test that share groups with training."""
        sources = [f"{one.source} ({named.describe_groups(one.groups)})" for one in self.advised]
        columns = ", columns=columns" * any(_is_column(one) for one in self.advised)
        return (
            f"{n_rows:,} of {n_tested:,} {what} ({n_rows / n_tested:.1%}) share a group with "
            f"training images, by {' and by '.join(sources)}, so scores are not those of new "
            f"groups: add {self.option} (in Python, groups=find_groups(files, X, y=y{columns})"
            ".groups)."
        )

    def expect_leak(self, n_folds: int) -> str | None:
        """Return the sentence for stratified folds, None where nothing belongs together."""
        if self.groups is None:
            return None
        sizes = np.array(list(Counter(self.groups.tolist()).values()))
        # All others of a row's group must be drawn into its fold to keep it out of training.
        n_rows = round((sizes * (1 - (1 / max(2, n_folds)) ** (sizes - 1.0))).sum())
        return f"In folds, about {self.describe_leak(n_rows, len(self.groups))}"


def find_groups(
    files: Iterable[str | PathLike] | None, X: ArrayLike | None = None, *,
    y: ArrayLike | None = None, columns: Any = None,
) -> FoundGroups:  # fmt: skip
    """Find what belongs together: by file names, folders, columns and equal images.

    A grouping that follows the label, joins nearly all files or hardly any is not advised.

    Parameters
    ----------
    files : array-like of str or Path of shape (n_samples,), or None
        Names or paths, if there are any.
    X : array-like of shape (n_samples, height, width[, channels]), default=None
        Images, among which near duplicates are searched for. None compares existing files.
    y : array-like of shape (n_samples,), default=None
        Labels, by which parts of names that hold the label are recognized.
    columns : DataFrame or dict of str to array-like of shape (n_samples,), default=None
        Further columns of a list, such as persons.

    Returns
    -------
    found : object
        With `groupings` (tuple: `option`, `source`, `groups` and a `reason` against each),
        those `advised`, the `groups` by these (ndarray of shape (n_samples,) or None), `why`,
        and the `effective` number of groups per class; ``print(found)`` shows all.

    Examples
    --------
    >>> files = [f"S{n:03}_{k:03}_{i:08}.png" for n in (5, 10, 11) for k in (1, 2) for i in (1, 2)]
    >>> find_groups(files)
    name:1: 3 groups, such as S005, S010, S011
    name:2: 6 groups, such as S005_001, S005_002, S010_001
    --group-by name:1: advised, as the coarsest usable level
    """
    files, equal = None if files is None else list(files), None
    if X is not None and looks_like_images(X):
        near = min(np.shape(X)[1:3]) >= duplicates.SMALLEST
        equal = duplicates.duplicate_groups(X, near=near)
    elif files and all(map(os.path.isfile, map(str, files))):
        equal = duplicates.first_rows(duplicates.file_keys(files))
    y = None if y is None else check_labels(y)
    return advise_groups(files, y, columns, equal, duplicates.RARE)


def advise_groups(files, y, columns=None, equal=None, rare=0.0):
    """Judge all groupings of files, and equal images where they are known."""
    columns = {} if columns is None else {str(name): columns[name] for name in columns}
    files = None if files is None else [str(file) for file in files]
    found = list(_judge(files, y, columns))
    best = _choose([one for one in found if one.option and not one.reason], files)
    advised, groups = ([], None) if best is None else ([best], best.groups)
    why = "as nothing joins some files and not nearly all"
    if best is not None:
        why = f"as {best.source} holds groups"
        why = why if _is_column(best) else "as the coarsest usable level"
    if equal is not None and len(set(np.asarray(equal).tolist())) < len(equal):
        crossing = _n_crossing(equal, groups)
        reason = "" if crossing > rare * len(equal) else "few of them are in different groups"
        found.append(Grouping("duplicates", "equal images", np.asarray(equal), reason))
        if not reason:
            why = f"{why}, and equal images are in several" if advised else "as images repeat"
            groups = equal if groups is None else named.join_groups(groups, equal)
            advised.append(found[-1])
    return FoundGroups(tuple(found), tuple(advised), groups, why, _effective(groups, y))


def _judge(files, y, columns):
    """Yield every grouping by columns, names and folders, with what speaks against it."""
    for name, values in columns.items():
        if _PERSONAL.match(name):
            groups = column_groups(values, files)
            reason = named.reason_against(groups, y, is_named=True)
        else:  # its cells may be long, so they are numbered, not copied
            groups = pd.factorize(np.array([*map(str, values)], dtype=object))[0]
            reason = "its name does not tell of persons, songs or the like"
        option = f"column:{name}" if _is_word(name) else name
        yield Grouping(option, f"the column {name}", groups, reason)
    levels = [] if not files else named.name_levels(files, y)
    reasons = [named.reason_against(groups, y) for groups in levels]
    n_usable = reasons.count("")
    for n, (groups, reason) in enumerate(zip(levels, reasons, strict=True), start=1):
        option = f"name:{reasons[:n].count('')}" if n_usable > 1 else "name"
        yield Grouping("" if reason else option, "file names", groups, reason)
    for option, groups in named.folder_levels(files, y) if files else ():
        reason = named.reason_against(groups, y)
        if y is None and not all(re.search(r"\d", name) for name in set(groups.tolist())):
            reason = reason or "they may be labels; pass y to find out"
        yield Grouping(option, "folders", groups, reason)


def _is_column(grouping):
    return grouping.source.startswith("the column")


def _choose(usable, files):
    """Return the grouping to advise, or None."""
    best = next(iter(usable), None)
    stems = [named.stem_of(file) for file in files or ()]
    if best and best.source == "file names" and len(set(stems)) < len(stems):
        best = next((one for one in usable if one.source == "folders"), best)  # names repeat there
    for other in usable:
        n_best, n_other = (len(set(one.groups.tolist())) for one in (best, other))
        if len(set(zip(best.groups.tolist(), other.groups.tolist(), strict=True))) > n_best:
            continue  # it divides groups of the best
        if _MANY <= n_other < n_best or (n_other == n_best and best.option == "groups"):
            best = other
    return best


def _n_crossing(equal, groups):
    """Return how many rows have an equal image in another group, or anywhere."""
    n_places = pd.Series(np.arange(len(equal)) if groups is None else groups).groupby(equal)
    return int((n_places.transform("nunique") > 1).sum())


def _effective(groups, y):
    """Return how many groups of equal size each class is worth."""
    if groups is None or y is None:
        return {}
    sizes = pd.Series(1, index=range(len(y))).groupby([np.asarray(y), np.asarray(groups)]).sum()
    parts = sizes.groupby(level=0)
    return (parts.sum() ** 2 / parts.apply(lambda n: (n**2).sum())).to_dict()


def column_groups(values, files=None):
    """Return the groups in the cells of a column; a row without one is its own."""
    cells = np.asarray(values, dtype=object).tolist()
    files = [f"row {row}" for row in range(len(cells))] if files is None else files
    return named.or_paths(["" if pd.isna(cell) else str(cell) for cell in cells], files)


def _is_word(text):
    """Return whether --group-by takes a text as a word or a pattern, not as a column."""
    return bool(_WORD.fullmatch(text) or re.search(r"(?<!\\)\(", text))


def columns_of(data):
    """Return the columns of a bunch by name; groups that the source itself holds are one."""
    table, groups = data.get("columns"), data.get("groups")
    own = {} if groups is None else {"groups": groups}
    return own | ({} if table is None else {str(name): table[name] for name in table})


def groups_by(data, group_by):
    """Return the groups of loaded data by the values of --group-by, or None."""
    found = [groups for word in group_by if (groups := _groups_by(word, data)) is not None]
    return named.join_groups(*found) if len(found) > 1 else found[0] if found else None


def _groups_by(word, data):
    columns, files, match = columns_of(data), data.filenames, _WORD.fullmatch(word)
    known = {re.sub("[ _-]", "", name.lower()): name for name in columns} | {n: n for n in columns}
    wanted = word if word in columns else word.removeprefix("column:")
    name = known.get(wanted, known.get(re.sub("[ _-]", "", wanted.lower())))
    if name is not None and not match:
        return named.warn_of_none(column_groups(columns[name], files), f"the column {name}")
    if word in columns:
        text = f"--group-by {word} does not mean the column {word}; column:{word} does."
        warnings.warn(text, DataWarning, stacklevel=4)
    if word == "duplicates":
        return duplicates.duplicate_groups(data.data)
    if word == "auto":
        found = find_groups(files, data.data, y=data.target, columns=columns)
        text = f"--group-by auto means {found.option or 'no groups'} here, {found.why}."
        warnings.warn(text, DataWarning, stacklevel=4)
        return found.groups
    if not _is_word(word) or word.startswith("column:"):
        known = f"the columns {shorten(columns)}" if columns else "no further columns"
        raise ValueError(
            "group_by takes name, name:1, duplicates, auto, a column, or a regular expression "
            f"with a group in brackets, got {word[:80]!r}, and the source has {known}."
        )
    if files is None:
        hint = "needs file names, and the source has none. Add an array files, or leave it out."
        raise ValueError(f"Grouping by {word[:80]!r} {hint}")
    if match:
        return named.by_level(list(files), data.target, int(match[1] or 0))
    return named.by_pattern(list(files), word)


def find_leaks(y, filenames, columns, split, group_by, X=None):
    """Warn of what validation and test share with training, and return the warnings' texts."""
    equal = None
    if "duplicates" not in group_by and "auto" not in group_by:
        keys = duplicates.file_keys(filenames) if has_files(filenames) else None
        keys = duplicates.image_keys(X) if keys is None and X is not None else keys
        equal = None if keys is None else duplicates.first_rows(keys)
    if group_by:  # then nobody needs to hear of others
        filenames = columns = None
    found = advise_groups(filenames, y, columns, equal)
    others, groups = np.concatenate([split.valid, split.test]), found.groups
    n_shared = 0 if groups is None else np.isin(groups[others], groups[split.train]).sum()
    if n_shared:
        texts = [found.describe_leak(n_shared, len(others), _OTHERS)]
    else:
        texts = [] if group_by or not duplicates.are_clear(X) else _find_near(X, split, others)
    for text in texts:
        warnings.warn(text, DataWarning, stacklevel=3)
    return texts


def _find_near(X, split, others):
    """Return a sentence on images that are nearly in training, none where these are few."""
    folds = [SimpleNamespace(train=split.train, test=others)]
    codes = duplicates.first_rows(duplicates.image_keys(X))
    n_rows, n_tested, text = duplicates.describe_near(X, folds, codes, _OTHERS)
    remedy = "Add --group-by duplicates (in Python, groups=duplicate_groups(X))."
    return [f"{text} {remedy}"] if n_rows > duplicates.RARE * n_tested else []


def has_files(filenames):
    """Return whether every row is a file on the disk."""
    return filenames is not None and all(map(os.path.isfile, filenames))
