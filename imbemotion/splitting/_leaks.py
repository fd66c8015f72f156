"""What a test set shares with training: identical and near-identical pictures, persons."""

import numpy as np

from imbemotion.images import ImageArray, share_originals
from imbemotion.splitting._duplicates import check_images, check_near, pixel_span
from imbemotion.splitting._fingerprint import first_twins, pixel_keys
from imbemotion.splitting._groups import check_groups
from imbemotion.splitting._looks import Looks
from imbemotion.splitting._matching import near_pairs
from imbemotion.splitting._report import LeakReport, Overlap

__all__ = ["leak_report"]


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
        What may not be on both sides, for example persons by :func:`name_groups`.

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
