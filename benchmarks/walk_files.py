"""How many files of the library a call passes: the shorter the walk, the easier to follow.

Run ``python benchmarks/walk_files.py``, with ``--list`` for the names. It counts the files in
which a function is entered during ``Pipeline.fit`` on paths, ``compare_strategies`` and
``imbemotion train``; imports do not count. The exit status is 1 if a walk is over its limit.
"""

import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

from imblearn.pipeline import Pipeline

import imbemotion
from imbemotion import (
    AugmentationSampler,
    CNNClassifier,
    ImageArray,
    ImageLoader,
    compare_strategies,
    make_faces,
)
from imbemotion.cli import app

ROOT = Path(imbemotion.__file__).parent
LIMITS = {"Pipeline.fit": 25, "compare_strategies": 32, "imbemotion train": 50}


@contextmanager
def passed_files():
    """Collect the files of the library in which functions are entered."""
    found = set()

    def note(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_name != "<module>" and str(ROOT) in code.co_filename:
            found.add(Path(code.co_filename).relative_to(ROOT).as_posix())

    sys.setprofile(note)
    threading.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def walks(folder):
    """Yield the name of every walk and the call that takes it, on drawn faces saved as files."""
    X, y = make_faces({"happy": 30, "sad": 10}, size=16, random_state=0)
    paths = ImageArray(X).save(folder / "faces", labels=y)
    network = CNNClassifier(module="small_cnn", max_epochs=2, random_state=0)
    steps = [("balance", AugmentationSampler(random_state=0)), ("cnn", network)]
    words = ["train", folder / "faces", "--size", 16, "--epochs", 2, "--force", "--out"]
    words = [str(word) for word in (*words, folder / "model")]
    yield "Pipeline.fit", lambda: Pipeline([("load", ImageLoader(size=16)), *steps]).fit(paths, y)
    yield (
        "compare_strategies",
        lambda: compare_strategies(Pipeline(steps), X, y, ["none", "focal"], cv=2, random_state=0),
    )
    yield "imbemotion train", lambda: app(words, standalone_mode=False)


def main():
    """Print every walk, and return 1 if one is too long."""
    too_long = False
    with tempfile.TemporaryDirectory() as folder:
        for name, call in walks(Path(folder)):
            call()  # once before, so that nothing is imported any more
            with passed_files() as found:
                call()
            print(f"{name}: {len(found)} files (at most {LIMITS[name]})")
            if "--list" in sys.argv:
                print("".join(f"    {file}\n" for file in sorted(found)))
            too_long |= len(found) > LIMITS[name]
    return int(too_long)


if __name__ == "__main__":
    sys.exit(main())
