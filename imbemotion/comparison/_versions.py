"""Versions of everything that results depend on."""

import platform
from importlib.metadata import PackageNotFoundError, version

from imbemotion import __version__

__all__ = ["versions"]

_PACKAGES = (
    "numpy", "scikit-learn", "imbalanced-learn", "torch", "torchvision", "skorch",
    "opencv-python-headless", "pillow",
)  # fmt: skip


def versions():
    """Give the versions of Python, of this library and of what it computes with.

    Returns
    -------
    found : dict of str to str
        By name; packages that are not installed under that name are left out.
    """
    found = {"python": platform.python_version(), "imbemotion": __version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
