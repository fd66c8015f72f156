"""What the folders of strategies are called."""

import re

from imbemotion.comparison._parts import last_step

__all__ = ["fit_folder", "strategy_folders"]


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
    folders = {}
    for name, model in models.items():
        final = _final(model)
        loss = getattr(final, "loss", None)
        loss = loss if isinstance(loss, str) else ""
        technique = name.removesuffix(loss).strip("_+ ") or "none"
        parts = [_network(final), "balance"]
        folder = _safe("_".join(parts + [technique] + [loss] * bool(loss)))
        taken = {other.casefold() for other in folders.values()}
        number = 2
        while folder.casefold() in taken:
            folder = _safe("_".join(parts + [name, str(number)] + [loss] * bool(loss)))
            number += 1
        folders[name] = folder
    return folders


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
    return re.sub(r"[^\w.+-]+", "_", name)[:120]
