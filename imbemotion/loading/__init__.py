"""Reading images: paths, PIL images and arrays of any size become one ImageArray."""

from imbemotion.loading._loader import (
    ImageFlattener,
    ImageLoader,
    as_images as as_images,
    load_images as load_images,
)
from imbemotion.loading.cache import CacheWarning
from imbemotion.loading.reading import UnreadableImagesError

__all__ = ["CacheWarning", "ImageFlattener", "ImageLoader", "UnreadableImagesError"]
