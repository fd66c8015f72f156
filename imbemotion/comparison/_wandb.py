"""Whether W&B was told where to put its runs."""

import os
from netrc import NetrcParseError, netrc
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["wandb_is_set_up"]

_HOST = "https://api.wandb.ai"


def wandb_is_set_up():
    """Tell whether W&B has a mode, or a key in the environment or the file of logins.

    Returns
    -------
    is_set_up : bool
        Whether it can be left to W&B what to do; it would ask for a key otherwise.
    """
    if {"WANDB_MODE", "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"} & set(os.environ):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", _HOST)).hostname
    places = [os.environ["NETRC"]] if "NETRC" in os.environ else ["~/.netrc", "~/_netrc"]
    return any(_knows(Path(place).expanduser(), host) for place in places)


def _knows(path, host):
    try:
        return netrc(path).authenticators(host) is not None
    except (OSError, NetrcParseError):
        return False
