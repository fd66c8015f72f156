"""Images on disk: a folder of PNG files with a manifest, or one array file that is mapped."""

import csv
import re
from pathlib import Path

import numpy as np
from PIL import Image

from imbemotion._base.files import cell, from_cell, publish_file, publish_folder
from imbemotion._base.validation import cut_label, shorten, warn
from imbemotion.images._recipes import blocks_of

MANIFEST = "manifest.csv"
_COLUMNS = ("file", "label", "parent", "seed", "synthetic")
_NEEDED = {"file", "parent", "synthetic"}
_PARENTS = re.compile(r"([0-9]{1,15}( +[0-9]{1,15}){0,1023})?")  # of ten interpolations
_LOOKS_LIKE = re.compile(r"parent|seed")  # columns that other CSV files do not have


def read_manifest(folder, paths):
    """Return parents (n, k) and synthetic rows (n,) of the files; None if it is no manifest."""
    lines = _lines(folder / MANIFEST)
    if lines is None:
        return None
    known = _origins(lines, folder / MANIFEST)
    # Files that are not listed get numbers after those of all known parents.
    new = max((max(parents, default=-1) for parents, _ in known.values()), default=-1) + 1
    names = [Path(path).relative_to(folder).as_posix() for path in paths]
    missing = [name for name in names if name not in known]
    known.update({name: ([number], False) for number, name in enumerate(missing, start=new)})
    if missing:
        warn(
            f"{MANIFEST} does not list {len(missing)} of the images, which therefore count as "
            f"originals: {shorten(missing, 3)}. If they were moved or renamed, move them back."
        )
    found = [known[name] for name in names]
    width = max([2, *(len(parents) for parents, _ in found)])
    padded = [parents + [-1] * (width - len(parents)) for parents, _ in found]
    return np.array(padded, dtype=np.int64), np.array([flag for _, flag in found], dtype=bool)


def _lines(path):
    """Return the lines as dicts, or None without a manifest of this library."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets add a mark
            lines = csv.DictReader(file)
            names = list(lines.fieldnames or ())
            is_ours = set(names) >= _NEEDED
            if is_ours and len(names) == len(set(names)):
                return list(lines)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged: {error}. Correct or remove the file.") from error
    if not is_ours and not _LOOKS_LIKE.search(" ".join(names)):
        return None
    raise ValueError(
        f"{path} must have the columns {', '.join(_COLUMNS)} separated by commas, got "
        f"{shorten(map(cut_label, sorted(names)))}. Correct or remove the file."
    )


def _origins(lines, path):
    """Return the parents of every file, and whether it is synthetic."""
    known = {}
    for number, line in enumerate(lines, start=2):  # line 1 is the header
        parents, flag = (line[name] or "" for name in ("parent", "synthetic"))
        is_damaged = None in line or not _PARENTS.fullmatch(parents) or flag not in ("0", "1")
        if is_damaged or from_cell(line["file"]) in known:
            raise ValueError(
                f"Line {number} of {path} must hold numbers under parent, 0 or 1 under synthetic, "
                f"and each file once, got {cut_label(repr(parents))} and {cut_label(repr(flag))} "
                f"for {cut_label(line['file'], 60)}. Correct or remove the file."
            )
        known[from_cell(line["file"])] = [int(word) for word in parents.split()], flag == "1"
    return known


def write_images(images, folder, labels=None):
    """Write every row as a PNG file; the folder appears when all of them are written."""
    folder = Path(folder)
    if images.dtype != np.uint8:
        raise ValueError(f"Only uint8 images become PNG files, got {images.dtype}. Use to_memmap.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is not an empty folder. Choose another one.")
    names = _file_names(len(images), labels)
    with publish_folder(folder) as building:
        _write_files(images, [building / name for name in names])
        if labels is not None:
            _write_manifest(building / MANIFEST, names, labels, images)
    return np.array([str(folder / name) for name in names], dtype=object)


def _file_names(n_images, labels):
    digits = max(6, len(str(n_images - 1)))  # names sort as rows
    files = [f"{number:0{digits}d}.png" for number in range(n_images)]
    if labels is None:
        return files
    if len(labels) != n_images:
        raise ValueError(f"Expected one label per image, got {len(labels)} for {n_images} images.")
    classes = [str(label) for label in labels]
    for name in set(classes):
        is_odd = name in ("", MANIFEST) or name.startswith(".") or not name.isprintable()
        if is_odd or "/" in name or "\\" in name:
            raise ValueError(f"Labels must be valid folder names, got {name!r:.90}. Rename them.")
    return [f"{name}/{file}" for name, file in zip(classes, files, strict=True)]


def _write_files(images, paths):
    for parent in {path.parent for path in paths}:
        parent.mkdir(exist_ok=True)
    for place, pixels in blocks_of(images):
        if pixels.ndim == 4 and pixels.shape[3] == 1:
            pixels = pixels[..., 0]  # Pillow expects gray images without channels
        for image, path in zip(pixels, paths[place], strict=True):
            Image.fromarray(image).save(path)


def _write_manifest(path, files, labels, images):
    parents = [" ".join(str(p) for p in row if p >= 0) for row in images.parents.tolist()]
    changes = images._content.recipes.changed().changes[["seed", "policy"]].tolist()
    seeds = [seed if policy >= 0 else None for seed, policy in changes]
    synthetic = images.is_synthetic.astype(int)
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        rows = zip(map(cell, files), map(cell, labels), parents, seeds, synthetic, strict=True)
        lines.writerows([_COLUMNS, *rows])


def write_array(images, path):
    """Write the pixels to a .npy file atomically and map it read-only."""
    path = Path(path)
    if not len(images):
        raise ValueError(f"At least one image must be written, got shape {images.shape}.")
    if path.suffix != ".npy":
        raise ValueError(f"The file must end in .npy, got {str(path)!r}.")
    descr = np.lib.format.dtype_to_descr(images.dtype)
    header = {"descr": descr, "fortran_order": False, "shape": images.shape}
    # Plain writes, as writing to a mapped file would kill the process when the disk is full.
    with publish_file(path) as building, building.open("wb") as file:
        np.lib.format.write_array_header_2_0(file, header)
        for _, pixels in blocks_of(images):
            np.ascontiguousarray(pixels).tofile(file)
    return np.load(path, mmap_mode="r")
