"""Fits that are written down as they are done, and not done again."""

from contextlib import closing
from time import sleep

from imbemotion.comparison._naming import fit_folder

__all__ = ["run_fits"]

_PAUSE = 0.5  # seconds between looks at what other processes have done


def run_fits(runner, store, jobs, settings):
    """Run the fits that are not in the folder yet and give all records.

    Fits that another process has claimed are left to it; if it dies, they are done here.
    Fits that failed before are tried again.

    Parameters
    ----------
    runner : Runner
        Runs fits.

    store : Store or None
        The folder; without one all are run.

    jobs : list of Job
        All fits.

    settings : dict
        With the folder of every strategy.

    Yields
    ------
    record : dict
        One per fit, those done before first.
    """
    if store is None:
        yield from (record for record, _ in runner.run(jobs))
        return
    folders = {name: described["folder"] for name, described in settings["strategies"].items()}
    waiting = {fit_folder(folders[job.strategy], job.fold): job for job in jobs}
    while waiting:
        yield from _take_finished(store, waiting)
        before = len(waiting)
        yield from _run_free(runner, store, waiting)
        if waiting and len(waiting) == before:
            sleep(_PAUSE)


def _take_finished(store, waiting):
    for name in list(waiting):
        record = store.load(name)
        if record is not None and record["error"] is None:
            del waiting[name]
            yield record


def _run_free(runner, store, waiting):
    """Run what no other process has claimed; what is done leaves ``waiting``."""
    locks = {}

    def claim():
        for name, job in list(waiting.items()):
            lock = store.claim(name)
            if lock is None:
                continue
            found = store.load(name)
            if found is None or found["error"] is not None:
                locks[job.strategy, job.fold.repeat, job.fold.number] = name, lock
                yield job
            else:  # done by another process since we looked
                lock.release()

    try:
        with closing(runner.run(claim())) as done:
            for record, files in done:
                name, lock = locks.pop((record["strategy"], record["repeat"], record["fold"]))
                store.save(name, record, files)
                lock.release()
                del waiting[name]
                yield record
    finally:
        for _, lock in locks.values():
            lock.release()
