"""Whole pipelines, from files to scores, as people write them."""

from collections import Counter

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_validate,
)
from sklearn.neighbors import KNeighborsClassifier

from imbemotion import (
    Augmentation,
    AugmentationSampler,
    CNNClassifier,
    FlattenSampler,
    ImageADASYN,
    ImageArray,
    ImageFlattener,
    ImageLoader,
    ImageSMOTE,
    RandomResampler,
    groups_from_filenames,
    make_faces,
    make_macro_f1_scorer,
)
from imbemotion.samplers import at_least
from imbemotion.targets import resolve_targets


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    counts = {"happy": 30, "sad": 12, "fear": 6}
    X, y = make_faces(counts, size=20, difficulty=0, pose=0, lighting=0, random_state=0)
    return ImageArray(X).save(tmp_path_factory.mktemp("faces") / "all"), y


@pytest.mark.parametrize(
    "classifier",
    [
        KNeighborsClassifier(n_neighbors=5),
        RandomForestClassifier(class_weight="balanced", random_state=0, n_estimators=20),
    ],
    ids=lambda c: type(c).__name__,
)
def test_any_scikit_learn_classifier_can_end_the_pipeline(files, classifier):
    paths, y = files
    pipe = Pipeline(
        [
            ("load", ImageLoader(size=12)),
            ("balance", RandomResampler(random_state=0)),
            ("flat", ImageFlattener()),
            ("model", classifier),
        ]
    )
    scores = cross_validate(pipe, paths, y, cv=3, scoring="f1_macro", error_score="raise")
    assert scores["test_score"].mean() > 0.5  # three classes: chance is about a third


@pytest.mark.parametrize("validation_fraction", [None, 0.2])
def test_paths_can_be_searched_over_with_memory(files, tmp_path, validation_fraction):
    paths, y = files
    cnn = CNNClassifier(
        module="small_cnn", max_epochs=1, n_threads=1, random_state=0,
        validation_fraction=validation_fraction,
    )  # fmt: skip
    pipe = Pipeline(
        [
            ("load", ImageLoader(size=12)),
            ("balance", RandomResampler(random_state=0)),
            ("cnn", cnn),
        ],
        memory=str(tmp_path),
    )
    grid = {"balance": ["passthrough", RandomResampler(sampling_strategy=8, random_state=0)]}
    search = GridSearchCV(pipe, grid, cv=2, scoring=make_macro_f1_scorer(y), error_score="raise")
    assert np.isfinite(search.fit(paths, y).cv_results_["mean_test_score"]).all()
    assert search.predict(list(paths[:3])).shape == (3,)


def test_balancing_paths_before_loading_keeps_copies_known(files):
    paths, y = files
    X, _ = RandomResampler(random_state=0).fit_resample(paths, y)
    assert X.shape == (90, 20, 20, 3)  # files are taken in colour, at their own size
    assert len(np.unique(X.parents[:, 0])) == len(paths)


def test_persons_stay_on_one_side():
    names = [f"Person_{n // 3}_{n % 3:04d}.jpg" for n in range(30)]
    groups = groups_from_filenames(names)
    for train, test in StratifiedGroupKFold(3).split(names, np.arange(30) % 2, groups):
        assert not set(groups[train]) & set(groups[test])


SAMPLERS = [
    RandomResampler(random_state=0),
    AugmentationSampler(augmentation=Augmentation(), random_state=0),
    ImageSMOTE(features="6x6", random_state=0),
    ImageADASYN(random_state=0),
    FlattenSampler(SMOTE(k_neighbors=1, random_state=0)),
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: type(sampler).__name__)
@pytest.mark.parametrize("classes", [["happy", "sad", "fear"], [0, 3, 7], [2, 1, 0]], ids=str)
@pytest.mark.filterwarnings("ignore:No image of class")  # drawn faces are far apart
def test_every_sampler_can_be_searched_with_any_labels_and_memory(sampler, classes, tmp_path):
    counts = {"happy": 15, "sad": 9, "fear": 6}
    X, names = make_faces(counts, size=12, random_state=0)
    y = np.array(classes)[np.searchsorted(["fear", "happy", "sad"], names)]
    cnn = CNNClassifier(
        module="small_cnn", max_epochs=1, n_threads=1, random_state=0,
        validation_fraction=None if isinstance(sampler, FlattenSampler) else 0.2,
    )  # fmt: skip
    pipe = Pipeline([("balance", sampler), ("cnn", cnn)], memory=str(tmp_path))
    grid = {"balance": ["passthrough", clone(sampler)], "cnn__loss": ["cross_entropy", "focal"]}
    search = GridSearchCV(pipe, grid, cv=3, scoring=make_macro_f1_scorer(y), error_score="raise")
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert set(search.predict(X)) <= set(y)
    again = clone(pipe).fit(X, y)  # its sampler comes from the cache now
    np.testing.assert_array_equal(again.predict(X), clone(again).fit(X, y).predict(X))


@pytest.mark.parametrize("sampler", SAMPLERS[:-1], ids=lambda sampler: type(sampler).__name__)
@pytest.mark.parametrize("strategy", ["auto", "hybrid", "sqrt", 7, 0.5, at_least(5)], ids=str)
@pytest.mark.filterwarnings("ignore:No image of class")
def test_counts_are_those_of_the_strategy_in_every_fold(sampler, strategy):
    X, y = make_faces({"happy": 15, "sad": 9, "fear": 6}, size=12, random_state=0)
    sampler = clone(sampler).set_params(sampling_strategy=strategy)
    for train, _ in StratifiedKFold(3).split(X, y):
        _, y_res = sampler.fit_resample(X[train], y[train])
        assert Counter(y_res.tolist()) == resolve_targets(strategy, y[train])


KEEPING_PARENTS = [*SAMPLERS[:-1], FlattenSampler(RandomOverSampler(random_state=0))]


@pytest.mark.parametrize("sampler", KEEPING_PARENTS, ids=lambda sampler: type(sampler).__name__)
@pytest.mark.parametrize("kind", ["paths", "ImageArray", "ndarray"])
@pytest.mark.filterwarnings("ignore:No image of class")
def test_validation_shares_no_parent_with_training(files, sampler, kind, tmp_path):
    paths, y = files
    load = ImageLoader(size=12)
    X = {"paths": paths, "ImageArray": load.transform(paths)}.get(kind)
    X = np.asarray(load.transform(paths)) if X is None else X
    cnn = CNNClassifier(
        module="small_cnn", max_epochs=1, n_threads=1, random_state=0, validation_fraction=0.3
    )
    steps = [("balance", clone(sampler)), ("cnn", cnn)]
    steps = [("load", load), *steps] if kind == "paths" else steps
    pipe = Pipeline(steps, memory=str(tmp_path))
    for _ in range(2):  # the second time from the cache
        fitted = clone(pipe).fit(X, y)["cnn"]
        images = load.transform(paths) if kind == "paths" else X
        balanced, _ = clone(sampler).fit_resample(images, y)
        train, _ = fitted.net_.train_split(range(len(balanced)))
        held = balanced[fitted.validation_indices_]
        assert not held.is_synthetic.any()
        assert len(held) == len(np.unique(held.parents[:, 0])) > 0
        assert not np.isin(balanced[train.indices].parents, held.parents[:, 0]).any()
        assert len(train.indices) == fitted.class_counts_.sum()


def test_rows_made_elsewhere_refuse_a_validation_split(files):
    X, y = ImageLoader(size=12).transform(files[0]), files[1]
    cnn = CNNClassifier(module="small_cnn", validation_fraction=0.3)
    with pytest.raises(ValueError, match=r"derive from unknown images.*Use a sampler"):
        Pipeline([("balance", SAMPLERS[-1]), ("cnn", cnn)]).fit(X, y)


def test_progress_of_a_search_reaches_callbacks_of_scikit_learn():
    callback = pytest.importorskip("sklearn.callback")

    class Tasks:
        seen = []

        def setup(self, estimator, context):
            assert isinstance(self, callback.FitCallback)

        def on_fit_task_begin(self, estimator, context):
            self.seen.append((context.task_name, context.max_subtasks))

        def on_fit_task_end(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

    X, y = make_faces({"happy": 6, "sad": 4}, size=8, random_state=0)
    pipe = Pipeline([("balance", RandomResampler()), ("cnn", CNNClassifier(max_steps=1))])
    grid = GridSearchCV(pipe, {"cnn__lr": [1e-3, 1e-2]}, cv=2).set_callbacks(Tasks())
    grid.fit(X, y)
    assert ("search", 4) in Tasks.seen
