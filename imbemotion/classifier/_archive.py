"""The file of a saved classifier: tensors and JSON, which a SHA-256 vouches for."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from imbemotion import __version__
from imbemotion._files import replacing

__all__ = ["damaged", "read_archive", "write_archive"]

_FORMAT = "imbemotion.CNNClassifier"
_VERSION = 1


def write_archive(path, tensors, content):
    """Write tensors and JSON into one file, whole or not at all.

    Parameters
    ----------
    path : str or Path
        The file.

    tensors : dict of str to Tensor
        Contiguous tensors on the CPU that share no memory.

    content : dict
        What JSON can hold.
    """
    metadata = {
        "format": _FORMAT,
        "format_version": str(_VERSION),
        "library_version": __version__,
        "content": json.dumps(content, allow_nan=False),
    }
    metadata["sha256"] = _digest(tensors, metadata)
    with replacing(path) as building:
        save_file(tensors, building, metadata=metadata)


def read_archive(path):
    """Read a file of ``write_archive`` and prove that it is whole.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    tensors : dict of str to Tensor
        As they were written.

    content : dict
        As it was written.

    Raises
    ------
    FileNotFoundError
        If there is no such file.

    ValueError
        If it is another kind of file, damaged, or of a later format.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}. Correct the path.")
    if not path.is_file():
        raise ValueError(f"Only files of CNNClassifier.save can be loaded, got the folder {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            _check_format(path, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged, or no file of CNNClassifier.save, got: {error}. "
            "Take another copy of it, or save the classifier again."
        ) from error
    if metadata.pop("sha256", None) != _digest(tensors, metadata):
        raise ValueError(damaged(path))
    try:
        return tensors, json.loads(metadata["content"])
    except (KeyError, ValueError, RecursionError) as error:
        raise ValueError(damaged(path)) from error


def _check_format(path, metadata):
    if metadata.get("format") != _FORMAT:
        raise ValueError(
            f"{path} must be a file of CNNClassifier.save, got a safetensors file "
            f"of format {metadata.get('format')!r}."
        )
    version = metadata.get("format_version", "")
    if not version.isdecimal():
        raise ValueError(damaged(path))
    if int(version) > _VERSION:
        raise ValueError(
            f"{path} is of format {version}, written by imbemotion "
            f"{metadata.get('library_version')}, but imbemotion {__version__} reads formats "
            f"up to {_VERSION}. Update imbemotion."
        )


def damaged(path):
    """Say that a file is damaged.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    sentence : str
        And what to do.
    """
    return (
        f"{path} is damaged: what it holds is not what was saved. "
        "Take another copy of it, or save the classifier again."
    )


def _digest(tensors, metadata):
    """Compute the SHA-256 of names, types, shapes and values."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
