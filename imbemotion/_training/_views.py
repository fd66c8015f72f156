"""The views of an image over which predictions are averaged."""

from torch.nn import functional

__all__ = ["VIEWS", "check_views", "views"]

_ZOOMS = (0, 1, 2, 3)  # 48ths of height and width that are cut off on every side
VIEWS = {"flip": _ZOOMS[:1], "flip_zoom": _ZOOMS}


def check_views(kind):
    """Refuse what names no views; None stands for none.

    Parameters
    ----------
    kind : object
        What is to be ``"flip"``, ``"flip_zoom"`` or None.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if kind not in (None, *VIEWS):
        raise ValueError(
            f"test_time_augmentation must be one of {[*VIEWS]} or None, got {kind!r}."
        )


def views(images, kind):
    """Give views of a batch one after another.

    Parameters
    ----------
    images : Tensor of shape (n, height, width[, channels])
        As they were stored.

    kind : {"flip", "flip_zoom"}
        ``"flip"`` is the images and their mirror images; ``"flip_zoom"`` adds the same of
        three central crops, of 23, 22 and 21 24ths of height and width, enlarged to the
        size of the images.

    Yields
    ------
    view : Tensor of shape (n, height, width[, channels])
        Of the dtype of the images, or float32 where they are enlarged.
    """
    check_views(kind)  # a fitted net may be given another one
    for zoom in VIEWS[kind]:
        view = _enlarge(images, zoom / 48)
        yield view
        yield view.flip(2)


def _enlarge(images, share):
    """Cut a share off every side and bring the rest back to the size of the images."""
    height, width = images.shape[1:3]
    top, left = round(share * height), round(share * width)
    if not top and not left:
        return images
    crops = images[:, top : height - top, left : width - left].float()
    crops = crops[:, None] if images.ndim == 3 else crops.permute(0, 3, 1, 2)
    enlarged = functional.interpolate(crops, (height, width), mode="bilinear", align_corners=False)
    return enlarged[:, 0] if images.ndim == 3 else enlarged.permute(0, 2, 3, 1)
