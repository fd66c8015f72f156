"""Every keyword of CNNClassifier about training: nothing changes at neutral, and its effect."""

import itertools
import re

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import f1_score
from skorch.callbacks import Callback
from torch.nn import functional
from torchvision.transforms.v2.functional import resize

from imbemotion import CNNClassifier, make_faces
from imbemotion._base.registry import LOSSES
from imbemotion.callbacks import FreezeBackbone, first_step
from imbemotion.losses import Target, batch_loss
from imbemotion.training import machine
from imbemotion.training.batches import BalancedRows, Course, views
from imbemotion.training.machine import pick_precision


@pytest.fixture(scope="module")
def faces():
    return make_faces({"happy": 24, "sad": 12, "fear": 6}, size=16, random_state=0)


def quick(**settings):
    defaults = {
        "module": "small_cnn", "max_epochs": 2, "n_threads": 1, "random_state": 0,
        "optimizer": "adam", "lr_schedule": None, "batch_size": 64, "augmentation": None,
        "optimizer__weight_averaging": 0.0, "net__precision": "float32",
        "net__test_time_augmentation": None,
    }  # fmt: skip
    return CNNClassifier().set_params(**{**defaults, **settings})


class Hidden(torch.nn.Module):
    """A loss that keeps its weights to itself."""

    def __init__(self, weight=None):
        super().__init__()
        self.loss = torch.nn.CrossEntropyLoss(weight)

    def forward(self, logits, labels):
        return self.loss(logits, labels)


def weights_of(model):
    return torch.cat([p.detach().flatten() for p in model.net_.module_.parameters()]).numpy()


def same_weights(first, second):
    return np.array_equal(weights_of(first), weights_of(second))


@pytest.fixture(scope="module")
def plain(faces):
    return quick().fit(*faces)


NEUTRAL = [
    {"balance_from": 0.5},  # without class weights
    {"balance_from": 0.5},  # without balanced batches
    {"class_weight": "balanced", "balance_from": 1.0},
    {"mixup": 0.0},
    {"loss__label_smoothing": 0.0},
    {"optimizer__weight_averaging": 0.0},
    {"optimizer__freezing": 0.0},
    {"optimizer__backbone_lr": 1e-3, "optimizer__backbone_weight_decay": 0.0},
    {"optimizer__gradient_clipping": 1e9},
    {"net__test_time_augmentation": "flip"},  # changes predictions alone
    {"verbose": 0},
    {"max_epochs": None, "max_steps": 2},
    {"max_epochs": 3, "max_steps": 2},
]


@pytest.mark.parametrize("neutral", NEUTRAL, ids=str)
def test_neutral_values_leave_every_bit_as_it_is(faces, plain, neutral):
    assert same_weights(quick(**neutral).fit(*faces), plain)


EFFECTIVE = [
    {"class_weight": "balanced", "balance_from": 0.5},
    {"batch_sampling": "balanced"},
    {"batch_sampling": "sqrt"},
    {"batch_sampling": "progressive"},
    {"mixup": 0.5},
    {"loss__label_smoothing": 0.1},
    {"optimizer__weight_averaging": 0.8},
    {"optimizer__freezing": 0.5},
    {"optimizer__freezing": "backbone"},
    {"optimizer__freezing": "gradual"},
    {"optimizer__backbone_lr": 1e-4},
    {"optimizer__weight_decay": 0.1, "optimizer__backbone_weight_decay": 0.0},
    {"net__precision": "bfloat16"},
]


@pytest.mark.parametrize("effective", EFFECTIVE, ids=str)
def test_other_values_change_the_training_in_the_same_way_each_time(faces, plain, effective):
    model = quick(**effective).fit(*faces)
    assert not same_weights(model, plain)
    assert same_weights(quick(**effective).fit(*faces), model)


class Spy(Callback):
    """Note what the net is like at the end of each training batch."""

    def on_train_begin(self, net, **kwargs):
        self.noted = []

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training:
            weight = net.criterion_.weight
            self.noted.append(
                {
                    "weighted": weight is not None,
                    "labels": batch[1],
                    "frozen": not next(net.module_.features.parameters()).requires_grad,
                    "rates": [group["lr"] for group in net.optimizer_.param_groups],
                    "decays": [group["weight_decay"] for group in net.optimizer_.param_groups],
                }
            )


def spied(faces, **settings):
    """Fit and give what was noted, one list for each epoch."""
    model = quick(batch_size=42, net__callbacks=[("spy", Spy())], **settings).fit(*faces)
    return dict(model.net_.callbacks_)["spy"].noted


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "ldam", "soft_f1"])
def test_class_weights_start_when_they_are_asked_for(faces, loss):
    noted = spied(faces, class_weight="balanced", balance_from=0.6, max_epochs=5, loss=loss)
    assert [batch["weighted"] for batch in noted] == [False, False, False, True, True]


def test_what_is_put_off_starts_in_the_step_of_its_fraction():
    for n_epochs in range(1, 60):
        for epoch in range(n_epochs + 1):
            assert first_step(epoch / n_epochs, n_epochs) == epoch
    assert [first_step(share, 10) for share in (0, 0.65, 0.7, 1)] == [0, 7, 7, 10]


def test_balanced_batches_start_when_they_are_asked_for(faces):
    noted = spied(faces, batch_sampling="balanced", balance_from=0.5, max_epochs=4)
    counts = [np.bincount(batch["labels"]).tolist() for batch in noted]
    assert counts == [[6, 24, 12], [6, 24, 12], [14, 14, 14], [14, 14, 14]]


def test_progressive_batches_move_from_natural_to_equal_shares():
    counts = np.array([6, 24, 12])
    course = Course(n_steps=10, batch_size=21, n_rows=42)
    shares = [course.shares("progressive", counts, epoch) for epoch in range(5)]
    np.testing.assert_allclose(shares[0], counts / 42)
    np.testing.assert_allclose(shares[2], (counts / 42 + 1 / 3) / 2)
    np.testing.assert_allclose(shares[4], 1 / 3)
    np.testing.assert_allclose(course.shares("sqrt", np.array([1, 9, 0]), 0), [0.25, 0.75, 0])


def test_no_row_is_drawn_again_before_all_of_its_class_were():
    labels = np.repeat([0, 1], [30, 4])
    rows = BalancedRows(labels, "balanced", Course(1, 34, 34), seed=0)
    drawn = np.bincount(list(rows), minlength=34)
    assert drawn.sum() == 34
    assert drawn[:30].max() == 1
    assert set(drawn[30:]) == {4, 5}


def test_balancing_may_start_within_a_pass_over_the_data():
    labels = np.repeat([0, 1], [30, 10])
    rows = BalancedRows(labels, "balanced", Course(16, batch_size=10, n_rows=40, start=0.4), 0)
    passes = [labels[list(rows)] for _ in range(4)]  # step 7 of 16 is the last of the second one
    assert [part.sum() for part in passes] == [10, passes[1].sum(), 20, 20]
    assert passes[1][30:].sum() == 5


def test_the_backbone_is_frozen_as_long_as_it_was_asked_for(faces):
    noted = spied(faces, optimizer__freezing=0.5, max_epochs=4)
    assert [batch["frozen"] for batch in noted] == [True, True, False, False]
    shares = [FreezeBackbone("gradual").trainable(step, 8) for step in range(6)]
    assert shares == [0, 0.25, 0.5, 0.75, 1, 1]


def test_backbone_and_head_have_separate_rates_and_decays(faces):
    noted = spied(
        faces, optimizer="adamw", lr=1e-3, max_epochs=1, optimizer__backbone_lr=2e-5,
        optimizer__weight_decay=0.1, optimizer__backbone_weight_decay=0.01,
    )  # fmt: skip
    assert (noted[0]["rates"], noted[0]["decays"]) == ([2e-5, 1e-3], [0.01, 0.1])
    noted = spied(
        faces,
        lr=1e-3,
        optimizer__backbone_lr=1e-5,
        lr_schedule="onecycle",
        max_epochs=20,
        optimizer="sgd",
    )
    np.testing.assert_allclose(np.max([n["rates"] for n in noted], axis=0), [1e-5, 1e-3], rtol=0.1)


def test_mixing_is_the_mean_of_the_losses_of_both_labels(faces):
    noted = spied(faces, mixup=1.0, max_epochs=1)
    first, second = noted[0]["labels"]
    assert first.share + second.share == pytest.approx(1)
    assert sorted(first.labels) == sorted(second.labels)
    logits = torch.randn(42, 3, generator=torch.Generator().manual_seed(0))
    soft = first.share * functional.one_hot(first.labels, 3)
    soft = soft + second.share * functional.one_hot(second.labels, 3)
    torch.testing.assert_close(
        batch_loss(torch.nn.CrossEntropyLoss(), logits, [first, second]),
        functional.cross_entropy(logits, soft),
    )


def test_mixed_pixels_lie_between_those_of_both_images(faces):
    X, y = faces
    model = quick(mixup=0.5).fit(X, y)
    train, _ = model.net_.train_split(model.net_.get_dataset(X, np.zeros(42, dtype=int)))
    images, _ = train.__getitems__(np.arange(42))
    assert images.dtype == torch.float32
    assert images.min() >= X.min()
    assert images.max() <= X.max()


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "balanced_softmax", "ldam"])
def test_smoothed_labels_are_an_expectation_over_drawn_labels(loss):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, generator=generator)
    labels, shares = torch.tensor([0, 1, 2, 2, 0]), torch.tensor([0.5, 0.3, 0.2])
    counts = {} if loss in ("cross_entropy", "focal") else {"class_counts": [5, 3, 2]}
    criterion = LOSSES.load(loss)(**counts, reduction="none")
    result = batch_loss(
        criterion, logits, [Target(labels)], label_smoothing=0.2, class_shares=shares
    )
    every = [criterion(logits, torch.full((5,), c)).mean() * shares[c] for c in range(3)]
    torch.testing.assert_close(result, 0.8 * criterion(logits, labels).mean() + 0.2 * sum(every))


def test_smoothing_by_equal_shares_is_that_of_pytorch():
    logits, labels = torch.eye(3) * 3, torch.tensor([0, 1, 1])
    expected = torch.nn.CrossEntropyLoss(label_smoothing=0.1)(logits, labels)
    criterion = torch.nn.CrossEntropyLoss(reduction="none")
    shares = torch.full((3,), 1 / 3)
    smooth = batch_loss(
        criterion, logits, [Target(labels)], label_smoothing=0.1, class_shares=shares
    )
    torch.testing.assert_close(smooth, expected)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "balanced_softmax", "ldam"])
@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 2.0, 0.5])])
def test_an_image_of_weight_two_counts_like_two_images(loss, weight):
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 1])
    counts = {} if loss in ("cross_entropy", "focal") else {"class_counts": [5, 3, 2]}
    weighted = Target(labels, torch.tensor([2.0, 1.0, 0.0, 1.0]))
    result = batch_loss(
        LOSSES.load(loss)(**counts, weight=weight, reduction="none"), logits, [weighted]
    )
    rows = [0, 0, 1, 3]
    expected = LOSSES.load(loss)(**counts, weight=weight)(logits[rows], labels[rows])
    torch.testing.assert_close(result, expected)


def test_averaged_weights_are_what_the_formula_gives(faces):
    class Keeping(Callback):
        def on_train_begin(self, net, **kwargs):
            self.states = [weights(net)]

        def on_batch_end(self, net, training=False, **kwargs):
            if training:
                self.states.append(weights(net))

    def weights(net):
        return torch.cat([p.detach().flatten().clone() for p in net.module_.parameters()])

    keeping = ("keeping", Keeping())
    model = quick(
        optimizer__weight_averaging=0.2, max_epochs=6, batch_size=10, net__callbacks=[keeping]
    )
    states = dict(model.fit(*faces).net_.callbacks_)["keeping"].states
    average = states[0].double()
    for step, state in enumerate(states[1:]):
        decay = min(1 - 1 / (0.2 * 30), step / (10 + step))
        average = decay * average + (1 - decay) * state.double()
    np.testing.assert_allclose(weights_of(model), average, atol=1e-6)
    assert not np.allclose(weights_of(model), states[-1], atol=1e-6)


def test_the_average_after_one_step_is_that_step(faces):
    one = quick(max_epochs=None, max_steps=1)
    averaged = clone(one).set_params(optimizer__weight_averaging=0.8)
    assert same_weights(one.fit(*faces), averaged.fit(*faces))


@pytest.mark.parametrize("schedule", ["step", "cosine", "onecycle"])
def test_steps_and_epochs_that_mean_the_same_give_the_same_bits(faces, schedule):
    settings = {"batch_size": 10, "lr_schedule": schedule, "optimizer__weight_averaging": 0.2}
    settings |= {"batch_sampling": "sqrt", "balance_from": 0.5, "augmentation": "light"}
    in_epochs = quick(**settings, max_epochs=3).fit(*faces)
    in_steps = quick(**settings, max_epochs=None, max_steps=15).fit(*faces)
    assert same_weights(in_epochs, in_steps)


def test_a_training_may_end_within_a_pass_over_the_data(faces):
    model = quick(max_epochs=None, max_steps=7, batch_size=10, lr_schedule="onecycle").fit(*faces)
    assert (model.recipe_["max_steps"], model.n_iter_) == (7, 2)
    assert [epoch["train_batch_count"] for epoch in model.net_.history] == [5, 2]


def test_a_training_without_an_end_is_refused(faces):
    with pytest.raises(ValueError, match="max_steps and max_epochs must not both be None"):
        quick(max_epochs=None, max_steps=None).fit(*faces)


def test_averaged_weights_are_what_early_stopping_scores_and_restores(faces):
    X, y = faces
    model = quick(
        optimizer__weight_averaging=0.5,
        validation_fraction=0.3,
        patience=0.1,
        max_epochs=30,
        lr=0.01,
    ).fit(X, y)
    held = model.validation_indices_
    best = model.history_["valid_macro_f1"].max()
    score = f1_score(y[held], model.predict(X[held]), average="macro", zero_division=0)
    assert score == pytest.approx(best)


def test_flipped_predictions_are_the_mean_of_both(faces):
    X, y = faces
    model = quick().fit(X, y)
    both = (model.predict_proba(X) + model.predict_proba(X[:, :, ::-1])) / 2
    model.set_params(net__test_time_augmentation="flip")
    np.testing.assert_allclose(model.predict_proba(X), both, atol=1e-7)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, atol=1e-12)


def test_views_that_are_none_are_refused_after_the_fit_too(faces):
    model = quick().fit(*faces).set_params(net__test_time_augmentation="bogus")
    with pytest.raises(ValueError, match=r"one of .'flip', 'flip_zoom'. or None, got 'bogus'"):
        model.predict(faces[0])


def test_enlarged_crops_are_averaged_too(faces):
    X = torch.from_numpy(np.repeat(faces[0][:3, :, :, None], 3, axis=3))
    shown = list(views(X, "flip_zoom"))
    assert len(shown) == 8
    expected = resize(X[:, 1:-1, 1:-1].permute(0, 3, 1, 2).float(), [16, 16], antialias=False)
    torch.testing.assert_close(shown[4].permute(0, 3, 1, 2), expected)
    torch.testing.assert_close(shown[5], shown[4].flip(2))
    gray = list(views(X[..., 0], "flip_zoom"))
    torch.testing.assert_close(gray[4], shown[4][..., 0])
    p = quick(net__test_time_augmentation="flip_zoom").fit(*faces).predict_proba(faces[0])
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)


SHARES = np.array([6, 24, 12]) / 42
PRIORS = [
    ({}, [6, 24, 12]),
    ({"class_weight": "balanced"}, [1, 1, 1]),
    ({"class_weight": "balanced", "balance_from": 1.0}, [6, 24, 12]),
    ({"class_weight": {"sad": 2.0}}, [6, 24, 24]),
    ({"batch_sampling": "balanced"}, [1, 1, 1]),
    ({"batch_sampling": "progressive"}, [1, 1, 1]),
    ({"batch_sampling": "sqrt"}, np.sqrt([6, 24, 12])),
    (
        {"batch_sampling": "balanced", "loss__label_smoothing": 0.3},
        [0.7 + 0.9 * s for s in SHARES],
    ),
    ({"loss_params": {"weight": [2.0, 1.0, 1.0]}, "balance_from": 1.0}, [6, 24, 12]),
    ({"loss": Hidden, "class_weight": "balanced"}, [1, 1, 1]),
    ({"loss": "balanced_softmax"}, [1, 1, 1]),
    ({"loss": "logit_adjusted"}, [1, 1, 1]),
    ({"loss": "logit_adjusted", "loss_params": {"tau": 0.5}}, np.sqrt([6, 24, 12])),
]


@pytest.mark.parametrize(("settings", "expected"), PRIORS, ids=str)
def test_the_prior_is_what_the_last_epoch_saw(faces, settings, expected):
    prior = quick(**settings).fit(*faces).training_prior_
    np.testing.assert_allclose(prior, np.array(expected) / np.sum(expected), rtol=1e-5)


def test_the_prior_counts_weights_of_images(faces):
    X, y = faces
    prior = quick().fit(X, y, sample_weight=np.where(y == "fear", 4.0, 1.0)).training_prior_
    np.testing.assert_allclose(prior, np.array([24, 24, 12]) / 60, rtol=1e-6)


def test_the_history_is_a_table_of_the_epochs(faces):
    model = quick(validation_fraction=0.3, max_epochs=3).fit(*faces)
    assert list(model.history_["epoch"]) == [1, 2, 3]
    measured = {"train_loss", "train_macro_f1", "valid_loss", "valid_macro_f1", "seconds"}
    assert measured <= set(model.history_)


def test_given_images_validate_and_the_best_weights_are_kept(faces):
    X, y = faces
    other = make_faces({"happy": 8, "sad": 6, "fear": 4}, size=16, random_state=1)
    settings = {"max_epochs": 6, "lr": 0.01, "lr_schedule": "onecycle"}
    model = quick(**settings).fit(X, y, validation_data=other)
    scores = model.history_["valid_macro_f1"]
    assert model.n_iter_ == 6  # the schedule is not cut
    found = f1_score(other[1], model.predict(other[0]), average="macro", zero_division=0)
    assert found == pytest.approx(scores.max())
    assert model.validation_indices_.size == 0
    np.testing.assert_array_equal(model.class_counts_, [6, 24, 12])
    weighted = quick(**settings).fit(X, y, np.ones(42), validation_data=other)
    np.testing.assert_allclose(weights_of(weighted), weights_of(model), atol=1e-5)


def test_validation_images_that_cannot_be_used_are_refused(faces):
    X, y = faces
    with pytest.raises(ValueError, match=r"exclude each other, got validation_fraction=0\.3"):
        quick(validation_fraction=0.3).fit(X, y, validation_data=(X, y))
    with pytest.raises(ValueError, match=r"labels of validation_data must be among .*got bored"):
        quick().fit(X, y, validation_data=(X[:1], ["bored"]))
    with pytest.raises(ValueError, match="shape"):
        quick().fit(X, y, validation_data=(X[:, :8], y))


def test_features_are_what_the_head_is_given(faces):
    X, y = faces
    model = quick().fit(X, y)
    features = torch.from_numpy(model.transform(X))
    logits = model.net_.module_.head(features).detach().double()
    np.testing.assert_allclose(torch.softmax(logits, 1), model.predict_proba(X), atol=1e-6)


def test_equal_weights_of_images_change_hardly_anything(faces, plain):
    model = quick().fit(*faces, sample_weight=np.full(42, 3.0))
    np.testing.assert_allclose(weights_of(model), weights_of(plain), atol=1e-6)


def test_verbose_tells_about_every_epoch(faces, capsys):
    quick(verbose=1, validation_fraction=0.3).fit(*faces)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "epoch 1, step 1 of 2",
        "epoch 2, step 2 of 2",
    ]
    assert "loss" in lines[0]
    assert "macro-F1" in lines[1]
    quick().fit(*faces)
    assert capsys.readouterr().out == ""


def test_verbose_tells_why_a_training_ended_early(faces, capsys):
    model = quick(verbose=1, validation_fraction=0.3, patience=0.2, max_epochs=9, lr=1e-9)
    model.fit(*faces)
    assert model.n_iter_ < 9
    assert re.search(
        rf"Stopped after {model.n_iter_} of 9 steps: the validation has not improved "
        r"since step \d, whose weights are kept\.$",
        capsys.readouterr().out,
    )


@pytest.mark.parametrize("device", ["tpu", "cuda:77"])
def test_a_missing_device_is_reported_before_training(faces, device):
    with pytest.raises(
        ValueError, match=rf"device='{device}' is not available here: .* Use 'auto'"
    ):
        quick(device=device).fit(*faces)


def test_small_images_train_in_float32_on_cpus(monkeypatch):
    monkeypatch.setattr(machine, "_cpu_has_amx", lambda: True)
    assert pick_precision("auto", "cpu", (48, 48)) == "bfloat16"
    assert pick_precision("auto", "cpu", (48, 12)) == "float32"  # bfloat16 gradients may be wrong
    assert pick_precision("bfloat16", "cpu", (12, 12)) == "bfloat16"


@pytest.mark.parametrize("name", ["transfer", "adam_step"])
def test_presets_are_parameters_that_train_pretrained_networks(faces, name):
    X, y = faces
    settings = {"module": "shufflenet_v2_x0_5", "module_params": {"weights": None}}
    model = CNNClassifier.from_preset(name, **settings, max_epochs=1).fit(X, y)
    transfers = name == "transfer"
    groups = model.net_.optimizer_.param_groups
    rates = [group.get("max_lr", group["initial_lr"]) for group in groups]
    assert rates == ([3e-4, 1e-3] if transfers else [5e-4])
    assert type(model.net_.optimizer_).__name__ == ("AdamW" if transfers else "Adam")


def test_floats_are_standardized_once_for_pretrained_networks(faces):
    X, y = faces
    settings = {"module": "shufflenet_v2_x0_5", "module_params": {"weights": None}}
    for images, normalize in [(X, True), ((X / 255).astype(np.float32), False)]:
        model = quick(**settings, max_epochs=1).fit(images, y)
        assert model.net_.get_params()["module__weights"] is None
        assert model.net_.get_params().get("module__normalize", True) is normalize


@pytest.mark.kind("E42", "A clock that is set back gives no negative seconds.")
@pytest.mark.parametrize("step", [-1, -3600, -1e9, 0])
def test_a_clock_that_runs_back_gives_no_negative_seconds(monkeypatch, step):
    X, y = make_faces({"happy": 6, "sad": 6}, size=8, random_state=0)
    monkeypatch.setattr("time.time", itertools.count(2e9, step).__next__)
    model = CNNClassifier(module="small_cnn", max_epochs=2, random_state=0).fit(X, y)
    assert (model.history_["seconds"] > 0).all()
