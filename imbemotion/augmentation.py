"""How an augmentation policy is applied to images, each under the seed of its own row.

A policy is either an object with ``draw(seeds)`` and ``apply(images, parameters)``, which
works on whole batches, or any callable from one image to one image, for example a
torchvision v2 transform. A callable is called image by image while Python's, NumPy's and
PyTorch's global generators are seeded by the row, so that the same row always gives the
same picture.
"""

import random
import sys
from contextlib import contextmanager

import numpy as np

__all__ = ["apply_policy"]


def apply_policy(policy, images, seeds):
    """Augment a batch of images, each under its own seed.

    Parameters
    ----------
    policy : object with ``draw`` and ``apply``, or callable
        What may be done to an image.

    images : ndarray of shape (n_images, height, width[, channels])
        The images; they are not changed.

    seeds : ndarray of shape (n_images,), dtype uint64
        One seed per image. The picture is a function of image and seed alone.

    Returns
    -------
    augmented : ndarray of the same shape and dtype
        The new images.

    Raises
    ------
    ValueError
        If the policy changes the shape or the dtype of an image.
    """
    if hasattr(policy, "draw") and hasattr(policy, "apply"):
        augmented = policy.apply(images, policy.draw(seeds))
    else:
        augmented = np.empty_like(images)
        for number, (image, seed) in enumerate(zip(images, seeds, strict=True)):
            augmented[number] = _checked(policy, _call(policy, image, int(seed)), image)
    return _checked(policy, augmented, images)


def _call(policy, image, seed):
    torch = sys.modules.get("torch")  # a torch policy exists only where torch is loaded
    with _seeded(seed, torch):
        if torch is None or not isinstance(policy, torch.nn.Module):
            return np.asarray(policy(image.copy()))
        return _call_module(policy, image, torch)


def _call_module(transform, image, torch):
    stacked = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    result = transform(torch.from_numpy(stacked.copy())).numpy()  # (C, H, W)
    return result[0] if image.ndim == 2 else result.transpose(1, 2, 0)


@contextmanager
def _seeded(seed, torch=None):
    """Seed the global generators, and put them back afterwards."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch_state = None if torch is None else torch.random.get_rng_state()
    try:
        random.seed(seed)
        np.random.seed([seed & 0xFFFFFFFF, seed >> 32])  # noqa: NPY002
        if torch is not None:
            torch.random.default_generator.manual_seed(seed)
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if torch is not None:
            torch.random.set_rng_state(torch_state)


def _checked(policy, result, original):
    if result.shape != original.shape or result.dtype != original.dtype:
        raise ValueError(
            f"An augmentation must keep shape {original.shape} and dtype {original.dtype}, "
            f"but {policy!r} gave shape {result.shape} and dtype {result.dtype}."
        )
    return result
