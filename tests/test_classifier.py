"""CNNClassifier: labels of any kind, leak-free validation, equal seeds and equal weights."""

import pickle

import numpy as np
import pytest
import torch
from imblearn.pipeline import Pipeline
from joblib import parallel_config
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import f1_score
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
)
from sklearn.utils.class_weight import compute_class_weight
from skorch.callbacks import Callback, EarlyStopping
from torch.utils.data import default_collate

from imbemotion import Augmentation, CNNClassifier, ImageArray, RandomResampler, make_faces
from imbemotion._base.registry import LOSSES
from imbemotion.classifier.recipe import class_weights
from imbemotion.networks import SmallCNN


@pytest.fixture(scope="module")
def faces():
    return make_faces({"happy": 24, "sad": 12, "fear": 6}, size=16, random_state=0)


def quick(**settings):
    settings = {
        "module": "small_cnn", "max_epochs": 2, "n_threads": 1, "random_state": 0,
        "optimizer": "adam", "lr_schedule": None, "batch_size": 64, "augmentation": None,
        "optimizer__weight_averaging": 0.0, "net__test_time_augmentation": None,
        **settings,
    }  # fmt: skip
    return CNNClassifier().set_params(**settings)


def weights_of(model):
    return torch.cat([p.detach().flatten() for p in model.net_.module_.parameters()]).numpy()


def test_it_learns_to_tell_faces_apart():
    X, y = make_faces({"happy": 60, "sad": 60}, size=24, difficulty=0, random_state=0)
    model = CNNClassifier(max_epochs=25, batch_size=16, n_threads=1, random_state=0)
    model.fit(X[:80], y[:80])
    assert f1_score(y[80:], model.predict(X[80:]), average="macro") > 0.9


LABELS = [
    np.array(["happy", "sad", "fear"]),
    np.array(["happy", "sad", "fear"], dtype=object),
    np.array([10, -3, 500]),
    np.array([1, 2, 3], dtype=np.int32),
    np.array([0.0, 1.0, 4.0]),
]


@pytest.mark.parametrize("names", LABELS, ids=lambda n: str(n.dtype))
def test_labels_may_be_of_any_kind(faces, names):
    X, y = faces
    y = names[np.unique(y, return_inverse=True)[1]]
    model = quick().fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(y))
    assert np.isin(model.predict(X), names).all()
    assert model.predict_proba(X).shape == (42, 3)


def test_boolean_labels_work(faces):
    X, y = faces
    assert quick().fit(X, y == "fear").predict(X).dtype == bool


@pytest.mark.parametrize("loss", [*LOSSES, torch.nn.MultiMarginLoss])
def test_probabilities_sum_to_one_in_the_order_of_the_classes(faces, loss):
    X, y = faces
    model = quick(loss=loss).fit(X, y)
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(model.classes_[p.argmax(axis=1)], model.predict(X))


@pytest.mark.parametrize("kind", ["gray", "color", "float", "array"])
def test_channels_and_scale_come_from_the_data(faces, kind):
    X, y = faces
    X = {
        "gray": X,
        "color": np.repeat(X[..., None], 3, axis=3),
        "float": (X / 255).astype(np.float32),
        "array": ImageArray(X),
    }[kind]
    assert quick().fit(X, y).predict(X).shape == y.shape


def test_the_same_seed_gives_the_same_weights(faces):
    first, again = quick().fit(*faces), quick().fit(*faces)
    np.testing.assert_array_equal(weights_of(first), weights_of(again))
    other = quick(random_state=1).fit(*faces)
    assert (weights_of(first) != weights_of(other)).any()


def test_the_global_generator_is_left_as_it_was(faces):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    quick().fit(*faces)
    assert torch.rand(1) == expected


def test_a_second_fit_starts_from_scratch(faces):
    X, y = faces
    model = quick().fit(X[:, :8], y == "sad")
    np.testing.assert_array_equal(weights_of(model.fit(X, y)), weights_of(quick().fit(X, y)))


def test_class_weights_are_those_of_the_fold(faces):
    X, y = faces
    model = quick(class_weight="balanced").fit(X[:30], y[:30])
    expected = compute_class_weight("balanced", classes=np.unique(y[:30]), y=y[:30])
    np.testing.assert_allclose(model.net_.criterion_.weight, expected, rtol=1e-6)
    assert model.class_counts_.sum() == 30


@pytest.mark.parametrize("name", ["sqrt", "effective"])
def test_gentler_class_weights_are_those_of_the_fold(faces, name):
    params = {"beta": 0.9} if name == "effective" else {}
    model = quick(class_weight=name, loss_params=params).fit(*faces)
    expected = class_weights(name, model.classes_, model.class_counts_, **params)
    np.testing.assert_allclose(model.net_.criterion_.weight, expected)


@pytest.mark.parametrize("loss", ["balanced_softmax", "logit_adjusted", "ldam"])
def test_losses_learn_the_class_sizes_of_the_fold(faces, loss):
    X, y = faces
    model = quick(loss=loss).fit(X[:30], y[:30])
    expected = LOSSES.load(loss)(np.unique(y[:30], return_counts=True)[1])
    for name, buffer in expected.named_buffers():
        torch.testing.assert_close(getattr(model.net_.criterion_, name), buffer)


def test_settings_reach_the_net(faces):
    model = quick(
        module=SmallCNN,
        loss="focal",
        loss_params={"gamma": 0.5},
        optimizer="sgd",
        lr=0.1,
        optimizer__weight_decay=0.01,
        batch_size=7,
        net_params={"module__width": 4},
    ).fit(*faces)
    assert model.net_.criterion_.gamma == 0.5
    assert model.net_.optimizer_.param_groups[0]["weight_decay"] == 0.01
    assert isinstance(model.net_.optimizer_, torch.optim.SGD)
    assert model.net_.module_.features[0].out_channels == 4
    assert (model.net_.lr, model.net_.batch_size, model.n_iter_) == (0.1, 7, 2)


@pytest.mark.parametrize(
    "sampler",
    [None, RandomResampler(random_state=0), RandomResampler(sampling_strategy=12, random_state=0)],
)
def test_validation_contains_no_original_of_a_training_image(faces, sampler, tmp_path):
    X, y = ImageArray(faces[0]), faces[1]
    model = quick(validation_fraction=0.25)
    if sampler is not None:
        X, y = sampler.fit_resample(X, y)
    model.fit(X, y)
    held = np.unique(X[model.validation_indices_].parents[:, 0])
    assert len(held) == len(model.validation_indices_) > 0
    n_free = (~np.isin(X.parents[:, 0], held)).sum()
    assert model.class_counts_.sum() == n_free
    assert model.net_.history[0, "train_batch_count"] == -(-n_free // model.batch_size)


def test_validation_finds_copies_in_plain_arrays(faces):
    X, y = RandomResampler(random_state=0, output="array").fit_resample(*faces)
    model = quick(validation_fraction=0.25).fit(X, y)
    held = {image.tobytes() for image in X[model.validation_indices_]}
    copies = sum(image.tobytes() in held for image in X)
    assert copies > len(held) == len(model.validation_indices_)
    assert model.class_counts_.sum() == len(X) - copies


def test_validation_stays_clean_through_the_memory_of_a_pipeline(faces, tmp_path):
    pipe = Pipeline(
        [("balance", RandomResampler(random_state=0)), ("cnn", quick(validation_fraction=0.25))],
        memory=str(tmp_path),
    )
    for _ in range(2):
        counts = clone(pipe).fit(*faces)["cnn"].class_counts_
        assert counts.sum() < 72 - 3


def test_early_stopping_restores_the_best_weights(faces):
    model = quick(validation_fraction=0.3, patience=0.1, max_epochs=50, lr=0.01).fit(*faces)
    assert model.n_iter_ < 50
    X, y = faces[0][model.validation_indices_], faces[1][model.validation_indices_]
    score = f1_score(y, model.predict(X), labels=model.classes_, average="macro", zero_division=0)
    assert score == pytest.approx(max(model.net_.history[:, "valid_macro_f1"]))


def test_it_can_be_searched_and_cross_validated_in_two_processes(faces):
    X, y = faces
    pipe = Pipeline([("balance", RandomResampler(random_state=0)), ("cnn", quick())])
    grid = {
        "balance": ["passthrough", RandomResampler(random_state=0)],
        "cnn__loss": ["cross_entropy", "focal"],
    }
    cv = StratifiedKFold(2)
    search = GridSearchCV(pipe, grid, cv=cv, scoring="f1_macro", n_jobs=2, error_score="raise")
    assert len(search.fit(X, y).cv_results_["params"]) == 4
    alone, apart = (
        cross_val_predict(pipe, X, y, cv=cv, n_jobs=n, method="predict_proba") for n in (1, 2)
    )
    np.testing.assert_array_equal(alone, apart)


def test_a_pickle_predicts_the_same(faces):
    model = quick().fit(*faces)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(faces[0]), model.predict_proba(faces[0]))


def test_validation_finds_copies_that_an_image_array_hides(faces):
    X, y = RandomResampler(random_state=0, output="array").fit_resample(*faces)
    model = quick(validation_fraction=0.25).fit(ImageArray(X), y)
    held = {image.tobytes() for image in X[model.validation_indices_]}
    copies = sum(image.tobytes() in held for image in X)
    assert model.class_counts_.sum() == len(X) - copies


def test_a_fit_that_fails_leaves_nothing_mixed(faces):
    X, y = faces
    model = quick().fit(X, y)
    with pytest.raises(FloatingPointError, match=r"The (loss|weights) became"):
        model.set_params(lr=1e30, optimizer="sgd", max_epochs=20).fit(
            X, np.where(y == "sad", "zzz", y)
        )
    with pytest.raises(NotFittedError, match="not fitted"):
        model.predict(X)


class Lenet(torch.nn.Module):
    """A network as tutorials write it: it flattens by view, and its loss takes no weights."""

    def __init__(self, n_classes, channels):
        super().__init__()
        self.convolution = torch.nn.Conv2d(channels, 4, 3)
        self.linear = torch.nn.Linear(4 * 14 * 14, n_classes)

    def forward(self, x):
        x = self.convolution(x)
        return self.linear(x.view(x.size(0), -1))


@pytest.mark.parametrize("color", [False, True])
def test_networks_of_tutorials_work(faces, color):
    X, y = faces
    X = np.repeat(X[..., None], 3, axis=3) if color else X
    model = quick(module=Lenet, loss=lambda: torch.nn.CrossEntropyLoss()).fit(X, y)
    assert model.predict(X).shape == y.shape


def test_networks_that_cannot_be_imported_survive_worker_processes(faces):
    class Local(Lenet):
        pass

    results = cross_validate(
        quick(module=Local), *faces, cv=2, n_jobs=2, return_estimator=True, error_score="raise"
    )
    assert results["estimator"][0].predict(faces[0]).shape == (42,)


def test_threads_do_not_disturb_one_another(faces):
    X, y = faces
    with parallel_config(backend="threading", n_jobs=2):
        together = cross_val_predict(quick(), X, y, cv=3, method="predict_proba")
    alone = cross_val_predict(quick(), X, y, cv=3, method="predict_proba")
    np.testing.assert_array_equal(together, alone)


def test_callbacks_are_left_as_they_were(faces):
    stopping = EarlyStopping("train_loss", patience=1)
    before = dict(vars(stopping))
    quick(net__callbacks=[stopping]).fit(*faces)
    assert vars(stopping) == before


def test_a_collate_function_that_is_custom_is_used(faces):
    seen = []

    def collate(batch):
        seen.append(len(batch))
        assert all(image.shape == (1, 16, 16) and label.ndim == 0 for image, label in batch)
        return default_collate(batch)

    quick(net_params={"iterator_train__collate_fn": collate}).fit(*faces)
    assert sum(seen) == 2 * 42


def test_bad_input_is_one_clear_sentence(faces):
    X, y = faces
    model = quick().fit(X, y)
    for bad, error in [
        (lambda: quick().fit(X, y[:-1]), "42 images and 41 labels"),
        (lambda: quick().fit(X, ["joy"] * 42), "one class: joy"),
        (lambda: quick(class_weight={"joy": 2}).fit(X, y), "classes of y .*got 'joy'"),
        (lambda: quick(loss="hinge").fit(X, y), "'loss' parameter"),
        (lambda: model.predict(X[:, :8]), r"images of shape \(16, 16\)"),
        (lambda: model.predict(X / 255), "kind seen in fit"),
        (lambda: model.predict(X.reshape(42, -1)), r"got flat data of shape \(42, 256\)"),
        (lambda: model.predict(ImageArray(X)[[]]), "at least one image"),
        (
            lambda: quick().fit([X[0], X[1, :8]], ["a", "b"]),
            "of one shape, got 2 of different shapes",
        ),
        (
            lambda: quick(class_weight="balanced", loss_params={"weight": None}).fit(X, y),
            "exclude each other",
        ),
    ]:
        with pytest.raises(ValueError, match=error):
            bad()


def test_an_augmentation_that_changes_nothing_changes_nothing(faces):
    nothing = Augmentation.preset("none")
    np.testing.assert_array_equal(
        weights_of(quick(augmentation=nothing).fit(*faces)), weights_of(quick().fit(*faces))
    )


def test_training_images_look_different_in_every_epoch(faces):
    seen = []

    def note(image):
        seen.append(image)
        return 255 - image

    X, y = faces
    model = quick(augmentation=note, max_epochs=3, validation_fraction=0.25).fit(X, y)
    held = {X[row].tobytes() for row in model.validation_indices_}
    n_tried = 2 * 16  # before the first epoch, to see that it repeats itself
    assert len(seen) - n_tried == 3 * model.class_counts_.sum()
    assert not held & {image.tobytes() for image in seen}
    policy = Augmentation(rotation=30)
    drawn = []
    policy.draw = lambda seeds: drawn.append(seeds) or Augmentation.draw(policy, seeds)
    quick(augmentation=policy, max_epochs=2, batch_size=99).fit(X, y)
    assert len(np.unique(np.concatenate(drawn))) == 2 * len(y)


def test_augmentation_is_seeded_and_can_be_searched(faces):
    model = quick(augmentation=Augmentation())
    first, again = clone(model).fit(*faces), clone(model).fit(*faces)
    np.testing.assert_array_equal(weights_of(first), weights_of(again))
    model.set_params(augmentation__rotation=40)
    assert (weights_of(model.fit(*faces)) != weights_of(first)).any()


class NotingRates(Callback):
    """Note the learning rate of every batch."""

    def on_train_begin(self, net, **kwargs):
        self.rates = []

    def on_batch_begin(self, net, training=False, **kwargs):
        if training:
            self.rates.append(net.optimizer_.param_groups[0]["lr"])


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (None, [0.1] * 6),
        ("step", [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]),
        ("cosine", [0.05 * (1 + np.cos(np.pi * step / 6)) for step in range(6)]),
    ],
)
def test_the_learning_rate_follows_its_schedule(faces, schedule, expected):
    model = quick(
        lr=0.1, lr_schedule=schedule, max_epochs=3, batch_size=21,
        net__callbacks=[("rates", NotingRates())],
    ).fit(*faces)  # fmt: skip
    np.testing.assert_allclose(dict(model.net_.callbacks_)["rates"].rates, expected, rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_one_cycle_rises_to_the_rate_and_falls(faces, optimizer):
    model = quick(
        lr=0.1, lr_schedule="onecycle", max_epochs=5, batch_size=10, optimizer=optimizer,
        net__callbacks=[("rates", NotingRates())],
    ).fit(*faces)  # fmt: skip
    rates = dict(model.net_.callbacks_)["rates"].rates
    assert rates[0] == pytest.approx(0.1 / 25)
    assert max(rates) == pytest.approx(0.1, rel=0.05)
    assert rates[-1] < rates[0]


def test_gradients_are_clipped_to_their_norm(faces):
    free = quick(optimizer="sgd", max_epochs=1, batch_size=99, lr=1.0)
    before = weights_of(clone(free).set_params(lr=1e-12).fit(*faces))
    clipped = clone(free).set_params(optimizer__gradient_clipping=0.01).fit(*faces)
    assert np.linalg.norm(weights_of(clipped) - before) == pytest.approx(0.01, rel=1e-3)
    assert np.linalg.norm(weights_of(free.fit(*faces)) - before) > 0.02
