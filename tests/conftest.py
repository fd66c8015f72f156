"""Shared fixtures: real data where they are present, and few threads everywhere."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

collect_ignore = ["typing"]  # checked by mypy, not run
settings.register_profile("untimed", deadline=None)  # machines are busy at times
settings.load_profile("untimed")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded, for worker processes too
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in the background


@pytest.fixture(scope="session")
def data_folder():
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("IMBEMOTION_DATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set IMBEMOTION_DATA to their folder")
    return folder


@pytest.fixture
def pictures():
    """Twelve distinct grey images of 6 x 5 pixels."""
    return np.random.default_rng(0).integers(0, 256, (12, 6, 5), dtype=np.uint8)


@pytest.fixture
def fits_here(monkeypatch):
    """Store comparisons quickly: without new processes, which import torch, and drawings."""
    from imbemotion.comparison import _compare, artifacts
    from imbemotion.comparison.fold_fit import fit_together

    def run_jobs(settings, data, groups, **_):
        for jobs in groups:
            yield from fit_together(settings, data, jobs)

    make = artifacts._attempt
    monkeypatch.setattr(_compare, "run_jobs", run_jobs)
    monkeypatch.setattr(
        artifacts, "_attempt", lambda name, *args: b"" if ".png" in name else make(name, *args)
    )


def pytest_terminal_summary(terminalreporter):
    """Print how many tests of other packages ran, passed and were excused."""
    ended = {
        name: sum("test_peers.py" in report.nodeid for report in terminalreporter.getreports(name))
        for name in ("passed", "failed", "xfailed")
    }
    if sum(ended.values()):
        counts = f"{ended['passed']} passed, {ended['xfailed']} excused"
        terminalreporter.write_line(f"tests of peers: {sum(ended.values())} run, {counts}")
