"""Augmentation: one declarative, searchable policy for whole batches of images."""

import json
from numbers import Real
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator

from imbemotion._base.files import write_atomically
from imbemotion._base.validation import (
    Interval,
    StrOptions,
    check_pixels,
    validate_parameter_constraints,
)
from imbemotion.augmentation._applying import apply_parameters
from imbemotion.augmentation._geometry import BORDERS, INTERPOLATIONS
from imbemotion.augmentation._parameters import draw_parameters, in_whole_pixels

__all__ = ["Augmentation"]

_SHARE = [Interval(Real, 0, 1, closed="both")]
_LIMIT = [Interval(Real, 0, 1, closed="left")]
_STRENGTH = [Interval(Real, 0, None, closed="left")]
_OR_A_PAIR = [tuple, list]


class Augmentation(BaseEstimator):
    """What may be done to an image: limits of random changes, all of them gentle by default.

    All geometry of an image is multiplied into one matrix, so that it is resampled once.
    Every image is changed under its own seed, and looks the same in any batch. Grids can
    search it: ``{"balance__augmentation__rotation": [5, 15]}``. The last of two or four channels
    is alpha: it moves with the image, and takes no brightness, colour or noise.

    Parameters
    ----------
    flip : float, default=0.5
        Probability of mirroring left and right.

    rotation : float, default=10.0
        Most degrees of rotation, either way.

    translation : float or tuple of (float, float), default=0.06
        Most shift, as a share of height and width; or one limit for each, vertical first.

    scale : float or tuple of (float, float), default=0.1
        Most change of size: factors from ``1 - scale`` to ``1 + scale``. Two limits, of
        height and of width, stretch an image: each has a factor of its own.

    shear : float, default=0.0
        Most degrees of shear along each axis.

    perspective : float, default=0.0
        How far corners move inwards: up to half of it, as a share of width and height.

    brightness : float, default=0.2
        Most change of brightness: factors from ``1 - brightness`` to ``1 + brightness``.

    contrast : float, default=0.2
        Most change of contrast around the mean of the image, likewise.

    gamma : float, default=0.0
        Most bending of tones: exponents from ``1 / (1 + gamma)`` to ``1 + gamma``.

    saturation : float, default=0.0
        Most change of saturation, a factor likewise. Grey images have none.

    hue : float, default=0.0
        Most turn of the colours, as a share of the colour circle, at most 0.5.

    noise : float, default=0.0
        Most standard deviation of noise, as a share of the whole range of a pixel.

    blur : float, default=0.0
        Most standard deviation of a Gaussian blur, in pixels.

    erasing : float, default=0.0
        Probability that a box of 2 to 33 % of the image is made black.

    border : {"reflect", "replicate", "constant"}, default="reflect"
        What appears where the image does not reach: itself mirrored, its edge, or black.

    interpolation : {"linear", "cubic", "nearest"}, default="linear"
        How pixels between pixels are found.

    whole_shifts : bool, default=False
        Whether shifts are rounded to whole pixels, which keeps rows and columns sharp: those
        of a piano roll are pitches and steps of time.

    See Also
    --------
    AugmentationSampler : Over-sample with such changes.

    References
    ----------
    .. [1] Z. Zhong, L. Zheng, G. Kang, S. Li, Y. Yang, "Random Erasing Data Augmentation",
       AAAI 2020.

    Examples
    --------
    >>> images = np.zeros((2, 8, 8), dtype=np.uint8)
    >>> policy = Augmentation(rotation=15)
    >>> policy
    Augmentation(rotation=15)
    >>> policy(images, seeds=[7, 8]).shape
    (2, 8, 8)
    """

    _parameter_constraints: dict = {
        "flip": _SHARE,
        "rotation": [Interval(Real, 0, 180, closed="both")],
        "translation": _SHARE + _OR_A_PAIR,
        "scale": _LIMIT + _OR_A_PAIR,
        "shear": [Interval(Real, 0, 90, closed="left")],
        "perspective": _LIMIT,
        "brightness": _STRENGTH,
        "contrast": _STRENGTH,
        "gamma": _STRENGTH,
        "saturation": _STRENGTH,
        "hue": [Interval(Real, 0, 0.5, closed="both")],
        "noise": _STRENGTH,
        "blur": _STRENGTH,
        "erasing": _SHARE,
        "border": [StrOptions(set(BORDERS))],
        "interpolation": [StrOptions(set(INTERPOLATIONS))],
        "whole_shifts": ["boolean"],
    }

    def __init__(
        self,
        *,
        flip=0.5,
        rotation=10.0,
        translation=0.06,
        scale=0.1,
        shear=0.0,
        perspective=0.0,
        brightness=0.2,
        contrast=0.2,
        gamma=0.0,
        saturation=0.0,
        hue=0.0,
        noise=0.0,
        blur=0.0,
        erasing=0.0,
        border="reflect",
        interpolation="linear",
        whole_shifts=False,
    ):
        self.flip = flip
        self.rotation = rotation
        self.translation = translation
        self.scale = scale
        self.shear = shear
        self.perspective = perspective
        self.brightness = brightness
        self.contrast = contrast
        self.gamma = gamma
        self.saturation = saturation
        self.hue = hue
        self.noise = noise
        self.blur = blur
        self.erasing = erasing
        self.border = border
        self.interpolation = interpolation
        self.whole_shifts = whole_shifts

    @classmethod
    def preset(cls, name):
        """Make a policy by name.

        Parameters
        ----------
        name : {"none", "light", "emotion", "strong", "leaf", "roll"}
            ``"none"`` changes nothing; ``"light"`` mirrors, turns and brightens a little;
            ``"emotion"`` is the default, what a face allows; ``"strong"`` adds perspective,
            erasing, shear and colour; ``"leaf"`` turns objects without an upright any way.
            ``"roll"`` is for piano rolls: it transposes by whole semitones, up to 4 either
            way on 88 keys, shifts in time by up to a tenth of the width, changes the tempo by
            up to 15 % and the velocity by up to 25 %; silence stays black.

        Returns
        -------
        policy : Augmentation
            The policy.

        Raises
        ------
        ValueError
            If there is no such preset.

        Examples
        --------
        >>> Augmentation.preset("light")
        Augmentation(brightness=0.1, contrast=0.1, rotation=5, scale=0.05,
                     translation=0.03)
        """
        if name not in _PRESETS:
            raise ValueError(f"Presets are {', '.join(_PRESETS)}, got {name!r}.")
        return cls(**_PRESETS[name])

    def draw(self, seeds):
        """Draw what is done to each image, a pure function of its seed.

        Parameters
        ----------
        seeds : array-like of int of shape (n,)
            From 0 to 2**64 - 1.

        Returns
        -------
        parameters : structured ndarray of shape (n,)
            What :meth:`apply` takes. ``parameters[["rotation", "scale"]]`` shows some.

        Raises
        ------
        ValueError
            If a limit is out of its range.
        """
        self._validate_params()
        return draw_parameters(self, np.asarray(seeds, dtype=np.uint64))

    def apply(self, images, parameters):
        """Change images as drawn.

        Parameters
        ----------
        images : ndarray of uint8 or float of shape (n, height, width[, channels])
            The images; they are not changed themselves.

        parameters : structured ndarray of shape (n,)
            From :meth:`draw`.

        Returns
        -------
        images : ndarray of the same shape and dtype
            New pictures. One that nothing changes is equal bit by bit.

        Raises
        ------
        ValueError
            If these are no images, or not as many as parameters.

        Notes
        -----
        Black and white of float images are 0 and 1 where all pixels of an image lie between,
        else 0 and 255 where they lie between, else the extremes of the image.
        """
        images = check_pixels(images)
        if len(images) != len(parameters):
            raise ValueError(
                f"Expected one set of parameters per image, got {len(parameters)} for "
                f"{len(images)} images."
            )
        if self.whole_shifts:
            parameters = in_whole_pixels(parameters, *images.shape[1:3])
        return apply_parameters(images, parameters, self.border, self.interpolation)

    def _validate_params(self):
        """Check as scikit-learn does, in half of its time, which small batches feel."""
        validate_parameter_constraints(
            self._parameter_constraints, vars(self), caller_name=type(self).__name__
        )
        for name, (limit, *_) in (("translation", _SHARE), ("scale", _LIMIT)):
            pair = getattr(self, name)
            is_pair = not isinstance(pair, Real)
            if is_pair and not (len(pair) == 2 and all(map(limit.is_satisfied_by, pair))):
                raise ValueError(
                    f"The {name!r} parameter must be one limit or a pair (vertical, horizontal), "
                    f"each {limit}, got {pair!r}."
                )

    def __call__(self, images, seeds):
        """Draw and apply in one step."""
        return self.apply(images, self.draw(seeds))

    def to_json(self, path=None):
        """Write the policy as JSON.

        Parameters
        ----------
        path : str or Path, default=None
            File to write; None writes none.

        Returns
        -------
        text : str
            All limits, by name.
        """
        text = json.dumps(self.get_params(), indent=2, default=np.generic.item)
        if path is not None:
            write_atomically(path, f"{text}\n".encode())
        return text

    @classmethod
    def from_json(cls, source):
        """Read a policy from JSON.

        Parameters
        ----------
        source : str or Path
            A file, or the text itself.

        Returns
        -------
        policy : Augmentation
            The policy; limits that are not named keep their defaults.

        Raises
        ------
        ValueError
            If a name is unknown or the text is no JSON object.

        Examples
        --------
        >>> Augmentation.from_json('{"rotation": 15, "erasing": 0.5}')
        Augmentation(erasing=0.5, rotation=15)
        """
        is_text = isinstance(source, str) and source.lstrip().startswith("{")
        text = source if is_text else Path(source).read_text(encoding="utf-8")
        limits = json.loads(text)
        unknown = sorted(set(limits) - set(cls().get_params()))
        if unknown:
            raise ValueError(f"An augmentation has no {', '.join(unknown)}.")
        policy = cls(**{name: _unlisted(value) for name, value in limits.items()})
        policy._validate_params()
        return policy


def _unlisted(value):
    return tuple(value) if isinstance(value, list) else value  # JSON has no tuples


_NOTHING = dict.fromkeys(
    ("flip", "rotation", "translation", "scale", "brightness", "contrast"), 0.0
)
_PRESETS = {
    "none": _NOTHING,
    "light": {
        "rotation": 5, "translation": 0.03, "scale": 0.05, "brightness": 0.1, "contrast": 0.1,
    },
    "emotion": {},
    "strong": {
        "rotation": 25, "translation": 0.1, "scale": 0.2, "shear": 10, "perspective": 0.3,
        "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.05, "erasing": 0.3,
    },
    "leaf": {
        "rotation": 180, "translation": 0.1, "scale": 0.2, "shear": 5, "brightness": 0.3,
        "contrast": 0.3, "saturation": 0.2, "hue": 0.02, "blur": 0.5,
    },
    "roll": _NOTHING | {
        "translation": (0.05, 0.1), "scale": (0.0, 0.15), "brightness": 0.25,
        "border": "constant", "whole_shifts": True,
    },
}  # fmt: skip
