"""Prior correction: Bayes' rule for known posteriors, and no effect for equal priors."""

import pickle
from inspect import signature

import numpy as np
import pytest
from hypothesis import given, strategies as st
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler
from scipy.special import softmax
from scipy.stats import norm
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils import all_estimators
from sklearn.utils.estimator_checks import (
    check_sample_weight_equivalence_on_dense_data as check_weights,
)

from imbemotion import DataWarning, PriorCorrectedClassifier, make_macro_f1_scorer

CLASSES = np.array(["anger", "fear", "joy", "sadness"])
MEANS, DEVIATIONS = np.array([-2.0, 0.0, 0.5, 3.0]), np.array([1.0, 0.5, 2.0, 1.0])


class TruePosterior(ClassifierMixin, BaseEstimator):
    """Returns the true posterior of Gaussian classes under a prior."""

    def __init__(self, prior, labels=CLASSES):
        self.prior = prior
        self.labels = labels

    def fit(self, X, y=None):
        self.classes_ = np.asarray(self.labels)
        return self

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X):
        codes = np.searchsorted(CLASSES, self.classes_)
        density = norm.logpdf(X, MEANS[codes], DEVIATIONS[codes])
        return softmax(density + np.log(self.prior), axis=1)


shares = st.lists(st.floats(1e-4, 1), min_size=4, max_size=4).map(lambda p: np.array(p) / sum(p))
samples = st.lists(st.floats(-6, 6), min_size=1, max_size=9).map(lambda x: np.array(x)[:, None])


def corrected(classifier, X, **settings):
    """Correct a classifier that needs no data."""
    fitted = classifier.fit(X, np.resize(CLASSES, len(X)))
    return PriorCorrectedClassifier(FrozenEstimator(fitted), **settings).fit(X, fitted.predict(X))


@given(samples, shares, shares)
def test_a_true_posterior_becomes_that_of_the_other_prior(X, before, after):
    model = corrected(TruePosterior(before), X, trained_prior=before, target=after)
    expected = TruePosterior(after).fit(X).predict_proba(X)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(model.offsets_, np.log(after / before), atol=1e-12)


@given(samples, shares, shares, st.floats(0, 3))
def test_equal_priors_and_tau_0_change_nothing(X, before, after, tau):
    plain = TruePosterior(before).fit(X)
    expected, labels = plain.predict_proba(X), plain.predict(X)
    for settings in (
        {"trained_prior": after, "target": after, "tau": tau},
        {"trained_prior": np.ones(4), "target": "uniform", "tau": tau},
        {"trained_prior": before, "target": after, "tau": 0.0},
    ):
        model = corrected(plain, X, **settings)
        assert not model.offsets_.any()
        np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-14)
        np.testing.assert_array_equal(model.predict(X), labels)


def test_only_the_classifier_is_positional():
    first, *others = signature(PriorCorrectedClassifier).parameters.values()
    assert first.name == "estimator"
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in others)
    expected = {"trained_prior": "auto", "target": "uniform", "tau": 1.0}
    assert {parameter.name: parameter.default for parameter in others} == expected


NEED_MORE = {"NuSVC", "SGDClassifier", "SVC"}  # have probabilities by a setting alone
SIMPLE = [
    kind()
    for name, kind in all_estimators("classifier")
    if hasattr(kind, "predict_proba") and name not in NEED_MORE
    and not {"estimator", "estimators"} & set(signature(kind).parameters)
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:The .* value:FutureWarning")
@pytest.mark.parametrize("classifier", SIMPLE, ids=lambda c: type(c).__name__)
def test_it_works_around_any_classifier_with_probabilities(classifier):
    rng = np.random.default_rng(0)
    y = np.repeat(CLASSES[:3], [30, 15, 8])
    X = np.abs(rng.normal(size=(53, 3))) + (y[:, None] == CLASSES[:3])
    model = PriorCorrectedClassifier(classifier, trained_prior=[3, 2, 1], tau=0.0).fit(X, y)
    plain = model.estimator_.predict_proba(X)
    np.testing.assert_allclose(model.predict_proba(X), plain, rtol=0, atol=1e-12)
    shifted = plain / [3, 2, 1]
    model.set_params(tau=1.0).fit(X, y)
    expected = shifted / shifted.sum(axis=1, keepdims=True)
    if "random_state" not in signature(type(classifier)).parameters:
        np.testing.assert_allclose(model.predict_proba(X), expected, rtol=0, atol=1e-9)
    winners = model.classes_[model.predict_proba(X).argmax(axis=1)]
    np.testing.assert_array_equal(model.predict(X), winners)


@given(samples, shares, shares, st.floats(0, 3))
def test_correcting_back_restores_the_probabilities(X, before, after, tau):
    there = corrected(TruePosterior(before), X, trained_prior=before, target=after, tau=tau)
    back = corrected(there, X, trained_prior=after, target=before, tau=tau)
    expected = TruePosterior(before).fit(X).predict_proba(X)
    np.testing.assert_allclose(back.predict_proba(X), expected, rtol=0, atol=1e-9)


@given(samples, shares, shares, st.permutations(range(4)))
def test_the_order_of_classes_does_not_matter(X, before, after, order):
    target = dict(zip(CLASSES, after, strict=True))
    model = corrected(TruePosterior(before), X, trained_prior=before, target=target)
    shuffled = TruePosterior(before[order], CLASSES[order])
    other = corrected(shuffled, X, trained_prior=before[order], target=target)
    np.testing.assert_allclose(other.offsets_, model.offsets_[order], atol=1e-12)
    np.testing.assert_allclose(
        other.predict_proba(X), model.predict_proba(X)[:, order], rtol=0, atol=1e-9
    )


def test_ties_go_to_the_first_class_as_in_argmax():
    class Undecided(TruePosterior):
        def predict_proba(self, X):
            return np.full((len(X), 4), 0.25)

    model = corrected(Undecided(None), np.zeros((3, 1)), trained_prior=np.ones(4))
    assert model.predict(np.zeros((3, 1))).tolist() == ["anger"] * 3


def test_tiny_shares_and_probabilities_stay_finite_in_the_logarithm():
    X = np.array([[-60.0], [60.0]])
    prior = [1e-200, 1, 1, 1e-200]
    model = corrected(TruePosterior(np.full(4, 0.25)), X, trained_prior=prior)
    assert np.isfinite(model.predict_log_proba(X)).any(axis=1).all()
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    assert not np.isnan(model.predict_log_proba(X)).any()


@pytest.fixture(scope="module")
def skewed():
    """Many rows of three overlapping classes."""
    rng = np.random.default_rng(0)
    y = np.repeat(CLASSES[:3], [12_000, 2_400, 600])
    centers = np.repeat([[0, 0], [1, 1], [-1, 1]], [12_000, 2_400, 600], axis=0)
    return rng.normal(size=(len(y), 2)) + centers, y


TRUE_SHARES = np.array([0.8, 0.16, 0.04])
BALANCED = {
    "class weights": LogisticRegression(class_weight="balanced"),
    "a dict of weights": LogisticRegression(class_weight={"fear": 5, "joy": 20}),
    "under-sampling": make_pipeline(RandomUnderSampler(random_state=0), LogisticRegression()),
    "a forest": RandomForestClassifier(
        50, min_samples_leaf=50, class_weight="balanced_subsample", random_state=0
    ),
}


@pytest.mark.parametrize("classifier", BALANCED.values(), ids=BALANCED.keys())
def test_correction_undoes_balancing(skewed, classifier):
    X, y = skewed
    model = PriorCorrectedClassifier(classifier, target="observed").fit(X, y)
    np.testing.assert_allclose(model.trained_prior_, 1 / 3)
    np.testing.assert_allclose(model.target_prior_, TRUE_SHARES)
    assert abs(model.estimator_.predict_proba(X).mean(axis=0) - TRUE_SHARES).max() > 0.2
    np.testing.assert_allclose(model.predict_proba(X).mean(axis=0), TRUE_SHARES, atol=0.02)
    plain = LogisticRegression().fit(X, y)
    assert np.mean(model.predict(X) == plain.predict(X)) > 0.97


def test_equal_shares_find_rare_classes_as_balanced_weights_do(skewed):
    X, y = skewed
    model = PriorCorrectedClassifier(LogisticRegression()).fit(X, y)
    balanced = LogisticRegression(class_weight="balanced").fit(X, y)
    assert np.mean(model.predict(X) == balanced.predict(X)) > 0.97
    half = clone(model).set_params(tau=0.5).fit(X, y)
    np.testing.assert_allclose(half.offsets_, model.offsets_ / 2)


def test_shares_may_have_any_scale_and_be_given_by_label(skewed):
    X, y = skewed
    given = {"anger": 4, "fear": 3, "joy": 1, "contempt": 9}  # the last in other folds only
    model = PriorCorrectedClassifier(GaussianNB(), trained_prior=[8, 1, 1], target=given)
    model.fit(X, y)
    np.testing.assert_allclose(model.trained_prior_, [0.8, 0.1, 0.1])
    np.testing.assert_allclose(model.target_prior_, [0.5, 0.375, 0.125])


@pytest.mark.parametrize("name", ["trained_prior", "target"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0.5, 0.5], r"one positive number per class \(anger, fear, joy\), got \[0.5, 0.5\]"),
        ([1, 1, 0], r"one positive number per .*, got \[1, 1, 0\]"),
        ([1, 1, np.nan], r"one positive number per .*, got \[1, 1, nan\]"),
        (["a", "b", "c"], r"one positive number per .*, got \['a', 'b', 'c'\]"),
        ({"anger": 1, "joi": 1, "fear": 1}, r"one positive number per .*, joy\), got .*'joi'"),
    ],
)
def test_invalid_shares_are_refused(skewed, name, given, message):
    with pytest.raises(ValueError, match=f"{name} must .*{message}"):
        PriorCorrectedClassifier(GaussianNB(), **{name: given}).fit(*skewed)


def test_tau_must_be_a_number_from_0(skewed):
    for tau in (-0.1, np.inf, "much"):
        with pytest.raises(ValueError, match=r"'tau' parameter .* must be a float in the range"):
            PriorCorrectedClassifier(GaussianNB(), tau=tau).fit(*skewed)


def test_a_series_is_read_by_label(skewed):
    pandas = pytest.importorskip("pandas")
    X, y = skewed
    given = pandas.Series(y[::-1]).value_counts(ascending=True)  # joy comes first
    model = PriorCorrectedClassifier(GaussianNB(), trained_prior=given, target=given).fit(X, y)
    np.testing.assert_allclose(model.trained_prior_, TRUE_SHARES)
    np.testing.assert_allclose(model.target_prior_, TRUE_SHARES)


@pytest.mark.parametrize("weight", [0.0, np.nan, -1.0, np.inf])
def test_weights_without_shares_are_refused(skewed, weight):
    X, y = skewed
    frozen = FrozenEstimator(GaussianNB().fit(X, y))
    model = PriorCorrectedClassifier(frozen, trained_prior=TRUE_SHARES, target="observed")
    with pytest.raises(ValueError, match=r"sample_weight must be finite and at least 0, .* got"):
        model.fit(X, y, sample_weight=np.full(len(y), weight))


def test_one_weight_for_all_rows_changes_nothing(skewed):
    model = PriorCorrectedClassifier(LogisticRegression()).fit(*skewed, sample_weight=2.0)
    np.testing.assert_allclose(model.trained_prior_, TRUE_SHARES)


def test_weights_named_for_a_step_count_in_the_observed_target(skewed):
    X, y = skewed
    weight = np.where(y == "joy", 10.0, 1.0)
    pipe = make_pipeline(MinMaxScaler(), GaussianNB())
    model = PriorCorrectedClassifier(pipe, target="observed")
    model.fit(X, y, gaussiannb__sample_weight=weight)
    np.testing.assert_allclose(model.target_prior_, np.array([12, 2.4, 6]) / 20.4)
    np.testing.assert_allclose(model.offsets_, 0, atol=1e-12)


def test_weights_of_resampled_rows_do_not_count_in_the_observed_target(skewed):
    X, y = skewed
    sampler = RandomUnderSampler(random_state=0)
    model = PriorCorrectedClassifier(make_pipeline(sampler, GaussianNB()), target="observed")
    model.fit(X, y, gaussiannb__sample_weight=np.linspace(1, 2, 3 * 600))
    np.testing.assert_allclose(model.target_prior_, TRUE_SHARES)
    np.testing.assert_allclose(model.trained_prior_, model.estimator_[-1].class_prior_)


def test_labels_of_other_length_are_refused_where_nothing_is_fitted(skewed):
    X, y = skewed
    frozen = FrozenEstimator(GaussianNB().fit(X, y))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        PriorCorrectedClassifier(frozen, trained_prior=TRUE_SHARES).fit(X, y[1:])


@pytest.mark.parametrize("routing", [False, True])
def test_groups_reach_the_folds_of_a_search_inside(skewed, routing):
    X, y = skewed[0][::50], skewed[1][::50]
    groups = np.arange(len(y)) % 3

    class Recording(GroupKFold):
        def split(self, X, y=None, groups=None):
            got.append(groups)
            return super().split(X, y, groups)

    got, search = [], GridSearchCV(GaussianNB(), {"priors": [None]}, cv=Recording(2))
    with config_context(enable_metadata_routing=routing):
        PriorCorrectedClassifier(search).fit(X, y, groups=groups)
        if routing:
            scores = cross_val_score(
                PriorCorrectedClassifier(search), X, y, params={"groups": groups},
                cv=GroupKFold(3), error_score="raise",
            )  # fmt: skip
            assert len(scores) == 3
    assert len(got) == (4 if routing else 1)
    np.testing.assert_array_equal(got[0], groups)


def test_integer_weights_count_as_repeated_rows():
    for settings in ({}, {"target": "observed"}, {"tau": 0.5}):
        check_weights("corrected", PriorCorrectedClassifier(LogisticRegression(), **settings))


def test_weights_reach_the_classifier_and_the_prior(skewed):
    X, y = skewed
    weight = np.where(y == "joy", 10.0, 1.0)
    expected = np.array([12, 2.4, 6]) / 20.4
    model = PriorCorrectedClassifier(GaussianNB()).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.trained_prior_, expected)
    np.testing.assert_allclose(model.estimator_.class_prior_, expected)
    pipe = make_pipeline(MinMaxScaler(), GaussianNB())
    model = PriorCorrectedClassifier(pipe).fit(X, y, gaussiannb__sample_weight=weight)
    np.testing.assert_allclose(model.trained_prior_, expected)
    with config_context(enable_metadata_routing=True):
        pipe = make_pipeline(MinMaxScaler(), GaussianNB().set_fit_request(sample_weight=True))
        model = PriorCorrectedClassifier(pipe).fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(model.trained_prior_, expected)
        ignored = make_pipeline(MinMaxScaler(), GaussianNB().set_fit_request(sample_weight=False))
        with pytest.raises(TypeError, match="unexpected argument"):
            PriorCorrectedClassifier(ignored).fit(X, y, sample_weight=weight)


def test_a_class_without_weight_is_left_alone_with_a_warning(skewed):
    X, y = skewed
    model = PriorCorrectedClassifier(LogisticRegression())
    with pytest.warns(DataWarning, match="no weight to joy, so the probabilities"):
        model.fit(X, y, sample_weight=(y != "joy").astype(float))
    np.testing.assert_allclose(model.offsets_, [*np.log([0.4, 2]), 0], atol=1e-12)
    assert np.isfinite(model.predict_proba(X)).all()


def test_the_observed_target_needs_rows_of_every_class(skewed):
    X, y = skewed
    frozen = FrozenEstimator(GaussianNB().fit(X, y))
    model = PriorCorrectedClassifier(frozen, trained_prior=TRUE_SHARES, target="observed")
    new = y != "joy"
    with pytest.raises(ValueError, match=r"\(anger, fear, joy\) and .* got .*anger, fear"):
        model.fit(X[new], y[new])
    model.fit(X[::2], y[::2])  # other rows
    np.testing.assert_allclose(model.target_prior_, TRUE_SHARES)


def test_it_can_be_searched_copied_and_pickled(skewed):
    X, y = skewed
    model = PriorCorrectedClassifier(make_pipeline(MinMaxScaler(), GaussianNB()))
    grid = {"tau": [0, 0.5, 1], "estimator__gaussiannb__var_smoothing": [1e-9, 0.1]}
    search = GridSearchCV(model, grid, cv=3, scoring=make_macro_f1_scorer(y)).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_["tau"] > 0
    best = search.best_estimator_
    copied = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(copied.predict_proba(X), best.predict_proba(X))
    assert "fit" not in vars(best.estimator_[-1])  # the recording is over


def test_column_names_are_copied_and_the_classifier_is_cloned(skewed):
    pandas = pytest.importorskip("pandas")
    X, y = skewed
    inner = GaussianNB()
    frame = pandas.DataFrame(X, columns=["a", "b"])
    model = PriorCorrectedClassifier(inner).fit(frame, pandas.Series(y))
    assert model.feature_names_in_.tolist() == ["a", "b"]
    assert model.n_features_in_ == 2
    assert not hasattr(inner, "classes_")
