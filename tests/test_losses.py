"""Losses against plain NumPy formulas, PyTorch's own and their limits."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from imbemotion import CNNClassifier
from imbemotion._base.registry import LOSSES
from imbemotion.classifier.recipe import class_weights
from imbemotion.losses import (
    BalancedSoftmaxLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    SoftF1Loss,
    Target,
    batch_loss,
)

COUNTS = np.array([50, 3, 20, 7])
WEIGHT = torch.tensor([0.5, 2.0, 1.0, 0.0])


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(20, 4, generator=generator, dtype=torch.float64)
    return logits, torch.arange(20) % 4


def numpy_focal(logits, target, weight, gamma):
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = (exp / exp.sum(axis=1, keepdims=True))[np.arange(len(target)), target]
    return -weight[target] * (1 - p) ** gamma * np.log(p)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.0])
def test_focal_loss_matches_its_formula(batch, gamma):
    logits, target = batch
    loss = FocalLoss(WEIGHT.double(), gamma=gamma, reduction="none")(logits, target)
    expected = numpy_focal(logits.numpy(), target.numpy(), WEIGHT.numpy(), gamma)
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, WEIGHT.double()], ids=["plain", "weighted"])
def test_focal_without_gamma_is_weighted_cross_entropy(batch, weight, reduction):
    ours = FocalLoss(weight, gamma=0.0, reduction=reduction)(*batch)
    torch.testing.assert_close(ours, nn.CrossEntropyLoss(weight, reduction=reduction)(*batch))


def softmax(logits):
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def numpy_logit_adjusted(logits, target, tau=1.0):
    p = softmax(logits) * (COUNTS / COUNTS.sum()) ** tau
    return -np.log((p / p.sum(axis=1, keepdims=True))[np.arange(len(target)), target])


def numpy_ldam(logits, target, max_margin=0.5, scale=1.0):
    logits = logits.copy()
    margins = COUNTS**-0.25 * (max_margin / (COUNTS**-0.25).max())  # as the authors write it
    logits[np.arange(len(target)), target] -= margins[target]
    return -np.log(softmax(scale * logits)[np.arange(len(target)), target])


def numpy_soft_f1(logits, target):
    p, scores = softmax(logits), []
    for label in np.unique(target):
        hits, misses = p[target == label, label].sum(), (1 - p[target == label, label]).sum()
        false = p[target != label, label].sum()
        precision, recall = hits / (hits + false), hits / (hits + misses)
        scores.append(2 * precision * recall / (precision + recall))
    return 1 - np.mean(scores)


FORMULAS = {
    "balanced softmax": (BalancedSoftmaxLoss, {}, numpy_logit_adjusted),
    "logit adjusted": (LogitAdjustedLoss, {"tau": 1.7}, numpy_logit_adjusted),
    "ldam": (LDAMLoss, {"max_margin": 0.9, "scale": 3.0}, numpy_ldam),
    "ldam by default": (LDAMLoss, {}, numpy_ldam),
}


@pytest.mark.parametrize(("loss", "settings", "formula"), FORMULAS.values(), ids=FORMULAS)
def test_losses_with_class_counts_match_their_formulas(batch, loss, settings, formula):
    logits, target = batch
    weight = WEIGHT.double()
    single = loss(COUNTS, reduction="none", **settings).double()(logits, target)
    expected = formula(logits.numpy(), target.numpy(), **settings)
    np.testing.assert_allclose(single.numpy(), expected, rtol=1e-5)
    mean = loss(COUNTS, weight, **settings).double()(logits, target)
    w = weight.numpy()[target.numpy()]
    assert mean.item() == pytest.approx((w * expected).sum() / w.sum(), rel=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("classes", [[0, 1, 2, 3], [1, 3]], ids=["all", "some"])
def test_soft_f1_matches_its_formula_over_the_classes_of_the_batch(batch, share, classes):
    rows = np.isin(batch[1], classes)
    logits, target = batch[0][rows], batch[1][rows]
    loss = SoftF1Loss(cross_entropy=share)(logits, target)
    entropy = nn.CrossEntropyLoss()(logits, target).item()
    expected = share * entropy + (1 - share) * numpy_soft_f1(logits.numpy(), target.numpy())
    assert loss.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("weight", [None, WEIGHT.double()], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    "loss",
    [
        lambda w: LogitAdjustedLoss(COUNTS, w, tau=0.0),
        lambda w: BalancedSoftmaxLoss([9, 9, 9, 9], w),
        lambda w: LDAMLoss(COUNTS, w, max_margin=0.0),
        lambda w: SoftF1Loss(w, cross_entropy=1.0),
    ],
    ids=["tau 0", "equal counts", "no margin", "no F1"],
)
def test_cross_entropy_is_a_limit_of_every_loss(batch, loss, weight):
    torch.testing.assert_close(loss(weight)(*batch), nn.CrossEntropyLoss(weight)(*batch))


@pytest.mark.parametrize("loss", [LogitAdjustedLoss, LDAMLoss])
def test_counts_and_shares_give_the_same_loss(batch, loss):
    torch.testing.assert_close(loss(COUNTS)(*batch), loss(COUNTS / COUNTS.sum())(*batch))


@pytest.mark.parametrize("loss", [LogitAdjustedLoss, BalancedSoftmaxLoss, LDAMLoss])
def test_a_class_that_training_lacks_leaves_the_loss_finite(batch, loss):
    assert torch.isfinite(loss([50, 0, 20, 7])(*batch))


@pytest.mark.parametrize("loss", [LogitAdjustedLoss, BalancedSoftmaxLoss, LDAMLoss])
@pytest.mark.parametrize("counts", [[1, -1], [0, 0], [1, np.nan], [3], 5])
def test_invalid_counts_are_refused(loss, counts):
    with pytest.raises(ValueError, match="class_counts must be"):
        loss(counts)


INSTANCES = [
    FocalLoss(WEIGHT, gamma=0.0),
    FocalLoss(WEIGHT, gamma=0.5),
    FocalLoss(WEIGHT, gamma=2.0),
    LogitAdjustedLoss(COUNTS, WEIGHT, tau=0.5),
    BalancedSoftmaxLoss(COUNTS),
    LDAMLoss(COUNTS, WEIGHT, scale=2.0),
    SoftF1Loss(WEIGHT, cross_entropy=0.4),
]


@pytest.mark.parametrize("loss", INSTANCES, ids=lambda loss: type(loss).__name__)
def test_losses_have_the_gradients_of_their_formulas(batch, loss):
    logits, target = batch
    loss = deepcopy(loss).double()
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits.requires_grad_())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_stays_finite_where_the_network_is_certain(gamma):
    logits = torch.tensor([[200.0, -200.0], [200.0, -200.0]], requires_grad=True)
    loss = FocalLoss(gamma=gamma)(logits, torch.tensor([0, 1]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: FocalLoss(gamma=-1), "gamma must be 0 or more, got -1"),
        (lambda: FocalLoss(reduction="x"), "got 'x'"),
        (lambda: LogitAdjustedLoss(COUNTS, tau=float("nan")), "tau .* got nan"),
        (lambda: LDAMLoss(COUNTS, max_margin=-0.1), "max_margin .* got -0.1"),
        (lambda: LDAMLoss(COUNTS, scale=0), "scale must be positive, got 0"),
        (lambda: SoftF1Loss(cross_entropy=2), "cross_entropy .* got 2"),
        (lambda: class_weights("square", np.arange(2), np.ones(2)), "balanced, sqrt, effective"),
        (lambda: class_weights("effective", np.arange(2), np.ones(2), beta=1), "beta .* got 1"),
    ],
)
def test_invalid_settings_are_refused(make, error):
    with pytest.raises(ValueError, match=error):
        make()


def test_balanced_weights_are_those_of_scikit_learn():
    y = np.repeat(["a", "b", "c"], [5, 30, 65])
    expected = compute_class_weight("balanced", classes=np.unique(y), y=y)
    weights = class_weights("balanced", np.unique(y), np.array([5, 30, 65]))
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_balanced_weights_reproduce_those_of_a_published_study():
    # the 75 % training split of a study of facial expressions, whose report says "0.3 - 250"
    counts = np.array([196, 5, 152, 20, 4245, 5167, 212, 270])
    weights = class_weights("balanced", np.arange(8), counts)
    assert (weights.min().round(3), weights.max().round(1)) == (
        np.float32(0.248),
        np.float32(256.7),
    )


@pytest.mark.parametrize("beta", [0.9, 0.999, 0.99999])
def test_effective_weights_are_those_of_the_paper(beta):
    counts = np.array([5000, 500, 50])
    expected = (1 - beta) / (1 - beta**counts)
    weights = class_weights("effective", np.arange(3), counts, beta=beta)
    np.testing.assert_allclose(weights / weights.sum(), expected / expected.sum(), rtol=1e-5)


@pytest.mark.parametrize("name", ["balanced", "sqrt", "effective"])
def test_named_weights_have_a_mean_of_one_over_the_images(name):
    counts = np.array([5000, 500, 0, 50])
    weights = class_weights(name, np.arange(4), counts)
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1, rel=1e-6)
    assert (np.diff(weights[[0, 1, 3]]) > 0).all()


def test_effective_weights_range_from_equal_to_balanced():
    counts = np.array([5000, 500, 50])
    np.testing.assert_allclose(class_weights("effective", np.arange(3), counts, beta=0.0), 1)
    nearly = class_weights("effective", np.arange(3), counts, beta=1 - 1e-12)
    np.testing.assert_allclose(nearly, class_weights("balanced", np.arange(3), counts), rtol=1e-5)


def test_square_root_weights_match_their_formula():
    weights = class_weights("sqrt", np.arange(2), np.array([400, 100]))
    assert weights[1] / weights[0] == pytest.approx(2)


def test_a_class_without_images_weighs_nothing():
    weights = class_weights("balanced", np.arange(3), np.array([2, 0, 6]))
    np.testing.assert_allclose(weights, [2, 0, 2 / 3], rtol=1e-6)


def test_labels_without_a_weight_have_weight_one():
    weights = class_weights({"b": 5}, np.array(["a", "b"]), np.array([1, 1]))
    np.testing.assert_array_equal(weights, [1, 5])


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"c": 1}, "classes of y .'a', 'b'., got 'c'"),
        ({"a": 0}, "positive numbers"),
        ({"a": "x"}, "positive numbers"),
    ],
)
def test_invalid_weights_are_refused(given, error):
    with pytest.raises(ValueError, match=error):
        class_weights(given, np.array(["a", "b"]), np.array([1, 1]))


class HalvedLoss(nn.CrossEntropyLoss):
    """Half the cross-entropy."""

    def forward(self, logits, target):
        return super().forward(logits, target) / 2


def test_a_registered_loss_works_by_name(monkeypatch):
    monkeypatch.setattr(LOSSES, "_entries", dict(LOSSES))
    LOSSES.register("halved", f"{__name__}:HalvedLoss", "Half the cross-entropy.")
    X, y = np.random.default_rng(0).random((12, 8, 8), np.float32), np.repeat(["a", "b"], 6)
    model = CNNClassifier(module="small_cnn", loss="halved", max_epochs=1, random_state=0)
    assert isinstance(model.fit(X, y).net_.criterion_, HalvedLoss)


# Targets that are not one known label per image, precision, and weights that do not fit


LOSS_FACTORIES = {
    "cross_entropy": lambda weight: nn.CrossEntropyLoss(weight),
    "focal": lambda weight: FocalLoss(weight, gamma=2.0),
    "logit_adjusted": lambda weight: LogitAdjustedLoss(COUNTS, weight, tau=0.7),
    "balanced_softmax": lambda weight: BalancedSoftmaxLoss(COUNTS, weight),
    "ldam": lambda weight: LDAMLoss(COUNTS, weight, scale=2.0),
    "soft_f1": lambda weight: SoftF1Loss(weight),
}
OWN_LOSSES = ["focal", "logit_adjusted", "balanced_softmax", "ldam", "soft_f1"]
ALL_LOSSES = ["cross_entropy", "focal", "logit_adjusted", "balanced_softmax", "ldam", "soft_f1"]


@pytest.mark.kind("D30", "Images labeled -100 count for no loss, weighted or smoothed.")
@pytest.mark.parametrize("name", ALL_LOSSES)
@pytest.mark.parametrize("weight", [None, WEIGHT.double() + 1])
def test_ignored_labels_change_no_loss(batch, name, weight):
    logits, target = batch
    with_ignored = target.clone()
    with_ignored[::3] = -100
    kept = with_ignored >= 0
    criterion = LOSS_FACTORIES[name](weight)
    expected = criterion(logits[kept], target[kept])
    torch.testing.assert_close(criterion(logits, with_ignored), expected)
    if name == "soft_f1":
        return
    criterion.reduction = "none"
    smooth = {"label_smoothing": 0.2, "class_shares": torch.full((4,), 0.25)}
    for settings in ({}, smooth):
        part, whole = Target(with_ignored), Target(target[kept])
        torch.testing.assert_close(
            batch_loss(criterion, logits, [part], **settings),
            batch_loss(criterion, logits[kept], [whole], **settings),
        )


@pytest.mark.kind("D30", "Class probabilities as targets give the expected loss over labels.")
@pytest.mark.parametrize("name", ALL_LOSSES)
@pytest.mark.parametrize("weight", [None, WEIGHT.double() + 1])
def test_class_probabilities_of_one_class_are_its_label(batch, name, weight):
    logits, target = batch
    soft = nn.functional.one_hot(target, 4).double()
    criterion = LOSS_FACTORIES[name](weight)
    if name == "soft_f1":
        criterion.cross_entropy = 0.0  # torch averages weighted probabilities by number
        torch.testing.assert_close(criterion(logits, soft), criterion(logits, target))
        return
    criterion.reduction = "none"
    torch.testing.assert_close(criterion(logits, soft), criterion(logits, target))
    torch.testing.assert_close(
        batch_loss(criterion, logits, [Target(soft)]), criterion(logits, target).mean()
    )


def test_mixed_class_probabilities_are_weighted_as_by_pytorch(batch):
    soft = torch.softmax(batch[0].flip(0), dim=1)
    for reduction in ("mean", "sum", "none"):
        ours = FocalLoss(WEIGHT.double(), gamma=0.0, reduction=reduction)(batch[0], soft)
        expected = nn.CrossEntropyLoss(WEIGHT.double(), reduction=reduction)(batch[0], soft)
        torch.testing.assert_close(ours, expected)


@pytest.mark.kind("D30", "Losses are as precise as the logits, without changing their type.")
@pytest.mark.parametrize("name", OWN_LOSSES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_losses_keep_the_precision_of_the_logits(batch, name, dtype):
    weight = WEIGHT + 1  # float32, as CNNClassifier passes it
    criterion = LOSS_FACTORIES[name](weight)
    loss = criterion(batch[0].to(dtype), batch[1])
    assert loss.dtype == dtype
    exact = LOSS_FACTORIES[name](weight.double()).double()(*batch)
    tolerance = {torch.float64: 1e-14, torch.float32: 1e-5, torch.bfloat16: 0.1}[dtype]
    assert loss.item() == pytest.approx(exact.item(), rel=tolerance)
    if name == "logit_adjusted":
        expected = numpy_logit_adjusted(batch[0].numpy(), batch[1].numpy(), tau=0.7)
        plain = LogitAdjustedLoss(COUNTS, tau=0.7, reduction="none")(*batch)
        np.testing.assert_allclose(plain.numpy(), expected, rtol=1e-13)


@pytest.mark.kind("D30", "Weights, counts, labels and shapes that do not fit are refused.")
@pytest.mark.parametrize("name", OWN_LOSSES)
@pytest.mark.parametrize(
    ("logits", "target", "error"),
    [
        ((2, 3), torch.tensor([0, 1]), "one number per class, got .*4.* numbers for 3 logits"),
        ((2, 5), torch.tensor([0, 1]), "one number per class, got .*4.* numbers for 5 logits"),
        ((2, 4), torch.tensor([0, 4]), "labels must be 0 to 3, .* got 4"),
        ((2, 4), torch.tensor([0, -1]), "labels must be 0 to 3, .* got -1"),
        ((2, 4), torch.tensor([[0], [1]]), r"integer labels of shape .2,.* got .* \(2, 1\)"),
        ((2, 4), torch.tensor([0.0, 1.0]), "class probabilities of shape .2, 4., got"),
        ((2, 4), torch.zeros(3, dtype=torch.int64), r"labels of shape .2,.* of shape .3,"),
        ((4,), torch.tensor(0), r"logits of shape .n, n_classes., got shape .4,"),
        ((2, 4, 4), torch.zeros(2, 4, dtype=torch.int64), r"got shape .2, 4, 4."),
    ],
)
def test_targets_that_do_not_fit_are_refused(name, logits, target, error):
    criterion = LOSS_FACTORIES[name](WEIGHT)
    with pytest.raises(ValueError, match=error) as caught:
        criterion(torch.zeros(logits), target)
    assert len(str(caught.value)) < 250


def test_labels_of_any_integer_type_are_labels(batch):
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32):
        torch.testing.assert_close(FocalLoss()(batch[0], batch[1].to(dtype)), FocalLoss()(*batch))
