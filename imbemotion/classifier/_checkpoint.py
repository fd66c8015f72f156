"""Checkpoints: the state of a training on disk, from which an equal fit goes on bit by bit."""

import hashlib
import json
import time
import warnings
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from skorch.callbacks import Callback

from imbemotion import __version__
from imbemotion._base.files import (
    check_path,
    check_torch_file,
    remove_unfinished,
    write_atomically,
)
from imbemotion._base.validation import DataWarning, check_random_state, cut_label
from imbemotion.classifier._archive import describe, encode_or_lose
from imbemotion.images import ImageArray, blocks_of
from imbemotion.training.machine import pick_device
from imbemotion.training.state import put_back, put_back_rows, state_of

_SECONDS = 10.0  # between two writes, at least
_COSTS = 30  # times the seconds of the last write, at least
_KIND = b"imbemotion checkpoint 1\n"  # followed by two digests: of the fit, and of the content
_N_HEX = 64  # of a SHA-256
_N_DIGITS = 12  # of the digest in the name of the file
_WITHOUT_EFFECT = {"checkpoint", "random_state", "verbose"}  # the seed counts by itself


class Checkpoint(Callback):
    """Write the state of a training after an epoch; before the first, put back a former state."""

    def __init__(self, path, digest, seed, state=None):
        self.path, self._digest, self.seed, self._state = path, digest, seed, state

    def train(self, net, X, y):
        """Train a net for all epochs, or for those that are left."""
        n_epochs = 0 if self._state is None else len(self._state["history"])
        # the last callback, so that it sees what all others did in an epoch
        net.callbacks_.append(("checkpoint", self))
        try:
            net.partial_fit(X, y, epochs=net.max_epochs - n_epochs)
        finally:
            net.callbacks_.remove(("checkpoint", self))

    def on_train_begin(self, net, **kwargs):
        """Put back the former state once the other callbacks have set theirs."""
        self._due = time.monotonic() + _SECONDS
        if self._state is not None:
            with self._naming():
                put_back(net, self._state)

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        """Put back the generators of the rows, which exist only now."""
        if self._state is not None:
            with self._naming():
                put_back_rows(net, dataset_train, self._state)
            self._state = None

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        """Write the state if the last writing is long ago."""
        start = time.monotonic()
        if start < self._due:
            return
        try:
            self._write({"seed": self.seed, **state_of(net, dataset_train)})
        except (OSError, TypeError) as error:  # a full disk must not end a training
            _warn(f"{self.path} cannot be written, so training goes on without it: {error}.")
            self._due = float("inf")
        else:
            seconds = time.monotonic() - start
            self._due = start + seconds + max(_SECONDS, _COSTS * seconds)

    @contextmanager
    def _naming(self):
        """Name the file where its state, though it is intact, is not that of this training."""
        try:
            yield
        except Exception as error:  # whatever a foreign value leads to
            raise ValueError(
                f"{self.path} does not hold a state of this training: {cut_label(error, 200)}. "
                "Remove it to train from the start."
            ) from error

    def _write(self, state):
        file = BytesIO()
        torch.save(state, file)
        content = file.getvalue()
        digests = self._digest + hashlib.sha256(content).hexdigest()
        write_atomically(self.path, _KIND + digests.encode() + content)


@contextmanager
def open_checkpoint(classifier, X, *others):
    """Yield the checkpoint of a fit, or None; a fit that ends without an error removes it."""
    path = Path(classifier.checkpoint)
    check_path(path)
    _check_settings(classifier, path)
    digest = _digest(classifier, X, others)
    digits = digest[:_N_DIGITS]
    own = path if path.stem.endswith(digits) else path.with_stem(f"{path.stem}-{digits}")
    _refuse_other_files(own)
    lock = FileLock(f"{own}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        _warn(f"An equal fit is writing {own}, so this one trains without a checkpoint.")
        yield None
        return
    try:
        remove_unfinished(own)
        checkpoint = _load(classifier, own, digest)
        yield checkpoint
        if checkpoint is not None:
            own.unlink(missing_ok=True)
    finally:
        with suppress(OSError):  # Windows keeps open files
            Path(lock.lock_file).unlink()
        lock.release()


def _check_settings(classifier, path):
    """Refuse settings under which a resumed training would differ from an uninterrupted one."""
    if classifier._own("net", "warm_start"):
        raise ValueError(
            f"checkpoint and warm_start exclude each other, got checkpoint={str(path)!r}. Leave "
            "out one of them."
        )
    seed = classifier.random_state
    if isinstance(seed, np.random.RandomState):
        raise ValueError(
            "checkpoint needs a random_state that another fit can repeat, an int or None, got "
            f"{seed}."
        )
    if classifier._others("net").get("iterator_train__persistent_workers"):
        raise ValueError(
            "checkpoint needs workers that start anew in every epoch, got net_params with "
            "iterator_train__persistent_workers=True. Leave it out."
        )
    _refuse_other_files(path)
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} for {path}. Create it first.")


def _refuse_other_files(path):
    if path.is_dir() or (path.exists() and _head(path) != _KIND):
        raise ValueError(
            f"checkpoint must be the path of a new file or a checkpoint, got {path}, which is "
            "neither. Choose another path, or remove it."
        )


def _head(path):
    with path.open("rb") as file:
        return file.read(len(_KIND))


def _load(classifier, path, digest):
    """Return a checkpoint with the state in its file, if there is one of the same digest."""
    seed, state = classifier.random_state, None
    if path.exists():
        content = path.read_bytes()[len(_KIND) :]
        sums, content = content[: 2 * _N_HEX], content[2 * _N_HEX :]
        if sums[:_N_HEX] != digest.encode():
            _warn(f"{path} belongs to another fit, so this one trains without a checkpoint.", 8)
            return None
        state = _from_bytes(content, sums[_N_HEX:])
        if state is None:
            _warn(f"{path} is damaged, so training starts anew and will replace it.", 8)
    if seed is None:
        drawn = check_random_state(None).randint(2**31 - 1)
        seed = drawn if state is None else state["seed"]
    return Checkpoint(path, digest, int(seed), state)


def _from_bytes(content, sha256):
    """Return a state, or None if it is not what was written."""
    if hashlib.sha256(content).hexdigest().encode() != sha256:
        return None
    try:
        check_torch_file(file := BytesIO(content))
        return torch.load(file, weights_only=True)
    except Exception:  # unpickling a foreign file raises nearly anything
        return None


def _warn(text, stacklevel=7):  # the caller of CNNClassifier.fit
    warnings.warn(text, DataWarning, stacklevel=stacklevel)


# The digest of a fit


def _digest(classifier, X, others):
    """Compute the SHA-256 of parameters, data and versions: what decides about the weights."""
    params = classifier.get_params(deep=False)
    params = {name: params[name] for name in params if name not in _WITHOUT_EFFECT}
    seed = None if classifier.random_state is None else int(classifier.random_state)
    what = [
        __version__, str(torch.__version__), pick_device(classifier.device), seed,
        encode_or_lose(classifier.classes_), describe(params),
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode())
    for values in (X, X.parents, X.is_synthetic, X.sampled_from, *others):
        digest.update(
            f"{getattr(values, 'shape', None)} {getattr(values, 'dtype', None)}".encode()
        )
        if isinstance(values, ImageArray):
            for _, block in blocks_of(values):
                digest.update(np.ascontiguousarray(block))
        elif values is not None:
            is_object = values.dtype.hasobject
            digest.update(repr(values.tolist()).encode() if is_object else values.tobytes())
    return digest.hexdigest()
