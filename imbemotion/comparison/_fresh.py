"""Calls in processes of their own: memory is measured from nothing, and a crash costs one call.

A small server process imports what calls need, once, and forks itself for every call, so that
a fresh process takes milliseconds rather than the seconds that PyTorch takes to import. It ends
with the process that started it, and takes all calls along.
"""

import os
import pickle
import shutil
import signal
import socketserver
import subprocess
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Client, Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import cloudpickle
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

__all__ = ["CrashedError", "FreshProcesses"]

_PRELOADED = {  # where the caller has imported the one, a fit will soon import the other
    "imblearn.pipeline": "imblearn.pipeline",
    "imbemotion.samplers": "imbemotion.samplers",
    "imbemotion.classifier": "imbemotion.classifier",
    "imbemotion.plots": "matplotlib.pyplot",
    "torch": "torch._dynamo",  # 2 seconds, at the first step of an optimizer
}
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# The C library of Linux gives large blocks back at once, and every step of a training then gets
# the memory of its tensors page by page anew; a process that ends with its fit may keep it.
_KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "2147483647"}
_PATIENCE = 300  # seconds for the server to import what it preloads
_LONGEST_PATH = 80  # bytes of the path of a folder with a socket in it
_CAN_FORK = hasattr(os, "fork") and hasattr(socketserver, "UnixStreamServer")


class CrashedError(RuntimeError):
    """A process ended before it gave a result."""


class FreshProcesses:
    """Make every call in a new process; several threads may call at a time.

    Parameters
    ----------
    n_threads : int
        Threads that numerical libraries may use in each process.
    """

    def __init__(self, n_threads):
        self.n_threads = n_threads
        self._folder = TemporaryDirectory(prefix="imbemotion-")
        self._socket_folder = _folder_of_short_path(self._folder)
        self._server = self._start() if _CAN_FORK else None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        """End the server and every call that still runs."""
        if self._server is not None and self._server.poll() is None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
        self._folder.cleanup()
        self._socket_folder.cleanup()

    @property
    def folder(self):
        """Room for files of the calls, removed at the end."""
        return self._folder.name

    def call(self, function, *args):
        """Call a function in a new process and give what it returns.

        Parameters
        ----------
        function : callable
            Anything that cloudpickle can take along.

        *args : object
            What it is called with.

        Returns
        -------
        result : object
            What the function returned.

        Raises
        ------
        CrashedError
            If the process ended before. What the function raises is raised here.
        """
        request = cloudpickle.dumps((function, args))
        try:
            return _opened(self._answer(request))
        except (EOFError, ConnectionError, TerminatedWorkerError) as error:
            raise CrashedError(
                "the process ended before the fit did; for want of memory, perhaps. Fit fewer at "
                "a time with n_jobs."
            ) from error

    def _answer(self, request):
        if self._server is None:
            with ProcessPoolExecutor(max_workers=1, env=self._environment) as executor:
                return executor.submit(_answer, request).result()
        with self._connect() as connection:
            connection.send_bytes(request)
            return connection.recv_bytes()

    def _connect(self):
        end = monotonic() + _PATIENCE
        while True:
            try:
                return Client(self._address, family="AF_UNIX")
            except (FileNotFoundError, ConnectionRefusedError):
                if self._server.poll() is not None or monotonic() > end:
                    raise ConnectionError("the server of fresh processes did not start") from None
                sleep(0.01)

    @property
    def _environment(self):
        limits = dict.fromkeys(_THREAD_LIMITS, str(self.n_threads))
        return {**limits, **_KEEP_MEMORY, "MPLBACKEND": "Agg"}  # nobody watches a window there

    @property
    def _address(self):
        return str(Path(self._socket_folder.name) / "server")

    def _start(self):
        modules = [needed for name, needed in _PRELOADED.items() if name in sys.modules]
        path = [entry for entry in sys.path if isinstance(entry, str)]
        folders = [self._folder.name, self._socket_folder.name]
        code = (
            f"import sys; sys.path[:] = {path!r}; from {__name__} import serve; "
            f"serve({self._address!r}, {modules!r}, {os.getpid()}, {folders!r})"
        )
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the caller, who then ends all calls
        )


def _folder_of_short_path(folder):
    """Give a folder that a socket may lie in; systems limit its path to some 100 bytes."""
    if len(os.fsencode(folder.name)) <= _LONGEST_PATH:
        return folder
    return TemporaryDirectory(prefix="imbemotion-", dir="/tmp")


def serve(address, modules, caller, folders):
    """Fork a process for every connection, until the calling process is gone.

    Parameters
    ----------
    address : str
        Path of the socket.

    modules : list of str
        What to import before the first fork.

    caller : int
        Number of the calling process.

    folders : list of str
        What to remove when it is gone.
    """
    for name in modules:
        with suppress(ImportError):  # then the call will say so
            import_module(name)
    warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)  # BLAS may have threads
    with _Server(address, _Handler) as server:
        server.caller, server.folders = caller, folders
        server.serve_forever(poll_interval=0.2)


def _answer(request):
    """Open a request and make the call; give the packed result or error."""
    try:
        function, args = pickle.loads(request)
        answer = function(*args), None
    except Exception as error:
        answer = None, error
    return cloudpickle.dumps(answer)


def _opened(answer):
    result, error = pickle.loads(answer)
    if error is not None:
        raise error
    return result


if _CAN_FORK:

    class _Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
        max_children = 4096
        request_queue_size = 128

        def service_actions(self):
            super().service_actions()
            if os.getppid() != self.caller:
                for folder in self.folders:
                    shutil.rmtree(folder, ignore_errors=True)
                os.killpg(0, signal.SIGKILL)  # this one and every call

    class _Handler(socketserver.BaseRequestHandler):
        def handle(self):
            connection = Connection(self.request.detach())
            connection.send_bytes(_answer(connection.recv_bytes()))
            sys.stdout.flush()
            sys.stderr.flush()
