"""What a net refuses: settings that are unknown, and numbers that are none."""

__all__ = ["check_settings", "overflow"]

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
    if net.test_time_augmentation not in (None, "flip"):
        raise ValueError(
            f"test_time_augmentation must be 'flip' or None, got {net.test_time_augmentation!r}."
        )
    if net.label_smoothing and net.class_shares is None:
        raise ValueError(
            f"label_smoothing={net.label_smoothing} needs class_shares, got None. Give the "
            'shares of the classes, and criterion__reduction="none".'
        )


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
