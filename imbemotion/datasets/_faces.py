"""Drawn emotional faces: a data set of any size and skew that needs no download."""

from numbers import Integral, Real

import numpy as np

from imbemotion._validation import Interval, StrOptions, check_random_state
from imbemotion.datasets._drawing import draw_pictures
from imbemotion.datasets._expressions import EMOTIONS, draw_parameters

__all__ = ["make_faces"]

_DEFAULT_COUNTS = {
    "angry": 40,
    "contempt": 12,
    "disgust": 24,
    "fear": 8,
    "happy": 240,
    "neutral": 200,
    "sad": 80,
    "surprise": 60,
}
_BATCH_PIXELS = 2**20  # what is lit and grained at a time
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
_SETTINGS = {
    "size": Interval(Integral, 8, None, closed="left"),
    "mode": StrOptions({"gray", "rgb"}),
    "difficulty": Interval(Real, 0, 1, closed="both"),
    "pose": _NOT_NEGATIVE,
    "lighting": _NOT_NEGATIVE,
    "noise": _NOT_NEGATIVE,
}


def _check_settings(**settings):
    for name, value in settings.items():
        if not _SETTINGS[name].is_satisfied_by(value):
            raise ValueError(
                f"The {name!r} parameter of make_faces must be {_SETTINGS[name]}. "
                f"Got {value!r} instead."
            )


def _check_counts(counts):
    if not isinstance(counts, dict):
        raise TypeError(
            f"counts must be a dict such as {{'happy': 90, 'sad': 10}}, got {counts!r}."
        )
    unknown = [emotion for emotion in counts if emotion not in EMOTIONS]
    if unknown:
        raise ValueError(f"Unknown emotions {unknown}. Choose from {', '.join(EMOTIONS)}.")
    for emotion, count in counts.items():
        if not isinstance(count, Integral) or isinstance(count, bool) or count < 0:
            raise ValueError(
                f"counts must hold whole numbers of 0 or more, got {count!r} for {emotion!r}."
            )
    if not sum(counts.values()):
        raise ValueError(f"counts must ask for at least one face, got {counts!r}.")


def _light(pictures, lighting, random_state):
    """Light every face from one side, change its gamma and contrast: 0..255 -> 0..1."""
    n, size = pictures.shape[:2]
    each = (n, *[1] * (pictures.ndim - 1))
    drawn = random_state.uniform(-1, 1, size=(4, n)).astype(np.float32)
    angle, depth, gamma, contrast = (numbers.reshape(each) for numbers in drawn)
    line = np.linspace(-1, 1, size, dtype=np.float32).reshape(size, *each[3:])
    slope = np.cos(np.pi * angle) * line + np.sin(np.pi * angle) * line[:, None]
    pixels = pictures / np.float32(255) * (1 + 0.25 * lighting * depth * slope)
    np.clip(pixels, 0, 1, out=pixels)
    pixels **= np.exp(0.2 * lighting * gamma)
    return (pixels - 0.5) * np.exp(0.15 * lighting * contrast) + 0.5


def _add_noise(pixels, noise, random_state):
    """Add grain of a strength of its own to every picture: 0..1 -> 0..255."""
    each = (len(pixels), *[1] * (pixels.ndim - 1))
    strength = (0.04 * noise * random_state.uniform(size=each)).astype(np.float32)
    pixels = pixels + strength * random_state.standard_normal(pixels.shape)
    return np.clip(np.rint(255 * pixels), 0, 255).astype(np.uint8)


def make_faces(
    counts=None,
    *,
    size=48,
    mode="gray",
    difficulty=0.5,
    pose=1.0,
    lighting=1.0,
    noise=1.0,
    random_state=None,
):
    """Draw faces that show emotions, as many of each as asked for.

    A data set for examples, tests and first steps: a small network learns it in seconds from
    a balanced draw, and neglects the rare emotions of a skewed one.

    Parameters
    ----------
    counts : dict of str to int, default=None
        How many faces to draw per emotion: angry, contempt, disgust, fear, happy, neutral,
        sad, surprise. None means a skewed draw of all eight: 240 happy, 200 neutral, 80 sad,
        60 surprise, 40 angry, 24 disgust, 12 contempt and 8 fear.

    size : int, default=48
        Height and width in pixels, at least 8.

    mode : {"gray", "rgb"}, default="gray"
        Whether to draw in grey or in colour.

    difficulty : float, default=0.5
        How weak and how irregular the expressions are: at 0 every face shows its emotion in
        full, at 1 many could show another one.

    pose : float, default=1.0
        How far the heads turn, tilt and move; 0 holds them still.

    lighting : float, default=1.0
        How much the light differs in direction, brightness and contrast; 0 is even light.

    noise : float, default=1.0
        How grainy the pictures are; 0 is not at all.

    random_state : int, RandomState instance or None, default=None
        An int draws the same faces every time.

    Returns
    -------
    X : ndarray of uint8 of shape (n_samples, size, size[, 3])
        The faces, in random order.

    y : ndarray of str of shape (n_samples,)
        Their emotions.

    Raises
    ------
    ValueError
        If an emotion is unknown or a setting is out of range.

    TypeError
        If counts is not a dict.

    Notes
    -----
    An expression is twelve numbers after the action units of the facial action coding system
    [1]_: how far the inner brows are raised, the lips stretched and so on. Every emotion has
    one prototype, which is weakened and scattered for each face. Skin, hair and proportions
    differ between faces and tell nothing about the emotion. With one seed, `difficulty`,
    `pose`, `lighting` and `noise` change the same persons.

    References
    ----------
    .. [1] P. Ekman, W. V. Friesen, "Facial Action Coding System: A Technique for the
       Measurement of Facial Movement", Consulting Psychologists Press, 1978.

    Examples
    --------
    >>> from imbemotion.datasets import make_faces
    >>> X, y = make_faces({"happy": 9, "sad": 3}, random_state=0)
    >>> X.shape, X.dtype
    ((12, 48, 48), dtype('uint8'))
    >>> y[:4].tolist()
    ['happy', 'sad', 'happy', 'sad']
    """
    counts = _DEFAULT_COUNTS if counts is None else counts
    _check_counts(counts)
    _check_settings(
        size=size, mode=mode, difficulty=difficulty, pose=pose, lighting=lighting, noise=noise
    )
    rng = check_random_state(random_state)
    y = rng.permutation(np.repeat(list(counts), list(counts.values())))
    parameters = draw_parameters(y, difficulty=difficulty, pose=pose, random_state=rng)
    batches, length = [], max(1, _BATCH_PIXELS // size**2)
    for start in range(0, len(y), length):
        part = {name: drawn[start : start + length] for name, drawn in parameters.items()}
        pixels = _light(draw_pictures(part, size, mode == "rgb"), lighting, rng)
        batches.append(_add_noise(pixels, noise, rng))
    return np.concatenate(batches), y
