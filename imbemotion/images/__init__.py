"""Images as recipes: a balanced set costs memory for rows, not for pixels."""

from imbemotion.images._array import ImageArray
from imbemotion.images._content import share_originals

__all__ = ["ImageArray", "share_originals"]
