"""Pretrained networks: weights from files and downloads, for images of any channels."""

import copy
import pickle
import socket
import sys
import time
from functools import partial
from urllib.error import URLError

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from imbemotion import CNNClassifier
from imbemotion.networks import PretrainedCNN, _checkpoints, _pretrained, find_network

NAME = "squeezenet1_1"  # the fastest to build
TIMM_NAME = "timm/test_resnet"
LITE = "timm/tf_efficientnet_lite0"
LITE_FILE = "weights/tf_efficientnet_lite0_imagenet.safetensors"


def make(name=NAME, **settings):
    settings = {"weights": None, "n_classes": 3, "enlarge": False, **settings}
    return PretrainedCNN(name, **settings).eval()


def headless(original):
    """Return the network up to its classifier, averaged over the image."""
    return lambda images: original.features(images).mean((2, 3))


@pytest.fixture(scope="module")
def original():
    torch.manual_seed(0)
    return models.get_model(NAME, weights=None).eval()


@pytest.fixture(scope="module")
def path(original, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "squeezenet.safetensors"
    save_file(original.state_dict(), path)
    return path


@pytest.fixture
def images():
    return torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Return the folder of PyTorch's downloads, and block the network."""

    def fail(*args, **kwargs):
        raise URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def normalized(images):
    transform = models.get_model_weights(NAME).DEFAULT.transforms()
    mean, std = torch.tensor([transform.mean, transform.std])[:, :, None, None]
    return (images - mean) / std


def expected_features(original, images):
    """Normalize as torchvision does, and leave the classifier out."""
    return headless(original)(normalized(images))


# architectures


@pytest.mark.parametrize(
    "name",
    ["googlenet", "mnasnet0_5", "mobilenet_v3_small", "regnet_y_400mf", "resnet18",
     "shufflenet_v2_x0_5", "squeezenet1_1"],
)  # fmt: skip
def test_features_equal_the_input_of_the_original_classifier(name, images):
    network = make(name, channels=3, normalize=False)
    settings = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    whole = models.get_model(name, **settings).eval()
    whole.load_state_dict(network.features.backbone.state_dict(), strict=False)
    taken = []
    classifier = [m for m in whole.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    first = next(m for m in classifier if m.weight.shape[1] == network.features.n_features
                 and m in list(list(whole.children())[-1].modules()))  # fmt: skip
    first.register_forward_pre_hook(lambda module, args: taken.append(args[0]))
    whole(images)
    pooled = taken[0].mean((2, 3)) if taken[0].ndim == 4 else taken[0]
    torch.testing.assert_close(network.features(images), pooled)


def test_large_layers_of_old_classifiers_are_left_out():
    network = make("alexnet")
    assert network.features(torch.zeros(2, 1, 63, 70)).shape == (2, 256)
    assert sum(p.numel() for p in network.parameters()) < 3e6  # 61 million in the original


@pytest.mark.parametrize("name", ["mnasnet0_5", "googlenet"])
def test_only_the_head_drops_features(name):
    network = make(name)
    assert not any(isinstance(module, nn.Dropout) for module in network.features.modules())


@pytest.mark.parametrize("hidden", [None, 16])
def test_the_head_normalizes_and_ends_in_logits(hidden):
    head = make(hidden=hidden, dropout=0.5).head
    assert isinstance(head[0], nn.BatchNorm1d)
    assert head[1].p == 0.5
    assert (head[-1].in_features, head[-1].out_features) == (hidden or 512, 3)


def test_layers_can_be_frozen_from_the_start():
    network = make(trainable=0)
    assert not any(parameter.requires_grad for parameter in network.features.parameters())
    assert all(parameter.requires_grad for parameter in network.head.parameters())


# channels and normalization


def test_pixels_are_normalized_as_the_weights_expect(original, path, images):
    features = make(weights=path, channels=3).features(images)
    torch.testing.assert_close(features, expected_features(original, images))


def test_googlenet_is_normalized_as_in_torchvision(images):
    features = make("googlenet", channels=3).features
    features.backbone.transform_input = True
    expected = features.backbone._transform_input(normalized(images))
    torch.testing.assert_close((images - features.mean) / features.std, expected)


def test_normalization_can_be_turned_off(original, path, images):
    features = make(weights=path, channels=3, normalize=False).features(images)
    torch.testing.assert_close(features, headless(original)(images))


@pytest.mark.parametrize("normalize", [False, True])
def test_a_gray_image_has_the_features_of_the_same_image_in_color(path, images, normalize):
    gray, color = (make(weights=path, channels=n, normalize=normalize) for n in (1, 3))
    expected = color.features(images[:, :1].repeat(1, 3, 1, 1))
    torch.testing.assert_close(gray.features(images[:, :1]), expected)


def test_weights_summed_over_the_colors_are_equivalent_where_means_are_equal(images):
    network = make("shufflenet_v2_x0_5")
    network.features.mean[:], network.features.std[:] = 0.5, 0.25
    summed = copy.deepcopy(network.features.backbone)
    first = next(m for m in summed.modules() if isinstance(m, nn.Conv2d))
    first.weight, first.in_channels = nn.Parameter(first.weight.sum(1, keepdim=True)), 1
    expected = summed((images[:, :1] - 0.5) / 0.25)
    torch.testing.assert_close(network.features(images[:, :1]), expected)


@pytest.mark.parametrize("n", [1, 3])
def test_further_channels_have_no_influence_at_first(path, images, n):
    few, more = (make(weights=path, channels=channels) for channels in (n, n + 1))
    colors = images[:, :n]
    with_alpha = torch.cat([colors, torch.rand(2, 1, 40, 40)], dim=1)
    torch.testing.assert_close(more.features(with_alpha), few.features(colors))


def test_further_channels_are_learned():
    network = make(channels=4, weights=None)
    network.features(torch.rand(2, 4, 40, 40)).sum().backward()
    first = network.features.backbone.features[0]
    assert first.in_channels == first.weight.shape[1] == 4
    assert first.weight.grad[:, 3].abs().max() > 0


def test_further_channels_need_a_convolution_at_the_start():
    with pytest.raises(ValueError, match=r"channels must be 1 or 3 for .*Linear.* got 1 more"):
        _pretrained.widen(nn.Linear(3, 3), 1)


@pytest.mark.parametrize("channels", [0, -1])
def test_zero_channels_are_refused(channels):
    with pytest.raises(ValueError, match=f"channels must be 1 or more, got {channels}"):
        make(channels=channels)


def test_images_with_other_channels_are_refused(images):
    with pytest.raises(ValueError, match=r"\(n, 1, height, width\), got \(2, 3, 40, 40\)"):
        make()(images)


# sizes


@pytest.mark.parametrize("size", [(48, 48), (32, 32), (20, 33), (1, 1)])
def test_small_images_can_be_trained_on(size):
    network = make("shufflenet_v2_x0_5").train()
    network(torch.rand(2, 1, *size)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "size", "hint"),
    [
        ("squeezenet1_1", 16, "the smallest size is 17 x 17"),
        ("timm/vit_tiny_patch16_224", 48, "it takes 224 x 224"),
    ],
)
def test_images_that_are_too_small_are_refused_with_the_smallest_size(name, size, hint):
    pytest.importorskip("timm")
    message = f"cannot take images of {size} x {size} pixels; {hint}"
    with pytest.raises(ValueError, match=message):
        make(name)(torch.zeros(2, 1, size, size))


def test_other_errors_are_passed_on():
    with pytest.raises(RuntimeError, match=r"type"):
        make()(torch.zeros(2, 1, 48, 48, dtype=torch.complex64))


# downloads


@pytest.mark.parametrize("weights", ["DEFAULT", "IMAGENET1K_V1"])
def test_downloaded_weights_are_found(hub, original, images, weights):
    url = models.get_model_weights(NAME).DEFAULT.url
    torch.save(original.state_dict(), hub / url.rpartition("/")[2])
    settings = {"n_classes": 3, "channels": 3, "weights": weights, "enlarge": False}
    features = find_network(NAME)(**settings).eval().features(images)
    torch.testing.assert_close(features, expected_features(original, images))


def test_a_failed_download_is_one_clear_error(hub, capsys):
    message = r"IMAGENET1K_V1 cannot be downloaded: Name or service not known\. Check the network"
    with pytest.raises(OSError, match=message):
        make(weights="DEFAULT")
    assert capsys.readouterr().out == ""


# timm


def test_a_missing_timm_is_reported_with_its_installation(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"pip install 'imbemotion\[timm\]'"):
        find_network(TIMM_NAME)


def test_models_of_timm_have_their_own_normalization(images):
    timm = pytest.importorskip("timm")
    network = make(LITE, channels=3)
    whole = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    whole.load_state_dict(network.features.backbone.state_dict())
    torch.testing.assert_close(network.features(images), whole((images - 0.5) / 0.5))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm/resnet_18", "Did you mean 'timm/resnet"),
        ("timm/", "must be a model of timm"),
        ("timm/resnet18.a9", "one of .*'a1_in1k', .*got 'a9'"),
    ],
)
def test_unknown_models_of_timm_are_refused(name, message):
    pytest.importorskip("timm")
    with pytest.raises(ValueError, match=message):
        find_network(name)


def test_models_of_timm_without_weights_are_refused():
    pytest.importorskip("timm")
    with pytest.raises(ValueError, match="timm has no weights for 'mixer_s32_224'"):
        make("timm/mixer_s32_224", weights="DEFAULT")


@pytest.mark.parametrize("silent", [False, True])
def test_an_unreachable_hub_is_reported_soon(tmp_path, monkeypatch, silent):
    pytest.importorskip("timm")
    from huggingface_hub import constants

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if silent:  # it accepts connections, but never answers
            server.listen()
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(_checkpoints, "_PATIENCE", 0.1)
        start = time.monotonic()
        with pytest.raises(OSError, match=f"{TIMM_NAME} cannot be downloaded: .* None for random"):
            make(TIMM_NAME, weights="DEFAULT")
        assert time.monotonic() - start < 4


@pytest.mark.parametrize(
    ("error", "is_download"),
    [
        (TypeError("unexpected keyword argument 'num_classes'"), False),
        (RuntimeError("size mismatch"), False),
        (RuntimeError('invalid hash value (expected "ab", got "cd")'), True),
        (OSError("No space left on device"), True),
        (SafetensorError("InvalidHeader"), True),
        (pickle.UnpicklingError("damaged"), True),
    ],
    ids=str,
)
def test_only_failed_downloads_are_reported_as_such(error, is_download, monkeypatch):
    timm = pytest.importorskip("timm")

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(_checkpoints, "check_hub", lambda settings: None)
    monkeypatch.setattr(timm, "create_model", fail)
    expected = (OSError, "cannot be downloaded") if is_download else (type(error), str(error))
    with pytest.raises(expected[0], match=expected[1]):
        make(TIMM_NAME, weights="DEFAULT")


def test_downloaded_weights_of_timm_are_found(monkeypatch):
    timm = pytest.importorskip("timm")
    import huggingface_hub

    whole = timm.create_model("test_resnet")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *args: "cached")
    monkeypatch.setattr(
        timm.models._builder, "load_state_dict_from_hf", lambda *args, **kwargs: whole.state_dict()
    )
    backbone = find_network(TIMM_NAME)(n_classes=3).features.backbone
    torch.testing.assert_close(backbone.conv1[0].weight, whole.conv1[0].weight)


# copies


def test_copies_compute_the_same(path, images):
    network = make(weights=path, channels=3, trainable=0.5)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        torch.testing.assert_close(other(images), network(images))
        trained = [parameter.requires_grad for parameter in other.parameters()]
        assert trained == [parameter.requires_grad for parameter in network.parameters()]


def test_the_state_contains_everything(path, images):
    network, other = make(weights=path, channels=3), make(channels=3, normalize=False)
    other.load_state_dict(network.state_dict())
    torch.testing.assert_close(other(images), network(images))


# end to end


def test_skorch_sets_the_network_up():
    X = np.random.default_rng(0).integers(0, 256, (9, 20, 20, 3), dtype=np.uint8)
    module = partial(PretrainedCNN, NAME, weights=None, trainable=0)
    model = CNNClassifier(module=module, max_epochs=1, batch_size=4, device="cpu", random_state=0)
    model.fit(X, np.arange(9) % 3)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict_proba(X), model.predict_proba(X))


def test_small_images_are_enlarged_where_there_are_weights(tmp_path):
    torch.save(make().state_dict(), tmp_path / "weights.pth")
    images = torch.rand(2, 1, 32, 32)
    enlarged = torch.nn.functional.interpolate(images, (224, 224), mode="bilinear")
    network = PretrainedCNN(NAME, n_classes=3, weights=tmp_path / "weights.pth").eval()
    torch.testing.assert_close(network(images), network(enlarged), rtol=1e-4, atol=1e-4)
    assert not PretrainedCNN(NAME, n_classes=3, weights=None).features.enlarge


def test_a_loaded_classifier_enlarges_as_the_saved_one(tmp_path):
    torch.save(make().state_dict(), tmp_path / "weights.pth")
    X = np.random.default_rng(0).integers(0, 256, (6, 32, 32), dtype=np.uint8)
    settings = {"module_params": {"weights": tmp_path / "weights.pth"}, "max_steps": 1}
    model = CNNClassifier(module=NAME, **settings).fit(X, np.arange(6) % 3)
    model.save(tmp_path / "model.safetensors")
    loaded = CNNClassifier.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


@pytest.mark.slow
def test_pretrained_weights_beat_random_ones_on_faces(data_folder):
    pytest.importorskip("timm")
    data = np.load(data_folder / "fer2013_48.npz")
    rows = [np.flatnonzero(data["labels"] == label)[:40] for label in ("happy", "surprise")]
    X, y = data["images"][np.concatenate(rows)], np.repeat(["happy", "surprise"], 40)
    scores = {}
    for weights in (data_folder / LITE_FILE, None):
        module = partial(PretrainedCNN, LITE, weights=weights, trainable=0, enlarge=False)
        model = CNNClassifier(module=module, max_steps=16, lr=0.01, random_state=0)
        model.fit(X[::2], y[::2])
        scores[weights] = (model.predict(X[1::2]) == y[1::2]).mean()
    assert scores[data_folder / LITE_FILE] > max(0.7, scores[None])
