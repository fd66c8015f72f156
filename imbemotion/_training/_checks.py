"""What a net refuses: settings that are unknown, and numbers that are none."""

import torch

from imbemotion._training._views import check_views

__all__ = ["check_settings", "is_sound", "overflow"]

_PRECISIONS = ("float32", "bfloat16")


def check_settings(net):
    """Check the settings of a net that skorch does not know.

    Parameters
    ----------
    net : ImageNeuralNetClassifier
        Not yet initialised.

    Raises
    ------
    ValueError
        If one is unknown, or they do not go together.
    """
    if net.precision not in _PRECISIONS:
        raise ValueError(f"precision must be one of {_PRECISIONS}, got {net.precision!r}.")
    check_views(net.test_time_augmentation)
    if net.label_smoothing and net.class_shares is None:
        raise ValueError(
            f"label_smoothing={net.label_smoothing} needs class_shares, got None. Give the "
            'shares of the classes, and criterion__reduction="none".'
        )


def is_sound(module):
    """Tell whether the weights of a network can be multiplied without an overflow.

    Parameters
    ----------
    module : nn.Module
        The network.

    Returns
    -------
    sound : bool
        False if a weight is NaN, or beyond the square root of what its type holds.
    """
    limits = ((weight, torch.finfo(weight.dtype).max ** 0.5) for weight in module.parameters())
    return all((weight.abs() < limit).all() for weight, limit in limits)


def overflow(net, what, where):
    """Make the error for numbers that became infinite or NaN.

    Parameters
    ----------
    net : ImageNeuralNetClassifier
        In training.

    what, where : str
        What became so, and in which batch.

    Returns
    -------
    error : FloatingPointError
        It names epoch, batch and learning rates.
    """
    rates = ", ".join(f"{group['lr']:.3g}" for group in net.optimizer_.param_groups)
    return FloatingPointError(
        f"{what} in epoch {len(net.history)}, {where}, at learning rate {rates}. Lower the "
        "learning rate, and check the images for odd values."
    )
