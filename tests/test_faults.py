"""Killed, stopped, out of space or refused at any moment: no work is lost, and no file is half.

``python tests/test_faults.py MOMENTS`` tries every command and fault at so many random moments,
with ``--quick`` without charts and worker processes.
"""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import numpy as np
import pandas as pd
import pytest
import torch  # noqa: F401  # so that the processes import it before they fork
from typer.testing import CliRunner

import imbemotion.plots
import imbemotion.samplers  # noqa: F401
from imbemotion import CNNClassifier, ImageArray, make_faces
from imbemotion.cli import app
from imbemotion.comparison import _compare, _workers, artifacts
from imbemotion.comparison.fold_fit import fit_together
from imbemotion.loading import load_images

QUICK = ["--size", 8, "--model", "small_cnn", "--epochs", 2]
COMPARING = ["--epochs", 1, "--strategies", "none,oversample", "--folds", 2, "--jobs", 1]
EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.chmod"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
REMEDY = r"Free some space|Name a|name a new one|move them from there"


def work_of(command, data, place):
    """Return the words of a command, which replaces what is at its place."""
    return [str(word) for word in {
        "train": ["train", data / "faces", *QUICK, "--seed", 1, "--force", "--out", place / "out"],
        "compare": ["compare", data / "faces", *QUICK[:4], *COMPARING, "--out", place / "out"],
        "balance": ["balance", data / "faces", "--method", "augment", "--size", 8, "--seed", 1,
                    "--force", "--out", place / "out"],
        "predict": ["predict", data / "train", data / "faces", "--out", place / "out"],
    }[command]]  # fmt: skip


def run_command(command, data, place):
    """Run a command in this process; return its exit status and what it printed."""
    if command == "cache":
        files = sorted(map(str, (data / "faces").rglob("*.png")))
        try:
            load_images(files, size=8, cache_dir=place / "out")
        except ValueError as error:
            return 1, str(error)
        return 0, ""
    result = CliRunner().invoke(app, work_of(command, data, place))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def run_fits_here(settings, data, groups, **_):
    for jobs in groups:
        yield from fit_together(settings, data, jobs)


def run_faulty(command, data, place, fault, moment, is_quick):
    """Run a command, with a fault at an event in its place, or after so many seconds."""
    n_events = 0

    def watch(event, args):
        nonlocal n_events
        if event not in EVENTS or not str(args[0]).startswith(str(place)):
            return
        if event == "open" and not args[2] & WRITES:
            return
        n_events += 1
        if isinstance(moment, float) or n_events < moment:
            return
        if fault == "readonly":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(args[0]))
        if n_events == moment:
            os.kill(os.getpid(), getattr(signal, fault))

    if is_quick:  # the process of the command is the only one, and draws nothing
        _compare.run_jobs, draw = run_fits_here, artifacts._attempt
        artifacts._attempt = lambda name, make: (
            b"drawn" if name.endswith(".png") else draw(name, make)
        )
    if fault is not None:
        sys.addaudithook(watch)
        if isinstance(moment, float) and fault != "readonly":
            end = os.getpid(), getattr(signal, fault)
            threading.Timer(moment, os.kill, end).start()
    status, output = run_command(command, data, place)
    return status, output, n_events


def read(folder):
    """Return the bytes of all files in a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes()
            for p in folder.rglob("*") if p.is_file()}  # fmt: skip


class Bench:
    """Finished work of every command, and processes that run the commands again."""

    def __init__(self, data, processes, is_quick):
        self.data, self.processes, self.is_quick = data, processes, is_quick
        X, y = make_faces({"happy": 14, "sad": 7}, size=8, random_state=0)
        for file in ImageArray(X).save(data / "faces", labels=y):
            os.utime(file, (1e9, 1e9))  # the newest files are not cached
        (data / "faces/manifest.csv").unlink()
        self.n_events, self.seconds = {}, {}

    def prepare(self, command):
        """Do the work of a command once, and count its events."""
        if command in self.n_events:
            return
        if command == "predict":
            self.prepare("train")
        place, start = self.data / f"of_{command}", time.monotonic()
        place.mkdir()
        status, output, self.n_events[command] = self.call(command, place, "SIGKILL", 10**9)
        assert status == 0, output
        self.seconds[command] = time.monotonic() - start
        (place / "out").rename(self.data / command)

    def put_back(self, command, place):
        """Lay what is to be replaced at its place."""
        before = self.data / command
        if command in ("train", "balance"):
            shutil.copytree(before, place / "out")
            (place / "out/notes.txt").write_text("mine")
        elif command == "predict":
            (place / "out").write_text("before")

    def call(self, command, place, fault=None, moment=0):
        given = command, self.data, place, fault, moment, self.is_quick
        return self.processes.call(run_faulty, *given)

    def fail(self, command, place, fault, moment):
        """Run a command with a fault; return its exit status and output."""
        try:
            return self.call(command, place, fault, moment)[:2]
        except _workers.CrashedError:
            return 137, ""

    def check(self, command, place):
        """Check that what is at the place is whole; return whether it is new."""
        out, before = place / "out", self.data / command
        return CHECKS[command](self, out, before)

    def check_again(self, command, place):
        """Check that the same command then does its work, and leaves nothing unfinished."""
        done = read(place) if command == "compare" else {}
        status, output, _ = self.call(command, place)
        assert status == 0, output
        assert self.check(command, place)
        assert not [name for name in os.listdir(place) if name.startswith(".")]
        kept = {name: content for name, content in done.items() if "/fold_" in name}
        unfinished = {name for name in kept if ".unfinished/" in name}
        now = read(place)
        assert all(now[name] == kept[name] for name in kept.keys() - unfinished)
        assert not any(".unfinished" in name for name in now)


def check_training(bench, out, before):
    found, old = read(out), read(before)
    assert found.pop("notes.txt") == b"mine"
    if found == old:
        return False
    assert found.keys() == old.keys()
    CNNClassifier.load(out / "model.safetensors")
    assert "seed: 1" in found["config.yaml"].decode()
    assert json.loads(found["experiment_summary.json"])["seed"] == 1
    return True


def check_comparison(bench, out, before):
    summaries = sorted(out.glob("*/fold_*/experiment_summary.json"))
    for path in summaries:
        names = {file.name for file in path.parent.iterdir()}
        strategy = path.relative_to(out)
        assert names == {file.name for file in (before / strategy).parent.iterdir()}
        now, then = (json.loads((root / strategy).read_text()) for root in (out, before))
        assert now["score"] == then["score"]
    assert len(summaries) == len(list(out.glob("*/fold_*")))
    return len(summaries) == 4


def check_balanced(bench, out, before):
    found, old = read(out), read(before)
    assert found.pop("notes.txt") == b"mine"
    listed = pd.read_csv(out / "train.csv")["path"]
    if found == old:
        return False
    assert set(json.loads(found["stats.json"])["files"]) == {name.split("/")[0] for name in found}
    assert all(Path(path).is_file() for path in listed)
    return True


def check_predictions(bench, out, before):
    assert out.read_bytes() in (b"before", before.read_bytes())
    return out.read_bytes() != b"before"


def check_cache(bench, out, before):
    files = sorted(map(str, (bench.data / "faces").rglob("*.png")))
    cached, plain = (load_images(files, size=8, cache_dir=place)[0] for place in (out, None))
    np.testing.assert_array_equal(cached, plain)
    return True


CHECKS = {
    "train": check_training, "compare": check_comparison, "balance": check_balanced,
    "predict": check_predictions, "cache": check_cache,
}  # fmt: skip


def mount(place, *options):
    """Mount a small disk in memory; return whether that is possible here."""
    words = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(place)]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def unmount(place):
    subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


def kill(bench, command, place, share, sign="SIGKILL"):
    bench.prepare(command)
    bench.put_back(command, place)
    moment = 1 + int(share * bench.n_events[command])
    if sign == "SIGKILL" and int(1000 * share) % 2:  # half of them at any time
        moment = share * bench.seconds[command]
    status, output = bench.fail(command, place, sign, moment)
    assert status in (0, 137, 143), output
    if (place / "out").exists():
        bench.check(command, place)
    if sign == "SIGKILL":
        bench.check_again(command, place)
    else:
        assert not list(place.rglob("*.unfinished"))


def stop(bench, command, place, share):
    kill(bench, command, place, share, "SIGTERM")


def refuse(bench, command, place, share):
    bench.prepare(command)
    bench.put_back(command, place)
    status, output = bench.fail(
        command, place, "readonly", 1 + int(share * bench.n_events[command])
    )
    judge(bench, command, place, status, output)


def fill(bench, command, place, share):
    bench.prepare(command)
    if not mount(place, "size=8m"):
        pytest.skip("disks cannot be mounted here")
    try:
        bench.put_back(command, place)
        before = bench.data / command
        size = sum(map(len, read(before).values())) if before.is_dir() else before.stat().st_size
        disk = os.statvfs(place)
        free = disk.f_bavail * disk.f_frsize
        (place / "rest").write_bytes(bytes(free - int(share * size) // 4096 * 4096))
        status, output = bench.fail(command, place, None, 0)
        (place / "rest").unlink()
        judge(bench, command, place, status, output)
        assert [name for name in os.listdir(place) if name.startswith(".")] == []
    finally:
        unmount(place)


def judge(bench, command, place, status, output):
    """Check what a command that could not write has left and printed."""
    assert status in (0, 1), output
    kept = [word.strip(";.") for word in output.split() if word.startswith(gettempdir())]
    kept = [Path(word) for word in kept if "imbemotion-" in word]
    if (place / "out").exists():
        is_new = bench.check(command, place)
        assert status or is_new
    if status:
        assert str(place) in output
        assert re.search(REMEDY, output), output
    for path in kept:
        if path.is_dir():
            CNNClassifier.load(path / "model.safetensors")
        else:
            assert path.read_bytes() == (bench.data / command).read_bytes()
        shutil.rmtree(path.parent)


FAULTS = {"kill": kill, "stop": stop, "fill": fill, "refuse": refuse}


# What processes import before they fork, beside what comparisons need.
PRELOADED = [
    "imbemotion.cli", "imbemotion.callbacks", "imbemotion.classifier._saving", "typer.testing",
    "torch._dynamo", "PIL.PngImagePlugin", "pydantic",
]  # fmt: skip


def start_processes():
    # the keys are modules that are loaded here, whatever they are
    wanted = _workers._PRELOADED | dict(zip(sys.modules, PRELOADED, strict=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_workers, "_PRELOADED", wanted)
        return _workers.FreshProcesses(1)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with start_processes() as processes:
        yield Bench(tmp_path_factory.mktemp("data"), processes, is_quick=True)


@pytest.mark.kind("E35", "Killed, stopped, on a full or a read-only disk, no work is lost.")
@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("train", "kill"), ("compare", "kill"), ("balance", "kill"), ("predict", "kill"),
        ("cache", "kill"), ("compare", "stop"), ("balance", "stop"), ("train", "fill"),
        ("balance", "fill"), ("predict", "fill"), ("cache", "fill"), ("compare", "refuse"),
        ("predict", "refuse"), ("cache", "refuse"),
    ],
)  # fmt: skip
def test_no_fault_loses_work(bench, command, fault, tmp_path):
    FAULTS[fault](bench, command, tmp_path, 0.9)


def main(n_moments, is_quick):
    """Try every command with every fault at random moments, and print what held."""
    rng, n_failed = np.random.default_rng(0), 0
    with TemporaryDirectory() as data, start_processes() as processes:
        bench = Bench(Path(data), processes, is_quick)
        for command in CHECKS:
            for name, fault in FAULTS.items():
                failed = []
                for share in rng.random(n_moments):
                    with TemporaryDirectory() as place:
                        try:
                            fault(bench, command, Path(place), share)
                        except Exception as error:
                            failed.append(f"  at {share:.3f}: {type(error).__name__}: {error}")
                print(f"{command:8} {name:8} {n_moments - len(failed)} of {n_moments} hold")
                print(*failed, sep="\n", end="\n" if failed else "", flush=True)
                n_failed += len(failed)
    return n_failed


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), is_quick=sys.argv[2:] == ["--quick"])))
