"""Files and folders that are published atomically: complete, or as they were before."""

import os
import shutil
from contextlib import contextmanager, nullcontext
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory

_N_SHOWN = 40  # characters of a path in the name of its temporary folder


@contextmanager
def folder_beside(path):
    """Open a hidden temporary folder next to a path, on the same file system."""
    try:
        place = TemporaryDirectory(prefix=f".{path.name[:_N_SHOWN]}-", dir=path.parent)
    except OSError as error:  # name the path that was asked for, not the temporary one
        raise OSError(error.errno, error.strerror, str(path)) from error
    with place as name:
        yield Path(name)


def remove_unfinished(path):
    """Remove what killed processes left of a path that only one at a time publishes."""
    if len(path.name) <= _N_SHOWN:  # a part of a name may be that of another path
        for rest in path.parent.glob(f".{escape(path.name)}-*"):
            shutil.rmtree(rest, ignore_errors=True)


@contextmanager
def publish_folder(folder, *, replace=False):
    """Build a folder that appears at its path when the block ends without an error."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder_beside(folder) as place:
        building = place / "new"
        building.mkdir()  # unlike the temporary folder, with the permissions of new folders
        yield building
        if replace and folder.exists():
            folder.rename(place / "old")
        building.rename(folder)  # an error where the folder exists and is not empty


@contextmanager
def publish_file(path):
    """Build a file, and files named after it, that replace the old ones when the block ends."""
    path = Path(os.path.realpath(path))
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
            os.replace(file, path.parent / file.name)


def _is_stream(path):
    return path.exists() and not path.is_file() and not path.is_dir()


def write_atomically(path, content):
    """Write bytes to a file; a device or pipe is written to directly."""
    path = Path(path)
    with nullcontext(path) if _is_stream(path) else publish_file(path) as building:
        building.write_bytes(content)
