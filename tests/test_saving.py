"""Saved classifiers: the same predictions, and one sentence for what can not be."""

import os
import pickle
import sys
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback
from skorch.history import History

from imbemotion import Augmentation, CNNClassifier, DataWarning, make_faces
from imbemotion._base.registry import NETWORKS
from imbemotion.classifier import _archive, _saving
from imbemotion.classifier._composition import Task, compose_net
from imbemotion.networks import PretrainedCNN, SmallCNN


@pytest.fixture(scope="module")
def faces():
    return make_faces({"happy": 10, "sad": 8, "fear": 6}, size=16, random_state=0)


def quick(**settings):
    settings = {
        "module": "small_cnn",
        "max_epochs": 2,
        "n_threads": 1,
        "random_state": 0,
        **settings,
    }
    return CNNClassifier().set_params(**settings)


@pytest.fixture(scope="module")
def model(faces):
    return quick(net_params={"module__width": 2}).fit(*faces)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.safetensors"


def saved_and_loaded(model, file, **parameters):
    model.save(file)
    return CNNClassifier.load(file, **parameters)


def assert_same_predictions(again, model, X):
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    predicted, expected = again.predict(X), model.predict(X)
    np.testing.assert_array_equal(predicted, expected)
    assert predicted.dtype == expected.dtype


class Own(SmallCNN):
    """A custom network."""


class Doubled(SmallCNN):
    """A network in double precision, two of whose weights are one."""

    def __init__(self, n_classes, channels):
        super().__init__(n_classes, channels, width=2)
        self.again = self.head
        self.double()

    def forward(self, images):
        return super().forward(images.double())


class Secretive(SmallCNN):
    """A network whose state is more than tensors."""

    def get_extra_state(self):
        return {"secret"}

    def set_extra_state(self, state):
        pass


class OwnLoss(torch.nn.CrossEntropyLoss):
    """A custom loss."""


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_predicts_the_same_bit_by_bit(network, faces, file):
    model = quick(module=network).fit(*faces)
    assert_same_predictions(saved_and_loaded(model, file), model, faces[0])


@pytest.mark.parametrize("kind", ["color", "float", "flat"])
def test_every_kind_of_image_predicts_the_same(kind, faces, file):
    X, y = faces
    color = np.repeat(X[..., None], 3, axis=3)
    X = {"color": color, "float": color / [2.0, 1.0, 3.0], "flat": X.reshape(len(X), -1)}[kind]
    model = quick().fit(X, y)
    assert_same_predictions(saved_and_loaded(model, file), model, X)


LABELS = [
    np.array(["happy", "sad", "fröhlich"]),
    np.array(["happy", "sad", "fear"], dtype=object),
    np.array([10, -3, 500]),
    np.array([1, 2, 3], dtype=np.int32),
    np.array([0.0, 1.0, 4.0]),
    np.array([True, False, True]),
]


@pytest.mark.parametrize("names", LABELS, ids=lambda n: f"{n.dtype}-{n[0]}")
def test_labels_keep_their_type(names, faces, file):
    X, y = faces
    model = quick(max_epochs=1).fit(X, names[np.unique(y, return_inverse=True)[1]])
    again = saved_and_loaded(model, file)
    assert_same_predictions(again, model, X)
    assert again.classes_.dtype == model.classes_.dtype
    assert [type(label) for label in again.classes_] == [type(label) for label in model.classes_]


def test_parameters_and_fitted_attributes_survive(faces, file):
    X, y = faces
    model = quick(
        module=SmallCNN, loss="focal", loss_params={"gamma": 0.5, "weight": torch.ones(3)},
        optimizer=torch.optim.RMSprop, augmentation=Augmentation(rotation=3),
        validation_fraction=0.25, lr_schedule="cosine", net_params={"module__width": 3},
        lr=np.float64(0.01),
    ).fit(X, y)  # fmt: skip
    again = saved_and_loaded(model, file)
    assert again.module is SmallCNN
    assert str(again.get_params()) == str(model.get_params())
    own = {name for name in vars(model) if name not in model.get_params()} - {"net_"}
    assert own <= set(_saving._FITTED_ATTRIBUTES), "name the new attribute there"
    for name in own:
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
        assert type(getattr(again, name)) is type(getattr(model, name))


def test_class_weights_by_label_survive(faces, file):
    X, y = faces
    model = quick(class_weight={0: 2.0, 1: 0.5}).fit(X, (y == "sad").astype(int))
    again = saved_and_loaded(model, file)
    assert again.class_weight == model.class_weight
    torch.testing.assert_close(again.net_.criterion_.weight, model.net_.criterion_.weight)


def test_column_names_survive(faces, file):
    X = pd.DataFrame(faces[0].reshape(24, -1)[:, :6], columns=list("abcdef"))
    model = quick().fit(X, faces[1])
    again = saved_and_loaded(model, file)
    assert_same_predictions(again, model, X)
    with pytest.raises(ValueError, match="feature names should match"):
        again.predict(X.rename(columns={"a": "z"}))


def test_the_net_of_a_loaded_classifier_is_usable(faces, file):
    X, y = faces
    model = quick(
        validation_fraction=0.25, net_params={"callbacks__best_weights__patience": 0.5}
    ).fit(X, y)
    net = saved_and_loaded(model, file).net_
    assert isinstance(net.history, History)
    assert net.history == model.net_.history
    np.testing.assert_array_equal(net.predict(X), model.net_.predict(X))
    codes = np.unique(y, return_inverse=True)[1]
    assert len(net.partial_fit(X, codes).history) == 2 + model.n_iter_


def test_figures_of_callbacks_that_json_cannot_represent_are_saved_as_text(faces, file):
    class Noting(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("note", np.float32(np.nan))
            net.history.record("set", {1})

    model = quick(net__callbacks=[Noting()]).fit(*faces)
    with pytest.warns(DataWarning, match=r"net__callbacks=.*Noting is code"):
        again = saved_and_loaded(model, file)
    assert again.net_.history[-1, "set"] == "{1}"
    assert np.isnan(again.net_.history[-1, "note"])


def test_a_loaded_classifier_can_be_cloned_and_fitted_again(faces, file, model):
    again = saved_and_loaded(model, file)
    assert clone(again).get_params() == model.get_params()
    assert_same_predictions(clone(again).fit(*faces), model, faces[0])
    assert_same_predictions(again.fit(*faces), model, faces[0])


def test_all_ways_of_training_can_be_loaded(faces, file):
    model = quick(
        batch_sampling="balanced", class_weight="balanced", balance_from=0.5, mixup=0.2,
        loss__label_smoothing=0.1, optimizer__weight_averaging=0.8, optimizer__freezing="gradual",
        optimizer__backbone_lr=1e-4, optimizer__gradient_clipping=1.0, lr_schedule="onecycle",
        net__precision="bfloat16", net__test_time_augmentation="flip", module_params={"width": 3},
    ).fit(faces[0], faces[1], sample_weight=np.linspace(1, 2, 24))  # fmt: skip
    again = saved_and_loaded(model, file)
    assert_same_predictions(again, model, faces[0])
    np.testing.assert_array_equal(again.transform(faces[0]), model.transform(faces[0]))
    pd.testing.assert_frame_equal(again.history_, model.history_)


def test_partial_fit_goes_on_from_the_saved_weights(faces, file):
    model = quick(optimizer="sgd", lr=0.1).partial_fit(*faces)
    again = saved_and_loaded(model, file)
    assert_same_predictions(again.partial_fit(*faces), model.partial_fit(*faces), faces[0])
    assert again.n_iter_ == 2


def test_a_random_state_goes_on_where_it_was(faces, file):
    model = quick(random_state=np.random.RandomState(5)).fit(*faces)
    again = saved_and_loaded(model, file)
    assert_same_predictions(again.fit(*faces), model.fit(*faces), faces[0])


def test_a_random_state_of_another_generator_is_not_saved(faces, file):
    model = quick(random_state=np.random.RandomState(np.random.PCG64(5))).fit(*faces)
    with pytest.warns(DataWarning, match=r"random_state=numpy.random.RandomState of PCG64 is"):
        again = saved_and_loaded(model, file)
    assert again.random_state is None
    assert_same_predictions(again, model, faces[0])
    with pytest.raises(ValueError, match=r"_random_state must contain .*RandomState of PCG64"):
        model.partial_fit(*faces).save(file)


def test_tensors_that_numpy_does_not_know_are_not_saved(faces, file):
    model = quick().fit(*faces)
    model.set_params(loss_params={"weight": torch.ones(3, dtype=torch.bfloat16)})
    with pytest.warns(DataWarning, match=r"loss__weight=torch.Tensor of torch.bfloat16 is"):
        assert_same_predictions(saved_and_loaded(model, file), model, faces[0])


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"module": "deep_cnn"}, "module"),
        ({"module_params": {"width": 3}, "net_params": None}, "width"),
        ({"net_params": {"module__width": np.int64(3)}}, "width"),
        ({"net_params": None}, "width"),
    ],
)
def test_a_network_of_other_parameters_is_not_saved(changed, names, faces, file):
    model = quick(net_params={"module__width": 2}).fit(*faces).set_params(**changed)
    with pytest.raises(ValueError, match=f"but {names} changed after the training. Set"):
        model.save(file)
    assert not file.exists()


def test_parameters_that_leave_the_network_may_change(faces, file, model):
    changed = pickle.loads(pickle.dumps(model)).set_params(
        lr=0.1, loss="focal", module=SmallCNN, net_params={"module__width": 2, "optimizer__eps": 1}
    )
    assert_same_predictions(saved_and_loaded(changed, file), model, faces[0])


def test_loading_leaves_the_global_generator_as_it_was(file, model):
    model.save(file)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    CNNClassifier.load(file)
    assert torch.rand(1) == expected


def test_the_cpu_takes_the_place_of_a_device_that_is_missing(faces, file, model):
    elsewhere = pickle.loads(pickle.dumps(model)).set_params(device="cuda:77")
    again = saved_and_loaded(elsewhere, file)
    assert (again.device, again.net_.device) == ("cuda:77", "cpu")
    assert_same_predictions(again, model, faces[0])
    assert CNNClassifier.load(file, device="cpu").device == "cpu"


@pytest.mark.parametrize("network", [Doubled, partial(Own, width=2)], ids=["class", "partial"])
def test_a_network_that_is_custom_is_given_to_load(network, faces, file):
    model = quick(module=network).fit(*faces)
    model.save(file)
    with pytest.raises(ValueError, match=r"module=.*(Doubled|Own), which is code.*Pass it"):
        CNNClassifier.load(file)
    assert_same_predictions(CNNClassifier.load(file, module=network), model, faces[0])


def test_a_partial_of_a_known_network_needs_nothing(faces, file):
    model = quick(module=partial(SmallCNN, width=3)).fit(*faces)
    assert_same_predictions(saved_and_loaded(model, file), model, faces[0])


def test_code_in_the_settings_of_the_net_is_given_to_load(faces, file):
    own = {"predict_nonlinearity": lambda logits: logits.softmax(-1)}
    model = quick(net_params=own).fit(*faces)
    model.save(file)
    with pytest.raises(ValueError, match=r"net__predict_nonlinearity=.*<lambda>, which is code"):
        CNNClassifier.load(file)
    assert_same_predictions(CNNClassifier.load(file, net_params=own), model, faces[0])


def test_code_that_only_training_needs_is_reset_with_a_warning(faces, file):
    own = {"loss": OwnLoss, "augmentation": np.fliplr, "net__callbacks": [Callback()]}
    more = {"loss_params": {"ignore_index": -1}, "net_params": {"criterion__reduction": "sum"}}
    model = quick(**own, **more).fit(*faces)
    with pytest.warns(DataWarning, match="is code") as told:
        again = saved_and_loaded(model, file)
    assert sorted(str(w.message).split("=")[0] for w in told) == sorted(own)
    assert {w.filename for w in told} == {__file__}
    assert (again.loss, again.augmentation) == ("cross_entropy", "auto")
    assert_same_predictions(again, model, faces[0])
    assert CNNClassifier.load(file, **own).loss is OwnLoss


class Tuned(SmallCNN):
    """A network with pretrained weights that were here once."""

    def __init__(self, n_classes, channels, weights="missing.pth"):
        if weights is not None:
            raise FileNotFoundError(weights)
        super().__init__(n_classes, channels, width=2)


@pytest.mark.parametrize("module", [Tuned, partial(partial(Tuned))], ids=["class", "partial"])
def test_pretrained_weights_are_not_needed_again(module, faces, file):
    model = quick(module=module, net_params={"module__weights": None}).fit(*faces)
    model.net_params = {"module__weights": "missing.pth"}
    again = saved_and_loaded(model, file, module=module)
    assert again.net_params == {"module__weights": "missing.pth"}
    assert_same_predictions(again, model, faces[0])


def given_keywords(module, X, **settings):
    net = compose_net(*_ready(module, X), **settings)
    return net.get_params_for("module")


def _ready(module, X):
    model = quick(module=module)
    model.classes_, model.class_counts_ = np.arange(3), np.ones(3, dtype=int)
    rows = np.arange(len(X))
    return model, Task(X, rows % 3, None, rows, rows[:0], "cpu", 0)


class Handing(PretrainedCNN):
    """A pretrained network that hands on its keywords."""

    def __init__(self, **settings):
        super().__init__("squeezenet1_1", **settings)


class Unrelated(torch.nn.Module):
    """A custom network whose keywords have the names of ours."""

    def __init__(self, n_classes, channels, weights=(1.0,), normalize=True):
        super().__init__()


@pytest.mark.parametrize(
    ("module", "weights", "normalize"),
    [
        ("resnet18", True, True),
        ("residual_cnn", True, False),
        ("small_cnn", False, False),
        (partial(PretrainedCNN, "resnet18"), True, True),
        (Handing, False, True),
        (Unrelated, False, False),
        (lambda **settings: Unrelated(**settings), False, False),
    ],
)
def test_only_networks_of_ours_are_composed_without_weights_and_normalization(
    module, weights, normalize, faces
):
    uint8, floats = faces[0], faces[0] / 255
    assert not {"weights", "normalize"} & set(given_keywords(module, uint8))
    assert ("weights" in given_keywords(module, uint8, pretrained=False)) is weights
    assert ("normalize" in given_keywords(module, floats)) is normalize


def test_parameters_that_do_not_fit_are_one_clear_sentence(file, model):
    model.save(file)
    for given_, message in [
        ({"net_params": None}, r"does not fit .*features.0.weight: .*\[2, .* is .*\[32, "),
        ({"module": "deep_cnn", "net_params": None}, "DeepCNN does not fit"),
        ({"lr": -1.0}, "'lr' parameter"),
        ({"modul": "small_cnn"}, "has no parameter modul"),
    ]:
        with pytest.raises(ValueError, match=message):
            CNNClassifier.load(file, **given_)


def test_errors_of_saving_are_one_clear_sentence(tmp_path, faces, model):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        model.save(tmp_path / "absent" / "model")
    with pytest.raises(IsADirectoryError, match="got the folder"):
        model.save(tmp_path)
    with pytest.raises(NotFittedError, match="not fitted"):
        quick().save(tmp_path / "model")
    strange = pickle.loads(pickle.dumps(model))
    strange.classes_ = np.array([object()] * 3)
    with pytest.raises(
        ValueError, match=r"classes_ must contain numbers or text .* builtins.object"
    ):
        strange.save(tmp_path / "model")
    with pytest.raises(ValueError, match="must be tensors, got others in _extra_state"):
        quick(module=Secretive, max_epochs=1).fit(*faces).save(tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_a_save_that_fails_leaves_the_old_file(file, model, monkeypatch):
    model.save(file)
    before = file.read_bytes()

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(_archive, "save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        model.save(file)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_files_are_as_private_as_the_user_wants(mask, file, model):
    before = os.umask(mask)
    try:
        model.save(file)
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o666 & ~mask


def test_joblib_keeps_a_network_that_was_written_in_a_notebook(faces, file, monkeypatch):
    class Notebook(SmallCNN):
        pass

    Notebook.__module__, Notebook.__qualname__ = "__main__", "Notebook"
    monkeypatch.setattr(sys.modules["__main__"], "Notebook", Notebook, raising=False)
    model = quick(module=Notebook).fit(*faces)
    joblib.dump(model, file)
    assert_same_predictions(joblib.load(file), model, faces[0])
