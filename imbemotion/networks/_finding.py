"""Networks by their names."""

from functools import partial

from imbemotion.networks._names import TIMM, check_timm, check_torchvision
from imbemotion.networks._pretrained import PretrainedCNN
from imbemotion.networks._residual import ResidualCNN
from imbemotion.networks._small import DeepCNN, SmallCNN

__all__ = ["NETWORKS", "find_network"]

NETWORKS = {"small_cnn": SmallCNN, "deep_cnn": DeepCNN, "residual_cnn": ResidualCNN}


def find_network(name):
    """Find the network of a name.

    Parameters
    ----------
    name : str
        ``"small_cnn"``, ``"deep_cnn"`` or ``"residual_cnn"``; the name of a classification
        model of ``torchvision.models``; or ``"timm/NAME"``.

    Returns
    -------
    network : callable
        Makes the network when it is given ``n_classes`` and ``channels``. It can be pickled.
        A model of torchvision or timm is a :class:`PretrainedCNN` of that name, whose
        weights are downloaded unless ``weights`` says otherwise.

    Raises
    ------
    TypeError
        If name is not a string.

    ValueError
        If there is no such network.

    ImportError
        If timm is needed and not installed.

    Examples
    --------
    >>> find_network("deep_cnn").__name__
    'DeepCNN'
    >>> network = find_network("shufflenet_v2_x1_0")(n_classes=8, channels=3, weights=None)
    >>> type(network).__name__
    'PretrainedCNN'
    """
    if not isinstance(name, str):
        raise TypeError(f"The name of a network must be a string, got {type(name).__name__}.")
    if name in NETWORKS:
        return NETWORKS[name]
    if name.startswith(TIMM):
        check_timm(name)
    else:
        check_torchvision(name, others=NETWORKS)
    return partial(PretrainedCNN, name)
