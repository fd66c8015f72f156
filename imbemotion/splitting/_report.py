"""LeakReport: which rows of a test set share something with training."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

__all__ = ["LeakReport", "Overlap"]


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
