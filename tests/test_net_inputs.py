"""Networks, losses, batches and inputs as users of PyTorch and skorch have them."""

import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import EpochScoring
from skorch.dataset import ValidSplit
from skorch.scoring import loss_scoring
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, default_collate
from torchvision.transforms import v2

from imbemotion import CNNClassifier, ImageNeuralNetClassifier
from imbemotion.losses import Target, label_loss, weighted_mean
from imbemotion.networks import SmallCNN

Y = np.repeat([0, 1, 2], 8)
X = np.random.default_rng(0).integers(0, 256, (24, 12, 12), dtype=np.uint8) // 4
X[Y == 1, :6] += 150
X[Y == 2, :, :6] += 150


def make_net(module=SmallCNN, **settings):
    torch.manual_seed(0)
    defaults = {"module__n_classes": 3, "train_split": None, "verbose": 0, "max_epochs": 2}
    return ImageNeuralNetClassifier(module, **{**defaults, **settings})


def make_classifier(**settings):
    return CNNClassifier(**{"module": "small_cnn", "max_steps": 40, "random_state": 0, **settings})


class ProbabilityLoss(nn.Module):
    """Expects probabilities."""

    def forward(self, probabilities, labels):
        return -torch.log(probabilities[range(len(labels)), labels]).mean()


class LogProbabilityLoss(nn.Module):
    """Expects logarithms of probabilities."""

    def forward(self, log_probabilities, labels):
        return -log_probabilities[range(len(labels)), labels].mean()


class BoundedLogLoss(nn.Module):
    """Expects probabilities, and never takes the logarithm of 0."""

    def forward(self, probabilities, labels):
        return -torch.log(probabilities[range(len(labels)), labels].clamp(min=1e-7)).mean()


class LoggedModule(nn.Module):
    """Base of losses of single images, from logarithms of probabilities."""

    def forward(self, logits, labels):
        return self.of_images(logits.log_softmax(dim=1).gather(1, labels[:, None])[:, 0])


class Column(LoggedModule):
    """Returns one value for each image, in a column."""

    def of_images(self, log_p):
        return -log_p[:, None]


class Running(LoggedModule):
    """Keeps a mean that belongs to the graph, which cannot be copied."""

    mean, n_calls = 0.0, 0

    def of_images(self, log_p):
        self.n_calls += 1
        self.mean = 0.9 * torch.as_tensor(self.mean).detach() - 0.1 * log_p.mean()
        return -log_p.mean() + self.mean - self.mean.detach()


class Penalized(nn.Module):
    """Differentiates by the logits."""

    def forward(self, logits, labels):
        loss = nn.functional.cross_entropy(logits, labels)
        (gradient,) = torch.autograd.grad(loss, logits, create_graph=True)
        return loss + (gradient**2).sum()


class Dice(nn.Module):
    """Negative, and computed from the batch."""

    def forward(self, logits, labels):
        p, true = logits.softmax(dim=1), nn.functional.one_hot(labels, logits.shape[1])
        return -100 * (2 * (p * true).sum(dim=0) / (p + true).sum(dim=0)).mean()


class Hinge(nn.Module):
    """One class against all others, with a scale of its own."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, logits, labels):
        true = 2 * nn.functional.one_hot(labels, logits.shape[1]) - 1
        return nn.functional.relu(1 - self.scale.exp() * true * logits).mean()


class Binary(nn.BCEWithLogitsLoss):
    """A sigmoid for every class."""

    def forward(self, logits, labels):
        true = nn.functional.one_hot(labels, logits.shape[1])
        return super().forward(logits, true.to(logits))


class Views(nn.Module):
    """Takes batches of three views only."""

    def forward(self, logits, labels):
        assert len(logits) % 3 == 0
        return nn.functional.cross_entropy(logits, labels)


class Unhinged(nn.Module):
    """Has no least value."""

    def forward(self, logits, labels):
        return (logits.mean(dim=1) - logits[range(len(labels)), labels]).mean()


class Angles(nn.Module):
    """An additive angular margin, for cosines only."""

    def forward(self, cosines, labels):
        true = nn.functional.one_hot(labels, cosines.shape[1])
        shifted = torch.cos(torch.acos(cosines) + 0.2 * true)
        return nn.functional.cross_entropy(16 * shifted, labels)


class Cosines(SmallCNN):
    """Returns cosines."""

    def forward(self, images):
        return super().forward(images).tanh()


@pytest.mark.kind("D29", "A loss that can train is never refused, whatever it is made of.")
@pytest.mark.parametrize(
    "loss",
    [
        Column, Running, Penalized, Dice, Hinge, Binary, partial(Binary, reduction="none"), Views,
        Unhinged, Angles, nn.MultiMarginLoss, partial(nn.CrossEntropyLoss, label_smoothing=0.1),
    ],
)  # fmt: skip
def test_unusual_losses_train(loss):
    net = make_net(Cosines, criterion=loss, lr=0.05, batch_size=24, max_epochs=5).fit(X, Y)
    assert net.history[-1, "train_loss"] < net.history[0, "train_loss"]
    assert getattr(net.criterion_, "n_calls", 5) == 5  # a trial leaves no trace


def test_losses_of_class_probabilities_train_on_these():
    class SoftLoss(nn.Module):
        def forward(self, logits, target):
            return -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()

    soft, losses = np.eye(3, dtype=np.float32)[Y], (SoftLoss, nn.CrossEntropyLoss)
    first, second = (make_net(criterion=loss).fit(X, soft) for loss in losses)
    np.testing.assert_allclose(first.predict_proba(X), second.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("weights", [None, np.arange(24.0)])
def test_losses_in_a_column_are_weighted_as_those_in_a_row(weights):
    found = weighted_mean(
        loss := Column(),
        label_loss(loss, logits := torch.randn(24, 3), labels := torch.tensor(Y)),
        Target(labels, None if weights is None else torch.tensor(weights)),
    )  # fmt: skip
    each = nn.functional.cross_entropy(logits, labels, reduction="none").numpy()
    assert float(found) == pytest.approx(np.average(each, weights=weights))


@pytest.mark.kind("D29", "Losses that are not computed from logits and labels are refused.")
@pytest.mark.parametrize(
    "loss",
    [
        ProbabilityLoss,
        LogProbabilityLoss,
        BoundedLogLoss,
        nn.BCELoss,
        nn.BCEWithLogitsLoss,
        nn.MSELoss,
        nn.L1Loss,
        nn.KLDivLoss,
        nn.GaussianNLLLoss,
        nn.PoissonNLLLoss,
        nn.HingeEmbeddingLoss,
    ],
)
@pytest.mark.parametrize("batch_size", [24, 3])  # 3: where labels and classes are equally many
def test_losses_that_take_no_logits_are_refused(loss, batch_size):
    with pytest.raises(ValueError, match=f"computed from logits.*got {loss.__name__}") as caught:
        make_net(criterion=loss, batch_size=batch_size).fit(X, Y)
    assert len(str(caught.value)) < 450


@pytest.mark.kind("D29", "NLLLoss trains on logits and on log-probabilities as cross-entropy.")
@pytest.mark.parametrize("ends_in", ["logits", "log-probabilities"])
@pytest.mark.parametrize("settings", [{}, {"criterion__weight": torch.tensor([1.0, 2.0, 3.0])}])
def test_nll_loss_is_cross_entropy(ends_in, settings):
    class Network(SmallCNN):
        def forward(self, images):
            logits = super().forward(images)
            return logits if ends_in == "logits" else logits.log_softmax(dim=1)

    nets = [make_net(Network, criterion=c, **settings) for c in (nn.NLLLoss, nn.CrossEntropyLoss)]
    first, second = (net.fit(X, Y).history[:, "train_loss"] for net in nets[:1] + nets[1:])
    assert np.isfinite([first, second]).all()
    logits = torch.randn(24, 3)
    np.testing.assert_allclose(*(float(net.get_loss(logits, Y)) for net in nets), rtol=1e-6)


class Softmax(SmallCNN):
    """Returns probabilities."""

    def forward(self, images):
        return super().forward(images).softmax(dim=1)


class ByName(SmallCNN):
    """Returns a dict."""

    def forward(self, images):
        return {"logits": super().forward(images)}


class Maps(SmallCNN):
    """Returns a map for each class."""

    def forward(self, images):
        return super().forward(images)[:, :, None, None]


@pytest.mark.kind("D29", "A network that does not return one logit for each class is refused.")
@pytest.mark.parametrize(
    ("module", "settings", "error"),
    [
        ("small_cnn", {"n_classes": 2}, r"one logit for each of 3 classes.*\(24, 2\)"),
        ("small_cnn", {"n_classes": 5}, r"one logit for each of 3 classes.*\(24, 5\)"),
        ("small_cnn", {"n_classes": 1}, r"one logit for each of 3 classes.*\(24, 1\)"),
        (Softmax, None, "must return logits, got probabilities from Softmax"),
        (ByName, None, "must return logits.*got dict from ByName"),
        (Maps, None, r"one logit for each of 3 classes.*\(24, 3, 1, 1\)"),
    ],
)
def test_networks_of_other_outputs_are_refused(module, settings, error):
    with pytest.raises((ValueError, TypeError), match=error):
        make_classifier(module=module, module_params=settings, max_steps=1).fit(X, Y)


@pytest.mark.kind("D29", "Settings by which images are lost or mixed up are refused.")
@pytest.mark.parametrize(
    ("setting", "value", "error"),
    [
        ("iterator_train__drop_last", True, "An epoch must have a batch, got none"),
        ("iterator_valid__drop_last", True, "one per image, in order, got .*drop_last=True"),
        ("iterator_valid__shuffle", True, "one per image, in order, got .*shuffle=True"),
        ("iterator_valid__sampler", [3, 1], "one per image, in order, got .*sampler="),
    ],
)
def test_lost_images_are_noticed(setting, value, error):
    with pytest.raises(ValueError, match=error):
        make_net(**{setting: value}).fit(X, Y)


@pytest.mark.kind("D31", "Scores of epochs need no cache, on training and on validation images.")
@pytest.mark.parametrize("on_train", [True, False])
@pytest.mark.parametrize("scoring", ["accuracy", "f1_macro"])
def test_scores_without_cache_are_those_with_it(on_train, scoring):
    scores = [
        ("s", EpochScoring(scoring, on_train=on_train, use_caching=False, name="score")),
        ("t", EpochScoring(scoring, on_train=False, use_caching=True, name="cached")),
    ]
    split = ValidSplit(3, stratified=True)
    net = make_net(train_split=split, callbacks=scores).fit(X, Y)
    assert 0 <= net.history[-1, "score"] <= 1
    assert on_train or net.history[-1, "score"] == net.history[-1, "cached"]


@pytest.mark.kind("D31", "get_loss takes labels of every kind that NumPy and PyTorch have.")
@pytest.mark.parametrize("kind", ["tensor", "array", "list", "int32", "uint8", "soft"])
def test_get_loss_takes_labels_of_every_kind(kind):
    labels = {
        "tensor": torch.tensor(Y), "array": Y, "list": Y.tolist(), "int32": Y.astype(np.int32),
        "uint8": Y.astype(np.uint8), "soft": np.eye(3, dtype=np.float32)[Y],
    }[kind]  # fmt: skip
    logits = torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
    loss = make_net().initialize().get_loss(logits, labels)
    torch.testing.assert_close(loss, nn.functional.cross_entropy(logits, torch.tensor(Y)))


@pytest.mark.kind("D31", "loss_scoring returns what the reduction of the loss asks for.")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [True, False])
def test_loss_scoring_follows_the_reduction(reduction, weighted):
    weight = torch.tensor([1.0, 2.0, 3.0]) if weighted else None
    net = make_net(criterion__reduction=reduction, criterion__weight=weight)
    net.set_params(train_split=ValidSplit(3, stratified=True)).fit(X, Y)
    assert np.shape(loss_scoring(net, X, Y)) == ((24,) if reduction == "none" else ())
    assert isinstance(net.history[-1, "valid_loss"], float)


class TwoOutputs(SmallCNN):
    """Returns a tuple, as Inception does."""

    def forward(self, images):
        logits = super().forward(images)
        return logits, logits.detach(), logits[::2]


class ListOfOutputs(SmallCNN):
    """Returns a list."""

    def forward(self, images):
        return [super().forward(images)]


class OnlyInTraining(SmallCNN):
    """Returns a tuple in training, as GoogLeNet does."""

    def forward(self, images):
        logits = super().forward(images)
        return (logits, None) if self.training else logits


@pytest.mark.kind("D31", "Networks of several outputs train and predict by the first one.")
@pytest.mark.parametrize("module", [TwoOutputs, ListOfOutputs, OnlyInTraining, SmallCNN])
def test_the_first_of_several_outputs_counts(module):
    expected = make_net().fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(make_net(module).fit(X, Y).predict_proba(X), expected)


class TwoModules(ImageNeuralNetClassifier):
    """A net with a second module."""

    def initialize_module(self):
        super().initialize_module()
        self.last_ = nn.Linear(3, 3)
        return self

    def infer(self, x, **params):
        return self.last_(super().infer(x, **params))


def test_nets_of_two_modules_train_both_and_are_pickled():
    net = TwoModules(SmallCNN, module__n_classes=3, train_split=None, verbose=0, max_epochs=1)
    before = net.initialize().last_.weight.clone()
    net.partial_fit(X, Y)
    assert not torch.equal(net.last_.weight, before)
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))


def mixed(batch):
    """Follow torchvision's recipe."""
    return v2.MixUp(num_classes=3)(*default_collate(batch))


def cut(batch):
    """Follow torchvision's other recipe."""
    return v2.CutMix(num_classes=3)(*default_collate(batch))


def stacked(batch):
    """Stack items."""
    images, labels = zip(*batch, strict=True)
    assert images[0].ndim == 3
    return torch.stack(images), torch.stack(labels)


@pytest.mark.kind("D31", "Collate functions of PyTorch receive items, channels first.")
@pytest.mark.parametrize("collate", [default_collate, mixed, cut, stacked])
@pytest.mark.parametrize("channels", [0, 3])
def test_collate_functions_of_pytorch_work(collate, channels):
    images = X if not channels else np.repeat(X[..., None], channels, axis=3)
    net = {"iterator_train__collate_fn": collate, "iterator_valid__collate_fn": default_collate}
    model = make_classifier(net_params=net, augmentation=None).fit(images, Y)
    assert model.score(images, Y) > 0.9
    with pytest.raises(ValueError, match=r"collate_fn takes plain labels.*Leave out mixup"):
        make_classifier(net_params=net, mixup=0.3, max_steps=1).fit(images, Y)


@pytest.mark.kind("D31", "What a collate function returns must be images and labels.")
@pytest.mark.parametrize("collate", [list, dict, len, lambda batch: default_collate(batch)[0]])
def test_collate_functions_that_return_something_else_are_refused(collate):
    with pytest.raises(ValueError, match=r"collate_fn must turn a list of pairs into .*, got"):
        make_net(iterator_train__collate_fn=collate).fit(X, Y)


@pytest.mark.kind("D31", "Channels-first arrays and Datasets as X are refused with the cure.")
@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda c: c, r"np.moveaxis\(np.asarray\(X\), 1, -1\)"),
        (torch.tensor, r"np.moveaxis\(np.asarray\(X\), 1, -1\)"),
        (lambda c: torch.tensor(c[:, :1]), r"np.moveaxis\(np.asarray\(X\), 1, -1\)"),
        (
            lambda c: TensorDataset(torch.tensor(c)),
            "got a TensorDataset of PyTorch. Pass np.stack",
        ),
        (lambda c: DataLoader(TensorDataset(torch.tensor(c))), "a DataLoader .*in X.dataset"),
    ],
)
def test_inputs_of_pytorch_are_refused_with_the_cure(make, error):
    given = make(np.repeat(X[:, None], 3, axis=1))
    for y in (Y, None) if "Data" in error else (Y,):
        with pytest.raises((ValueError, TypeError), match=error):
            make_classifier().fit(given, y)
    fitted = make_classifier(max_steps=40).fit(X, Y)
    with pytest.raises((ValueError, TypeError), match=error):
        fitted.predict(given)


def test_the_named_cure_works_for_arrays_and_tensors():
    first = np.repeat(X[:, None], 3, axis=1)
    for given in (first, torch.tensor(first)):
        cured = np.moveaxis(np.asarray(given), 1, -1)
        assert make_classifier().fit(cured, Y).image_shape_ == (12, 12, 3)


@pytest.mark.kind("D31", "Labels of a net that are no integers from 0 are refused, not rounded.")
@pytest.mark.parametrize("labels", [Y + 0.5, np.array(list("abc"))[Y], Y[:, None], Y * np.nan])
def test_labels_of_a_net_are_not_rounded(labels):
    with pytest.raises(ValueError, match="labels of a net must be integers from 0"):
        make_net().fit(X, labels)


def test_class_probabilities_train_a_net():
    soft = np.full((24, 3), 0.05, np.float32) + 0.85 * np.eye(3, dtype=np.float32)[Y]
    net = make_net(max_epochs=30, optimizer=torch.optim.Adam).fit(X, soft)
    assert net.predict(X).tolist() == Y.tolist()


@pytest.mark.filterwarnings("ignore:The network has learned nothing", "ignore:Not even in")
@pytest.mark.kind("D32", "A data frame with a column of paths is taken as its paths.")
@pytest.mark.parametrize("kind", ["frame", "array", "series", "list"])
def test_paths_in_a_column_are_read(tmp_path, kind):
    from PIL import Image

    paths = [str(tmp_path / f"{row}.png") for row in range(24)]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    table = pd.DataFrame({"path": paths, "label": Y})
    given = {
        "frame": table[["path"]], "array": table[["path"]].to_numpy(), "series": table["path"],
        "list": paths,
    }[kind]  # fmt: skip
    model = make_classifier(max_steps=2).fit(given, Y)
    assert model.image_shape_ == (12, 12, 3)
    expected = make_classifier(max_steps=2).fit(paths, Y).predict_proba(paths)
    np.testing.assert_array_equal(model.predict_proba(given), expected)
