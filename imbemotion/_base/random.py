"""Counter-based random numbers: a pure function of seed and counter, vectorized."""

from hashlib import blake2b

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def _mix(words):
    """Scramble 64-bit words so that neighbors have nothing in common (splitmix64)."""
    for shift, factor in _MIXERS:
        words = (words ^ (words >> np.uint64(shift))) * np.uint64(factor)
    return words ^ (words >> np.uint64(31))


def counters_of(name, n_numbers):
    """Return the counters of the random numbers that belong to a name, (n_numbers,)."""
    first = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
    return np.uint64(first) + np.arange(n_numbers, dtype=np.uint64)


def uniforms(seeds, counters):
    """Draw numbers in [0, 1) for every seed and counter, (n,) and (k,) -> (n, k)."""
    seeds = _mix(np.asarray(seeds, dtype=np.uint64)[:, None] + _GOLDEN)  # (n, 1)
    steps = np.asarray(counters, dtype=np.uint64) * _GOLDEN  # (k,)
    return (_mix(seeds + steps) >> np.uint64(11)) * 2.0**-53  # (n, k)


def normals(seed, shape):
    """Draw standard normal numbers for one seed."""
    generator = np.random.Generator(np.random.Philox(key=int(seed)))
    return generator.standard_normal(shape, dtype=np.float32)
