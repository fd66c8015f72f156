"""Why a picture can't be read, in plain words; and one error for all that can't."""

from PIL import Image, UnidentifiedImageError

__all__ = ["ABSENT", "Unreadable", "UnreadableImagesError", "reason_for"]

ABSENT = "does not exist"
_SHOWN = 100  # in the message
_REASONS = [  # the first that fits counts
    ((FileNotFoundError, NotADirectoryError), ABSENT),
    (PermissionError, "may not be read: permission denied"),
    (UnidentifiedImageError, "is not an image that Pillow can read"),
    (
        (Image.DecompressionBombError, Image.DecompressionBombWarning),
        "has more pixels than PIL.Image.MAX_IMAGE_PIXELS allows",
    ),
    (MemoryError, "does not fit into memory"),
]


class Unreadable(ValueError):  # noqa: N818 - never leaves the package
    """One picture can't be read; the text says why."""


class UnreadableImagesError(ValueError):
    """Some images could not be read; the message lists them with their reasons.

    Parameters
    ----------
    failures : list of (int, str, str)
        Row, name and reason of every image that could not be read.

    n_images : int
        How many images were asked for.

    Attributes
    ----------
    failures : list of (int, str, str)
        Row, name and reason of every image that could not be read.

    n_images : int
        How many images were asked for.

    See Also
    --------
    load_images : With ``errors="skip"`` it leaves such images out.

    Examples
    --------
    >>> raise UnreadableImagesError([(4, "ann.jpg", "is truncated")], n_images=9)
    Traceback (most recent call last):
        ...
    imbemotion.loading._errors.UnreadableImagesError: 1 of 9 images could not be read:
      row 4: ann.jpg is truncated
    Repair them or leave them out; loaders do it with errors='skip' (--errors skip).
    """

    def __init__(self, failures, n_images):
        super().__init__(failures, n_images)  # as args, so that the error can be pickled
        self.failures = failures
        self.n_images = n_images

    def __str__(self):
        shown = self.failures[:_SHOWN]
        lines = [f"  row {row}: {name} {reason}" for row, name, reason in shown]
        if len(shown) < len(self.failures):
            lines.append(f"  and {len(self.failures) - len(shown)} more, see `failures`")
        head = f"{len(self.failures)} of {self.n_images} images could not be read:"
        return "\n".join([head, *lines, self._advice()])

    def _advice(self):
        absent = [reason == ABSENT for _, _, reason in self.failures]
        if all(absent) and len(absent) == self.n_images:
            return (
                "Are their paths relative to another folder? Loaders of lists take it as "
                "images=FOLDER (--images FOLDER)."
            )
        return "Repair them or leave them out; loaders do it with errors='skip' (--errors skip)."


def reason_for(error):
    """Put into plain words why decoding failed."""
    if isinstance(error, Unreadable):
        return str(error)
    for kinds, reason in _REASONS:
        if isinstance(error, kinds):
            return reason
    if "truncated" in str(error).lower():
        return "is truncated"
    return f"can't be decoded ({type(error).__name__}: {error})"
