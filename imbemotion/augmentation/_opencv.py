"""OpenCV in one thread: images are shared out among threads here, not parts of an image."""

import os
from contextlib import contextmanager
from threading import Lock

import cv2

__all__ = ["one_opencv_thread"]

_lock = Lock()
_users, _before = 0, 1


def _start_afresh():
    """Forget the threads of the parent: a forked process has only the one that forked."""
    global _lock, _users
    _lock = Lock()
    if _users:
        _users = 0
        cv2.setNumThreads(_before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)


@contextmanager
def one_opencv_thread():
    """Let OpenCV use one thread, and afterwards as many as before.

    Its own threads get in the way of ours on small images, and would be too many in worker
    processes. The setting is global: the first to come changes it, the last restores it.
    """
    global _users, _before
    with _lock:
        if _users == 0:
            _before = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                cv2.setNumThreads(_before)
