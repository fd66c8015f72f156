"""Tuned offsets around classifiers: held-out rows, tiny classes, routing, images."""

import pickle

import numpy as np
import pytest
from imblearn.pipeline import make_pipeline
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import MinMaxScaler

from imbemotion import (
    CNNClassifier,
    DataWarning,
    ImageArray,
    ImageFlattener,
    ImageLoader,
    RandomResampler,
    TunedOffsetClassifierCV,
    groups_from_filenames,
    make_faces,
    make_macro_f1_scorer,
)
from imbemotion.leaks import parent_groups

NAMES = np.array(["neutral", "happy", "fear"])


@pytest.fixture(scope="module")
def skewed():
    X, y = make_classification(
        400, n_classes=3, n_informative=4, weights=[0.8, 0.14], class_sep=0.7, random_state=3
    )
    return X, NAMES[y]


@pytest.fixture(scope="module")
def faces():
    counts = {"happy": 40, "sad": 14, "fear": 8}
    return make_faces(counts, size=12, pose=0, lighting=0, random_state=0)


def macro_f1(y, predicted):
    return f1_score(y, predicted, average="macro")


def test_out_of_fold_probabilities_are_those_of_cross_val_predict(skewed):
    X, y = skewed
    cv = StratifiedKFold(4, shuffle=True, random_state=0)
    model = TunedOffsetClassifierCV(GaussianNB(), cv=cv).fit(X, y)
    P = cross_val_predict(GaussianNB(), X, y, cv=cv, method="predict_proba")
    stages = [
        macro_f1(y, np.unique(y)[(np.log(P) + offsets).argmax(axis=1)])
        for offsets in model.cv_results_["offsets"]
    ]
    np.testing.assert_allclose(model.cv_results_["scores"], stages)
    assert model.best_score_ == model.cv_results_["scores"][-1] > stages[0]


def test_offsets_raise_macro_f1_on_new_data():
    X, y = make_classification(
        3000, n_classes=3, n_informative=4, weights=[0.9, 0.07], random_state=3
    )
    model = TunedOffsetClassifierCV(LogisticRegression(), random_state=0).fit(X[:1000], y[:1000])
    plain = model.estimator_.predict(X[1000:])
    assert macro_f1(y[1000:], model.predict(X[1000:])) > macro_f1(y[1000:], plain) + 0.03


def test_every_row_is_scored_by_a_classifier_fitted_on_others():
    X = np.random.default_rng(0).normal(size=(200, 2))
    y = np.random.default_rng(1).choice(NAMES, 200)
    model = TunedOffsetClassifierCV(KNeighborsClassifier(1), random_state=0).fit(X, y)
    assert macro_f1(y, model.estimator_.predict(X)) == 1  # memorized
    assert model.best_score_ < 0.5


def test_groups_stay_together():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    X, y = rng.normal(size=(40, 2))[groups], rng.choice(NAMES, 40)[groups]
    nearest = KNeighborsClassifier(1)
    assert TunedOffsetClassifierCV(nearest, random_state=0).fit(X, y).best_score_ == 1
    for cv in (3, 0.3, GroupKFold(3)):
        model = TunedOffsetClassifierCV(nearest, cv=cv, random_state=0)
        assert model.fit(X, y, groups=groups).best_score_ < 0.6
        with config_context(enable_metadata_routing=True):
            assert model.fit(X, y, groups=groups).best_score_ < 0.6


@pytest.mark.parametrize("scoring", ["accuracy", "neg_mean_absolute_error"])  # exact, and a grid
def test_sample_weights_reach_the_classifier_and_the_score(skewed, scoring):
    X, names = skewed
    y = np.searchsorted(np.unique(names), names)
    weight = np.random.default_rng(0).uniform(0.1, 3, len(y))
    cv = StratifiedKFold(3)
    P = cross_val_predict(
        GaussianNB(), X, y, cv=cv, method="predict_proba", params={"sample_weight": weight}
    )
    scorer = get_scorer(scoring)
    expected = scorer._sign * scorer._score_func(y, P.argmax(axis=1), sample_weight=weight)
    model = TunedOffsetClassifierCV(GaussianNB(), cv=cv, scoring=scoring, n_bootstraps=2)
    first = model.fit(X, y, sample_weight=weight).cv_results_["scores"][0]
    np.testing.assert_allclose(first, expected)
    with config_context(enable_metadata_routing=True):
        weighted = TunedOffsetClassifierCV(
            GaussianNB().set_fit_request(sample_weight=True), cv=cv, n_bootstraps=2,
            scoring=get_scorer(scoring).set_score_request(sample_weight=True),
        ).fit(X, y, sample_weight=weight)  # fmt: skip
        np.testing.assert_array_equal(weighted.best_offsets_, model.best_offsets_)


def test_weights_go_to_a_step_of_a_pipeline_by_its_name(skewed):
    X, y = skewed
    pipe = make_pipeline(MinMaxScaler(), GaussianNB())
    weight = np.where(y == "neutral", 1, 1000)
    model = TunedOffsetClassifierCV(pipe, cv=3, random_state=0)
    plain = model.fit(X, y).estimator_.predict(X)
    weighted = model.fit(X, y, gaussiannb__sample_weight=weight).estimator_.predict(X)
    assert np.sum(weighted == "neutral") < np.sum(plain == "neutral")


def test_predict_proba_is_renormalized_and_agrees_with_predict(skewed):
    X, y = skewed
    model = TunedOffsetClassifierCV(RandomForestClassifier(10, random_state=0), cv=3).fit(X, y)
    shifted = model.estimator_.predict_proba(X) * np.exp(model.best_offsets_)
    P = model.predict_proba(X)
    np.testing.assert_allclose(P, shifted / shifted.sum(axis=1, keepdims=True))
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(model.predict_log_proba(X), np.log(P))
    chosen = P[np.arange(len(y)), np.searchsorted(model.classes_, model.predict(X))]
    np.testing.assert_array_equal(chosen, P.max(axis=1))


def test_a_prefit_classifier_is_used_as_it_is(skewed):
    X, y = skewed
    classifier = GaussianNB().fit(X[:200], y[:200])
    model = TunedOffsetClassifierCV(classifier, cv="prefit").fit(X[200:], y[200:])
    assert model.estimator_ is classifier
    assert model.best_score_ == macro_f1(y[200:], model.predict(X[200:]))
    with pytest.raises(NotFittedError, match=r'cv="prefit" needs a fitted .*, got GaussianNB'):
        TunedOffsetClassifierCV(GaussianNB(), cv="prefit").fit(X, y)


def test_a_share_can_be_held_out_once_without_a_refit(skewed):
    X, y = skewed
    model = TunedOffsetClassifierCV(GaussianNB(), cv=0.25, refit=False, random_state=0)
    model.fit(X, y)
    assert model.estimator_.class_count_.sum() == 300
    assert model.set_params(refit=True).fit(X, y).estimator_.class_count_.sum() == 400
    once = ShuffleSplit(1, test_size=0.5, random_state=0)
    model.set_params(refit=False, cv=once).fit(X, y)
    assert model.estimator_.class_count_.sum() == 200
    with pytest.raises(ValueError, match=r"refit=False needs .* got 3 splits"):
        model.set_params(cv=3).fit(X, y)


@pytest.mark.parametrize("cv", [[], [(np.arange(400), np.arange(0))]], ids=["no", "empty"])
def test_splits_that_hold_out_nothing_are_refused(skewed, cv):
    X, y = skewed
    for data in (X, ImageArray(X[:, :, None])):
        with pytest.raises(ValueError, match=f"hold out some rows, got {len(cv)} splits, none of"):
            TunedOffsetClassifierCV(GaussianNB(), cv=cv).fit(data, y)


def test_rows_held_out_several_times_count_as_often(skewed):
    X, y = skewed
    cv = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0)
    model = TunedOffsetClassifierCV(GaussianNB(), cv=cv, scoring="accuracy").fit(X, y)
    hits = [
        np.mean(GaussianNB().fit(X[train], y[train]).predict(X[test]) == y[test]) * len(test)
        for train, test in cv.split(X, y)
    ]
    np.testing.assert_allclose(model.cv_results_["scores"][0], sum(hits) / 800)


def test_tiny_classes_warn_and_do_not_crash(skewed):
    X, y = skewed
    y = y.astype(object)
    y[:1], y[1:4] = "contempt", "disgust"
    model = TunedOffsetClassifierCV(GaussianNB(var_smoothing=0.1), random_state=0)
    with (
        pytest.warns(DataWarning, match=r"fewer rows than folds \(5\): disgust \(3\)"),
        pytest.warns(DataWarning, match=r"not fitted on their class: contempt \(1 of 1\)"),
    ):
        model.fit(X, y)
    assert model.classes_.tolist() == ["contempt", "disgust", *sorted(NAMES)]
    assert model.best_offsets_[0] == 0
    assert model.predict_proba(X).shape == (400, 5)
    in_training = model.set_params(cv=0.25, random_state=3).fit(X, y)  # without a warning
    assert in_training.best_offsets_[0] == 0


def test_a_class_of_one_group_is_never_reached(skewed):
    X, y = skewed
    groups = np.where(y == "fear", -1, np.arange(len(y)))
    model = TunedOffsetClassifierCV(GaussianNB(), random_state=0)
    with pytest.warns(DataWarning, match=r"not fitted on their class: fear \((\d+) of \1\)"):
        model.fit(X, y, groups=groups)
    assert model.best_offsets_[0] == 0
    assert model.best_score_ < 2 / 3


def test_labels_that_a_prefit_classifier_does_not_know(skewed):
    X, y = skewed
    classifier = GaussianNB().fit(X[y != "fear"], y[y != "fear"])
    with pytest.warns(DataWarning, match="not fitted on their class: fear"):
        model = TunedOffsetClassifierCV(classifier, cv="prefit").fit(X, y)
    assert model.classes_.tolist() == ["happy", "neutral"]
    assert len(model.best_offsets_) == 2
    assert model.best_score_ == macro_f1(y, model.predict(X))
    with pytest.raises(ValueError, match=r"knows, got only rows of fear \(\d+ of \d+\);"):
        model.fit(X[y == "fear"], y[y == "fear"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scoring": "neg_log_loss"}, "predicted labels, got 'neg_log_loss', .* predict_proba"),
        ({"cv": 399}, r"size of the largest class \(\d+\), got 399"),
    ],
)
def test_impossible_settings_are_refused(skewed, settings, message):
    with pytest.raises(ValueError, match=message):
        TunedOffsetClassifierCV(GaussianNB(), **settings).fit(*skewed)


def test_invalid_data_are_refused(skewed):
    X, y = skewed
    model = TunedOffsetClassifierCV(GaussianNB())
    with pytest.raises(ValueError, match=r"two classes, not one class, got \['a'\]"):
        model.fit(X, ["a"] * 400)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y[:-1])
    with pytest.raises(ValueError, match="5 folds need at least 5 groups, got 2"):
        model.fit(X, y, groups=np.arange(400) % 2)


def test_invalid_probabilities_are_refused(skewed):
    class Broken(DummyClassifier):
        def predict_proba(self, X):
            return super().predict_proba(X) * np.nan

    with pytest.raises(ValueError, match=r"probabilities, got \[nan nan nan\] for row 0"):
        TunedOffsetClassifierCV(Broken()).fit(*skewed)


def test_results_depend_on_the_seed_but_not_on_workers(skewed):
    X, y = skewed
    model = TunedOffsetClassifierCV(GaussianNB(), cv=2, n_bootstraps=4, random_state=0)
    first = model.fit(X, y).best_offsets_
    np.testing.assert_array_equal(clone(model).fit(X, y).best_offsets_, first)
    np.testing.assert_array_equal(clone(model).set_params(n_jobs=2).fit(X, y).best_offsets_, first)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict(X), model.predict(X))
    other = clone(model).set_params(random_state=1).fit(X, y)
    assert not np.array_equal(other.best_offsets_, first)


def test_parameters_can_be_searched(skewed):
    X, y = skewed
    grid = {"l2": [0, 1e3], "estimator__var_smoothing": [1e-9, 0.1]}
    search = GridSearchCV(TunedOffsetClassifierCV(GaussianNB(), cv=3, random_state=0), grid, cv=3)
    assert np.isfinite(search.fit(X, y).cv_results_["mean_test_score"]).all()


def classifier_of_faces():
    return make_pipeline(
        ImageLoader(size=8),
        RandomResampler(random_state=0),
        ImageFlattener(),
        LogisticRegression(),
    )


@pytest.mark.parametrize("kind", ["paths", "ImageArray", "array", "list"])
def test_the_classifier_may_be_a_pipeline_of_images(faces, tmp_path, kind):
    X, y = faces
    images = {
        "paths": lambda: ImageArray(X).save(tmp_path / "faces"),
        "ImageArray": lambda: ImageArray(X),
        "array": lambda: np.asarray(X),
        "list": lambda: list(np.asarray(X)),
    }[kind]()
    model = TunedOffsetClassifierCV(classifier_of_faces(), cv=3, random_state=0).fit(images, y)
    assert model.best_score_ >= model.cv_results_["scores"][0]
    assert set(model.predict(images)) <= set(y)
    assert model.predict_proba(images[:2]).shape == (2, 3)


def test_the_classifier_may_be_a_network(faces):
    X, y = faces
    cnn = CNNClassifier(module="small_cnn", max_epochs=1, n_threads=1, random_state=0)
    model = TunedOffsetClassifierCV(cnn, cv=0.3, refit=False, random_state=0).fit(X, y)
    assert model.predict(X).shape == y.shape


def test_copies_on_both_sides_of_a_fold_warn(faces):
    X, y = RandomResampler(random_state=0).fit_resample(*faces)
    pipe = make_pipeline(ImageFlattener(), GaussianNB())
    model = TunedOffsetClassifierCV(pipe, cv=3, random_state=0)
    with pytest.warns(DataWarning, match=r"images of a test fold are copies .* sampler inside"):
        model.fit(X, y)
    model.fit(X, y, groups=parent_groups(X.parents))  # without a warning


@pytest.mark.slow
def test_offsets_help_on_real_faces_of_new_persons(data_folder):
    data = np.load(data_folder / "facial_expressions_64.npz")
    X = data["images"].reshape(-1, 16, 4, 16, 4).mean(axis=(2, 4)).reshape(-1, 256)
    y, persons = np.char.lower(data["labels"]), groups_from_filenames(data["files"])
    train, test = next(GroupKFold(3).split(X, y, persons))
    pipe = make_pipeline(MinMaxScaler(), LogisticRegression(C=0.1, max_iter=500))
    model = TunedOffsetClassifierCV(pipe, scoring=make_macro_f1_scorer(y), cv=3, random_state=0)
    model.fit(X[train], y[train], groups=persons[train])
    before, after = (macro_f1(y[test], m.predict(X[test])) for m in (model.estimator_, model))
    assert after > before + 0.02


def gain_on_a_long_tail(seed):
    """Return the gain in macro-F1 on new rows of eight Gaussian classes, 100:1."""
    rng = np.random.default_rng(seed)
    shares = 100 ** np.linspace(0, -1, 8)
    sizes = np.rint(5000 * shares / shares.sum()).astype(int)
    centers = 0.6 * rng.normal(size=(8, 10))
    y, y_new = np.repeat(np.arange(8), sizes), np.repeat(np.arange(8), 10 * sizes)
    X, X_new = (centers[labels] + rng.normal(size=(len(labels), 10)) for labels in (y, y_new))
    model = TunedOffsetClassifierCV(LinearDiscriminantAnalysis(), random_state=0).fit(X, y)
    before, after = (macro_f1(y_new, m.predict(X_new)) for m in (model.estimator_, model))
    return after - before


@pytest.mark.slow
def test_offsets_help_on_long_tails_and_seldom_harm():  # more in benchmarks/
    gains = np.array([gain_on_a_long_tail(seed) for seed in range(20)])
    assert np.sum(gains > 0) >= 18
    assert np.sum(gains < -0.01) == 0
