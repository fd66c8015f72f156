"""Files that are written whole or not at all."""

import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = [
    "replacing",
    "write_whole",
]


@contextmanager
def replacing(path):
    """Write a file, and what belongs to it, whole or not at all."""
    path = _check_place(path)
    with _folder_beside(path) as folder:
        building = Path(folder) / path.name
        building.touch()
        mode = building.stat().st_mode  # as the user wants new files; safetensors does not ask
        yield building
        # what belongs to it is called NAME.data, and has to be there first
        for file in sorted(Path(folder).iterdir(), reverse=True):
            file.chmod(mode)
            os.replace(file, path.parent / file.name)


def _check_place(path):
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} to save in. Make it before.")
    if path.is_dir():
        raise IsADirectoryError(f"The path must be that of a file, got the folder {path}.")
    if path.exists() and not path.is_file():
        raise OSError(f"The path must be that of a file, got the device or pipe {path}.")
    return path


def _folder_beside(path):
    try:
        return TemporaryDirectory(prefix=".writing-", dir=path.parent)
    except OSError as error:  # in words of the file that was asked for
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_whole(path, content):
    """Write a file so that it is there whole or as it was."""
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content)
        return
    with replacing(path) as building:
        building.write_bytes(content)
