"""What a test set shares with training: identical and near-identical images, groups."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from imbemotion.images import ImageArray, share_originals
from imbemotion.leaks._duplicates import Looks, check_images, check_near, near_pairs, pixel_span
from imbemotion.leaks._groups import check_groups
from imbemotion.leaks.fingerprints import first_twins, pixel_keys

__all__ = [
    "LeakReport",
    "Overlap",
    "leak_report",
]


@dataclass(frozen=True, eq=False, repr=False)
class Overlap:
    """What two sets of images share in one respect.

    Parameters
    ----------
    train : ndarray of int of shape (n_links, 2)
        A row of train, and the number of something that test shows as well. A row or number
        may stand there more than once.

    test : ndarray of int of shape (n_other_links, 2)
        The same of test.

    n_test : int
        Number of rows of test, affected or not.

    Examples
    --------
    >>> overlap = Overlap(np.array([[0, 7], [4, 7]]), np.array([[2, 7]]), n_test=4)
    >>> overlap
    1 of 4 test rows (25.0%), shared with 2 training rows
    >>> overlap.pairs.tolist()
    [[0, 2], [4, 2]]
    """

    train: np.ndarray
    test: np.ndarray
    n_test: int

    @property
    def train_rows(self):
        """Rows of train that share something with test, sorted, ndarray of int."""
        return np.unique(self.train[:, 0])

    @property
    def test_rows(self):
        """Rows of test that share something with train, sorted, ndarray of int."""
        return np.unique(self.test[:, 0])

    @property
    def share(self):
        """Share of the rows of test that is affected, in [0, 1]."""
        return len(self.test_rows) / self.n_test

    @property
    def pairs(self):
        """All pairs of a row of train and one of test, ndarray of int of shape (n_pairs, 2)."""
        links = (pd.DataFrame(part, columns=["row", "shared"]) for part in (self.train, self.test))
        joined = pd.merge(*links, on="shared")
        return np.unique(joined[["row_x", "row_y"]].to_numpy(dtype=np.int64), axis=0)

    def __repr__(self):
        return (
            f"{len(self.test_rows):,} of {self.n_test:,} test rows ({self.share:.1%}), "
            f"shared with {len(self.train_rows):,} training rows"
        )


@dataclass(frozen=True, eq=False, repr=False)
class LeakReport:
    """What a test set shares with training, in up to four respects.

    Parameters
    ----------
    exact : Overlap
        Identical pixels.

    near : Overlap or None
        The same picture, encoded anew or shifted by a pixel, where the pixels differ. None
        where it was not looked for.

    groups : Overlap or None
        The same group, for example a person. None where no groups were given.

    parents : Overlap or None
        Copies or pictures made of one original, whatever they look like. None where the
        images of both sets are not known to come from one source.

    See Also
    --------
    leak_report : Makes one.

    Examples
    --------
    >>> exact = Overlap(np.array([[0, 7], [4, 7]]), np.array([[2, 7]]), n_test=4)
    >>> report = LeakReport(exact, near=None, groups=None, parents=None)
    >>> report
    Shared by test and training:
      identical pixels: 1 of 4 test rows (25.0%), shared with 2 training rows
    >>> report.to_frame()
        kind  train  test
    0  exact      0     2
    1  exact      4     2
    """

    exact: Overlap
    near: Overlap | None
    groups: Overlap | None
    parents: Overlap | None

    @property
    def test_rows(self):
        """Rows of test that are affected in any respect, sorted, ndarray of int."""
        return np.unique(np.concatenate([part.test_rows for part in self._parts().values()]))

    @property
    def train_rows(self):
        """Rows of train that are affected in any respect, sorted, ndarray of int."""
        return np.unique(np.concatenate([part.train_rows for part in self._parts().values()]))

    def _parts(self):
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: part for name, part in parts.items() if part is not None}

    def summary(self):
        """Give one row per respect that was looked at.

        Returns
        -------
        table : DataFrame of shape (n_respects, 3)
            ``n_test`` (rows of test affected), ``share`` (of all rows of test) and ``n_train``
            (rows of train affected).
        """
        lines = {
            name: (len(part.test_rows), part.share, len(part.train_rows))
            for name, part in self._parts().items()
        }
        table = pd.DataFrame(lines, index=["n_test", "share", "n_train"]).T
        return table.astype({"n_test": int, "n_train": int})

    def to_frame(self):
        """List all pairs; a group of 50 in train and 10 in test has 500 of them.

        Returns
        -------
        pairs : DataFrame of shape (n_pairs, 3)
            ``kind`` ("exact", "near", "groups" or "parents"), ``train`` and ``test`` (rows).
        """
        frames = [
            pd.DataFrame(part.pairs, columns=["train", "test"]).assign(kind=name)
            for name, part in self._parts().items()
        ]
        return pd.concat(frames, ignore_index=True)[["kind", "train", "test"]]

    def __repr__(self):
        names = {
            "exact": "identical pixels",
            "near": "near duplicates",
            "groups": "same group",
            "parents": "same original",
        }
        lines = [f"  {names[name]}: {part!r}" for name, part in self._parts().items()]
        return "\n".join(["Shared by test and training:", *lines])


def leak_report(train, test, *, groups_train=None, groups_test=None, near=True):
    """Find out what a test set shares with training.

    Parameters
    ----------
    train : array-like or ImageArray of shape (n_train, height, width[, channels])
        Images for training.

    test : array-like or ImageArray of shape (n_test, height, width[, channels])
        Images for testing or validation, of the same size. If both are rows of one
        ``ImageArray``, copies and pictures made of one original are found by their parents.

    groups_train : array-like of shape (n_train,), default=None
        What may not be on both sides, for example persons by :func:`groups_from_filenames`.

    groups_test : array-like of shape (n_test,), default=None
        The same of test; given both or none.

    near : bool, default=True
        Whether near duplicates are sought, as in :func:`duplicate_groups`.

    Returns
    -------
    report : LeakReport
        With ``exact``, ``near``, ``groups`` and ``parents``, each None where it was not looked
        at, else with ``pairs``, ``share``, ``test_rows`` and ``train_rows``. It prints as a few
        lines; ``summary()`` and ``to_frame()`` give tables.

    Raises
    ------
    ValueError
        If the images differ in shape or dtype, or groups are given for one set only or are
        text in one only.

    See Also
    --------
    duplicate_groups : Groups of rows that show the same picture.
    stratified_split : Split by such groups.

    Examples
    --------
    >>> from imbemotion import make_faces
    >>> X, y = make_faces({"happy": 6, "sad": 4}, random_state=0)
    >>> X = np.asarray(X)
    >>> report = leak_report(X[:8], X[7:], groups_train=list("aabbccdd"), groups_test=list("dxy"))
    >>> report
    Shared by test and training:
      identical pixels: 1 of 3 test rows (33.3%), shared with 1 training rows
      near duplicates: 0 of 3 test rows (0.0%), shared with 0 training rows
      same group: 1 of 3 test rows (33.3%), shared with 2 training rows
    >>> report.groups.pairs.tolist()
    [[6, 0], [7, 0]]
    """
    train, test = check_images(train, "train"), check_images(test, "test")
    if train.shape[1:] != test.shape[1:] or train.dtype != test.dtype:
        raise ValueError(
            "train and test must hold images of one size and dtype to be compared, got "
            f"{train.shape[1:]} {train.dtype} and {test.shape[1:]} {test.dtype}. "
            "Use ImageLoader(size=...)."
        )
    keys = pixel_keys(train), pixel_keys(test)
    return LeakReport(
        exact=_shared(*(enumerate(part) for part in keys), len(test)),
        near=_near(train, test, *keys) if near else None,
        groups=_of_groups(groups_train, groups_test, len(train), len(test)),
        parents=_of_parents(train, test),
    )


def _shared(train, test, n_test):
    """Make an Overlap of pairs of a row and what it shows."""
    train, test = list(train), list(test)
    common = {key for _, key in train} & {key for _, key in test}
    numbers = {key: number for number, key in enumerate(common)}
    links = (
        [(row, numbers[key]) for row, key in part if key in numbers] for part in (train, test)
    )
    return Overlap(*(np.array(part, dtype=np.int64).reshape(-1, 2) for part in links), n_test)


def _of_groups(of_train, of_test, n_train, n_test):
    if of_train is None and of_test is None:
        return None
    if of_train is None or of_test is None:
        missing = "groups_train" if of_train is None else "groups_test"
        raise ValueError(
            f"Groups are compared where both sets have them, got no {missing}. Give both or none."
        )
    of_train = check_groups(of_train, n_train, "groups_train")
    of_test = check_groups(of_test, n_test, "groups_test")
    if isinstance(of_train[0], str) != isinstance(of_test[0], str):
        raise ValueError(
            "groups_train and groups_test must be of one kind to be compared, got "
            f"{of_train.tolist()[0]!r} and {of_test.tolist()[0]!r}. Make both text, or neither."
        )
    return _shared(enumerate(of_train.tolist()), enumerate(of_test.tolist()), n_test)


def _of_parents(train, test):
    both = isinstance(train, ImageArray) and isinstance(test, ImageArray)
    if not both or not share_originals(train, test):
        return None
    return _shared(_known_parents(train), _known_parents(test), len(test))


def _known_parents(X):
    parents = X.parents
    rows, places = np.nonzero(parents >= 0)
    return zip(rows.tolist(), parents[rows, places].tolist(), strict=True)


def _near(train, test, keys, other_keys):
    """Compare distinct pictures, and give what is found to all rows that show them."""
    for X in (train, test):
        check_near(X)
    span = pixel_span(train, test)
    twins = [first_twins(part) for part in (keys, other_keys)]
    looks = [Looks(X, np.unique(part), span) for X, part in zip((train, test), twins, strict=True)]
    pairs = [
        (row, other)
        for places, others in near_pairs(*looks)
        for row, other in zip(looks[0].rows[places], looks[1].rows[others], strict=True)
        if keys[row] != other_keys[other]
    ]
    links = (_of_all_twins(*part) for part in zip(twins, zip(*pairs, strict=True), strict=False))
    empty = np.zeros((0, 2), dtype=np.int64)
    return Overlap(*(links if pairs else (empty, empty)), len(test))


def _of_all_twins(firsts, rows):
    """Give every row that shows a picture, with the numbers of the pairs that it is in."""
    order = np.argsort(firsts, kind="stable")
    ends = [np.searchsorted(firsts[order], rows, side=side) for side in ("left", "right")]
    return np.array(
        [
            (row, number)
            for number, (start, end) in enumerate(zip(*ends, strict=True))
            for row in order[start:end]
        ],
        dtype=np.int64,
    )
