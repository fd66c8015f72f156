"""Images as recipes: a balanced set costs memory for its rows, not for its pixels."""

from imbemotion.images._array import ImageArray
from imbemotion.images._recipes import (
    blocks_of as blocks_of,
    check_finite as check_finite,
    places_of as places_of,
    share_originals as share_originals,
)

__all__ = ["ImageArray"]
