"""Fresh processes: their own memory, their own death, and no server left behind."""

import os
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest

from imbemotion.comparison import _workers
from imbemotion.comparison._workers import CrashedError, FreshProcesses
from imbemotion.comparison.fold_fit import peak_memory

HEAVY = """
import sys, time
from imbemotion.comparison._workers import FreshProcesses
processes = FreshProcesses(1)
print(processes._server.pid, processes.call(lambda: 1), flush=True)
processes.call(time.sleep, 60)
"""


@pytest.fixture(scope="module")
def processes():
    with FreshProcesses(1) as processes:
        yield processes


def test_a_call_gives_what_the_function_returns(processes):
    np.testing.assert_array_equal(processes.call(np.arange, 5), np.arange(5))


def test_every_call_has_a_process_of_its_own(processes):
    numbers = {processes.call(os.getpid) for _ in range(3)}
    assert len(numbers) == 3
    assert os.getpid() not in numbers


def test_functions_from_anywhere_can_be_called(processes):
    assert processes.call(lambda x: x + 1, 2) == 3


def test_errors_of_the_function_are_raised_here(processes):
    with pytest.raises(ValueError, match="invalid literal"):
        processes.call(int, "x")


def test_a_crash_is_an_error_and_the_next_call_works(processes):
    with pytest.raises(CrashedError, match="process ended before"):
        processes.call(lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert processes.call(abs, -1) == 1


def test_memory_of_one_call_is_not_that_of_another(processes):
    def grow(n_bytes):
        before = peak_memory()
        np.ones(n_bytes, dtype=np.uint8)
        return peak_memory() - before

    large, small = processes.call(grow, 64 * 2**20), processes.call(grow, 2**20)
    assert 60 < large < 80
    assert small < 20


def test_threads_are_limited(processes):
    assert processes.call(os.environ.get, "OMP_NUM_THREADS") == "1"


def test_there_is_another_way_where_processes_cannot_be_forked(monkeypatch):
    monkeypatch.setattr(_workers, "_CAN_FORK", False)
    with FreshProcesses(1) as processes:
        assert processes.call(os.environ.get, "OMP_NUM_THREADS") == "1"
        with pytest.raises(ValueError, match="invalid literal"):
            processes.call(int, "x")


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as status:
            return status.read().rsplit(")")[-1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks into /proc")
def test_the_server_dies_with_the_process_that_started_it(tmp_path):
    caller = subprocess.Popen(
        [sys.executable, "-c", HEAVY],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    server = int(caller.stdout.readline().split()[0])
    caller.kill()
    caller.wait()
    caller.stdout.close()
    end = time.monotonic() + 10
    while is_running(server) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_running(server)
    assert not list(tmp_path.glob("imbemotion-*"))


def test_long_names_of_temporary_folders_are_no_hindrance(tmp_path, monkeypatch):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with FreshProcesses(1) as processes:
        assert processes.call(abs, -1) == 1
        places = [processes.folder, os.path.dirname(processes._address)]
        assert places[0].startswith(str(folder))
    assert not any(map(os.path.exists, places))


def test_what_is_no_text_in_the_search_path_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, tmp_path])
    with FreshProcesses(1) as processes:
        assert processes.call(abs, -1) == 1
