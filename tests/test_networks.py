"""Networks: logits for images of any size and number of channels; layers that freeze."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision import models

from imbemotion import CNNClassifier
from imbemotion._base.registry import NETWORKS
from imbemotion.networks import (
    DeepCNN,
    PlainCNN,
    PretrainedCNN,
    ResidualCNN,
    SmallCNN,
    find_network,
)

PRETRAINED = partial(PretrainedCNN, "shufflenet_v2_x0_5", weights=None)
ALL = [*map(find_network, NETWORKS), PRETRAINED]


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(before, module):
    return {name for name, value in module.state_dict().items() if not value.equal(before[name])}


def train(network, n_steps=3):
    """Train as skorch does, with the mode set in every step."""
    torch.manual_seed(0)
    images, labels = torch.rand(6, 1, 16, 16), torch.arange(6) % 3
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(n_steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network.train()(images), labels).backward()
        optimizer.step()
    return network


@pytest.mark.parametrize("network", [SmallCNN, DeepCNN, ResidualCNN])
@pytest.mark.parametrize("shape", [(1, 48, 48), (3, 64, 50), (1, 1, 4), (2, 1, 1), (3, 224, 224)])
def test_networks_take_images_of_any_size(network, shape):
    logits = network(n_classes=5, channels=shape[0])(torch.zeros(2, *shape))
    assert logits.shape == (2, 5)


@pytest.mark.parametrize(("network", "n"), [(SmallCNN, 1), (DeepCNN, 3)])
def test_networks_have_the_layers_of_the_study(network, n):
    modules = list(network(n_classes=8).modules())
    assert sum(isinstance(module, nn.Conv2d) for module in modules) == n
    assert sum(isinstance(module, nn.MaxPool2d) for module in modules) == n
    assert sum(isinstance(module, nn.Dropout) for module in modules) == (2 if n == 3 else 0)


@pytest.mark.parametrize("make", ALL)
def test_the_head_maps_features_to_logits(make):
    network = make(n_classes=5).eval()
    images = torch.rand(2, 1, 20, 20)
    features = network.features(images)
    assert features.ndim == 2
    torch.testing.assert_close(network.head(features), network(images))


@pytest.mark.parametrize("make", ALL)
def test_a_training_batch_of_one_image_works(make):
    network = make(n_classes=5).train()
    before = state_of(network)
    network(torch.rand(1, 1, 1, 1)).sum().backward()
    assert not changed(before, network)
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize("make", ALL)
def test_frozen_features_stay_bit_equal_while_the_head_learns(make):
    network = make(n_classes=3).set_trainable(0)
    features, head = state_of(network.features), state_of(network.head)
    train(network)
    assert not changed(features, network.features)
    assert changed(head, network.head) == set(head)


@pytest.mark.parametrize("make", ALL)
def test_without_freezing_everything_learns(make):
    network = make(n_classes=3)
    before = state_of(network)
    constant = {"features.mean", "features.std"}
    assert changed(before, train(network)) == set(before) - constant


def test_a_share_of_the_layers_can_be_frozen():
    network = PRETRAINED(n_classes=3).set_trainable(0.5)
    before = state_of(network.features.backbone)
    learned = changed(before, train(network).features.backbone)
    frozen = [name for name in before if name not in learned]
    assert list(before) == [*frozen, *(name for name in before if name in learned)]
    assert frozen[0] == "conv1.0.weight"
    assert "conv5.1.running_mean" in learned
    layers = {name.rpartition(".")[0] for name in before}
    assert len({name.rpartition(".")[0] for name in learned}) == len(layers) / 2


@pytest.mark.parametrize(("share", "n"), [(0, 0), (0.01, 1), (0.5, 2), (1, 3)])
def test_layers_are_counted_from_the_end(share, n):
    network = DeepCNN(n_classes=3).set_trainable(share)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    trained = [convolution.weight.requires_grad for convolution in convolutions]
    assert trained == [False] * (3 - n) + [True] * n


def test_dropout_of_frozen_layers_drops_nothing():
    network = DeepCNN(n_classes=3)
    network.features.insert(1, nn.Dropout(0.9))
    assert network.set_trainable(1).train().features[1].training
    assert not network.set_trainable(0.5).train().features[1].training


def test_modules_before_the_first_layer_freeze_with_it():
    network = ResidualCNN(n_classes=3).set_trainable(0.5)
    before = state_of(network)
    learned = changed(before, train(network))
    assert not any(name.startswith("features.0.") for name in learned)
    assert any(name.startswith("features.") for name in learned)
    assert network.set_trainable(1).train().features[0].training


def test_layers_stay_frozen_in_copies_and_with_other_weights():
    network = PRETRAINED(n_classes=3).set_trainable(0.5).eval()
    copies = [copy.deepcopy(network), pickle.loads(pickle.dumps(network))]
    copies[0].load_state_dict(PRETRAINED(n_classes=3).state_dict())
    modes = [module.training for module in network.train().modules()]
    assert len(set(modes)) == 2
    for other in copies:
        assert [module.training for module in other.train().modules()] == modes


def test_layers_can_be_unfrozen_step_by_step():
    network = train(PRETRAINED(n_classes=3).set_trainable(0))
    for share in (0.2, 1):
        before = state_of(network.features.backbone)
        network.set_trainable(share)
        assert changed(before, train(network).features.backbone)
    assert all(module.training for module in network.modules())


def test_freezing_removes_gradients():
    network = train(DeepCNN(n_classes=3)).set_trainable(0)
    assert all(parameter.grad is None for parameter in network.features.parameters())


def test_freezing_keeps_the_mode():
    assert not any(m.training for m in DeepCNN(n_classes=3).eval().set_trainable(0.5).modules())


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_shares_lie_between_0_and_1(share):
    with pytest.raises(ValueError, match=f"share must be from 0 .* got {share}"):
        DeepCNN(n_classes=3).set_trainable(share)


# names


@pytest.mark.parametrize("name", [*NETWORKS, "shufflenet_v2_x0_5"])
def test_networks_are_found_by_name_and_can_be_pickled(name):
    find = pickle.loads(pickle.dumps(find_network(name)))
    settings = {} if name in NETWORKS else {"weights": None}
    network = find(n_classes=4, channels=3, **settings)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 4)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("deepcnn", "Did you mean 'deep_cnn'"),
        ("shuflenet_v2", "Did you mean 'shufflenet_v2_x"),
        ("ResNet18", "Did you mean 'resnet18'"),
        ("", r"\.$"),
    ],
)
def test_unknown_names_are_refused_with_similar_ones(name, near):
    with pytest.raises(ValueError, match=f"must be 'plain_cnn', .*got '{name}'.*{near}"):
        find_network(name)


@pytest.mark.parametrize(
    "name", ["fasterrcnn_resnet50_fpn", "deeplabv3_resnet50", "r3d_18", "quantized_resnet18"]
)
def test_networks_for_other_purposes_are_refused(name):
    with pytest.raises(ValueError, match=f"a classification model of torchvision .* got '{name}'"):
        find_network(name)


def test_a_registered_network_works_by_name(monkeypatch):
    monkeypatch.setattr(NETWORKS, "_entries", dict(NETWORKS))
    NETWORKS.register("toy", "torchvision.models:resnet18", "A network of someone else.")
    assert find_network("toy") is models.resnet18
    with pytest.raises(ValueError, match=r"'toy', .* got 'toi'\. Did you mean 'toy'"):
        find_network("toi")


def test_names_must_be_strings():
    with pytest.raises(TypeError, match="must be a string, got int"):
        find_network(18)


def test_features_can_start_from_a_saved_classifier(tmp_path):
    X = np.random.default_rng(0).integers(0, 256, (12, 16, 16), dtype=np.uint8)
    settings = {"max_epochs": 1, "n_threads": 1, "random_state": 0}
    first = CNNClassifier(**settings).fit(X, np.arange(12) % 3)
    first.save(tmp_path / "first.safetensors")
    weights = {"weights": tmp_path / "first.safetensors"}
    network = PlainCNN(n_classes=5, image_size=16, **weights)
    expected = first.net_.module_.features.state_dict()
    for name, value in network.features.state_dict().items():
        torch.testing.assert_close(value, expected[name])
    second = CNNClassifier(**settings, module_params=weights).fit(X, np.arange(12) % 5)
    assert second.predict_proba(X).shape == (12, 5)


def without_counts(state):
    return {name: value for name, value in state.items() if "num_batches" not in name}


@pytest.mark.parametrize(
    "change",
    [
        without_counts,
        lambda state: {name: value for name, value in state.items() if name[:4] != "head"},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {n[9:]: value for n, value in state.items() if n[:9] == "features."},
        lambda state: {"state_dict": {f"module.{n}": value for n, value in state.items()}},
    ],
    ids=["without counts", "headless", "parallel", "features", "wrapped"],
)
def test_features_can_start_from_many_forms_of_a_state(change, tmp_path):
    first = ResidualCNN(n_classes=3, widths=(2, 4))
    torch.save(change(first.state_dict()), tmp_path / "first.bin")
    second = ResidualCNN(n_classes=4, widths=(2, 4), weights=tmp_path / "first.bin")
    for name, value in first.features.state_dict().items():
        torch.testing.assert_close(second.features.state_dict()[name], value)


@pytest.mark.parametrize("weights", ["", "DEFAULT", 5, True])
def test_small_networks_have_no_weights_to_download(weights):
    with pytest.raises(ValueError, match=rf"of a ResidualCNN .* got {weights!r}\. It has no"):
        ResidualCNN(n_classes=3, weights=weights)


@pytest.mark.parametrize(
    ("n", "channels", "message"),
    [(1, 3, "with 1 channel, got channels=3"), (3, 1, "with 3 channels, got channels=1"),
     (3, 4, "with 3 channels, got channels=4")],
)  # fmt: skip
def test_weights_of_other_channels_are_refused(n, channels, message, tmp_path):
    torch.save(ResidualCNN(n_classes=3, channels=n).state_dict(), tmp_path / "other.pt")
    with pytest.raises(ValueError, match=f"other.pt was trained on images {message}"):
        ResidualCNN(n_classes=3, channels=channels, weights=tmp_path / "other.pt")


def test_names_of_weights_must_be_strings(tmp_path):
    torch.save({1: torch.zeros(2)}, tmp_path / "numbers.pt")
    with pytest.raises(ValueError, match=r"names must be strings, got 1\."):
        ResidualCNN(n_classes=3, weights=tmp_path / "numbers.pt")


@pytest.mark.parametrize("depth", [2, np.int64(2), (2, 2), [2, 2]])
def test_depth_applies_to_every_stage(depth):
    features = ResidualCNN(n_classes=3, widths=(2, 4, 4), depth=depth).features
    assert sum(type(module).__name__ == "_Block" for module in features) == 4


@pytest.mark.parametrize("depth", [(1,), (1, 2, 3)])
def test_depths_must_match_the_stages(depth):
    with pytest.raises(ValueError, match=r"one for each of the 2 stages, got"):
        ResidualCNN(n_classes=3, widths=(2, 4, 4), depth=depth)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "small.pt"
    torch.save(ResidualCNN(n_classes=5, widths=(4, 8)).state_dict(), path)
    with pytest.raises(ValueError, match=r"small.pt does not fit the network.*it has no"):
        ResidualCNN(n_classes=5, weights=path)
    with pytest.raises(ValueError, match=r"for 1.weight: .*\[4, 1, 3, 3\].*\[2, 1, 3, 3\]"):
        ResidualCNN(n_classes=5, widths=(2, 8), weights=path)
    with pytest.raises(FileNotFoundError, match="Weight file not found: nowhere"):
        ResidualCNN(n_classes=5, weights="nowhere")


@pytest.mark.parametrize("network", [SmallCNN, DeepCNN])
@pytest.mark.parametrize("shape", [(1, 48, 48), (3, 33, 20), (2, 7, 9)])
def test_training_in_the_layout_of_onednn_gives_the_same_gradients(network, shape):
    torch.manual_seed(0)
    images, labels = torch.rand(16, *shape).round(decimals=1), torch.arange(16) % 5  # with ties
    settings = {"dropout": 0.0} if network is DeepCNN else {}
    fast = network(n_classes=5, channels=shape[0], **settings)
    plain = copy.deepcopy(fast)
    plain.features = nn.Sequential(*plain.features)
    for model in (fast, plain):
        functional.cross_entropy(model(images), labels).backward()
    for ours, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)
