"""What "auto" chooses by the data, and the warnings when a training failed."""

import warnings
from math import ceil

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from imbemotion import AugmentationSampler, CNNClassifier, ImageArray, RandomResampler, make_faces
from imbemotion.classifier.recipe import is_mirrored

ONCE = {"module": "small_cnn", "n_threads": 1, "random_state": 0}


def noise(n_images, size=8, seed=0):
    X = np.random.default_rng(seed).integers(0, 256, (n_images, size, size), dtype=np.uint8)
    return X, np.arange(n_images) % 2


def arrows(n_images):
    """Draw arrows to the left and to the right: mirroring changes the class, not the images."""
    rng, X = np.random.default_rng(0), np.zeros((n_images, 32, 32), dtype=np.uint8)
    y = np.arange(n_images) % 2
    for image, right in zip(X, y, strict=True):
        top, left = rng.integers(3, 12, 2)
        image[top + 8 : top + 11, left : left + 16] = 255
        for i in range(7):
            image[[top + 9 - i, top + 9 + i], left + 15 - i] = 255
        image[:] = image if right else image[:, ::-1].copy()
    return X, y


def test_faces_may_be_mirrored_but_neither_digits_nor_arrows():
    assert is_mirrored(*make_faces({"happy": 60, "sad": 40}, size=32, random_state=0))
    digits = load_digits()
    assert not is_mirrored(digits.images[:200], digits.target[:200])
    assert not is_mirrored(*arrows(60))


def test_images_that_are_too_few_to_know_are_not_mirrored():
    assert not is_mirrored(*noise(20))
    assert is_mirrored(*noise(200))


def test_the_choice_is_the_same_every_time_and_for_colors():
    X, y = arrows(60)
    assert not is_mirrored(np.repeat(X[..., None], 3, axis=3), y)


def test_copies_do_not_change_what_is_known_of_mirror_images():
    X, y = make_faces({"happy": 100, "sad": 12}, size=16, random_state=0)
    model = CNNClassifier(module="small_cnn", max_steps=1)
    for sampler in (RandomResampler(random_state=0), AugmentationSampler(random_state=0)):
        again = model.fit(*sampler.fit_resample(X, y)).recipe_
        assert again["mirrored"] == model.fit(X, y).recipe_["mirrored"]


def test_training_in_parts_keeps_what_the_first_part_decided():
    X, y = make_faces({"happy": 50, "sad": 50}, size=16, random_state=0)
    model = CNNClassifier(module="small_cnn", max_steps=1).fit(X, y)
    assert model.recipe_["mirrored"]
    assert model.partial_fit(X[:4], y[:4]).recipe_["mirrored"]


def test_an_optimizer_class_keeps_its_own_weight_decay():
    for optimizer, decay in [("adamw", 0.01), ("adam", 0.0), (torch.optim.AdamW, 0.01)]:
        model = CNNClassifier(**ONCE, optimizer=optimizer, max_steps=1).fit(*noise(8))
        assert model.net_.optimizer_.param_groups[0]["weight_decay"] == decay


@settings(max_examples=15, deadline=None)
@given(n=st.integers(30, 80), seed=st.integers(0, 99))
def test_mirrored_images_give_the_same_answer(n, seed):
    X, y = noise(n, seed=seed)
    assert is_mirrored(X, y) == is_mirrored(X[:, :, ::-1], y)


def test_steps_depend_on_original_images_and_batches_on_their_number():
    model = CNNClassifier(**ONCE)
    X, y = noise(60)
    few = model.fit(X, y).recipe_
    assert few == {
        "max_steps": 400, "batch_size": 32, "lr": 1e-3, "mirrored": True,
    }  # fmt: skip
    repeated, labels = RandomResampler(sampling_strategy=300).fit_resample(ImageArray(X), y)
    assert model.fit(repeated, labels).recipe_["max_steps"] == 400  # the same 60 images
    many = model.set_params(max_epochs=1).fit(*noise(2400)).recipe_
    assert (many["max_steps"], many["batch_size"]) == (ceil(2400 / 64), 64)


@pytest.mark.parametrize(("module", "rate"), [("plain_cnn", 5e-3), ("residual_cnn", 4e-3)])
def test_the_rate_is_that_of_the_network(module, rate):
    model = CNNClassifier(module=module, max_steps=1).fit(*noise(8))
    assert model.recipe_["lr"] == rate
    assert model.set_params(optimizer="sgd").fit(*noise(8)).recipe_["lr"] == 10 * rate


def found(model, X, y, **params):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(X, y, **params)
    return [str(w.message) for w in caught if w.category is ConvergenceWarning]


def test_a_network_that_has_learned_nothing_is_reported():
    texts = found(CNNClassifier(**ONCE, lr=1e-9, max_steps=20), *noise(64))
    assert any("has learned nothing: its macro-F1 on training images is" in t for t in texts)
    assert any("max_steps=40" in t for t in texts)


def test_a_loss_that_never_fell_is_reported():
    texts = found(CNNClassifier(**ONCE, lr=1e-9, max_epochs=5, batch_size=32), *noise(64))
    assert any("The training loss never fell" in text for text in texts)


def test_a_class_that_is_never_predicted_is_reported():
    X, y = make_faces({"happy": 80, "sad": 80, "fear": 2}, size=16, random_state=0)
    texts = found(CNNClassifier(**ONCE, lr=5e-3, max_epochs=12), X, y)
    assert any("Not even in training was any image predicted as fear" in t for t in texts)


def test_a_network_that_still_learns_is_told_to_train_longer():
    X, y = make_faces({"happy": 60, "sad": 60}, size=16, difficulty=0, random_state=0)
    settings = {"max_epochs": 8, "lr_schedule": None, "lr": 2e-3, "augmentation": None}
    averaging = {"weight_averaging": 0.8}
    model = CNNClassifier(**{**ONCE, **settings, "random_state": 1}, optimizer_params=averaging)
    texts = found(model, X, y, validation_data=(X, y))
    assert any("The last validation was the best" in text for text in texts)


def test_an_average_that_is_worse_than_the_last_weights_is_reported():
    class Forget(Callback):  # the average of weights that were useless but for the last step
        def on_batch_end(self, net, training=False, **kwargs):
            averaging = dict(net.callbacks_)["weight_averaging"]
            for tensor in averaging.kept_:
                tensor.zero_()

    X, y = make_faces({"happy": 40, "sad": 40}, size=16, random_state=0)
    model = CNNClassifier(**ONCE, lr=5e-3, max_steps=60, net_params={"callbacks": [Forget()]})
    assert any("are worse than the last ones" in text for text in found(model, X, y))


def test_a_good_training_is_silent():
    X, y = make_faces({"happy": 60, "sad": 40}, size=24, random_state=0)
    assert found(CNNClassifier(max_steps=150, n_threads=1, random_state=0), X, y) == []


def test_ctrl_c_keeps_the_weights_so_far():
    class Press(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            if len(net.history) == 3:
                import signal

                signal.raise_signal(signal.SIGINT)

    X, y = noise(64)
    settings = {"max_epochs": 9, "net_params": {"callbacks": [Press()]}, "batch_size": 32}
    model = CNNClassifier(**ONCE, **settings)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.interrupted_
    assert model.n_iter_ == 2
    assert model.predict(X).shape == (64,)
    assert not model.set_params(net_params=None).fit(X, y).interrupted_
