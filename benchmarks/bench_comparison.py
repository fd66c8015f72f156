"""S4's eight experiments on three folds, beside the same work written with stock parts.

Run: python benchmarks/bench_comparison.py [DATA.npz] [--images 6000] [--epochs 3] [--rounds 3]

DATA.npz holds FER2013 as ``images`` (n, 48, 48) of uint8, ``labels`` and ``split``; a
stratified sample of its training part is used. Without it, noise images take their place.

The experiments are: nothing, random over-sampling, SMOTE, ADASYN, offline augmentation, focal
loss, SMOTE with focal loss, and offline augmentation with focal loss. Both sides train the
same networks (small_cnn and deep_cnn) in float32, with Adam and batches of 128, each experiment
for the optimizer steps of so many epochs of the original images, score them on training and test
folds, do so on the same folds in two processes of one thread each, and run in turn
(A B A B ...), every time in new processes. The other side is ``stock_comparison.py``; ``--module
ours`` gives it imbemotion's nn.Module instead of the network that a tutorial would write, which
computes the same from the same weights, but slower.

It ends with status 1 where the experiments with all networks together are less than 4 times
faster.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # in both, as they use two processes

import argparse

import numpy as np
import stock_comparison
from imblearn.pipeline import Pipeline
from joblib.externals.loky import get_reusable_executor
from measuring import PLAIN, load_training, seconds_of
from sklearn.model_selection import StratifiedKFold, train_test_split

from imbemotion import CNNClassifier, compare_strategies
from imbemotion.comparison import named_strategies
from imbemotion.networks import find_network

_BATCH, _JOBS, _PROMISED = 128, 2, 4


def ours(network, X, y, cv, steps):
    """Run all experiments; give macro-F1 (n_experiments, n_folds) and mean times to fit."""
    settings = PLAIN["net_params"] | {"precision": "float32"}
    cnn = CNNClassifier(
        **PLAIN | {"batch_size": _BATCH, "net_params": settings}, module=network,
        max_epochs=None, max_steps=steps, n_threads=1,
    )  # fmt: skip
    pipe = Pipeline([("balance", "passthrough"), ("cnn", cnn)])
    found = compare_strategies(pipe, X, y, "balancing_study", cv=cv, n_jobs=_JOBS, random_state=0)
    if (found.fits["n_steps"] != steps).any():
        raise SystemExit("the steps differ")
    fits = found.fits.groupby("strategy", sort=False)
    return np.array([fit["score"] for _, fit in fits]), fits["fit_time"].mean().to_numpy()


def stock(network, X, y, cv, steps):
    """Run all experiments, as ``ours``."""
    settings = {"steps": steps, "batch_size": _BATCH, "n_jobs": _JOBS}
    return stock_comparison.search(network, X, y, cv, **settings)


def compare(name, module, X, y, epochs, rounds):
    """Run both sides in turn, print what each experiment took; give the seconds."""
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    steps = epochs * -(-len(X) * 2 // 3 // _BATCH)
    sides = {"stock": (stock, module), "ours": (ours, name)}
    seconds, results = {side: [] for side in sides}, {side: [] for side in sides}
    for _ in range(rounds):
        for side, (run, network) in sides.items():
            get_reusable_executor().shutdown()  # both start their own processes
            seconds[side].append(
                seconds_of(lambda: results[side].append(run(network, X, y, cv, steps)))  # noqa: B023
            )
    print(f"\n{name}, {len(X):,} images, {steps} steps, {rounds} rounds")
    print(f"{'seconds per fit':24}{'stock':>9}{'ours':>9}{'faster':>9}{'macro-F1':>18}")
    times = {side: np.median([t for _, t in results[side]], axis=0) for side in sides}
    scores = {side: np.mean([s for s, _ in results[side]], axis=(0, 2)) for side in sides}
    for number, experiment in enumerate(named_strategies("balancing_study")):
        a, b = times["stock"][number], times["ours"][number]
        f1 = f"{scores['stock'][number]:.3f} {scores['ours'][number]:.3f}"
        print(f"{experiment:24}{a:9.2f}{b:9.2f}{a / b:8.1f}x{f1:>18}")
    _print_total("all", seconds["stock"], seconds["ours"])
    return seconds["stock"], seconds["ours"]


def _print_total(name, stock, ours):
    """Print what all took in two processes, and the ratio of every round; give the median."""
    ratios = np.divide(stock, ours)
    times = f"{np.median(stock):9.1f}{np.median(ours):9.1f}"
    print(f"{name:24}{times}{np.median(ratios):8.1f}x   rounds: {np.round(ratios, 2)}")
    return np.median(ratios)


def main():
    """Print a table for every network, and the ratio that was promised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?")
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=list(stock_comparison.NETWORKS))
    parser.add_argument("--module", choices=["tutorial", "ours"], default="tutorial")
    args = parser.parse_args()
    X, y = load_training(args.data)
    if args.images < len(X):
        X, _, y, _ = train_test_split(X, y, train_size=args.images, stratify=y, random_state=0)
    find = stock_comparison.NETWORKS.get if args.module == "tutorial" else find_network
    walls = [compare(name, find(name), X, y, args.epochs, args.rounds) for name in args.networks]
    stock_seconds, our_seconds = np.sum(walls, axis=0)
    print()
    ratio = _print_total("all networks", stock_seconds, our_seconds)
    raise SystemExit(f"less than promised: {ratio:.1f}x" if ratio < _PROMISED else 0)


if __name__ == "__main__":
    main()
