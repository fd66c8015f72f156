"""Over-sampling a million images that lie in a file.

Run: python benchmarks/bench_million.py [--rounds 3]

A mapped file of a million 48 x 48 images (a sparse one of 2.3 GB, made for this and removed) in
seven classes as skewed as FER2013 is balanced to the largest class by each sampler that
looks at no pixels. Memory is the peak that tracemalloc sees in one further run. It ends with
status 1 where a sampler takes more than two seconds or 200 MB.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from measuring import TRAINING_SIZES, peak_of, times_in_turn

from imbemotion import AugmentationSampler, ImageArray, RandomResampler

N_IMAGES = 1_000_000


def main():
    """Print a table of times and memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    sizes = np.array(list(TRAINING_SIZES.values()))
    y = np.random.default_rng(0).choice(len(sizes), N_IMAGES, p=sizes / sizes.sum())
    with TemporaryDirectory() as folder:
        path = Path(folder, "images.npy")
        X = np.lib.format.open_memmap(path, "w+", dtype=np.uint8, shape=(N_IMAGES, 48, 48))
        images = ImageArray(X)
        samplers = [RandomResampler(random_state=0), AugmentationSampler(random_state=0)]
        runs = [lambda sampler=sampler: sampler.fit_resample(images, y) for sampler in samplers]
        seconds = np.median(times_in_turn(runs, args.rounds), axis=0)
        peaks = [peak_of(run) / 1e6 for run in runs]
        n_rows = len(runs[0]()[1])
    print(f"{N_IMAGES:,} images become {n_rows:,}")
    for sampler, time, peak in zip(samplers, seconds, peaks, strict=True):
        print(f"{type(sampler).__name__:24}{time:8.2f} s{peak:10.0f} MB")
    raise SystemExit("more than promised" if seconds.max() > 2 or max(peaks) > 200 else 0)


if __name__ == "__main__":
    main()
