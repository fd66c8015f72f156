"""Images as recipes: a balanced set costs memory for rows, not for pixels."""

from imbemotion.images._array import ImageArray

__all__ = ["ImageArray"]
