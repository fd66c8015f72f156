"""Fits: what is refused, how training goes on, and what a failure leaves."""

import threading

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from skorch.callbacks import Callback

from imbemotion import Augmentation, CNNClassifier, RandomResampler, make_faces
from imbemotion.callbacks import ProgressBar
from imbemotion.comparison.artifacts import training_facts
from imbemotion.networks import SmallCNN


@pytest.fixture(scope="module")
def faces():
    return make_faces({"happy": 24, "sad": 12, "fear": 6}, size=16, random_state=0)


def quick(**settings):
    defaults = {
        "module": "small_cnn", "max_epochs": 2, "n_threads": 1, "random_state": 0,
        "optimizer": "adam", "lr_schedule": None, "batch_size": 64, "augmentation": None,
        "optimizer__weight_averaging": 0.0, "net__test_time_augmentation": None,
        "net__precision": "float32",
    }  # fmt: skip
    return CNNClassifier().set_params(**{**defaults, **settings})


def weights_of(model):
    return torch.cat([p.detach().flatten() for p in model.net_.module_.parameters()]).numpy()


class Plain(torch.nn.Module):
    """A network without the parts that others have."""

    def __init__(self, n_classes, channels):
        super().__init__()
        self.linear = torch.nn.Linear(256, n_classes)

    def forward(self, images):
        return self.linear(images.flatten(1))


class Hidden(torch.nn.Module):
    """A loss that keeps its weights to itself."""

    def __init__(self, weight=None):
        super().__init__()
        self.loss = torch.nn.CrossEntropyLoss(weight)

    def forward(self, logits, labels):
        return self.loss(logits, labels)


def test_weights_of_images_are_checked(faces):
    X, y = faces
    for weights, error in [
        (np.ones(41), "one entry per image, got 41 for 42 images.*class_weight"),
        (np.zeros(42), "zeros only"),
        (-np.ones(42), "Negative values"),
    ]:
        with pytest.raises(ValueError, match=error):
            quick().fit(X, y, sample_weight=weights)
    for settings in [{"loss": "soft_f1"}, {"loss": Hidden}]:
        with pytest.raises(ValueError, match="need a loss of single images"):
            quick(**settings).fit(X, y, sample_weight=np.ones(42))
        with pytest.raises(ValueError, match="need a loss of single images"):
            quick(loss__label_smoothing=0.1, **settings).fit(X, y)


def test_warm_start_trains_on(faces):
    model = quick(net__warm_start=True).fit(*faces)
    np.testing.assert_array_equal(weights_of(model), weights_of(quick().fit(*faces)))
    before = model.net_
    model.fit(*faces)
    assert (model.n_iter_, list(model.history_["epoch"])) == (4, [1, 2, 3, 4])
    assert model.history_["train_loss"].iloc[2] < model.history_["train_loss"].iloc[0]
    assert before is not model.net_
    with pytest.raises(ValueError, match="labels seen in the first fit"):
        model.fit(faces[0], np.where(faces[1] == "sad", "joy", "fear"))


def test_partial_fit_trains_an_epoch_at_a_time():
    X, y = make_faces({"happy": 24, "sad": 12, "fear": 6}, size=16, difficulty=0, random_state=0)
    model = quick(lr=0.01, lr_schedule="cosine", validation_fraction=0.3)
    for _ in range(40):
        model.partial_fit(X[::2], y[::2], classes=["fear", "happy", "sad"])
        model.partial_fit(X[1::2], y[1::2])
    assert model.n_iter_ == 80
    assert model.class_counts_.tolist() == [240, 960, 480]
    assert (model.predict(X) == y).mean() > 0.8
    with pytest.raises(ValueError, match=r"got joy\..*by classes"):
        model.partial_fit(X, np.where(y == "sad", "joy", y))


def first_seeds(faces, n_workers):
    """Return the bytes of every training batch."""
    seen = []

    class Noting(Callback):
        def on_batch_begin(self, net, batch=None, training=False, **kwargs):
            if training:
                seen.append(batch[0].numpy().tobytes())

    quick(
        augmentation=Augmentation(),
        max_epochs=2,
        batch_size=21,
        net__callbacks=[("noting", Noting())],
        net_params={"iterator_train__num_workers": n_workers, "iterator_train__shuffle": False},
    ).fit(*faces)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [1, 2])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_images_are_new_in_every_epoch_of_worker_processes(faces, n_workers):
    seen = first_seeds(faces, n_workers)
    assert len(set(seen)) == len(seen) == 4
    assert first_seeds(faces, n_workers) == seen


def test_a_training_that_fails_gives_the_terminal_back(faces, monkeypatch):
    bars = []
    monkeypatch.setattr(ProgressBar, "close", lambda bar: bars.append(bar))
    with pytest.raises(FloatingPointError, match="learning rate"):
        quick(verbose=1, lr=1e30, optimizer="sgd").fit(*faces)
    assert len(bars) == 1


def test_weights_that_the_last_step_ruined_are_an_error(faces):
    with pytest.raises(FloatingPointError, match=r"weights became huge.*learning rate 1e\+30"):
        quick(lr=1e30, optimizer="sgd", max_epochs=1).fit(*faces)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"net_params": {"criterion": Hidden}}, ValueError, "must not set criterion"),
        ({"net_params": {"batch_size": 8, "max_epochs": 1}}, ValueError, "batch_size, max_epochs"),
        ({"module": SmallCNN(3)}, TypeError, "got an instance of SmallCNN"),
        ({"loss": torch.nn.CrossEntropyLoss()}, TypeError, "got an instance of CrossEntropyLoss"),
        ({"loss_params": {"gamma": 1}}, ValueError, "loss_params sets gamma.*takes"),
        (
            {"loss": torch.nn.MultiLabelMarginLoss, "class_weight": "sqrt"},
            ValueError,
            "class_weight sets weight",
        ),
        (
            {"module": Plain, "optimizer__freezing": "backbone"},
            ValueError,
            "features and head.*got Plain",
        ),
        (
            {"module": Plain, "optimizer__backbone_lr": 0.1},
            ValueError,
            "backbone_lr needs a network",
        ),
        ({"loss": Hidden, "class_weight": "sqrt", "balance_from": 0.5}, TypeError, "got Hidden"),
        (
            {"loss__label_smoothing": 0.1, "loss_params": {"reduction": "sum"}},
            ValueError,
            "got reduction='sum'",
        ),
    ],
    ids=str,
)
def test_what_would_be_ignored_is_refused(faces, settings, error, message):
    with pytest.raises(error, match=message):
        quick(**settings).fit(*faces)


def test_flat_data_cannot_be_flipped(faces):
    X, y = faces
    for settings in [{"net__test_time_augmentation": "flip"}, {"augmentation": Augmentation()}]:
        with pytest.raises(ValueError, match=r"are for images, got flat data.*\(42, 1, 256\)"):
            quick(**settings).fit(X.reshape(42, -1), y)


def test_a_dict_of_weights_fits_a_fold_that_lacks_a_class(faces):
    X, y = faces
    rows = y != "fear"
    model = quick(class_weight={"happy": 1, "sad": 2, "fear": 3}).fit(X[rows], y[rows])
    assert model.net_.criterion_.weight.tolist() == [1, 2]


def test_optimizers_without_weight_decay_work(faces):
    assert quick(optimizer=torch.optim.Rprop).fit(*faces).n_iter_ == 2
    with pytest.raises(TypeError, match="weight_decay"):
        quick(optimizer=torch.optim.Rprop, optimizer__weight_decay=0.1).fit(*faces)


@pytest.mark.parametrize("random_state", [0, None])
def test_a_warm_start_validates_on_the_same_images(faces, random_state):
    model = quick(net__warm_start=True, validation_fraction=0.3, random_state=random_state).fit(
        *faces
    )
    before = model.validation_indices_
    np.testing.assert_array_equal(model.fit(*faces).validation_indices_, before)


def test_a_warm_start_that_fails_leaves_the_former_fit(faces):
    X, y = faces
    model = quick(net__warm_start=True).fit(X, y)
    before, counts = weights_of(model), model.class_counts_
    with pytest.raises(FloatingPointError, match="learning rate"):
        model.set_params(lr=1e30, optimizer="sgd").fit(X[:30], y[:30])
    np.testing.assert_array_equal(weights_of(model), before)
    assert model.class_counts_ is counts
    with pytest.raises(ValueError, match="network of the last fit"):
        model.set_params(lr=1e-3, module_params={"width": 8}).fit(X, y)


def test_training_on_survives_other_optimizers(faces):
    model = quick(optimizer="sgd").partial_fit(*faces)
    model.set_params(optimizer="adam").partial_fit(*faces)
    assert model.set_params(optimizer__backbone_lr=1e-4).partial_fit(*faces).n_iter_ == 3
    with pytest.raises(ValueError, match="classes must be those of the first"):
        model.partial_fit(*faces, classes=["fear", "happy", "sad", "zzz"])


def test_validation_scores_what_will_be_predicted(faces):
    X, y = faces
    model = quick(
        net__test_time_augmentation="flip", validation_fraction=0.3, max_epochs=8, lr=0.01
    ).fit(X, y)
    held = model.validation_indices_
    score = f1_score(y[held], model.predict(X[held]), average="macro", zero_division=0)
    assert score == pytest.approx(model.history_["valid_macro_f1"].max())


def test_callbacks_collect_in_objects_of_the_user(faces):
    class Collecting(Callback):
        def __init__(self, lock):
            self.lock, self.seen = lock, []

        def on_epoch_end(self, net, **kwargs):
            self.seen.append(len(net.history))

    callback = Collecting(threading.Lock())  # which cannot be copied deeply
    quick(net__callbacks=[callback]).fit(*faces)
    assert callback.seen == [1, 2]


def test_weights_of_images_that_a_sampler_moved_are_refused(faces):
    X, y = faces
    rows = np.isin(y, ["happy", "sad"])
    X_res, y_res = RandomResampler(sampling_strategy="hybrid", random_state=0).fit_resample(
        X[rows], y[rows]
    )
    assert len(X_res) == rows.sum()  # no length could tell
    with pytest.raises(ValueError, match="rows of X one by one"):
        quick().fit(X_res, y_res, sample_weight=np.ones(len(y_res)))


@pytest.mark.parametrize(
    "deferred",
    [
        {"class_weight": "balanced", "balance_from": 0.8},
        {"batch_sampling": "balanced", "balance_from": 0.8},
    ],
    ids=str,
)
def test_early_stopping_waits_for_what_is_deferred(faces, deferred):
    model = quick(**deferred, max_epochs=10, patience=1, validation_fraction=0.3).fit(*faces)
    assert model.n_iter_ > 8
    np.testing.assert_allclose(model.training_prior_, 1 / 3, rtol=1e-5)


@pytest.mark.parametrize("warm", [False, True])
def test_the_best_epoch_is_the_one_whose_weights_are_restored(warm):
    X, y = make_faces({"happy": 60, "sad": 12}, size=12, random_state=0)
    model = quick(
        class_weight="balanced", balance_from=0.75, lr=0.02, max_epochs=8, validation_fraction=0.3,
        net__warm_start=warm,
    ).fit(X, y)  # fmt: skip
    n_before = 8 if warm else 0
    model = model.fit(X, y) if warm else model
    (best,) = model.history_[model.history_["best"]].itertuples()
    assert best.epoch > n_before + 6  # the weights start then
    assert training_facts(model)["best_epoch"] == best.epoch
    held = model.validation_indices_
    score = f1_score(y[held], model.predict(X[held]), average="macro", zero_division=0)
    assert score == pytest.approx(best.valid_macro_f1)


def test_the_last_epoch_is_the_best_after_partial_fit(faces):
    model = quick(validation_fraction=0.3, max_epochs=3).fit(*faces).partial_fit(*faces)
    assert model.history_["best"].tolist() == [False, False, False, True]


def test_unknown_settings_of_a_network_are_named(faces):
    with pytest.raises(ValueError, match=r"sets drop, but module='deep_cnn' takes widths"):
        quick(module="deep_cnn", module_params={"drop": 0.5}).fit(*faces)
