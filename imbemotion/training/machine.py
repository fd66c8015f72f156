"""Device, threads, memory, precision, random numbers and interrupts during a training."""

import platform
import signal
import threading
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from imbemotion._base.text import explain_memory

# On CPUs with AMX, PyTorch 2.14 computes wrong gradients, NaN among them, in bfloat16 for strided
# convolutions of maps narrower than the stride, as most networks have for images under 17 pixels.
_SMALLEST = 32
_INTERRUPTING = [getattr(signal, s) for s in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, s)]
_LOCK = threading.RLock()  # PyTorch's generator and number of threads are global


@contextmanager
def seeded(seed, device):
    """Seed PyTorch, keep other threads from training meanwhile, then restore its generators."""
    device, devices = torch.device(device), []
    if device.type == "cuda":
        devices = [torch.cuda.current_device() if device.index is None else device.index]
    with _LOCK, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def limited_threads(number):
    """Limit PyTorch's threads, then restore their number; None leaves it unchanged."""
    if number is None:
        yield
        return
    with _LOCK:
        before = torch.get_num_threads()
        torch.set_num_threads(number)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@contextmanager
def explained_memory(size):
    """Raise a MemoryError that names the setting to lower where memory runs out."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        sentence = explain_memory(error, size)
        if sentence is None:
            raise
        raise MemoryError(sentence) from error


@contextmanager
def record_interrupts():
    """Yield a list that is filled when a signal interrupts, which still works as before."""
    found = {s: signal.getsignal(s) for s in _INTERRUPTING}
    pressed, before = [], {s: handler for s, handler in found.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread():
        before = {}  # signals reach the main thread only

    def record(number, frame):
        try:
            before[number](number, frame)
        except KeyboardInterrupt as interrupt:
            pressed.append(interrupt)
            raise

    for number in before:
        signal.signal(number, record)
    try:
        yield pressed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def pick_device(name):
    """Return the device of a name; "auto" is a GPU if there is one."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (AssertionError, RuntimeError) as error:  # depends on what PyTorch was built without
        reason = str(error).split(". ")[0].rstrip(".")  # the rest lists all devices and kernels
        raise ValueError(
            f"device={name!r:.90} is not available here: {reason}. Use 'auto', which is a GPU if "
            "there is one, or 'cpu'."
        ) from error
    return name


def pick_precision(name, device, size=(_SMALLEST, _SMALLEST)):
    """Return the precision of a name; "auto" is bfloat16 if device and size of images allow."""
    if name != "auto":
        return name
    if str(device).startswith("cuda"):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:  # AVX512-BF16 alone makes the gradients of convolutions slower than in float32
        native = str(device) == "cpu" and min(size) >= _SMALLEST and _cpu_has_amx()
    return "bfloat16" if native else "float32"


@cache
def _cpu_has_amx():
    """Read the flags of the CPU; a timing would give another answer every time."""
    flags = Path("/proc/cpuinfo")
    if platform.machine() not in {"x86_64", "AMD64"} or not flags.exists():
        return False
    return "amx_bf16" in flags.read_text().split()
