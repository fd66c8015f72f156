"""Labels of arrays, and of samples that are plain dicts such as ``{"path", "emotion"}``."""

from collections.abc import Mapping

from imbemotion._validation import check_labels, shorten

__all__ = ["find_labels", "sample_labels"]


def sample_labels(samples, key="emotion"):
    """Give the labels of samples that are plain dicts.

    Parameters
    ----------
    samples : list of dict
        Such as ``{"path": "song.mid", "emotion": "joy"}``.

    key : str, default="emotion"
        Where the label stands in a sample.

    Returns
    -------
    y : ndarray of shape (n_samples,)
        The labels, checked.

    Raises
    ------
    TypeError
        If it is no list of dicts.

    ValueError
        If there is none, or one has no label.

    Examples
    --------
    >>> sample_labels([{"path": "a.mid", "emotion": "joy"}, {"emotion": "fear"}]).tolist()
    ['joy', 'fear']
    """
    if not isinstance(samples, list | tuple):
        raise TypeError(
            'samples must be a list of dicts such as {"path": ..., "emotion": ...}, got '
            f'{type(samples).__name__}. Of a data frame, take to_dict("records").'
        )
    if not samples:
        raise ValueError("samples must hold at least one dict, got none. Check what was loaded.")
    for number, sample in enumerate(samples):
        if not isinstance(sample, Mapping):
            raise TypeError(f"samples must hold dicts, got {sample!r} in place {number}.")
        if key not in sample:
            raise ValueError(
                f"Every sample needs a label under {key!r}, got none in place {number}, which "
                f"holds {shorten(map(repr, sample)) or 'nothing'}. Name another by key=."
            )
    return check_labels([sample[key] for sample in samples])


def find_labels(y, key="emotion"):
    """Give checked labels of an array of labels, or of samples that are plain dicts.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or list of dict
        Labels or samples.

    key : str, default="emotion"
        Where the label stands in a sample.

    Returns
    -------
    y : ndarray of shape (n_samples,)
        The labels.
    """
    is_samples = isinstance(y, list | tuple) and len(y) > 0 and isinstance(y[0], Mapping)
    return sample_labels(y, key) if is_samples else check_labels(y)
