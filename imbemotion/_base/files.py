"""Files and folders that are published atomically, and what is written to them safely."""

import ctypes
import json
import os
import re
import shutil
import sys
import zipfile
from collections import Counter
from contextlib import contextmanager, nullcontext, suppress
from errno import EDQUOT, EFBIG, EIO, ENOSPC, ENOTEMPTY, EROFS
from glob import escape
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp

from pandas.api.types import is_numeric_dtype

from imbemotion._base.validation import cut_label

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # not on Windows, where what killed processes leave stays
    flock = None

_N_SHOWN = 40  # characters of a path in the name of its temporary folder
_MARK = ".unfinished"  # at the end of that name; nobody else's folders are ever removed
_REMEDIES = {
    **dict.fromkeys((ENOSPC, EDQUOT), "Free some space, or name another disk"),
    EFBIG: "Name a disk for larger files",
    EROFS: "Name a folder that can be written",
    EIO: "Check the disk, or name another one",
}
_REASON = 200  # characters of what another library says
_ALLOCATING = b"\nbytearray\n"  # the only name that torch.load allows and that fills memory
_FEW = 100  # files that are written to the disk one by one
_EXCHANGE, _HERE = 2, -100  # RENAME_EXCHANGE and AT_FDCWD of Linux
# What spreadsheets run, but for numbers: the quote that makes a text of it is the usual remedy.
_FORMULA = re.compile(r"(?![-+]?[0-9]+(\.[0-9]*)?\Z)'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


@contextmanager
def folder_beside(path, parent=None):
    """Open a hidden temporary folder next to a path, on the same file system."""
    parent = path.parent if parent is None else parent
    held = place = None
    try:
        remove_unfinished(path, parent)
        while place is None or not place.exists():  # another process may take it for a rest
            place = parent / f".{path.name[:_N_SHOWN]}-{token_hex(4)}{_MARK}"
            place.mkdir(0o700)
            held = _lock(place)
        yield place
    except OSError as error:
        named = _named(error, path)
        raise named from None if named is error else error
    finally:
        if place is not None:
            _remove(place, parent)
        if held is not None:
            os.close(held)


def _named(error, path):
    """Return an error that names the path that was asked for, not the temporary one."""
    is_ours = _MARK in str(error.filename) or (error.filename is None and error.errno in _REMEDIES)
    if not is_ours or error.errno is None:
        return error
    reason = ". ".join(filter(None, [os.strerror(error.errno), _REMEDIES.get(error.errno)]))
    return OSError(error.errno, reason, str(path))


def _lock(place):
    """Hold a folder until this process ends, however it ends; None if that is impossible."""
    with suppress(OSError):
        held = os.open(place, os.O_RDONLY)
        try:
            flock(held, LOCK_EX | LOCK_NB)
        except (OSError, TypeError):
            os.close(held)
        else:
            return held
    return None


def _remove(place, parent):
    """Remove a temporary folder, but first put back the folder that was moved into it."""
    with suppress(OSError):
        for old in (place / "old").iterdir():
            if not (parent / old.name).exists():
                old.rename(parent / old.name)
    try:
        shutil.rmtree(place, ignore_errors=True)
    except KeyboardInterrupt:
        shutil.rmtree(place, ignore_errors=True)
        raise


def remove_unfinished(path, parent=None):
    """Remove what processes that were killed have left of a path."""
    parent = path.parent if parent is None else parent
    for place in parent.glob(f".{escape(path.name[:_N_SHOWN])}-????????{_MARK}"):
        held = _lock(place)
        if held is not None:
            _remove(place, parent)
            os.close(held)


def check_path(path):
    """Return a path with all links resolved; refuse one that no system knows."""
    if "\0" in str(path):
        name = cut_label(repr(str(path)), 60)
        raise ValueError(f"A path must not contain a null character, got {name}. Correct it.")
    return Path(os.path.realpath(path))


def check_writable(path):
    """Refuse a path that cannot be written, before the work that would be lost."""
    path = check_path(path)
    if _is_stream(path):
        return
    parent = path if path.is_dir() and _stays_in_place(path) else path.parent
    while not parent.exists():
        parent = parent.parent
    with folder_beside(path, parent) as place:
        (place / "probe").write_bytes(bytes(2**16))  # more than a full disk takes


def _stays_in_place(folder):
    """Return whether a folder can only be filled: a disk, or one in a folder of others."""
    return os.path.ismount(folder) or not os.access(folder.parent, os.W_OK)


@contextmanager
def publish_folder(folder, *, replace=()):
    """Build a folder that appears at its path when the block ends without an error."""
    # It replaces these names in an earlier folder (True: all); what else is in there stays.
    folder = check_path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fills = folder.is_dir() and _stays_in_place(folder)
    with folder_beside(folder, folder if fills else None) as place:
        building = place / "new"
        building.mkdir()  # unlike the temporary folder, with the permissions of new folders
        yield building
        _sync_all(building)
        if fills:
            _fill(folder, building, place, replace)
        elif replace and folder.exists():
            _carry_over(folder, building, replace)
            _exchange(folder, building, place)
        else:
            building.rename(folder)  # an error where the folder exists and is not empty
        _sync(folder)
        _sync(folder.parent)


def _sync(path):
    """Have a file, or the names in a folder, written to the disk: a power cut may come."""
    try:
        held = os.open(path, os.O_RDONLY)
        try:
            os.fsync(held)
        finally:
            os.close(held)
    except OSError as error:  # not every system can do it
        if error.errno in _REMEDIES:
            raise


def _sync_all(folder):
    """Have all files in a folder written to the disk; thousands of them in one call."""
    places = [place for place in folder.rglob("*") if not place.is_symlink()]
    if len(places) > _FEW and hasattr(os, "sync"):
        os.sync()
    else:
        for place in (*places, folder):
            _sync(place)


def _carry_over(folder, building, replace):
    """Link what is not replaced into the new folder, or copy it where links are unknown."""

    def link(source, target):
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError:
            shutil.copy2(source, target, follow_symlinks=False)

    def ours(place, names):
        return [n for n in names if place == str(folder) and (replace is True or n in replace)]

    keeping = {"symlinks": True, "copy_function": link, "dirs_exist_ok": True}
    shutil.copytree(str(folder), building, ignore=ours, **keeping)


def _exchange(folder, building, place):
    """Put a new folder in place of an old one, in a single step where the system has one."""
    if sys.platform == "linux":
        rename = getattr(ctypes.CDLL(None), "renameat2", None)
        paths = os.fsencode(building), os.fsencode(folder)
        if rename and rename(_HERE, paths[0], _HERE, paths[1], _EXCHANGE) == 0:
            return
    (place / "old").mkdir()  # from where it is put back if this process dies now
    folder.rename(place / "old" / folder.name)
    building.rename(folder)


def _fill(folder, building, place, replace):
    """Move new files into a folder that has to stay, one by one, and remove stale ones."""
    before = [path for path in folder.iterdir() if path != place]
    if before and not replace:
        raise OSError(ENOTEMPTY, os.strerror(ENOTEMPTY), str(folder))
    (place / "old").mkdir()
    new = sorted(building.iterdir())
    for path in new:
        target = folder / path.name
        if target.is_dir() and not target.is_symlink():
            target.rename(place / "old" / path.name)
        path.replace(target)
    for path in before:
        if (replace is True or path.name in replace) and building / path.name not in new:
            path.rename(building / path.name)  # removed with it


@contextmanager
def publish_file(path):
    """Build a file, and files named after it, that replace the old ones when the block ends."""
    path = check_path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} to save in. Create it first.")
    if path.is_dir():
        raise IsADirectoryError(f"The path must be that of a file, got the folder {path}.")
    if _is_stream(path):
        raise OSError(f"The path must be that of a file, got the device or pipe {path}.")
    with folder_beside(path) as place:
        building = place / path.name
        building.touch()
        mode = building.stat().st_mode  # as the umask wants it; safetensors does not ask
        yield building
        # Companions such as NAME.data sort behind NAME and have to be there first.
        for file in sorted(place.iterdir(), reverse=True):
            file.chmod(mode)
            _sync(file)
            os.replace(file, path.parent / file.name)
        _sync(path.parent)


def _is_stream(path):
    return path.exists() and not path.is_file() and not path.is_dir()


def _publish(path):
    """Build a file; a device or pipe is written to directly."""
    return nullcontext(path) if _is_stream(path) else publish_file(path)


def write_atomically(path, content):
    """Write bytes to a file, device or pipe."""
    path = Path(path)
    with _publish(path) as building:
        building.write_bytes(content)


def publish_or_rescue(path, write, publish=_publish):
    """Publish what ``write`` writes; if that fails, keep it in a folder that the error names."""
    path = Path(path)
    try:
        with publish(path) as building:
            write(building)
    except (OSError, ValueError) as error:
        spare = Path(mkdtemp(prefix="imbemotion-"), path.name)
        with suppress(OSError, ValueError):
            write(spare)
        if not spare.exists():
            spare.parent.rmdir()
            raise
        raise OSError(
            f"{path} could not be written: {getattr(error, 'strerror', None) or error}. The "
            f"results are in {spare}; move them from there."
        ) from error


def cell(value):
    """Return a value for a CSV file; a quote before a text keeps spreadsheets from running it."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def from_cell(value):
    """Return the value that `cell` wrote."""
    is_quoted = isinstance(value, str) and value[:1] == "'" and _FORMULA.match(value[1:])
    return value[1:] if is_quoted else value


def to_csv(table, **settings):
    """Write a table as the bytes of a CSV file that no spreadsheet runs."""
    table = table.rename(columns=cell, index=cell)
    table = table.apply(lambda column: column if is_numeric_dtype(column) else column.map(cell))
    return table.to_csv(lineterminator="\n", **settings).encode()


def _as_dict(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        name, n_times = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"an object has the key {cut_label(name)!r} {n_times} times")
    return found


def parse_json(content):
    """Parse JSON; whatever is wrong with it is a ValueError."""
    try:
        return json.loads(content, object_pairs_hook=_as_dict)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path):
    """Read a JSON file; whatever is wrong in it is a ValueError that names it."""
    try:
        return parse_json(Path(path).read_text("utf-8"))
    except ValueError as error:  # also of the encoding
        raise ValueError(f"{path} is not valid JSON: {str(error)[:_REASON]}.") from error


def check_torch_file(file):
    """Refuse what ``torch.load`` would turn into more memory than a file has bytes; rewind it."""
    is_archive, n_bytes, contents = zipfile.is_zipfile(file), file.seek(0, 2), [file]
    file.seek(0)
    if is_archive:
        archive = zipfile.ZipFile(file)
        if sum(member.file_size for member in archive.filelist) > n_bytes:
            raise ValueError("its members are compressed, which torch.save never does")
        contents = [archive.open(n) for n in archive.namelist() if n.endswith(".pkl")]
    if any(_ALLOCATING in content.read() for content in contents):
        raise ValueError("it contains a bytearray, of which a pickle may create any length")
    file.seek(0)
