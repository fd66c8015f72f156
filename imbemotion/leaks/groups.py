"""Groups in file names and folders, by levels or patterns; groups checked and joined."""

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable
from os import PathLike

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from imbemotion._base.validation import DataWarning, keep_kinds, shorten

_FIELD = re.compile(r"[^\W_]+")
_NUMBERED = re.compile(r"\D*\d+")  # S005, AN1 or 39: what precedes it is a level
_ID = re.compile(r"\D*\d+\D{0,2}")  # also 01F: it ends a level
_IN_ONE_FIELD = re.compile(r"([^\W\d_]+\d+)[^\W\d_]+\d*|([^\W\d_]{2,})\d+")  # F01HA, Ann01
_GENERIC = re.compile(  # words of splits and cameras, which name nobody
    r"((public|private)?(train|test|val|valid|dev|eval)(ing|ation)?(set)?|imgs?|images?|pics?|"
    r"pictures?|photos?|dsc[nf]?|pxl|frames?|faces?|files?|samples?|crops?|aligned|scan|mvimg|"
    r"downloads?|screenshots?|pexels|shutterstock|istockphoto|gettyimages|unsplash|pixabay|ffhq)",
    re.IGNORECASE,
)
# Data sets whose groups no prefix shows, by whole names; the first bracket is the group, if any.
_KNOWN = {
    "EMOPIA": r"Q[1-4]_(.+)_\d+",
    "KDEF": r"[AB]([FM]\d\d)(?:AF|AN|DI|HA|NE|SA|SU)(?:S|HL|HR|FL|FR)",  # in two sessions
    "RaFD": r"Rafd\d+_(\d+)_.+",  # after the angle of the camera
    "RAVDESS": r"\d\d(?:-\d\d){5}-(\d\d)(?:\D.*)?",  # the actor is last
    "CFD": r"CFD-([A-Z]{2}-\d+)-.+",
    "UTKFace": r"()\d{1,3}_[01]_[0-4]_\d{8,17}.*",  # age, gender and date
}
_KNOWN = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _KNOWN.items()}
_DATA_SETS = re.compile(  # sources of images
    r"(fer|ck\+?|ckp|raf|affectnet|jaffe|kdef|sfew|expw|emotic|celeba|lfw|mmi|oulu|casia|ffhq|"
    r"nimstim|caers?|dfew|afew)[-_ +]*(plus|db|s|hq|\d*)",
    re.IGNORECASE,
)
_PERSONS = re.compile(r"(s|p|id|subj?|subject|person|actor|user|patient)[-_ ]*\d+", re.IGNORECASE)
_LEVELS = 4  # of names or folders that are looked at
_MOST = 0.9  # share of the files in one group from which it joins nearly everything
_FEWEST = 0.05  # share of the files in groups of several, below which names carry no groups
_PARTS = {True: 5, False: 20}  # groups a label, with numbers or not, that may be parts of it
_SOURCES, _HUGE = 5, 100  # up to so many groups, of so many files on average, may be data sets


def largest_groups(groups):
    """Return the names of the three largest groups of several rows; numbers would say nothing."""
    counts = Counter(np.asarray(groups).tolist()).most_common(3)
    return [name for name, n in counts if n > 1 and isinstance(name, str)]


def describe_groups(groups):
    """Return the number of groups and examples."""
    some = [name[-40:] for name in largest_groups(groups)]
    n_groups = len(set(np.asarray(groups).tolist()))
    return f"{n_groups:,} groups{', such as ' if some else ''}{shorten(some)}"


def stem_of(file):
    """Return the name of a file without folder and suffix."""
    return os.path.splitext(_path(file).rpartition("/")[2])[0]


def _path(file):
    return str(file).replace("\\", "/")


def or_paths(names, files):
    """Return names of groups, and the path of each file without one."""
    # Two folders may hold files of one name, so the whole path names the group.
    return np.array([name or str(file) for name, file in zip(names, files, strict=True)])


def groups_from_filenames(
    filenames: Iterable[str | PathLike], pattern: str | None = None
) -> NDArray[np.str_]:
    r"""Read groups, such as the persons in images, from file names.

    Parameters
    ----------
    filenames : array-like of str or Path of shape (n_samples,)
        Names or paths.
    pattern : str, default=None
        Regular expression, searched for in a name without folder and suffix, or in the whole
        path if it contains a slash; its first group, or the one called ``group``, is the person.
        None takes what precedes a number: ``Ann_Lee`` of ``Ann_Lee_0001.jpg``, and the coarsest
        level ``S005`` of ``S005_001_00000011.png``.

    Returns
    -------
    groups : ndarray of str of shape (n_samples,)
        The person, or the path of a file whose name shows none.

    Raises
    ------
    ValueError
        If the pattern is not a regular expression with a group, or names another one.

    Warns
    -----
    DataWarning
        If every file is a group of its own, or names have several levels of groups, or none
        that would be advised.

    Examples
    --------
    >>> files = ["a/Ann_Lee_01.jpg", "b/Ann_Lee_02.png", "Bo_01.jpg", "Bo_02.jpg", "IMG-17.jpg"]
    >>> groups_from_filenames(files).tolist()
    ['Ann_Lee', 'Ann_Lee', 'Bo', 'Bo', 'IMG-17.jpg']
    """
    files = list(filenames)
    return by_level(files, None, 0) if pattern is None else by_pattern(files, pattern)


def check_group_pattern(pattern, name="pattern", known=("group",)):
    """Compile a pattern with bracketed groups, of which only the known names are used."""
    got = f"got {shorten([repr(pattern)[:80]])}"
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(f"{name} must be a regular expression, {got}: {error}.") from error
    if not compiled.groups:
        raise ValueError(f"{name} must contain a group in parentheses, as (.+), {got}.")
    if not set(compiled.groupindex) <= set(known):
        raise ValueError(f"{name} may name its groups {' and '.join(known)} only, {got}.")
    return compiled


def by_pattern(files, pattern):
    """Return the groups that a regular expression finds in names, or in paths."""
    compiled = check_group_pattern(pattern)
    group = "group" if compiled.groupindex else 1
    place = _path if "/" in compiled.pattern else stem_of
    found = [compiled.search(place(file)) for file in files]
    groups = or_paths([match and match[group] for match in found], files)
    n_other = sum(not match for match in found)
    if 0.1 * len(files) < n_other < len(files):
        _warn(f"{n_other:,} of {len(files):,} names do not match: each is a group of its own.")
    return warn_of_none(groups, "this pattern")


def _warn(text):
    warnings.warn(text, DataWarning, stacklevel=5)


def warn_of_none(groups, how):
    """Warn if every file is a group of its own, and return the groups."""
    if len(set(groups.tolist())) == len(groups) > 1:
        example = f"such as {str(groups[0])[-60:]}"
        _warn(f"Every image is a group by itself, {example}: grouping by {how} changes nothing.")
    return groups


def by_level(files, y, number):
    """Return groups by the names' level of that number, or by the coarsest for number 0."""
    levels = name_levels(files, y)
    reasons = [reason_against(groups, y) for groups in levels]
    usable = [groups for groups, reason in zip(levels, reasons, strict=True) if not reason]
    listed = [f"name:{n} ({describe_groups(g)})" for n, g in enumerate(usable, start=1)]
    if number > len(usable):
        found = "; ".join(listed) or "no level of groups"
        raise ValueError(f"The file names have {found}, got name:{number}.")
    if len(usable) > 1 and not number:
        _warn(f"The file names have several levels: {'; '.join(listed)}. The first is taken.")
    if levels and not usable and 1 < len(set(levels[0].tolist())) < len(files):
        _warn(
            f"Grouping by file names ({describe_groups(levels[0])}) is taken, but not advised, as "
            f"{reasons[0]}. {_suggest_folders(files, y)}"
        )
    groups = (usable or levels or [or_paths([""] * len(files), files)])[max(0, number - 1)]
    return warn_of_none(groups, "name")


def _suggest_folders(files, y):
    """Return what to group by where names do not help."""
    for pattern, groups in () if y is None else folder_levels(files, y):
        if pattern and not reason_against(groups, y):
            return f"The pattern {pattern!r:.90} takes folders: {describe_groups(groups)}."
    return "If something else belongs together, name a column, or a pattern such as '^([^_]+)_'."


def name_levels(files, y=None):
    """Return the groups by every level of the names, coarsest first."""
    stems = [stem_of(file) for file in files]
    for scheme in _KNOWN.values():
        if any(map(scheme.fullmatch, stems[:: len(stems) // 20 + 1])):
            known = [scheme.fullmatch(stem) for stem in stems]
            if sum(map(bool, known)) >= _MOST * len(stems):
                return [or_paths([match and match[1] for match in known], files)]
    labels = [f"/{_path(file)}".split("/")[-2] for file in files] if y is None else y
    dropped = _label_places([_FIELD.findall(stem) for stem in stems], labels)
    prefixes, levels = [_prefixes(stem, dropped) for stem in stems], {}
    for n in range(min(_LEVELS, max(map(len, prefixes), default=0))):
        groups = or_paths([found[: n + 1][-1] if found else "" for found in prefixes], files)
        levels.setdefault(pd.factorize(groups)[0].tobytes(), groups)  # each only once
    whole = [_IN_ONE_FIELD.fullmatch(stem) for stem in stems]
    if sum(map(bool, whole)) >= _MOST * len(stems) > 1:
        names = [match and (match[1] or match[2]) for match in whole]
        names = [name if name and not _GENERIC.fullmatch(name) else "" for name in names]
        groups = or_paths(names, files)
        levels = levels if reason_against(groups, y) else {"": groups}
    return [*levels.values()]


def _prefixes(stem, dropped):
    """Return what precedes numbered fields of a name, without its label, coarsest first."""
    spans = [match.span() for match in _FIELD.finditer(stem)]
    fields, levels = [stem[start:end] for start, end in spans], []
    for end in range(1, len(fields)):
        if _NUMBERED.fullmatch(fields[end]) or _ID.fullmatch(fields[end - 1]):
            kept = [fields[n] for n in range(end) if not {n, n - len(fields)} & dropped]
            names = [field for field in kept if not _GENERIC.fullmatch(field)]
            if any(map(str.isalpha, "".join(names))):  # the number of train_00001 means nothing
                kept = names
            if names:
                levels.append(stem[: spans[end - 1][1]] if len(kept) == end else "_".join(kept))
    return list(dict.fromkeys(levels))


def _label_places(parts, y):
    """Return the places of the label in names or paths, counted from the left or the right."""
    size, labels = min(map(len, parts), default=0), [str(label).casefold() for label in list(y)]
    places = set()
    for place in range(-size, size):
        words = [part[place].casefold() for part in parts]
        words = [word.rstrip("0123456789") or word for word in words]
        n_words, n_pairs = len(set(words)), len(set(zip(words, labels, strict=True)))
        is_code = n_words == n_pairs == len(set(labels)) > 1  # such as AN for anger
        places |= {place} if is_code or words == labels else set()
    return places


def folder_levels(files, y):
    """Yield the pattern and the groups of every level of the folders, coarsest first."""
    folders = [_path(file).rpartition("/")[0] for file in files]
    absolute = {folder: _path(os.path.abspath(folder)).split("/") for folder in set(folders)}
    parts, size = [absolute[folder] for folder in folders], min(map(len, absolute.values()))
    dropped = set() if y is None else _label_places(parts, y)
    for place in range(size):
        words = [part[place] for part in parts]
        is_label = {place, place - size} & dropped or all(map(_GENERIC.fullmatch, set(words)))
        if len(set(words)) > 1 and not is_label:
            # Patterns count from the end, so that a tree may move.
            pattern = "([^/]+)/" + "[^/]+/" * (size - place - 1) + "[^/]+$"
            is_even = max(map(len, absolute.values())) == size
            yield pattern if is_even else "", np.array(words)


def reason_against(groups, y, is_named=False):
    """Return why a grouping is not advised, "" if it may be; a fitting name is evidence, too."""
    names, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if sizes[sizes > 1].sum() < max(2, 0 if is_named else _FEWEST * len(codes)):
        return "nearly every file is a group of its own"
    if sizes.max() > _MOST * len(codes):
        return "one group holds nearly all files"
    several = [str(name) for name in names[sizes > 1]]
    has_number = any(map(str.isdigit, "".join(several)))
    if (len(several) < 2 or len(names) < 3) and not has_number:
        return f"it has only {len(several)} group{'s' * (len(several) != 1)} of several files"
    pairs = set(zip(codes.tolist(), () if y is None else list(y), strict=y is not None))
    n_labels = len({label for _, label in pairs})
    if len(pairs) == n_labels > 1:
        return "it follows the label"
    if is_named:
        return ""
    if len(pairs) == len(names) < _PARTS[has_number] * n_labels and n_labels > 1:
        return "each of its few groups has a single label, like a part of a class"
    if all(map(_DATA_SETS.fullmatch, several)):
        return "its groups are called like data sets"
    is_few = len(names) <= _SOURCES and len(codes) >= _HUGE * len(names)
    if is_few and not all(map(_PERSONS.fullmatch, several)):
        return f"{len(names)} groups of so many files are likely sources, not persons"
    return ""


def parent_groups(parents: NDArray[np.integer]) -> NDArray[np.int_]:
    """Group images that have a parent in common, directly or through others."""
    rows, places = np.nonzero(parents >= 0)
    known, nodes = np.unique(parents[rows, places], return_inverse=True)  # however large
    size = len(parents) + len(known)  # of nodes: the images come first
    links = (np.ones(len(rows)), (rows, len(parents) + nodes))
    links = sparse.coo_array(links, shape=(size, size))
    groups = connected_components(links, directed=False)[1][: len(parents)]
    return np.unique(groups, return_inverse=True)[1]


def join_groups(*groups: ArrayLike) -> NDArray[np.int_]:
    """Join groupings: rows that are together in any of them stay together.

    Parameters
    ----------
    *groups : array-like of shape (n_samples,)
        For example by :func:`groups_from_filenames` and :func:`duplicate_groups`.

    Returns
    -------
    joined : ndarray of int of shape (n_samples,)
        Group numbers for grouped folds.

    Raises
    ------
    ValueError
        If there are no groupings, they differ in length, or groups are missing.

    Examples
    --------
    >>> join_groups(["Ann", "Ann", "Bo", "Cy"], [0, 1, 1, 2]).tolist()
    [0, 0, 0, 1]
    """
    if not groups:
        raise ValueError(f"Expected one grouping or more to join, got {len(groups)}.")
    numbers, n_numbers = [], 0
    for number, part in enumerate(groups):
        part = check_groups(part, len(groups[0]), f"grouping {number}")
        numbers.append(n_numbers + np.unique(part, return_inverse=True)[1])
        n_numbers = numbers[-1].max(initial=-1) + 1  # groups of each grouping are numbered apart
    return parent_groups(np.stack(numbers, axis=1))


def check_groups(groups, n_samples, name="groups"):
    """Check group labels and return them as an array."""
    groups = np.asarray(keep_kinds(groups))
    if groups.shape != (n_samples,):
        found = f"{n_samples} rows, got shape {groups.shape}"
        raise ValueError(f"{name} must hold one group for each of {found}.")
    missing = pd.isna(groups)
    if missing.any():
        rows = f"{missing.sum()} of {n_samples} rows, the first in row {missing.argmax()}"
        raise ValueError(f"{name} must have no gaps, got no group for {rows}.")
    if len({isinstance(group, str) for group in groups.tolist()}) > 1:  # cannot be sorted
        some = shorten(map(repr, dict.fromkeys(groups.tolist())), 3)
        raise ValueError(f"{name} must be of one kind, got text and others mixed, such as {some}.")
    return groups
