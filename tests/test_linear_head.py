"""Weights of the head: they make logits of the features, or are refused."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.exceptions import NotFittedError
from torch import nn

from imbemotion import CNNClassifier, make_faces
from imbemotion.classifier._export import _fold
from imbemotion.comparison.fold_fit import peak_memory

NO_HIDDEN = {"module": "shufflenet_v2_x0_5", "module_params": {"weights": None, "hidden": None}}
LINEAR = [{"module": "small_cnn"}, {"module": "residual_cnn"}, NO_HIDDEN]
HIDDEN = [{"module": "deep_cnn"}, {**NO_HIDDEN, "module_params": {"weights": None}}]


class Parts(nn.Module):
    """A network as a user may write it."""

    def __init__(self, n_classes, channels):
        super().__init__()
        self.features = nn.Sequential(nn.Flatten(), nn.Linear(144 * channels, 5), nn.Tanh())
        norm = nn.BatchNorm1d(n_classes)
        self.head = nn.Sequential(nn.Sequential(nn.Dropout(), nn.Linear(5, n_classes)), norm)

    def forward(self, images):
        return self.head(self.features(images))


class Sharper(Parts):
    """Its logits are not those of its head."""

    def forward(self, images):
        return 2 * super().forward(images)


class Unnamed(nn.Module):
    """A network without the two parts."""

    def __init__(self, n_classes, channels):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(144 * channels, n_classes))

    def forward(self, images):
        return self.layers(images)


class Batchwise(Parts):
    """Its predictions depend on the whole batch."""

    def __init__(self, n_classes, channels):
        super().__init__(n_classes, channels)
        self.head[1] = nn.BatchNorm1d(n_classes, track_running_stats=False)


class Headless(Parts):
    """A head that learns nothing."""

    def __init__(self, n_classes, channels):
        super().__init__(n_classes, channels)
        self.features, self.head = nn.Sequential(nn.Flatten(), nn.Linear(144, 3)), nn.Dropout()


@pytest.fixture(scope="module")
def faces():
    return make_faces({"happy": 16, "sad": 9, "fear": 5}, size=12, random_state=0)


def fitted(X, y, **settings):
    defaults = {"max_epochs": 2, "lr": 0.01, "n_threads": 1, "random_state": 0}
    return CNNClassifier().set_params(**{**defaults, **settings}).fit(X, y)


def assert_its_logits_are_those_of_the_head(model, X):
    logits = model.transform(X) @ model.head_coef_.T + model.head_intercept_
    np.testing.assert_allclose(softmax(logits, axis=1), model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("settings", [*LINEAR, {"module": Parts}], ids=str)
@pytest.mark.parametrize("kind", ["gray", "color", "float"])
def test_features_times_weights_are_the_logits(faces, settings, kind):
    X, y = np.asarray(faces[0]), faces[1]
    X = {"gray": X, "color": np.stack([X, X[::-1], X], axis=3), "float": X * 3.7}[kind]
    model = fitted(X, y, **settings)
    assert model.head_coef_.shape == (3, model.transform(X).shape[1])
    assert model.head_intercept_.shape == (3,)
    assert_its_logits_are_those_of_the_head(model, X)


@pytest.mark.parametrize("loss", ["balanced_softmax", "logit_adjusted", "ldam", "soft_f1"])
def test_they_are_so_whatever_the_loss(faces, loss):
    model = fitted(*faces, loss=loss)
    assert_its_logits_are_those_of_the_head(model, faces[0])


def test_weights_of_a_single_layer_are_its_own(faces):
    model = fitted(*faces, module="small_cnn")
    head = model.net_.module_.head
    np.testing.assert_allclose(model.head_coef_, head.weight.detach().numpy(), rtol=1e-6)
    np.testing.assert_array_equal(model.head_intercept_, head.bias.detach().numpy())


def test_views_are_averaged_after_the_head(faces):
    model = fitted(*faces, net__test_time_augmentation="flip")
    averaged = model.predict_proba(faces[0])
    model.set_params(net__test_time_augmentation=None)
    assert_its_logits_are_those_of_the_head(model, faces[0])
    assert np.abs(averaged - model.predict_proba(faces[0])).max() > 1e-4


@pytest.mark.parametrize("settings", LINEAR, ids=str)
def test_a_saved_classifier_has_them(faces, settings, tmp_path):
    model = fitted(*faces, **settings)
    model.save(tmp_path / "model.safetensors")
    again = CNNClassifier.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.head_coef_, model.head_coef_)
    assert_its_logits_are_those_of_the_head(again, faces[0])


def test_asking_for_them_changes_nothing(faces):
    model = fitted(*faces)
    before = [tensor.clone() for tensor in model.net_.module_.state_dict().values()]
    assert model.head_coef_.dtype == model.head_intercept_.dtype == np.float64
    after = model.net_.module_.state_dict().values()
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_wide_features_take_little_memory():
    head = nn.Sequential(nn.BatchNorm1d(20_000), nn.Linear(20_000, 3))
    before = peak_memory()
    coef, intercept = _fold(head, list(head))
    assert not peak_memory() - before > 300  # MiB; a table of 20,000 x 20,000 takes 3,052
    scale = 1 / np.sqrt(1 + head[0].eps)
    np.testing.assert_allclose(coef, head[1].weight.detach().double() * scale)
    np.testing.assert_array_equal(intercept, head[1].bias.detach())


@pytest.mark.parametrize("settings", HIDDEN, ids=str)
def test_a_head_with_a_hidden_layer_has_none(faces, settings):
    model = fitted(*faces, **settings)
    assert not hasattr(model, "head_coef_")
    with pytest.raises(AttributeError, match=r"head is linear, got .* ReLU\. .*'hidden': None"):
        _ = model.head_intercept_


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Unnamed, "consists of features and head, got Unnamed"),
        (Sharper, r"got Sharper, which does more than head\(features\(images\)\)"),
        (Batchwise, "head of Batchwise, which contains BatchNorm1d"),
        (Headless, "head of Headless, which contains no linear layer"),
    ],
)
def test_other_networks_say_why_they_have_none(faces, module, message):
    model = fitted(*faces, module=module)
    with pytest.raises(AttributeError, match=message):
        _ = model.head_coef_


def test_a_classifier_that_is_not_fitted_has_none():
    assert not hasattr(CNNClassifier(), "head_coef_")
    with pytest.raises(NotFittedError, match="not fitted"):
        _ = CNNClassifier().head_coef_
