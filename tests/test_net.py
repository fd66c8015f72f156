"""The skorch net: batches, scales, and trainings that stop for a reason."""

import signal
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from imbemotion import CNNClassifier, ImageArray, ImageNeuralNetClassifier
from imbemotion.losses import FocalLoss
from imbemotion.networks import SmallCNN
from imbemotion.training.batches import ImageDataset, input_scale
from imbemotion.training.machine import limited_threads


@pytest.fixture
def faces():
    X = np.zeros((20, 8, 8), dtype=np.uint8)
    X[10:, :4] = 200
    return X, np.repeat([0, 1], 10)


def make_net(**settings):
    settings = {
        "module__n_classes": 2,
        "max_epochs": 2,
        "train_split": None,
        "verbose": 0,
        "batch_size": 4,
        **settings,
    }
    return ImageNeuralNetClassifier(settings.pop("module", SmallCNN), **settings)


def test_batches_are_fetched_at_once(faces):
    class Counting(ImageArray):
        fetched = []

        def __getitem__(self, key):
            Counting.fetched.append(len(key))
            return super().__getitem__(key)

    make_net(max_epochs=1, batch_size=8).fit(Counting(faces[0]), faces[1])
    assert Counting.fetched == [8, 8, 4]


def test_a_batch_is_the_rows_that_were_asked_for(faces):
    images, labels = ImageDataset(ImageArray(faces[0]), faces[1]).__getitems__([15, 2, 2])
    np.testing.assert_array_equal(images, faces[0][[15, 2, 2]])
    assert labels.tolist() == [1, 0, 0]
    assert ImageDataset(faces[0])[3][0].shape == (8, 8)


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 8, 8, 1), (5, 8, 8, 3)])
def test_the_network_sees_scaled_pixels_channels_first(shape):
    class Spy(nn.Linear):
        def forward(self, images):
            self.seen = images
            return images.flatten(1)

    X = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    net = ImageNeuralNetClassifier(Spy, module__in_features=1, module__out_features=1).initialize()
    net.infer(torch.from_numpy(X))
    expected = (X[:, None] if X.ndim == 3 else X.transpose(0, 3, 1, 2)) / 255
    np.testing.assert_allclose(net.module_.seen, expected, rtol=1e-6)


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, FocalLoss, nn.MultiMarginLoss])
def test_probabilities_are_the_softmax_of_the_logits_whatever_the_loss(faces, criterion):
    X, y = faces
    net = make_net(criterion=criterion).fit(X, y)
    logits = net.forward(X).double()
    np.testing.assert_allclose(net.predict_proba(X), torch.softmax(logits, 1), rtol=1e-6)
    np.testing.assert_allclose(net.predict_proba(X).sum(axis=1), 1, atol=1e-12)


def test_a_loss_that_is_not_finite_stops_the_training(faces):
    net = make_net(lr=1e30, max_epochs=20)
    with pytest.raises(FloatingPointError, match=r"epoch \d+, batch \d+, at learning rate 1e\+30"):
        net.fit(*faces)


@pytest.fixture
def heard():
    """Python's own handler of Ctrl-C, which processes in the background do not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_ctrl_c_is_not_swallowed(faces):
    class CtrlC(Callback):
        def on_batch_end(self, net, **kwargs):
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        make_net(callbacks=[CtrlC()]).fit(*faces)
    assert signal.getsignal(signal.SIGINT) is before


def test_callbacks_may_stop_the_training_in_the_manner_of_skorch(faces):
    stopping = EarlyStopping("train_loss", patience=1, threshold=1e9, threshold_mode="abs")
    net = make_net(max_epochs=10, callbacks=[stopping]).fit(*faces)
    assert len(net.history) == 2


def test_floats_are_standardized_per_channel():
    rng = np.random.default_rng(0)
    X = rng.normal([1, 20, 5], [1, 3, 0], size=(3000, 2, 2, 3)).astype(np.float32)
    mean, scale = input_scale(ImageArray(X))
    np.testing.assert_allclose(mean, X.mean(axis=(0, 1, 2), dtype=float), rtol=1e-6)
    np.testing.assert_allclose(scale[:2], X.std(axis=(0, 1, 2), dtype=float)[:2], rtol=1e-6)
    assert scale[2] == 1
    assert input_scale(ImageArray(np.zeros((1, 2, 2), np.uint8))) == (0.0, 255.0)


def test_threads_are_put_back():
    before = torch.get_num_threads()
    with limited_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def allocate():
    torch.empty(2**56)


class Huge(SmallCNN):
    """Takes no more images than it is told to."""

    limit = 0

    def __init__(self, *args, fail, **kwargs):
        super().__init__(*args, **kwargs)
        self.fail = fail

    def forward(self, images):
        if len(images) > self.limit:
            self.fail()
        return super().forward(images)


@pytest.mark.kind("E39", "Memory that runs out is a sentence that names the setting to lower.")
@pytest.mark.parametrize("make", ["net", "classifier"])
@pytest.mark.parametrize(
    "fail",
    [
        allocate,
        Mock(side_effect=MemoryError()),
        Mock(side_effect=torch.OutOfMemoryError("CUDA out of memory. Tried.\nMore.")),
        Mock(side_effect=RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")),
    ],
)
def test_memory_that_runs_out_is_a_sentence(faces, make, fail, monkeypatch):
    model = make_net(module=Huge, module__fail=fail, max_epochs=1)
    if make == "classifier":
        settings = {"module_params": {"fail": fail}, "batch_size": 4, "max_epochs": 1}
        model = CNNClassifier(module=Huge, **settings)
    with pytest.raises(MemoryError, match=r"^Out of memory(: .+)?\. Use a lower batch_size, or"):
        model.fit(*faces)
    monkeypatch.setattr(Huge, "limit", 4)
    model.fit(*faces)
    monkeypatch.setattr(Huge, "limit", 2)
    match = r"^Out of memory.+Use a lower iterator_valid__batch_size .+CNNClassifier: net__iter"
    with pytest.raises(MemoryError, match=match):
        model.predict(faces[0])
    if make == "classifier":
        model.set_params(net__iterator_valid__batch_size=2)
    else:
        model.iterator_valid__batch_size = 2  # set_params of skorch is for nets before fit
    assert len(model.predict(faces[0])) == 20


def test_features_that_do_not_fit_into_memory_are_a_sentence(faces):
    net = make_net(max_epochs=1).fit(*faces)
    net.module_.features.register_forward_hook(lambda *_: allocate())
    with pytest.raises(MemoryError, match=r"^Out of memory: .+ Use a lower iterator_valid__batch"):
        net.transform(faces[0])
