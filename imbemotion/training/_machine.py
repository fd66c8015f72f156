"""Device, threads, precision and checks of a training."""

import platform
import signal
import threading
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from imbemotion.training._rows import check_views

__all__ = [
    "check_settings",
    "is_sound",
    "limited_threads",
    "overflow",
    "pick_device",
    "pick_precision",
    "record_ctrl_c",
    "seeded",
]

_ONE_AT_A_TIME = threading.RLock()  # PyTorch's generator and number of threads are global


@contextmanager
def seeded(seed, device):
    """Seed PyTorch, keep other threads from training meanwhile, then put the state back."""
    device = torch.device(device)
    devices = []
    if device.type == "cuda":
        devices = [torch.cuda.current_device() if device.index is None else device.index]
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def limited_threads(number):
    """Limit PyTorch's threads, and put the number back afterwards."""
    if number is None:
        yield
        return
    with _ONE_AT_A_TIME:
        before = torch.get_num_threads()
        torch.set_num_threads(number)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@contextmanager
def record_ctrl_c():
    """Yield a list that is filled when Ctrl-C is pressed, which still works as before."""
    pressed, before = [], signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield pressed  # signals reach the main thread only
        return

    def record(number, frame):
        try:
            before(number, frame)
        except KeyboardInterrupt:
            pressed.append(number)
            raise

    signal.signal(signal.SIGINT, record)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def pick_device(name):
    """Choose the device: "auto" is a GPU where there is one."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (AssertionError, RuntimeError) as error:  # by what PyTorch was built without
        reason = str(error).split(". ")[0].rstrip(".")
        raise ValueError(
            f"device={name!r} can't be used here: {reason}. Give 'auto', which is a GPU where "
            "there is one, or 'cpu'."
        ) from error
    return name


def pick_precision(name, device):
    """Choose the precision: "auto" is bfloat16 where the device gains from it."""
    # A processor does with AMX; with AVX512-BF16 alone the gradients of convolutions take longer
    # than in float32.
    if name != "auto":
        return name
    if str(device).startswith("cuda"):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = str(device) == "cpu" and _processor_has_amx()
    return "bfloat16" if native else "float32"


@cache
def _processor_has_amx():
    """Read the processor's flags; a timing would give another answer every time."""
    flags = Path("/proc/cpuinfo")
    if platform.machine() not in {"x86_64", "AMD64"} or not flags.exists():
        return False
    return "amx_bf16" in flags.read_text().split()


_PRECISIONS = ("float32", "bfloat16")


def check_settings(net):
    """Check the settings of a net that skorch does not know."""
    if net.precision not in _PRECISIONS:
        raise ValueError(f"precision must be one of {_PRECISIONS}, got {net.precision!r}.")
    check_views(net.test_time_augmentation)
    if net.label_smoothing and net.class_shares is None:
        raise ValueError(
            f"label_smoothing={net.label_smoothing} needs class_shares, got None. Give the "
            'shares of the classes, and criterion__reduction="none".'
        )


def is_sound(module):
    """Tell whether the weights of a network can be multiplied without an overflow."""
    limits = ((weight, torch.finfo(weight.dtype).max ** 0.5) for weight in module.parameters())
    return all((weight.abs() < limit).all() for weight, limit in limits)


def overflow(net, what, where):
    """Make the error for numbers that became infinite or NaN."""
    rates = ", ".join(f"{group['lr']:.3g}" for group in net.optimizer_.param_groups)
    return FloatingPointError(
        f"{what} in epoch {len(net.history)}, {where}, at learning rate {rates}. Lower the "
        "learning rate, and check the images for odd values."
    )
