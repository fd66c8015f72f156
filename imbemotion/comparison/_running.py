"""Where fits run: in this process, in fresh ones, or on the workers of a cluster."""

import atexit
import threading
import warnings
from collections import OrderedDict
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import joblib
from joblib import Parallel, delayed, effective_n_jobs, parallel_config

from imbemotion.comparison._fitting import fit_fold, new_record
from imbemotion.comparison._fresh import CrashedError, FreshProcesses

__all__ = ["Runner", "threads_per_fit"]

_WORKSHOPS, _LOCK = OrderedDict(), threading.Lock()
_MOST_WORKSHOPS = 4  # of comparisons that use one worker of a cluster at a time


class Runner:
    """Runs fits.

    Parameters
    ----------
    settings : Settings
        How every fit goes.

    data : Data
        What all fits share.

    n_jobs : int or None
        Fits at a time; None means one, in this process.

    n_threads : int
        Threads of a fit in a process of its own.

    scheduler : str or None
        Address of a Dask scheduler.
    """

    def __init__(self, settings, data, *, n_jobs, n_threads, scheduler=None):
        self.here = n_jobs is None and scheduler is None and settings.folder is None
        self.settings = settings._replace(in_fresh_process=not self.here)
        self.data = data
        self.n_jobs = -1 if scheduler is not None and n_jobs is None else n_jobs
        self.n_threads = n_threads
        self.scheduler = scheduler

    def run(self, jobs):
        """Run fits and give what comes of each as soon as it is done.

        Parameters
        ----------
        jobs : iterable of Job
            The fits; taken one by one as there is room for them.

        Yields
        ------
        record : dict
            What is known of a fit.

        files : dict of str to bytes
            What is kept of it.
        """
        if self.here:
            yield from (fit_fold(self.settings, self.data, job) for job in jobs)
            return
        shared = _Shared(self.data, self.n_threads)
        with _cluster(self.scheduler), shared:
            parallel = Parallel(
                n_jobs=self.n_jobs,
                prefer="threads",  # they wait for processes; a chosen backend comes first
                return_as="generator_unordered",
                pre_dispatch="n_jobs",
                batch_size=1,
            )
            found = parallel(delayed(_fit)(self.settings, shared, job) for job in jobs)
            with _closing_quietly(found):
                yield from map(tuple, found)  # a map is not closed, and joblib would warn


def threads_per_fit(n_jobs, scheduler=None):
    """Divide the cores among the fits that run at a time.

    Parameters
    ----------
    n_jobs : int or None
        Fits at a time.

    scheduler : str or None
        Address of a cluster, whose cores nobody counts here.

    Returns
    -------
    n_threads : int
        At least 1.
    """
    if scheduler is not None:
        return 1
    return max(1, joblib.cpu_count() // effective_n_jobs(n_jobs))


@contextmanager
def _closing_quietly(generator):
    """Close joblib's generator; that some fits come to nothing then is no news."""
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* tasks ", UserWarning)
            generator.close()


@contextmanager
def _cluster(scheduler):
    """Use the workers of a Dask scheduler, where one is named."""
    if scheduler is None:
        yield
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(
            "scheduler needs Dask. Install it: pip install 'imbemotion[dask]'."
        ) from error
    with Client(scheduler), parallel_config(backend="dask"):
        yield


class _Shared:
    """Data that travel once to every machine and lie there in a file that processes map."""

    def __init__(self, data, n_threads):
        self.data, self.n_threads, self.key = data, n_threads, uuid4().hex

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with _LOCK:
            workshop = _WORKSHOPS.pop(self.key, None)
        if workshop is not None:
            workshop.close()

    def __sizeof__(self):
        """Claim to be large, so that Dask sends the data once instead of with every fit."""
        return 2**30

    def workshop(self):
        with _LOCK:
            if self.key not in _WORKSHOPS:
                _WORKSHOPS[self.key] = _Workshop(self.data, self.n_threads)
                while len(_WORKSHOPS) > _MOST_WORKSHOPS:
                    _WORKSHOPS.popitem(last=False)[1].close()
            return _WORKSHOPS[self.key]


class _Workshop:
    """A file of data and fresh processes that map it, on one machine."""

    def __init__(self, data, n_threads):
        self._processes = FreshProcesses(n_threads)
        self._path = str(Path(self._processes.folder) / "data")
        try:
            joblib.dump(data, self._path)
        except BaseException:  # no room, perhaps
            self.close()
            raise

    def fit(self, settings, job):
        return self._processes.call(_fit_mapped, self._path, settings, job)

    def close(self):
        self._processes.close()


@atexit.register
def _close_all():
    for workshop in _WORKSHOPS.values():
        workshop.close()


def _fit(settings, shared, job):
    """Fit in a fresh process on this machine; a crash is an error of that fit."""
    try:
        return shared.workshop().fit(settings, job)
    except CrashedError as error:
        return {**new_record(job), "error": f"CrashedError: {error}", "notes": []}, {}


def _fit_mapped(path, settings, job):
    return fit_fold(settings, joblib.load(path, mmap_mode="r"), job)
