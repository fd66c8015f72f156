"""Names of the networks of torchvision and timm."""

from difflib import get_close_matches

__all__ = ["TIMM", "check_timm", "check_torchvision", "like", "torchvision_names"]

TIMM = "timm/"  # before the names of timm's models


def torchvision_names():
    """Give the names of torchvision's classification models, sorted.

    Returns
    -------
    names : list of str
        Without those for detection, segmentation, video and quantized weights.
    """
    from torchvision import models

    return models.list_models(module=models)


def like(name, names):
    """Say which names are nearest to one that is not known.

    Parameters
    ----------
    name : str
        The unknown one.

    names : list of str
        All known ones.

    Returns
    -------
    sentence : str
        Starts with a space; empty if nothing is near.

    Examples
    --------
    >>> like("shuflenet", ["resnet18", "shufflenet_v2_x1_0"])
    " Did you mean 'shufflenet_v2_x1_0'?"
    """
    near = get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def check_torchvision(name, others=()):
    """Refuse what is no classification model of torchvision.

    Parameters
    ----------
    name : str
        Of a model.

    others : iterable of str, default=()
        Further names that would have been right.

    Raises
    ------
    ValueError
        If it is unknown, or does something else than classify images.
    """
    from torchvision import models

    names = torchvision_names()
    if name in models.list_models() and name not in names:
        raise ValueError(
            f"The network must classify images, got {name!r}, which torchvision has for another "
            f"purpose. Name a classification model, for example {names[-1]!r}."
        )
    if name not in names:
        own = "".join(f"{other!r}, " for other in others)
        raise ValueError(
            f"The network must be {own}a classification model of torchvision or 'timm/NAME', "
            f"got {name!r}.{like(str(name), [*others, *names])}"
        )


def check_timm(name):
    """Import timm, and refuse what is none of its models.

    Parameters
    ----------
    name : str
        ``timm/NAME`` or ``timm/NAME.TAG``.

    Returns
    -------
    timm : module
        The package.

    Raises
    ------
    ImportError
        If it is not installed.

    ValueError
        If it has no such model.
    """
    try:
        import timm
    except ImportError as error:
        raise ImportError(
            f"{name!r} needs the package timm, which is not installed. "
            "Run: python -m pip install 'imbemotion[timm]'"
        ) from error
    architecture, _, tag = name.removeprefix(TIMM).partition(".")
    if not timm.is_model(architecture):
        near = like(TIMM + architecture, [TIMM + known for known in timm.list_models()])
        raise ValueError(f"timm has no model of the name that follows {TIMM}, got {name!r}.{near}")
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise ValueError(
            f"The weights of {TIMM}{architecture} must be one of {tags}, got the tag {tag!r}."
        )
    return timm
