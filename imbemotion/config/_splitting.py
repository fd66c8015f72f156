"""Which images are trained on, chosen by, and tested on."""

from pathlib import Path

import numpy as np

from imbemotion.samplers import RandomSampler
from imbemotion.splitting import Split, stratified_split

__all__ = ["make_split", "rows_of_parts"]


def make_split(config, data):
    """Make the split that the settings ask for, or read the one that was saved.

    Parameters
    ----------
    config : dict of dict
        As ``resolve_config`` gives it. Where ``split.file`` is there it is read, and else
        written.

    data : Images
        With ``y``, ``filenames`` and ``groups``.

    Returns
    -------
    split : Split
        Rows of the three parts.

    Raises
    ------
    ValueError
        If there is nothing to test on, or a saved split is one of other data or shares.
    """
    wanted = config["split"]
    file = None if wanted["file"] is None else Path(wanted["file"])
    if file is not None and file.is_file():
        split = Split.load(file, data.y, X=data.filenames)
        _check_shares(split, wanted, file)
    else:
        split = stratified_split(
            data.y, train=wanted["train"], valid=wanted["valid"], test=wanted["test"],
            groups=data.groups, stratify=wanted["stratify"], random_state=config["seed"],
        )  # fmt: skip
    if not len(split.test):
        raise ValueError("split.test must be more than 0, got 0: a model is worth what it shows.")
    if file is not None and not file.is_file():
        split.save(file, X=data.filenames)
    return split


def _check_shares(split, wanted, file):
    differing = [
        f"split.{name} is {wanted[name]}, there {float(split.ratios[name])}"
        for name in ("train", "valid", "test")
        if abs(float(split.ratios[name]) - wanted[name]) > 1e-9
    ]
    if differing:
        raise ValueError(
            f"{file} holds a split with other shares: {'; '.join(differing)}. Delete it or name "
            "another split.file."
        )


def rows_of_parts(config, split, y):
    """Give the rows of validation and test, which settings may ask to be balanced as well.

    Parameters
    ----------
    config : dict of dict
        As ``resolve_config`` gives it.

    split : Split
        The natural parts.

    y : ndarray of shape (n_samples,)
        All labels.

    Returns
    -------
    valid, test : ndarray of int
        Rows; repeated or left out where the parts are balanced.
    """
    balancing = config["balancing"]
    if balancing["balance_splits"] == "train" or balancing["strategy"] is None:
        return split.valid, split.test
    sampler = RandomSampler(sampling_strategy=balancing["strategy"], random_state=config["seed"])
    rows = np.arange(len(y)).reshape(-1, 1)
    _, _, valid, _, test, _ = split.resample(sampler, rows, y, balance="all")
    return np.ravel(valid), np.ravel(test)
