"""Reading images: paths, PIL images and arrays of any size become one ImageArray."""

from imbemotion.loading._loader import ImageFlattener, ImageLoader
from imbemotion.loading.cache import CacheWarning
from imbemotion.loading.decoding import UnreadableImagesError
from imbemotion.loading.reading import as_images, load_images

__all__ = [
    "CacheWarning", "ImageFlattener", "ImageLoader", "UnreadableImagesError", "as_images",
    "load_images",
]  # fmt: skip
