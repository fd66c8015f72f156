"""Fit, pickle, load and predict for minutes; status 1 if memory, files or processes grow.

Run ``python benchmarks/soak.py [SECONDS]``.
"""

import pickle
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from imblearn.pipeline import Pipeline

from imbemotion import (
    AugmentationSampler,
    CNNClassifier,
    ImageArray,
    ImageLoader,
    ImageSMOTE,
    make_faces,
)

WARM = 4  # rounds after which caches and thread pools are as large as they get
MOST_MIB = 48  # that the last quarter of the rounds may hold more than the second


def one_round(X, y, paths, folder, number):
    """Do once what a service or a notebook does all day."""
    sampler = ImageSMOTE(k_neighbors=2) if number % 2 else AugmentationSampler()
    steps = [("load", ImageLoader(size=16, cache_dir=folder / "cache")), ("balance", sampler)]
    cnn = CNNClassifier(module="small_cnn", max_epochs=1, n_threads=1, random_state=number)
    model = Pipeline([*steps, ("cnn", cnn)]).fit(paths, y)
    again = pickle.loads(pickle.dumps(model))
    cnn = model["cnn"]
    cnn.save(folder / "model.safetensors")
    loaded = CNNClassifier.load(folder / "model.safetensors", device="cpu")
    assert (loaded.predict(X) == again["cnn"].predict(X)).all()


def figures(process):
    """Return mebibytes in use, open files, children and threads."""
    return (
        process.memory_info().rss / 2**20,
        len(process.open_files()),
        len(process.children(recursive=True)),
        process.num_threads(),
    )


def main(seconds):
    """Run rounds, print the figures, and return the status."""
    X, y = make_faces({"happy": 30, "sad": 12, "fear": 8}, size=16, random_state=0)
    process, start, rounds = psutil.Process(), time.monotonic(), []
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths = ImageArray(X).save(folder / "faces")
        while time.monotonic() - start < seconds or len(rounds) < 4 * WARM:
            one_round(X, y, paths, folder, len(rounds))
            rounds.append(figures(process))
            if len(rounds) % 20 == 0:
                mib, *counts = rounds[-1]
                print(f"{len(rounds):5d} rounds: {mib:.0f} MiB; files, children, threads {counts}")
    quarter = len(rounds) // 4
    early, late = rounds[quarter : 2 * quarter], rounds[-quarter:]
    most = [[max(figure) for figure in zip(*part, strict=True)] for part in (early, late)]
    growth = [b - a for a, b in zip(*most, strict=True)]
    flat = growth[0] <= MOST_MIB and not any(more > 0 for more in growth[1:])
    print(
        f"{len(rounds)} rounds in {time.monotonic() - start:.0f} s; from the second to the last "
        f"quarter {growth[0]:+.1f} MiB, {growth[1]:+d} files, {growth[2]:+d} child processes, "
        f"{growth[3]:+d} threads: {'flat' if flat else 'GROWING'}"
    )
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 180))
