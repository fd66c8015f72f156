"""What a person is shown of images before anything is done with them, and of a training."""

import signal
from collections import Counter
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from imbemotion.cli._console import make_console

__all__ = ["progress_bar", "show_data", "watched_epochs"]


def show_data(name, X, y, groups=None, console=None):
    """Print how many images there are of what."""
    counts = Counter(y.tolist()).most_common()
    n_groups = "" if groups is None else f", {len(set(groups))} groups"
    print_ = (console or make_console()).print
    print_(
        f"{name}: {len(X):,} images of {X.shape[1]} x {X.shape[2]}, {len(counts)} classes"
        f"{n_groups}, imbalance ratio {counts[0][1] / counts[-1][1]:.0f}:1",
        markup=False,
    )
    print_("  " + ", ".join(f"{label} {n:,}" for label, n in counts), markup=False)


@contextmanager
def progress_bar(total, what):
    """Show a bar on a terminal, elsewhere a line per step."""
    console = make_console(stderr=True)
    columns = [TextColumn("{task.description:<40}"), BarColumn(), MofNCompleteColumn()]
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)

        def advance(step, line):
            bar.update(task, completed=step, description=line)
            if not console.is_terminal:
                console.print(f"[{step}/{total}] {line}", markup=False)

        yield advance


@contextmanager
def watched_epochs(n_epochs):
    """Show every epoch; Ctrl-C ends the training after the present one, twice at once."""
    stopped, before = [], signal.getsignal(signal.SIGINT)

    def stop(number, frame):
        if stopped:
            raise KeyboardInterrupt
        stopped.append(number)
        make_console(stderr=True).print(
            "Stopping after this epoch; Ctrl-C again stops at once.", style="yellow"
        )

    with progress_bar(n_epochs, "training") as advance:

        def on_epoch(figures):
            text = f"loss {figures['train_loss']:.3f}"
            if "valid_macro_f1" in figures:
                text += f", validation macro-F1 {figures['valid_macro_f1']:.3f}"
            advance(figures["epoch"], text)
            return bool(stopped)

        signal.signal(signal.SIGINT, stop)
        try:
            yield on_epoch, stopped
        finally:
            signal.signal(signal.SIGINT, before)
