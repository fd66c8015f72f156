"""CNNClassifier beside a hand-written PyTorch loop and stock skorch, in images per second.

Run: python benchmarks/bench_training.py [DATA.npz] [--images 6000] [--rounds 5] [--threads 2]

DATA.npz holds FER2013 as ``images`` (n, 48, 48) of uint8, ``labels`` and ``split``; its
training part is used. Without it, noise images take their place.

All train one epoch of the same network in float32, with Adam, cross-entropy and the same
batches of 128 images, in turn in one process (A B C A B C ...); the medians of the ratios of
each round are given:

- the loop shuffles, gathers, scales and steps over a uint8 tensor that is in memory, and
  adds up the loss, with nothing else around it;
- stock skorch is given float32 arrays (n, 1, 48, 48) and an nn.Module, as its documentation
  shows; for small_cnn and deep_cnn once more with the network as a tutorial writes it, which
  computes the same from the same weights (``stock_comparison.py``);
- CNNClassifier is given the uint8 images, and once more with augmentation afresh in every
  epoch.

It ends with status 1 and says so where CNNClassifier has less than 0.95 of the loop's images
per second, less than 2 times those of stock skorch (which fetches sample by sample, and can only
be that much slower where the network takes no longer than that), or where augmentation takes
10 % or more of an epoch of the default network.
"""

import argparse
from time import perf_counter

import numpy as np
import stock_comparison
import torch
from measuring import PLAIN, load_training, times_in_turn
from skorch import NeuralNetClassifier
from torch.nn import functional

from imbemotion import Augmentation, CNNClassifier
from imbemotion._base.registry import NETWORKS

_BATCH = 128


def hand_written(images, labels, network):
    """Train an epoch as one would write it for this case alone."""
    optimizer = torch.optim.Adam(network.parameters())
    network.train()
    order, total = torch.randperm(len(images)), 0.0
    for start in range(0, len(images), _BATCH):
        rows = order[start : start + _BATCH]
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(images[rows].float() / 255), labels[rows])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    return total / len(images)


def contestants(X, y, network):
    """Give the functions to time; each trains a new network for one epoch."""
    images, labels = torch.from_numpy(X[:, None]), torch.from_numpy(y)
    floats = (X[:, None] / 255).astype(np.float32)
    kind = NETWORKS.load(network)
    settings = PLAIN | {"module": kind, "batch_size": _BATCH, "max_epochs": 1}
    settings["net_params"] = PLAIN["net_params"] | {"precision": "float32"}
    plain = CNNClassifier(**settings, random_state=0)
    changed = settings | {"augmentation": Augmentation()}
    augmented = CNNClassifier(**changed, random_state=0)
    runs = {
        "CNNClassifier": lambda: plain.fit(X, y),
        "hand-written loop": lambda: hand_written(images, labels, kind(n_classes=7)),
        "stock skorch, float arrays": lambda: stock_skorch(kind).fit(floats, y),
        "CNNClassifier, augmentation": lambda: augmented.fit(X, y),
    }
    tutorial = stock_comparison.NETWORKS.get(network)
    if tutorial is not None:
        runs["stock skorch, plain network"] = lambda: stock_skorch(tutorial).fit(floats, y)
    return runs


def stock_skorch(module):
    """Give skorch's own classifier, for one epoch."""
    return NeuralNetClassifier(
        module, module__n_classes=7, criterion=torch.nn.CrossEntropyLoss, max_epochs=1,
        batch_size=_BATCH, optimizer=torch.optim.Adam, lr=1e-3, train_split=None,
        iterator_train__shuffle=True, verbose=0,
    )  # fmt: skip


def main():
    """Print images per second, and the ratios that were promised, for two networks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?")
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    X, y = load_training(args.data, args.images)
    missed = [miss for name in args.networks for miss in compare(X, y, name, args.rounds)]
    raise SystemExit(f"less than promised: {', '.join(missed)}" if missed else 0)


def compare(X, y, network, rounds):
    """Print a table for one network, and name the promises that were missed."""
    runs = contestants(X, y, network)
    times_in_turn(runs.values(), 1)  # to warm up
    start = perf_counter()
    times = times_in_turn(runs.values(), rounds)
    print(f"\n{network}, {len(X):,} images, {rounds} rounds, {perf_counter() - start:.0f} s")
    for name, seconds in zip(runs, np.median(times, axis=0), strict=True):
        print(f"{name:30}{len(X) / seconds:9.0f} images/s")
    ours, loop, stock, augmented, *plain = times.T
    to_loop, to_stock = np.median(loop / ours), np.median(stock / ours)
    share = np.median((augmented - ours) / augmented)
    print(f"{to_loop:.2f} of the loop's images/s, {to_stock:.2f} times stock skorch's")
    if plain:
        print(f"{np.median(plain[0] / ours):.2f} times stock skorch's with a plain network")
    print(f"augmentation takes {share:.1%} of an epoch")
    missed = {
        "the loop": to_loop < 0.95,
        "stock skorch": to_stock < 2,
        "augmentation": network == "residual_cnn" and share >= 0.1,
    }
    return [f"{what} with {network}" for what, short in missed.items() if short]


if __name__ == "__main__":
    main()
