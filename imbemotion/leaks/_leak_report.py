"""What a test set shares with training: identical and near-identical images, groups."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from imbemotion.images import ImageArray, share_originals
from imbemotion.leaks.duplicates import check_images, first_rows, near_pairs, pixel_keys
from imbemotion.leaks.groups import check_groups

_WORDS = {
    "exact": "identical pixels", "near": "near duplicates",
    "groups": "same group", "parents": "same original",
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Overlap:
    """What two sets of images share in one respect."""

    # Rows of a set and the numbers of what they share with the other set, (n_links, 2): the
    # pairs of large groups would take too much memory.
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    n_test: int

    @property
    def train_rows(self) -> NDArray[np.int64]:
        return np.unique(self.train[:, 0])

    @property
    def test_rows(self) -> NDArray[np.int64]:
        return np.unique(self.test[:, 0])

    @property
    def share(self) -> float:
        """Share of the rows of test that is affected, in [0, 1]."""
        return len(self.test_rows) / self.n_test

    @property
    def pairs(self) -> NDArray[np.int64]:
        """All pairs of a row of train and a row of test, (n_pairs, 2)."""
        links = (pd.DataFrame(part, columns=["row", "shared"]) for part in (self.train, self.test))
        joined = pd.merge(*links, on="shared")  # a row may share several things with another
        return np.unique(joined[["row_x", "row_y"]].to_numpy(dtype=np.int64), axis=0)

    def __repr__(self):
        return (
            f"{len(self.test_rows):,} of {self.n_test:,} test rows ({self.share:.1%}), "
            f"shared with {len(self.train_rows):,} training rows"
        )


@dataclass(frozen=True, eq=False, repr=False)
class LeakReport:
    """What a test set shares with training, in up to four respects.

    Each has sorted ``train_rows`` and ``test_rows``, their ``pairs``, and the ``share`` of test
    that is affected; it is None if it was not examined.

    Parameters
    ----------
    exact : Overlap
        Identical pixels.
    near : Overlap or None
        Near duplicates whose pixels differ, such as the same image encoded again.
    groups : Overlap or None
        The same group, for example a person.
    parents : Overlap or None
        Copies of one original and images derived from it, whatever they look like. None if
        the images of both sets are not known to come from one source.

    See Also
    --------
    leak_report : Compute a report.

    Examples
    --------
    >>> X = np.repeat(np.arange(5, dtype=np.uint8), 64).reshape(5, 8, 8)
    >>> leak_report(X[[3, 1, 2, 0, 3]], X[[4, 4, 3, 4]], near=False).to_frame()
        kind  train  test
    0  exact      0     2
    1  exact      4     2
    """

    exact: Overlap
    near: Overlap | None
    groups: Overlap | None
    parents: Overlap | None

    @property
    def test_rows(self) -> NDArray[np.int64]:
        """Sorted rows of test that are affected in any respect."""
        return np.unique(np.concatenate([part.test_rows for part in self._overlaps().values()]))

    @property
    def train_rows(self) -> NDArray[np.int64]:
        """Sorted rows of train that are affected in any respect."""
        return np.unique(np.concatenate([part.train_rows for part in self._overlaps().values()]))

    def _overlaps(self):
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: part for name, part in parts.items() if part is not None}

    def summary(self) -> pd.DataFrame:
        """Count the affected rows in every respect that was examined.

        Returns
        -------
        table : DataFrame of shape (n_respects, 3)
            Affected rows of test (``n_test``), their ``share``, and those of train (``n_train``).
        """
        parts = self._overlaps()
        lines = [(len(p.test_rows), p.share, len(p.train_rows)) for p in parts.values()]
        return pd.DataFrame(lines, index=[*parts], columns=["n_test", "share", "n_train"])

    def to_frame(self) -> pd.DataFrame:
        """List all pairs; a group of 50 rows in train and 10 in test has 500 of them.

        Returns
        -------
        pairs : DataFrame of shape (n_pairs, 3)
            ``kind`` ("exact", "near", "groups" or "parents"), ``train`` and ``test`` (rows).
        """
        frames = [
            pd.DataFrame(part.pairs, columns=["train", "test"]).assign(kind=kind)
            for kind, part in self._overlaps().items()
        ]
        return pd.concat(frames, ignore_index=True)[["kind", "train", "test"]]

    def __repr__(self):
        lines = [f"  {_WORDS[name]}: {part!r}" for name, part in self._overlaps().items()]
        return "\n".join(["Shared by test and training:", *lines])

    def _repr_html_(self):
        table = self.summary().rename(index=_WORDS)
        return table.to_html(formatters={"share": "{:.1%}".format}, border=0)


def leak_report(
    train: ArrayLike | ImageArray, test: ArrayLike | ImageArray, *,
    groups_train: ArrayLike | None = None, groups_test: ArrayLike | None = None, near: bool = True,
) -> LeakReport:  # fmt: skip
    """Find what a test set shares with training.

    Parameters
    ----------
    train, test : array-like or ImageArray of shape (n_samples, height, width[, channels])
        Images of one size. If both are rows of one ``ImageArray``, copies and images derived
        from one original are found by their parents.
    groups_train, groups_test : array-like of shape (n_samples,), default=None
        Group labels, for example persons by :func:`find_groups`.
    near : bool, default=True
        Whether to search for near duplicates, as :func:`duplicate_groups` does.

    Returns
    -------
    report : LeakReport
        What they share.

    Raises
    ------
    ValueError
        If the sets differ in shape or dtype, or in whether they have groups or text as such.

    See Also
    --------
    duplicate_groups : Groups of rows that show the same image.
    stratified_split : Split by such groups.

    Examples
    --------
    >>> from imbemotion import make_faces
    >>> X = np.asarray(make_faces({"happy": 6, "sad": 4}, random_state=0)[0])
    >>> leak_report(X[:8], X[7:], groups_train=list("aabbccdd"), groups_test=list("dxy"))
    Shared by test and training:
      identical pixels: 1 of 3 test rows (33.3%), shared with 1 training rows
      near duplicates: 0 of 3 test rows (0.0%), shared with 0 training rows
      same group: 1 of 3 test rows (33.3%), shared with 2 training rows
    """
    train, test = check_images(train, "train"), check_images(test, "test")
    kinds = [f"{X.shape[1:]} {X.dtype}" for X in (train, test)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"Both sets must be of one size and dtype, got {' and '.join(kinds)}.")
    keys = pixel_keys(train), pixel_keys(test)
    return LeakReport(
        exact=_shared(*map(enumerate, keys), len(test)),
        near=_near(train, test, *keys) if near else None,
        groups=_of_groups(groups_train, groups_test, len(train), len(test)),
        parents=_of_parents(train, test),
    )


def _shared(train, test, n_test):
    """Return the Overlap of two sets of links, pairs of a row and a key."""
    links = list(train), list(test)
    common = {key for _, key in links[0]} & {key for _, key in links[1]}  # the rest is dropped
    numbers = {key: number for number, key in enumerate(common)}
    found = ([(row, numbers[key]) for row, key in part if key in numbers] for part in links)
    return Overlap(*(np.array(part, dtype=np.int64).reshape(-1, 2) for part in found), n_test)


def _of_groups(of_train, of_test, n_train, n_test):
    if of_train is None and of_test is None:
        return None
    if of_train is None or of_test is None:
        missing = "groups_train" if of_train is None else "groups_test"
        raise ValueError(f"Only both sets' groups are compared, got no {missing}. Pass both.")
    of_train = check_groups(of_train, n_train, "groups_train").tolist()
    of_test = check_groups(of_test, n_test, "groups_test").tolist()
    if isinstance(of_train[0], str) != isinstance(of_test[0], str):  # "3" is never equal to 3
        pair = f"{of_train[0]!r:.90} and {of_test[0]!r:.90}"
        raise ValueError(f"groups_train and groups_test must be of one kind, got {pair}.")
    return _shared(enumerate(of_train), enumerate(of_test), n_test)


def _of_parents(train, test):
    both = isinstance(train, ImageArray) and isinstance(test, ImageArray)
    if not both or not share_originals(train, test):
        return None  # the same number would mean different images
    known = [(*np.nonzero(X.parents >= 0), X.parents) for X in (train, test)]
    links = (zip(r.tolist(), parents[r, c].tolist(), strict=True) for r, c, parents in known)
    return _shared(*links, len(test))


def _near(train, test, keys, other_keys):
    """Compare distinct images, and assign what is found to all rows that show them."""
    firsts = first_rows(keys), first_rows(other_keys)  # (n_train,), (n_test,)
    distinct = [np.unique(part) for part in firsts]
    pairs = [
        (row, other)
        for found in near_pairs(train, distinct[0], test, distinct[1])
        for row, other in zip(*(part.tolist() for part in found), strict=True)
        if keys[row] != other_keys[other]  # identical images are not near duplicates
    ]
    links = (_links(part, [pair[side] for pair in pairs]) for side, part in enumerate(firsts))
    return _shared(*links, len(test))


def _links(firsts, rows):
    """Yield every row that shows the image of one of `rows`, with that one's place in the list."""
    showing = pd.Series(firsts).groupby(firsts).indices
    return ((row, n) for n, first in enumerate(rows) for row in showing[first].tolist())
