"""Over-sampling against plain training, with equal epochs and with equal steps.

Run: python benchmarks/bench_steps.py [--seeds 3]

Skewed drawn faces (400 to 10 of six emotions) train DeepCNN; new faces, 100 of each emotion,
test it. Over-sampling makes an epoch longer, so plain training is given the same number of
epochs, and then as many as make the same number of steps.
"""

import argparse

import numpy as np
from measuring import PLAIN
from sklearn.metrics import f1_score

from imbemotion import CNNClassifier, RandomResampler, make_faces

COUNTS = {"happy": 400, "neutral": 300, "sad": 60, "angry": 40, "surprise": 30, "fear": 10}
EPOCHS = 12


def score(X, y, epochs, seed):
    """Train on X and y; give macro-F1 on new, balanced faces."""
    X_test, y_test = make_faces(dict.fromkeys(COUNTS, 100), random_state=1000 + seed)
    model = CNNClassifier(
        **PLAIN, module="deep_cnn", max_epochs=epochs, n_threads=1, random_state=seed
    ).fit(X, y)
    return f1_score(y_test, model.predict(X_test), average="macro")


def main():
    """Print mean macro-F1 and its range over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    scores = []
    for seed in range(args.seeds):
        X, y = make_faces(COUNTS, random_state=seed)
        X_res, y_res = RandomResampler(random_state=seed).fit_resample(X, y)
        longer = round(EPOCHS * len(X_res) / len(X))
        scores.append(
            [
                score(X, y, EPOCHS, seed),
                score(X, y, longer, seed),
                score(X_res, y_res, EPOCHS, seed),
            ]
        )
    names = (
        f"plain, {EPOCHS} epochs",
        f"plain, {longer} epochs",
        f"over-sampled, {EPOCHS} epochs",
    )
    for name, column in zip(names, np.array(scores).T, strict=True):
        print(f"{name:25} {column.mean():.2f} ({column.min():.2f} to {column.max():.2f})")


if __name__ == "__main__":
    main()
