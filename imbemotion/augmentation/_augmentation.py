"""Augmentation policies: ours, which is declarative and searchable, and any callable."""

import json
import random
import sys
from contextlib import contextmanager, nullcontext
from copy import copy
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone

from imbemotion._base.files import parse_json, read_json, write_atomically
from imbemotion._base.registry import AUGMENTATIONS
from imbemotion._base.validation import (
    StrOptions,
    brief,
    check_pixels,
    check_value_range,
    validate_parameter_constraints,
    warn,
)
from imbemotion.augmentation._geometry import BORDERS, INTERPOLATIONS
from imbemotion.augmentation._operations import (
    OPERATIONS,
    apply_parameters,
    draw_parameters,
    find_range,
)

_TRIALS = 150  # that show a change of a probability of 0.05 almost surely
_Limit = float | tuple[float, float]


class Augmentation(BaseEstimator):
    """Augmentation policy: limits of random changes, all of them gentle by default.

    All geometry of an image is multiplied into one matrix, so that it is resampled once. Each
    image is changed under its own seed and is the same in any batch. Of two or four channels
    the last is alpha: it moves with the image, but is not blurred, erased or recolored.

    Parameters
    ----------
    flip : float, default=0.5
        Probability of mirroring left and right.
    rotation : float, default=10.0
        Largest rotation in degrees, in either direction.
    translation : float or tuple of (float, float), default=0.06
        Largest shift, as a share of height and width; a pair is (vertical, horizontal).
    scale : float or tuple of (float, float), default=0.1
        Factors from ``1 - scale`` to ``1 + scale``; a pair stretches the image.
    shear : float, default=0.0
        Largest shear along each axis, in degrees.
    perspective : float, default=0.0
        Corners move inwards by up to half of this share of width and height.
    brightness : float, default=0.2
        Factors from ``1 - brightness`` to ``1 + brightness``.
    contrast : float, default=0.2
        Factors of the contrast around the mean of the image, likewise.
    gamma : float, default=0.0
        Exponents from ``1 / (1 + gamma)`` to ``1 + gamma``.
    saturation : float, default=0.0
        Factors of the saturation of RGB images, likewise.
    hue : float, default=0.0
        Largest turn of the hue, as a share of the color circle, at most 0.5.
    noise : float, default=0.0
        Largest standard deviation of noise, as a share of the range of a pixel.
    blur : float, default=0.0
        Largest standard deviation of a Gaussian blur, in pixels.
    erasing : float, default=0.0
        Probability that a box of 2 to 33 % of the image becomes black.
    border : {"reflect", "replicate", "constant"}, default="reflect"
        What appears outside of the image: its mirror image, its edge, or black.
    interpolation : {"linear", "cubic", "nearest"}, default="linear"
        How pixels are interpolated.
    whole_shifts : bool, default=False
        Whether shifts are rounded to whole pixels, such as the pitches of a piano roll.
    value_range : tuple of (float, float), default=None
        Black and white of float images. ``None`` judges those of a call together, samplers and
        ``CNNClassifier`` all that they get: 0..1 or 0..255 if the pixels fit, else their extremes.

    References
    ----------
    .. [1] Z. Zhong et al., "Random Erasing Data Augmentation", AAAI 2020.

    Examples
    --------
    >>> Augmentation(rotation=15)(np.zeros((2, 8, 8), dtype=np.uint8), seeds=[7, 8]).shape
    (2, 8, 8)
    """

    _parameter_constraints: dict = {
        **{name: operation.limits for name, operation in OPERATIONS.items()},
        "border": [StrOptions(set(BORDERS))],
        "interpolation": [StrOptions(set(INTERPOLATIONS))],
        "whole_shifts": ["boolean"],
        "value_range": [tuple, list, None],
    }

    def __init__(
        self, *, flip: float = 0.5, rotation: float = 10.0, translation: _Limit = 0.06,
        scale: _Limit = 0.1, shear: float = 0.0, perspective: float = 0.0,
        brightness: float = 0.2, contrast: float = 0.2, gamma: float = 0.0,
        saturation: float = 0.0, hue: float = 0.0, noise: float = 0.0, blur: float = 0.0,
        erasing: float = 0.0, border: str = "reflect", interpolation: str = "linear",
        whole_shifts: bool = False, value_range: tuple[float, float] | None = None,
    ) -> None:  # fmt: skip
        self.flip, self.rotation, self.translation, self.scale = flip, rotation, translation, scale
        self.shear, self.perspective, self.brightness = shear, perspective, brightness
        self.contrast, self.gamma, self.saturation, self.hue = contrast, gamma, saturation, hue
        self.noise, self.blur, self.erasing = noise, blur, erasing
        self.border, self.interpolation, self.whole_shifts = border, interpolation, whole_shifts
        self.value_range = value_range

    @classmethod
    def preset(cls, name: str) -> "Augmentation":
        """Return a copy of a named policy.

        Parameters
        ----------
        name : {"none", "light", "emotion", "moderate", "strong", "leaf", "roll"}
            ``"none"`` changes nothing; ``"light"`` turns, moves and brightens a little;
            ``"emotion"`` is the default, for faces; ``"moderate"`` moves them further and
            erases patches; ``"strong"`` adds perspective, shear and color; ``"leaf"`` turns
            objects without an upright position any way; ``"roll"`` transposes piano rolls by
            up to 4 semitones of 88 keys, shifts them by a tenth of their width, and changes
            tempo by 15 % and velocity by 25 %.

        Returns
        -------
        policy : Augmentation

        Raises
        ------
        ValueError
            If the name is unknown.

        Examples
        --------
        >>> Augmentation.preset("strong").erasing
        0.3
        """
        AUGMENTATIONS.expect(name, "The augmentation preset")
        return clone(AUGMENTATIONS.load(name))

    def draw(self, seeds: ArrayLike) -> NDArray:
        """Draw the parameters of each image, a pure function of its seed.

        Parameters
        ----------
        seeds : array-like of int of shape (n,)
            From 0 to 2**64 - 1.

        Returns
        -------
        parameters : structured ndarray of shape (n,)
            For :meth:`apply`; ``parameters[["rotation", "scale"]]`` shows some.

        Raises
        ------
        ValueError
            If a limit is out of its range.
        """
        self._validate_params()
        return draw_parameters(self, np.asarray(seeds, dtype=np.uint64))

    def apply(self, images: NDArray, parameters: NDArray) -> NDArray:
        """Return augmented images.

        Parameters
        ----------
        images : ndarray of uint8 or float of shape (n, height, width[, channels])
            Floats range over ``value_range``.
        parameters : structured ndarray of shape (n,)
            From :meth:`draw`.

        Returns
        -------
        images : ndarray of the same shape and dtype
            New images. One that nothing changes is equal bit by bit.

        Raises
        ------
        ValueError
            If these are not images, or not as many as parameters.
        """
        images = check_pixels(images)
        if len(images) != len(parameters):
            counts = f"{len(parameters)} for {len(images)} images"
            raise ValueError(f"Expected one set of parameters per image, got {counts}.")
        return apply_parameters(self, images, parameters)

    def _validate_params(self):
        # As in scikit-learn, in half the time, which matters for small batches.
        validate_parameter_constraints(
            self._parameter_constraints, vars(self), caller_name=type(self).__name__
        )
        for name, operation in OPERATIONS.items():
            limit, pair = operation.limits[0], getattr(self, name)
            is_pair = not isinstance(pair, Real)
            if is_pair and not (len(pair) == 2 and all(map(limit.is_satisfied_by, pair))):
                raise ValueError(
                    f"The '{name}' parameter must be one limit or a pair (vertical, horizontal), "
                    f"each {limit}, got {brief(pair)}."
                )
        check_value_range(self.value_range)

    def __call__(self, images: NDArray, seeds: ArrayLike) -> NDArray:
        """Draw and apply in one step."""
        return self.apply(images, self.draw(seeds))

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the policy as JSON, and write it to a file if a path is given.

        Parameters
        ----------
        path : str or Path, default=None
            None writes no file.

        Returns
        -------
        text : str
        """
        text = json.dumps(self.get_params(), indent=2, default=np.generic.item)
        if path is not None:
            write_atomically(path, f"{text}\n".encode())
        return text

    @classmethod
    def from_json(cls, source: str | Path) -> "Augmentation":
        """Read a policy from JSON; other limits keep their defaults.

        Parameters
        ----------
        source : str or Path
            A file, or the text itself.

        Returns
        -------
        policy : Augmentation

        Raises
        ------
        ValueError
            If a name is unknown or the text is not a JSON object.

        Examples
        --------
        >>> Augmentation.from_json('{"rotation": 15, "erasing": 0.5}')
        Augmentation(erasing=0.5, rotation=15)
        """
        is_text = isinstance(source, str) and source.lstrip().startswith("{")
        limits = parse_json(source) if is_text else read_json(source)
        if not isinstance(limits, dict):
            raise ValueError(f"{source} must hold a JSON object of limits, got {limits!r:.60}.")
        pairs = {name: tuple(v) for name, v in limits.items() if isinstance(v, list)}
        try:
            policy = cls().set_params(**limits | pairs)  # JSON has no tuples
            policy._validate_params()
        except ValueError as error:
            raise error if is_text else ValueError(f"{source} is no policy: {error}") from None
        return policy


# The presets that the registry names.
NONE = Augmentation(**dict.fromkeys(OPERATIONS, 0.0))
LIGHT = Augmentation(flip=0.0, rotation=8, scale=0.08, brightness=0.12, contrast=0.12)
EMOTION = Augmentation()
MODERATE = Augmentation(rotation=12, translation=0.08, scale=0.12, erasing=0.1)
STRONG = Augmentation(
    rotation=25, translation=0.1, scale=0.2, shear=10, perspective=0.3, brightness=0.4,
    contrast=0.4, saturation=0.4, hue=0.05, erasing=0.3,
)  # fmt: skip
LEAF = Augmentation(
    rotation=180, translation=0.1, scale=0.2, shear=5, brightness=0.3, contrast=0.3,
    saturation=0.2, hue=0.02, blur=0.5,
)  # fmt: skip
_MOVED = {"translation": (0.05, 0.1), "scale": (0.0, 0.15), "whole_shifts": True}
ROLL = clone(NONE).set_params(**_MOVED, brightness=0.25, border="constant")


def apply_policy(policy: Any, images: NDArray, seeds: NDArray[np.uint64]) -> NDArray:
    """Augment a batch of images, each under its own seed."""
    if hasattr(policy, "draw") and hasattr(policy, "apply"):
        return _checked(policy, policy.apply(images, policy.draw(seeds)), images)
    # Callables draw from the global generators of Python, NumPy and PyTorch, which are
    # therefore seeded for every image.
    augmented = np.empty_like(images)
    torch = sys.modules.get("torch")  # a torch policy exists only where torch is loaded
    call = _caller(policy)
    with _generators_kept(torch):
        for number, (image, seed) in enumerate(zip(images, seeds.tolist(), strict=True)):
            random.seed(seed)
            # NumPy takes 32 bits per word
            np.random.seed([seed & 0xFFFFFFFF, seed >> 32])  # noqa: NPY002
            if torch is not None:
                torch.random.default_generator.manual_seed(seed)
            augmented[number] = _checked(policy, np.asarray(call(image.copy(), seed)), image)
    return augmented


def check_policy(policy: Any, images: NDArray, seeds: NDArray[np.uint64]) -> None:
    """Refuse a policy that makes two images of one seed; warn if it changes no image."""
    made, again = apply_policy(policy, images, seeds), np.empty_like(images)
    # The second time in other batches and in reverse, so that counters and cycles show as well.
    for rows in np.array_split(np.arange(len(images))[::-1], 2):
        again[rows] = apply_policy(policy, images[rows], seeds[rows])
    if not np.allclose(made, again, rtol=1e-4, atol=1e-6, equal_nan=True):
        raise ValueError(
            "An augmentation must make the same image whenever it gets the same seed, in any "
            f"batch, but {brief(policy, 80)} made two different ones. Draw from the "
            "global generators (random, np.random or torch), which are seeded for every image, "
            "or write draw(seeds) and apply(images, parameters). Pass transforms of "
            "Albumentations and torchvision themselves, not functions that call them."
        )
    if not np.array_equal(made, images) or np.ptp(images) == 0:
        return
    images = np.resize(images, (_TRIALS, *images.shape[1:]))  # it may be a rare change
    if (apply_policy(policy, images, np.arange(_TRIALS, dtype=np.uint64)) == images).all():
        advice = "For copies use RandomResampler, for changes Augmentation() or another preset."
        if not isinstance(policy, Augmentation):
            advice = "If it calls transforms of torchvision, pass these: they change no arrays."
        warn(
            f"The augmentation {brief(policy, 80)} changed no image in {_TRIALS} trials, so that "
            f"all images that it makes are copies. {advice}"
        )


def with_range(policy: Any, images: Any) -> Any:
    """Return a policy that takes float images of any batch to range as all of these do."""
    if not isinstance(policy, Augmentation) or policy.value_range or images.dtype.kind != "f":
        return policy
    policy = copy(policy)
    policy.value_range = find_range(images)
    return policy


def with_limits(params: dict, policy: Any) -> dict:
    """Return parameters to set, with a policy that has the limits among them."""
    nested = [name for name in params if name.startswith("augmentation__")]
    if not nested:
        return params
    if isinstance(policy, str) and policy in AUGMENTATIONS:
        policy = Augmentation.preset(policy)
    if hasattr(policy, "set_params"):
        return {**params, "augmentation": policy}
    raise ValueError(
        f"{nested[0]} needs an Augmentation, got augmentation={brief(policy, 80)}. Start from "
        "augmentation=Augmentation()."
    )


def _caller(policy):
    """Return the function from image and seed to image that a policy's library suggests."""
    modules = [kind.__module__.split(".")[0] for kind in type(policy).__mro__]
    if "albumentations" in modules:
        return partial(_call_albumentations, policy)
    if "torchvision" in modules or "torch" in modules:
        return partial(_call_torch, policy)
    return lambda image, seed: policy(image)


def _call_albumentations(transform, image, seed):
    if hasattr(transform, "set_random_seed"):  # before version 1.4.19 generators are global
        transform.set_random_seed(seed & 0xFFFFFFFF)
    return transform(image=image)["image"]


def _call_torch(transform, image, seed):
    from torch import from_numpy

    # torchvision expects channels first
    stacked = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    result = transform(from_numpy(np.ascontiguousarray(stacked))).numpy()  # (C, H, W)
    return result[0] if image.ndim == 2 else result.transpose(1, 2, 0)


@contextmanager
def _generators_kept(torch):
    """Restore the global generators when the block ends."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with nullcontext() if torch is None else torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002


def _checked(policy, result, original):
    if result.shape != original.shape or result.dtype != original.dtype:
        raise ValueError(
            f"An augmentation must keep shape {original.shape} and dtype {original.dtype}, but "
            f"{brief(policy, 80)} returned shape {result.shape} and dtype {result.dtype}."
        )
    return result
