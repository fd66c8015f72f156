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
        return _checked(policy, policy.apply(images, policy.draw(seeds)), images)
    augmented = np.empty_like(images)
    torch = sys.modules.get("torch")  # a torch policy exists only where torch is loaded
    is_module = torch is not None and isinstance(policy, torch.nn.Module)
    call = _call_module if is_module else _call
    with _generators_kept(torch):
        for number, (image, seed) in enumerate(zip(images, seeds.tolist(), strict=True)):
            _seed(seed, torch)
            augmented[number] = _checked(policy, call(policy, image), image)
    return augmented


def _call(policy, image):
    return np.asarray(policy(image.copy()))


def _call_module(transform, image):
    from torch import from_numpy

    stacked = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    result = transform(from_numpy(stacked.copy())).numpy()  # (C, H, W)
    return result[0] if image.ndim == 2 else result.transpose(1, 2, 0)


def _seed(seed, torch):
    random.seed(seed)
    np.random.seed([seed & 0xFFFFFFFF, seed >> 32])  # noqa: NPY002
    if torch is not None:
        torch.random.default_generator.manual_seed(seed)


@contextmanager
def _generators_kept(torch):
    """Put the global generators back as they were."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch_state = None if torch is None else torch.random.get_rng_state()
    try:
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
