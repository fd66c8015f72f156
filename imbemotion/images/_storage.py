"""Writing images to the disk: a folder of PNG files, or one array file that is mapped."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from imbemotion._files import replacing
from imbemotion.images._blocks import blocks_of
from imbemotion.images._manifest import MANIFEST, write_manifest

__all__ = ["write_array", "write_pictures"]

_UNSAFE_NAMES = {"", MANIFEST}


def write_pictures(images, folder, labels=None):
    """Write every row as a PNG file; the folder appears when all of them are written."""
    folder = Path(folder)
    if images.dtype != np.uint8:
        raise ValueError(
            f"Only uint8 images can be saved as pictures, got dtype {images.dtype}. "
            "Use to_memmap for float images."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is no empty folder. Choose another one to save to.")
    names = _file_names(len(images), labels)
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write_files(images, [building / name for name in names])
        if labels is not None:
            write_manifest(building, names, labels, images)
        building.chmod(0o755)
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return np.array([str(folder / name) for name in names], dtype=object)


def _file_names(n_images, labels):
    digits = max(6, len(str(n_images - 1)))
    files = [f"{number:0{digits}d}.png" for number in range(n_images)]
    if labels is None:
        return files
    if len(labels) != n_images:
        raise ValueError(f"Expected one label per image, got {len(labels)} for {n_images} images.")
    classes = [str(label) for label in labels]
    for name in set(classes):
        odd = name.startswith(".") or "/" in name or "\\" in name or not name.isprintable()
        if odd or name in _UNSAFE_NAMES:
            raise ValueError(
                f"Label {name!r} can't be the name of a folder. Rename the class before saving."
            )
    return [f"{name}/{file}" for name, file in zip(classes, files, strict=True)]


def _write_files(images, paths):
    from PIL import Image

    for parent in {path.parent for path in paths}:
        parent.mkdir(exist_ok=True)
    for place, pixels in blocks_of(images):
        if pixels.ndim == 4 and pixels.shape[3] == 1:
            pixels = pixels[..., 0]
        for picture, path in zip(pixels, paths[place], strict=True):
            Image.fromarray(picture).save(path)


def write_array(images, path):
    """Write the pixels into a .npy file, whole or not at all, and map it read-only."""
    path = Path(path)
    if len(images) == 0:
        raise ValueError("There is no image to write, got an array without rows.")
    if path.suffix != ".npy":
        raise ValueError(f"The file must end in .npy, got {str(path)!r}.")
    with replacing(path) as building, building.open("wb") as file:
        _fill(file, images)
    return np.load(path, mmap_mode="r")


def _fill(file, images):
    header = {
        "descr": np.lib.format.dtype_to_descr(images.dtype),
        "fortran_order": False,
        "shape": images.shape,
    }
    np.lib.format.write_array_header_2_0(file, header)
    n_bytes = images.size * images.dtype.itemsize
    if hasattr(os, "posix_fallocate"):  # a full disk is an error before anything is written
        os.posix_fallocate(file.fileno(), file.tell(), n_bytes)
    for _, pixels in blocks_of(images):
        np.ascontiguousarray(pixels).tofile(file)
