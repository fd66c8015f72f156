"""Where fits run: in this process, in fresh ones, or on the workers of a cluster."""

import atexit
import os
import pickle
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import warnings
from collections import OrderedDict
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib import import_module
from itertools import chain
from multiprocessing.connection import Client, Connection
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from uuid import uuid4

import cloudpickle
import joblib
from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from imbemotion._base.validation import cut_label
from imbemotion.comparison.fold_fit import fit_together, new_record

_PRELOADED = {  # if the caller has imported the one, a fit will soon import the other
    "imblearn.pipeline": "imblearn.pipeline",
    "imbemotion.samplers": "imbemotion.samplers",
    "imbemotion.classifier": "imbemotion.classifier",
    "imbemotion.plots": "matplotlib.pyplot",
    "torch": "torch._dynamo",  # 2 seconds, at the first step of an optimizer
}
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# The C library of Linux returns large blocks at once, so that every training step would get the
# memory of its tensors page by page again; a process that ends with its fit may keep it.
_KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "2147483647"}
_PATIENCE = 300  # seconds for the server to import what it preloads
_CONNECTING = 10  # seconds to reach a scheduler
_LONGEST_PATH = 80  # bytes of the folder of a socket, whose path systems limit to about 100
_CAN_FORK = hasattr(os, "fork") and hasattr(socketserver, "UnixStreamServer")


class CrashedError(RuntimeError):
    """A process ended before it returned a result."""


class FreshProcesses(AbstractContextManager):
    """Run every call in a new process; several threads may call at a time."""

    def __init__(self, n_threads):
        self.n_threads = n_threads
        self._folder = self._socket_folder = TemporaryDirectory(prefix="imbemotion-")
        self.folder = self._folder.name  # for files of the calls, removed at the end
        if len(os.fsencode(self.folder)) > _LONGEST_PATH:
            self._socket_folder = TemporaryDirectory(prefix="imbemotion-", dir="/tmp")
        self._address = f"{self._socket_folder.name}/server"
        self._server = self._start() if _CAN_FORK else None

    def __exit__(self, *error):
        self.close()

    def close(self):
        """End the server and every running call."""
        if self._server is not None and self._server.poll() is None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
        self._folder.cleanup()
        self._socket_folder.cleanup()

    def call(self, function, *args):
        """Call a function in a new process and return its result."""
        request = cloudpickle.dumps((function, args))
        try:
            if self._server is None:
                with ProcessPoolExecutor(max_workers=1, env=self._environment) as executor:
                    answer = executor.submit(_answer, request).result()
            else:
                with self._connect() as connection:
                    connection.send_bytes(request)
                    answer = connection.recv_bytes()
        except (EOFError, ConnectionError, TerminatedWorkerError) as error:
            raise CrashedError(
                "the process ended before the fit did, perhaps for lack of memory. Run fewer fits "
                "at a time with n_jobs."
            ) from error
        result, error = pickle.loads(answer)
        if error is not None:
            raise error
        return result

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
        return limits | _KEEP_MEMORY | {"MPLBACKEND": "Agg"}  # no windows

    def _start(self):
        path = [entry for entry in sys.path if isinstance(entry, str)]
        modules = [needed for name, needed in _PRELOADED.items() if name in sys.modules]
        given = self._address, modules, os.getpid(), [self.folder, self._socket_folder.name]
        code = f"import sys; sys.path[:] = {path!r}; from {__name__} import serve; serve{given!r}"
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches the caller only, which then ends all calls
        )


def serve(address, modules, caller, folders):
    """Fork a process for every connection, until the calling process is gone."""
    for name in modules:
        with suppress(ImportError):  # the call will report it
            import_module(name)
    warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)  # BLAS may have threads
    with _Server(address, _Handler) as server:
        server.caller, server.folders = caller, folders
        server.serve_forever(poll_interval=0.2)


def _answer(request):
    """Make the call of a pickled request and return its pickled result or error."""
    try:
        function, args = pickle.loads(request)
        answer = function(*args), None
    except Exception as error:
        answer = None, error
    return cloudpickle.dumps(answer)


if _CAN_FORK:

    class _Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
        max_children = 4096
        request_queue_size = 128

        def service_actions(self):
            super().service_actions()
            if os.getppid() != self.caller:
                for folder in self.folders:
                    shutil.rmtree(folder, ignore_errors=True)
                os.killpg(0, signal.SIGKILL)  # this process and every call

    class _Handler(socketserver.BaseRequestHandler):
        def handle(self):
            connection = Connection(self.request.detach())
            connection.send_bytes(_answer(connection.recv_bytes()))
            sys.stdout.flush()
            sys.stderr.flush()


def run_jobs(settings, data, groups, *, n_jobs, n_threads, scheduler=None):
    """Run groups of jobs; yield the record and files of each fit as soon as its group is done."""
    is_here = n_jobs is None and scheduler is None and settings.folder is None
    settings = settings._replace(in_fresh_process=not is_here)
    if is_here:
        for jobs in groups:
            yield from fit_together(settings, data, jobs)
        return
    shared = _Shared(data, n_threads)
    with _cluster(scheduler), shared:
        # threads wait for processes, but a chosen backend has priority
        found = Parallel(
            n_jobs=-1 if scheduler is not None and n_jobs is None else n_jobs, prefer="threads",
            return_as="generator_unordered", pre_dispatch="n_jobs", batch_size=1,
        )(delayed(_fit)(settings, shared, jobs) for jobs in groups)  # fmt: skip
        try:
            yield from chain.from_iterable(found)  # not closed by it: joblib would warn
        finally:
            with warnings.catch_warnings():  # of the fits that are stopped
                warnings.filterwarnings("ignore", ".* tasks ", UserWarning)
                found.close()


def threads_per_fit(n_jobs, scheduler=None):
    """Divide the cores among the fits that run at a time."""
    if scheduler is not None:
        return 1
    return max(1, joblib.cpu_count() // effective_n_jobs(n_jobs))


@contextmanager
def _cluster(scheduler):
    """Use the workers of a Dask scheduler, if one is named."""
    if scheduler is None:
        yield
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(
            f"scheduler={scheduler!r:.90} needs Dask. Install it: pip install 'imbemotion[dask]'."
        ) from error
    try:
        client = Client(scheduler, timeout=_CONNECTING)
    except (OSError, ValueError, TypeError) as error:  # nothing there; no address
        raise ConnectionError(
            f"scheduler must be the address of a running Dask scheduler, got "
            f"{cut_label(repr(scheduler), 80)}, which cannot be reached: "
            f"{cut_label(error, 200)}. Start one with 'dask scheduler', or leave scheduler out."
        ) from error
    with client, parallel_config(backend="dask"):
        yield


_LOCK = threading.Lock()
_WORKSHOPS = OrderedDict()  # fresh processes, by key of their data
_MOST_WORKSHOPS = 4  # of comparisons that use one worker of a cluster at a time


class _Shared(AbstractContextManager):
    """Data that are sent once to every machine and stored in a file that processes map."""

    def __init__(self, data, n_threads):
        self.data, self.n_threads, self.key = data, n_threads, uuid4().hex

    def __exit__(self, *error):
        with _LOCK:
            if self.key in _WORKSHOPS:
                _WORKSHOPS.pop(self.key).close()

    def __sizeof__(self):
        """Report a large size, so that Dask sends the data once instead of with every fit."""
        return 2**30

    def fit(self, settings, jobs):
        """Fit in a fresh process on this machine."""
        with _LOCK:
            if self.key not in _WORKSHOPS:
                _WORKSHOPS[self.key] = self._open()
                while len(_WORKSHOPS) > _MOST_WORKSHOPS:
                    _WORKSHOPS.popitem(last=False)[1].close()
            processes = _WORKSHOPS[self.key]
        return processes.call(_fit_mapped, f"{processes.folder}/data", settings, jobs)

    def _open(self):
        processes = FreshProcesses(self.n_threads)
        try:
            joblib.dump(self.data, f"{processes.folder}/data")
        except BaseException:  # a full disk, for example
            processes.close()
            raise
        return processes


@atexit.register
def _close_all():
    for processes in _WORKSHOPS.values():
        processes.close()


def _fit(settings, shared, jobs):
    """Fit by means of the shared data; a crash is recorded as an error of its fit."""
    try:
        return shared.fit(settings, jobs)
    except CrashedError as error:
        if len(jobs) > 1:  # one of them is to blame, so each gets a process of its own
            return [found for job in jobs for found in _fit(settings, shared, [job])]
        failed = {"error": f"CrashedError: {error}", "notes": [], "alarms": []}
        return [(new_record(jobs[0]) | failed, {})]


def _fit_mapped(path, settings, jobs):
    return list(fit_together(settings, joblib.load(path, mmap_mode="r"), jobs))
