"""S4's eight experiments without imbemotion: imbalanced-learn, torchvision, skorch, GridSearchCV.

Written as each package's documentation shows it, for ``bench_comparison.py``: images are flat
float32 rows until they reach the network, samplers are imbalanced-learn's, new images come
from torchvision's transforms, image by image, and the folds run in two worker processes.
"""

import numpy as np
import torch
from imblearn import FunctionSampler
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import FunctionTransformer
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional
from torchvision.transforms import v2

__all__ = ["EXPERIMENTS", "NETWORKS", "search"]

_SIZE = 48


class StopAfter(Callback):
    """End the training after a number of optimizer steps."""

    def __init__(self, steps):
        self.steps = steps

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.taken_ = 0

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        self.taken_ += training
        if self.taken_ == self.steps:
            raise KeyboardInterrupt  # skorch ends the training and keeps the network


class FocalLoss(nn.Module):
    """Focal loss with gamma 2."""

    def forward(self, logits, labels):
        """Compute the mean, (n, n_classes) and (n,) -> scalar."""
        cross_entropy = functional.cross_entropy(logits, labels, reduction="none")
        return ((1 - torch.exp(-cross_entropy)) ** 2 * cross_entropy).mean()


def small_cnn(n_classes):
    """Write imbemotion's SmallCNN as a tutorial would."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(32 * 16, n_classes),
    )  # fmt: skip


def deep_cnn(n_classes):
    """Write imbemotion's DeepCNN as a tutorial would."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(),
        nn.Dropout(0.25), nn.Linear(64 * 16, 128), nn.ReLU(),
        nn.Dropout(0.25), nn.Linear(128, n_classes),
    )  # fmt: skip


NETWORKS = {"small_cnn": small_cnn, "deep_cnn": deep_cnn}


def augment(X, y):
    """Bring every class to the largest with changed copies, (n, pixels) -> (m, pixels)."""
    torch.manual_seed(0)
    change = v2.Compose(
        [
            v2.RandomHorizontalFlip(0.5),
            v2.RandomAffine(
                10, (0.06, 0.06), (0.9, 1.1), interpolation=v2.InterpolationMode.BILINEAR
            ),
            v2.ColorJitter(brightness=0.2, contrast=0.2),
        ]
    )
    drawn, made = np.random.RandomState(0), []
    labels, counts = np.unique(y, return_counts=True)
    for label, count in zip(labels, counts, strict=True):
        for row in drawn.choice(np.flatnonzero(y == label), counts.max() - count):
            image = torch.from_numpy(X[row].reshape(1, _SIZE, _SIZE))
            made.append(change(image).numpy().reshape(-1))
    return np.vstack([X, made]), np.r_[y, np.repeat(labels, counts.max() - counts)]


def to_images(X):
    """Give rows the shape that the network takes, (n, pixels) -> (n, 1, H, W)."""
    return X.reshape(-1, 1, _SIZE, _SIZE)


def _experiment(sampler, loss=nn.CrossEntropyLoss):
    return {"balance": [sampler], "net__criterion": [loss]}


EXPERIMENTS = {
    "none": _experiment("passthrough"),
    "oversample": _experiment(RandomOverSampler(random_state=0)),
    "smote": _experiment(SMOTE(random_state=0)),
    "adasyn": _experiment(ADASYN(random_state=0)),
    "augmentation": _experiment(FunctionSampler(func=augment, validate=False)),
    "focal": _experiment("passthrough", FocalLoss),
    "smote + focal": _experiment(SMOTE(random_state=0), FocalLoss),
    "augmentation + focal": _experiment(FunctionSampler(func=augment, validate=False), FocalLoss),
}


def search(module, X, y, cv, *, steps, batch_size, n_jobs):
    """Run all experiments.

    Parameters
    ----------
    module : callable
        Makes the network.

    X : ndarray of uint8 of shape (n_samples, 48, 48)
        The images.

    y : ndarray of int of shape (n_samples,)
        Their labels, from 0.

    cv : splitter
        The folds.

    steps, batch_size, n_jobs : int
        Optimizer steps of every fit, and settings of the training and the search.

    Returns
    -------
    scores, seconds : ndarray of shape (n_experiments, n_folds), ndarray of shape (n_experiments,)
        Macro-F1, and mean time to fit.
    """
    net = NeuralNetClassifier(
        module, module__n_classes=len(np.unique(y)), criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam, lr=1e-3, batch_size=batch_size, max_epochs=steps,
        iterator_train__shuffle=True, train_split=None, verbose=0, callbacks=[StopAfter(steps)],
    )  # fmt: skip
    pipe = Pipeline(
        [("balance", "passthrough"), ("images", FunctionTransformer(to_images)), ("net", net)]
    )
    grid = list(EXPERIMENTS.values())
    found = GridSearchCV(
        pipe, grid, scoring="f1_macro", cv=cv, n_jobs=n_jobs, refit=False, return_train_score=True
    )
    found.fit((X.reshape(len(X), -1) / 255).astype(np.float32), y.astype(np.int64))
    results = found.cv_results_
    scores = [results[f"split{fold}_test_score"] for fold in range(cv.get_n_splits())]
    return np.transpose(scores), results["mean_fit_time"]
