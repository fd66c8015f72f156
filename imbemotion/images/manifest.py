"""Images on the disk: a folder of PNG files with a manifest, or one array file that is mapped."""

import csv
import os
import re
import warnings
from pathlib import Path

import numpy as np

from imbemotion._base.files import publish_file, publish_folder
from imbemotion._base.validation import DataWarning, shorten
from imbemotion.images.blocks import blocks_of

__all__ = [
    "MANIFEST",
    "read_manifest",
    "write_array",
    "write_manifest",
    "write_pictures",
]

MANIFEST = "manifest.csv"
_COLUMNS = ("file", "label", "parent", "seed", "made")
_NEEDED = {"file", "parent", "made"}
_LOOKS_LIKE = re.compile(r"parent|seed")  # columns that others do not have


def write_manifest(folder, files, labels, images):
    """Write one line per picture."""
    with (folder / MANIFEST).open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(_COLUMNS)
        seeds = images._content.recipes.seeds
        for path, label, parents, seed, made in zip(
            files, labels, images.parents.tolist(), seeds, images.is_synthetic, strict=True
        ):
            known = " ".join(str(number) for number in parents if number >= 0)
            lines.writerow([path, label, known, seed, int(made)])


def read_manifest(folder, paths):
    """Read where pictures come from."""
    lines = _lines(folder / MANIFEST)
    if lines is None:
        return None
    known = dict(_origins(lines, folder / MANIFEST))
    new = max((max(parents, default=-1) for parents, _ in known.values()), default=-1) + 1
    found, strange = [], []
    for path in paths:
        name = Path(path).relative_to(folder).as_posix()
        if name not in known:
            known[name], new = ([new], False), new + 1
            strange.append(name)
        found.append(known[name])
    if strange:
        warnings.warn(
            f"{MANIFEST} does not name {len(strange)} of the pictures, which count as originals "
            f"therefore: {shorten(strange, 3)}. If they were moved or renamed, move them back.",
            DataWarning,
            stacklevel=4,
        )
    width = max([2, *(len(parents) for parents, _ in found)])
    padded = [parents + [-1] * (width - len(parents)) for parents, _ in found]
    return np.array(padded, dtype=np.int64), np.array([made for _, made in found], dtype=bool)


def _lines(path):
    """Give the lines as dicts; None where there is no manifest of this kind."""
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        columns = set(lines.fieldnames or ())
        if not columns >= _NEEDED and _LOOKS_LIKE.search(" ".join(columns)):
            raise ValueError(
                f"{path} must have the columns {', '.join(_COLUMNS)} between commas, got "
                f"{', '.join(sorted(columns))}. Correct it, or remove the file."
            )
        return list(lines) if columns >= _NEEDED else None


def _origins(lines, path):
    for number, line in enumerate(lines, start=2):
        try:
            parents = [int(word) for word in line["parent"].split()]
            yield line["file"], (parents, bool(int(line["made"])))
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"Line {number} of {path} must name parents by numbers and made by 0 or 1, got "
                f"{line['parent']!r} and {line['made']!r}. Correct it, or remove the file."
            ) from error


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
    with publish_folder(folder) as building:
        _write_files(images, [building / name for name in names])
        if labels is not None:
            write_manifest(building, names, labels, images)
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
    with publish_file(path) as building, building.open("wb") as file:
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
