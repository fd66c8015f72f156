"""Reading pictures: paths, PIL images and arrays of any size become one ImageArray."""

from imbemotion.loading._cache import CacheWarning
from imbemotion.loading._errors import UnreadableImagesError
from imbemotion.loading._flatten import FlattenImages
from imbemotion.loading._loader import ImageLoader
from imbemotion.loading._reading import as_images, load_images

__all__ = [
    "CacheWarning",
    "FlattenImages",
    "ImageLoader",
    "UnreadableImagesError",
    "as_images",
    "load_images",
]
