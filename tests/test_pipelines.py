"""Whole pipelines, from files to scores, as people write them."""

import numpy as np
import pytest
from imblearn.pipeline import Pipeline
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier

from imbemotion import (
    CNNClassifier,
    FlattenImages,
    ImageArray,
    ImageLoader,
    RandomSampler,
    macro_f1_scorer,
    make_faces,
    name_groups,
)


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
            ("balance", RandomSampler(random_state=0)),
            ("flat", FlattenImages()),
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
        [("load", ImageLoader(size=12)), ("balance", RandomSampler(random_state=0)), ("cnn", cnn)],
        memory=str(tmp_path),
    )
    grid = {"balance": ["passthrough", RandomSampler(sampling_strategy=8, random_state=0)]}
    search = GridSearchCV(pipe, grid, cv=2, scoring=macro_f1_scorer(y), error_score="raise")
    assert np.isfinite(search.fit(paths, y).cv_results_["mean_test_score"]).all()
    assert search.predict(list(paths[:3])).shape == (3,)


def test_balancing_paths_before_loading_keeps_copies_known(files):
    paths, y = files
    X, _ = RandomSampler(random_state=0).fit_resample(paths, y)
    assert X.shape == (90, 20, 20, 3)  # files are taken in colour, at their own size
    assert len(np.unique(X.parents[:, 0])) == len(paths)


def test_persons_stay_on_one_side():
    names = [f"Person_{n // 3}_{n % 3:04d}.jpg" for n in range(30)]
    groups = name_groups(names)
    for train, test in StratifiedGroupKFold(3).split(names, np.arange(30) % 2, groups):
        assert not set(groups[train]) & set(groups[test])
