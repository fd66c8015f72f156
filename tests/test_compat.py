"""DataConfig and load_split: subsets never overlap, and only training is balanced."""

import json
import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from imbemotion import (
    DataConfig,
    ImageArray,
    ImageLoader,
    balance_samples,
    groups_from_filenames,
    load_image_folder,
    load_split,
    split_samples,
)

GUIDE = {"joy": 100, "sadness": 50, "anger": 75}
PARTS = ("train", "val", "test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    y = np.repeat(list(GUIDE), list(GUIDE.values()))
    pixels = np.random.default_rng(0).integers(0, 256, (len(y), 4, 4), dtype=np.uint8)
    folder = tmp_path_factory.mktemp("data") / "faces"
    ImageArray(pixels).save(folder, labels=y)
    return folder


@pytest.fixture
def settings(folder, tmp_path):
    return {"dataset_path": folder, "split_indices_path": tmp_path / "data" / "split.json"}


def counts(part):
    return dict(Counter(part.y.tolist()))


@pytest.mark.parametrize(
    ("strategy", "per_class"), [("oversample", 70), ("undersample", 35), ("hybrid", 52), (7, 7)]
)
def test_only_training_is_balanced(settings, strategy, per_class):
    config = DataConfig(**settings, balancing_strategy=strategy)
    train, val, test = (load_split(config, split=name) for name in PARTS)
    assert counts(train) == dict.fromkeys(GUIDE, per_class)
    assert counts(val) == {"joy": 15, "sadness": 7, "anger": 11}
    assert counts(test) == {"joy": 15, "sadness": 8, "anger": 12}
    assert len(train) == 3 * per_class == len(train.X)
    assert [sample["path"] for sample in train.samples] == train.X.tolist()


def test_subsets_are_disjoint_and_drawn_once(settings):
    config = DataConfig(**settings)
    first = [load_split(config, name) for name in PARTS]
    written = config.split_indices_path.read_text()
    again = [load_split(config, name) for name in reversed(PARTS)][::-1]
    assert config.split_indices_path.read_text() == written
    for one, other in zip(first, again, strict=True):
        assert one.samples == other.samples
    train, val, test = (set(part.X) for part in first)
    assert len(train | val | test) == len(train) + len(val) + len(test) == 225


def test_it_is_split_samples_and_balance_samples(settings, folder):
    data = load_image_folder(folder)
    samples = [
        {"path": str(path), "emotion": str(label)}
        for path, label in zip(data.filenames, data.target, strict=True)
    ]
    train, val, _ = split_samples(samples, random_state=42)
    config = DataConfig(**settings, balancing_strategy="hybrid")
    assert load_split(config, "val").samples == val
    assert load_split(config).samples == balance_samples(train, "hybrid", random_state=42)


def test_weighted_training_feeds_the_sampler_and_loader_of_torch(settings):
    torch_data = pytest.importorskip("torch.utils.data")
    config = DataConfig(**settings, balancing_strategy="weighted")
    dataset = load_split(config, split="train")
    weights = [sample["weight"] for sample in dataset.samples]
    sampler = torch_data.WeightedRandomSampler(weights, len(weights))
    loader = torch_data.DataLoader(dataset, sampler=sampler, batch_size=32)
    assert sum(len(batch["path"]) for batch in loader) == 157
    assert "weight" not in load_split(config, "val")[0]


def test_paths_can_be_loaded_and_balancing_is_optional(settings):
    part = load_split(DataConfig(**settings, balance_emotions=False))
    assert counts(part) == {"anger": 52, "joy": 70, "sadness": 35}
    assert ImageLoader(size=4).fit_transform(part.X).shape == (157, 4, 4)


def test_nothing_is_written_on_request(settings):
    config = DataConfig(**settings, save_split_indices=False)
    parts = [set(load_split(config, name).X) for name in PARTS]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 225
    assert not config.split_indices_path.exists()


def test_a_split_of_other_data_is_refused(settings, tmp_path):
    load_split(DataConfig(**settings))
    ImageArray(np.zeros((9, 4, 4), np.uint8)).save(tmp_path / "few", labels=["a", "b", "c"] * 3)
    config = DataConfig(**{**settings, "dataset_path": tmp_path / "few"})
    with pytest.raises(ValueError, match="is of 225 rows, got 9"):
        load_split(config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed 42, not 1"),
        ({"use_stratified_split": False}, "stratified True, not False"),
        ({"train_split": 0.8, "val_split": 0.1, "test_split": 0.1},
         "shares 0.7 / 0.15 / 0.15, not 0.8 / 0.1 / 0.1"),
    ],
)  # fmt: skip
def test_a_split_with_other_settings_is_refused(settings, change, message):
    load_split(DataConfig(**settings))
    with pytest.raises(ValueError, match=message):
        load_split(DataConfig(**{**settings, **change}))


def test_split_files_without_stratification_are_read(settings):
    config = DataConfig(**settings)
    train = load_split(config)
    content = json.loads(config.split_indices_path.read_text())
    assert content.pop("stratified") is True
    config.split_indices_path.write_text(json.dumps(content))
    assert load_split(config).samples == train.samples


def test_persons_stay_together(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "faces.npz",
        images=rng.integers(0, 256, (60, 8, 8), dtype=np.uint8),
        labels=["joy", "fear"] * 30,
        files=[f"Person{n // 4}_{n % 4:04d}.jpg" for n in range(60)],
    )
    config = DataConfig(
        dataset_path=tmp_path / "faces.npz",
        split_indices_path=tmp_path / "s.json",
        group_by="name",
    )
    parts = [load_split(config, name) for name in PARTS]
    persons = [set(groups_from_filenames(sample["path"] for sample in part)) for part in parts]
    assert sum(map(len, persons)) == len(set.union(*persons)) == 15
    assert parts[0].X.shape == (len(parts[0]), 8, 8)
    load_split(replace(config, group_by="none", split_indices_path=tmp_path / "torn.json"))
    with pytest.raises(ValueError, match="divides groups: Person"):
        load_split(replace(config, split_indices_path=tmp_path / "torn.json"))
    assert load_split(replace(config, group_by="none")).samples == parts[0].samples
    config = DataConfig(
        dataset_path=tmp_path / "faces.npz", save_split_indices=False, group_by="groups"
    )
    with pytest.raises(ValueError, match="got 'groups', and the source has no further columns"):
        load_split(config)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"balance_emotions": "yes"}, TypeError, "balance_emotions must be true or false"),
        ({"dataset_path": None}, TypeError, "dataset_path must be a path, got None"),
        ({"balancing_strategy": "more"}, ValueError, "balancing_strategy must be .* got 'more'"),
        ({"balancing_strategy": 0}, ValueError, "balancing_strategy must be .* got 0"),
        ({"balancing_strategy": None}, TypeError, "balancing_strategy must be a name"),
        ({"train_split": 0.8}, ValueError, "train_split, val_split and test_split must add up"),
        ({"val_split": "much"}, ValueError, "val_split must be the share of rows, .* got 'much'"),
        ({"seed": -1}, ValueError, "seed must be an integer .* got -1"),
        ({"group_by": "song"}, ValueError, "group_by must be one of .* got 'song'"),
    ],
)
def test_bad_settings_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        DataConfig(**{"dataset_path": "faces", **change})


def test_bad_calls_are_refused(settings):
    config = DataConfig(**settings)
    with pytest.raises(ValueError, match="split must be one of train, val, test, got 'valid'"):
        load_split(config, "valid")
    with pytest.raises(TypeError, match=r"must be a DataConfig, got \{\}"):
        load_split({})
    config.seed = "x"
    with pytest.raises(ValueError, match="seed must be an integer"):
        load_split(config)


def test_the_raw_facial_expressions_are_split_and_balanced(data_folder, tmp_path):
    config = DataConfig(
        dataset_path=data_folder / "facial_expressions_raw",
        balancing_strategy="undersample",
        split_indices_path=tmp_path / "split.json",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train = load_split(config)
    assert len(train) == 8 * min(counts(train).values())
