"""How much memory a fit takes."""

import sys

import numpy as np

try:
    import resource
except ImportError:  # not on Windows
    resource = None

__all__ = ["peak_memory"]

_UNIT = 2**20 if sys.platform == "darwin" else 2**10  # of what the system counts, in a MiB


def peak_memory():
    """Give the most memory that this process ever held, in MiB; NaN where nobody counts."""
    if resource is None:
        return np.nan
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _UNIT
