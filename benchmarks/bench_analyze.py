"""Counting the classes of 100,000 files from the command line.

Run: python benchmarks/bench_analyze.py [--rounds 3]

100,000 small files in seven class folders as skewed as FER2013, and a CSV that lists them, are
made for this and removed. `imbemotion analyze` runs in a fresh process, which imports everything
anew. It ends with status 1 where one takes more than ten seconds or loads PyTorch.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from measuring import TRAINING_SIZES

N_FILES = 100_000
_CODE = """
import sys
from imbemotion.cli import app
app(sys.argv[1:], standalone_mode=False)
assert "torch" not in sys.modules
"""


def make_files(folder):
    """Write the files, and a list of them beside their folder; give both paths."""
    shares = np.array(list(TRAINING_SIZES.values())) / sum(TRAINING_SIZES.values())
    labels = np.random.default_rng(0).choice(list(TRAINING_SIZES), N_FILES, p=shares)
    tree, lines = folder / "faces", ["path,label"]
    for label in TRAINING_SIZES:
        (tree / label).mkdir(parents=True)
    for number, label in enumerate(labels):
        path = tree / label / f"{number:06d}.png"
        path.write_bytes(b"x" * 100)  # no picture: nothing may be decoded
        lines.append(f"{path},{label}")
    (folder / "list.csv").write_text("\n".join(lines))
    return tree, folder / "list.csv"


def main():
    """Print a table of seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    slowest = 0
    with TemporaryDirectory() as place:
        for source in make_files(Path(place)):
            times = []
            for _ in range(args.rounds):
                start = perf_counter()
                command = [sys.executable, "-c", _CODE, "analyze", str(source)]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                times.append(perf_counter() - start)
            print(f"{source.name:12}{np.median(times):6.1f} s, at most {max(times):.1f} s")
            slowest = max(slowest, *times)
    raise SystemExit("more than promised" if slowest > 10 else 0)


if __name__ == "__main__":
    main()
