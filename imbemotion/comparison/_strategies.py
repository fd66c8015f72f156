"""Named strategies for a pipeline with the steps ``balance`` and ``cnn``."""

from imbemotion._validation import shorten
from imbemotion.augmentation import Augmentation
from imbemotion.samplers import AugmentationSampler, ImageADASYN, ImageSMOTE, RandomSampler

__all__ = ["named_strategies"]

_USUAL = ("none", "oversample", "undersample", "hybrid", "class_weight", "focal")


def named_strategies(names=None):
    """Give strategies by name, for :func:`compare_strategies`.

    Parameters
    ----------
    names : list of str, default=None
        Which ones, in this order. None means ``none`` (the baseline), ``oversample``,
        ``undersample``, ``hybrid`` (random, see ``RandomSampler``), ``class_weight``
        (balanced weights in the loss) and ``focal`` (focal loss with gamma 2). There are also
        ``augmentation``, ``smote`` and ``adasyn``, which bring every class to the largest
        with new images; the last two find neighbours in images of 32 x 32.

    Returns
    -------
    strategies : dict of str to dict
        Parameters of a pipeline with the steps ``balance`` and ``cnn``.

    Raises
    ------
    ValueError
        If a name is unknown.

    Examples
    --------
    >>> named_strategies(["none", "focal"])
    {'none': {}, 'focal': {'cnn__loss': 'focal'}}
    """
    known = {
        "none": {},
        **{
            name: {"balance": RandomSampler(sampling_strategy=name)}
            for name in ("oversample", "undersample", "hybrid")
        },
        "augmentation": {"balance": AugmentationSampler(augmentation=Augmentation())},
        "smote": {"balance": ImageSMOTE(features="32x32")},
        "adasyn": {"balance": ImageADASYN(features="32x32")},
        "class_weight": {"cnn__class_weight": "balanced"},
        "focal": {"cnn__loss": "focal"},
    }
    names = _USUAL if names is None else names
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"Unknown strategies: {shorten(unknown)}. Known are {shorten(known)}.")
    return {name: known[name] for name in names}
