"""What the folders of strategies are called."""

import re

from imbemotion.comparison._parts import last_step

__all__ = ["fit_folder", "free_folder", "strategy_folders"]


def strategy_folders(models):
    """Name a folder for every strategy: ``{model}_balance_{technique}_{loss}``.

    The technique is the strategy's name without the loss at its end.

    Parameters
    ----------
    models : dict of str to estimator
        What every strategy fits.

    Returns
    -------
    folders : dict of str to str
        Each another one.

    Examples
    --------
    >>> from imbemotion import CNNClassifier
    >>> strategy_folders({"smote_focal": CNNClassifier(loss="focal")})
    {'smote_focal': 'residual_cnn_balance_smote_focal'}
    """
    folders, taken = {}, set()
    for name, model in models.items():
        final = _final(model)
        loss = getattr(final, "loss", None)
        loss = loss if isinstance(loss, str) else ""
        technique = name.removesuffix(loss).strip("_+ ") or "none"
        parts = [_network(final), "balance"]
        folders[name] = free_folder("_".join(parts + [technique] + [loss] * bool(loss)), taken)
        taken.add(folders[name])
    return folders


def free_folder(wanted, taken):
    """Give a name for a folder that no other one has.

    Parameters
    ----------
    wanted : str
        What it should be called.

    taken : collection of str
        Names that are given away; capitals make no difference.

    Returns
    -------
    folder : str
        The wanted name, or the wanted name and a number.

    Examples
    --------
    >>> free_folder("cnn_balance_a/b", {"CNN_balance_a_b"})
    'cnn_balance_a_b_2'
    """
    taken = {other.casefold() for other in taken}
    folder, number = _safe(wanted), 1
    while folder.casefold() in taken:
        number += 1
        folder = f"{_safe(wanted)}_{number}"
    return folder


def fit_folder(strategy_folder, fold):
    """Name the folder of a fit.

    Parameters
    ----------
    strategy_folder : str
        Folder of the strategy.

    fold : Fold
        The fold; its repeat has seeds of its own.

    Returns
    -------
    folder : str
        ``STRATEGY/fold_i_seed_j``.
    """
    return f"{strategy_folder}/fold_{fold.number}_seed_{fold.repeat}"


def _final(model):
    """Give the classifier in an unfitted model, inside wrappers too."""
    model = last_step(model)
    return _final(model.estimator) if hasattr(model, "estimator") else model


def _network(classifier):
    network = getattr(classifier, "module", None)
    if isinstance(network, str):
        return network
    name = (
        type(classifier).__name__ if network is None else getattr(network, "__name__", "network")
    )
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _safe(name):
    """Keep what every file system takes."""
    return re.sub(r"[^\w.+-]+", "_", name).encode()[:120].decode(errors="ignore")
