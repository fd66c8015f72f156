"""Offsets of given probabilities: exact along a class, never a loss, independent of names."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import fbeta_score, get_scorer, make_scorer, matthews_corrcoef

from imbemotion import TunedOffsetClassifierCV, make_macro_f1_scorer
from imbemotion.postprocessing._offset_search import AnyScore, RatioScore, find_offsets, make_score

CLASSES = np.array(["anger", "fear", "joy", "sadness"])
EXACT = {
    **{
        name: get_scorer(name)
        for name in (
            "accuracy", "balanced_accuracy", "f1_macro", "f1_micro", "f1_weighted",
            "jaccard_macro", "precision_macro", "precision_weighted", "recall_macro",
        )
    },
    "make_macro_f1_scorer": make_macro_f1_scorer([*CLASSES, "contempt"]),  # one is absent
    "two of the classes": make_macro_f1_scorer(["fear", "joy"]),
    "F2": make_scorer(fbeta_score, pos_label=None, beta=2, average="macro"),
    "F1 of fear": make_scorer(
        fbeta_score, pos_label=None, beta=1, average="micro", labels=["fear"]
    ),
}  # fmt: skip
exact_scorers = pytest.mark.parametrize("scorer", EXACT.values(), ids=EXACT.keys())


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose X are its probabilities."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return X


def make_rows(seed, n=60, classes=CLASSES):
    """Draw labels of skewed classes, and probabilities that are informative about them."""
    rng = np.random.default_rng(seed)
    share = 0.5 ** np.arange(len(classes))
    codes = rng.choice(len(classes), n, p=share / share.sum())
    codes[: len(classes)] = np.arange(len(classes))
    weight = rng.gamma(0.5, size=(n, len(classes))) * share
    weight[np.arange(n), codes] += 0.3 * rng.random(n)
    return weight / weight.sum(axis=1, keepdims=True), classes[codes]


def tuned(P, y, classes=None, scoring="f1_macro", **settings):
    """Tune offsets of given probabilities, whose columns are the sorted classes."""
    model = Given().fit(None, y if classes is None else classes)
    return TunedOffsetClassifierCV(model, scoring=scoring, cv="prefit", **settings).fit(P, y)


def tuned_once(P, y, classes=None, scoring="f1_macro", **settings):
    """Tune offsets by a single search on all rows."""
    return tuned(P, y, classes, scoring, n_bootstraps=0, **settings)


def score_of(scorer, y, predicted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are never predicted
        return scorer._sign * scorer._score_func(y, predicted, **scorer._kwargs)


def search_score(scorer, P, y):
    codes = np.searchsorted(CLASSES, y)
    return make_score(scorer, P, y, codes, CLASSES, {}, P.argmax(axis=1))


@exact_scorers
@pytest.mark.parametrize("seed", range(4))
def test_the_score_of_every_offset_equals_that_of_scikit_learn(scorer, seed):
    P, y = make_rows(seed)
    score = search_score(scorer, P, y)
    assert isinstance(score, RatioScore)
    others = np.delete(P, 1, axis=1)
    rivals = np.array([0, 2, 3], dtype=np.uint16)[others.argmax(axis=1)]
    thresholds = np.log(others.max(axis=1)) - np.log(P[:, 1])
    offsets, scores = score.along(thresholds, rivals, 1)
    assert len(offsets) == len(y) + 1  # before, between and after all thresholds
    edges = np.concatenate([[-np.inf], np.sort(thresholds), [np.inf]])
    assert ((edges[:-1] < offsets) & (offsets < edges[1:])).all()
    for offset, value in zip(offsets, scores, strict=True):
        shifted = np.log(P)
        shifted[:, 1] += offset
        expected = score_of(scorer, y, CLASSES[shifted.argmax(axis=1)])
        np.testing.assert_allclose(value, expected, atol=1e-12)


@exact_scorers
def test_no_offset_of_a_single_class_is_better_than_those_found(scorer):
    P, y = make_rows(seed=5, n=40)
    model = tuned_once(P, y, scoring=scorer)
    shifted = np.log(P) + model.best_offsets_
    for label in range(len(CLASSES)):
        thresholds = np.sort(np.delete(shifted, label, axis=1).max(axis=1) - shifted[:, label])
        between = (thresholds[1:] + thresholds[:-1]) / 2
        for step in [thresholds[0] - 1, *between, thresholds[-1] + 1]:
            trial = shifted.copy()
            trial[:, label] += step
            other = score_of(scorer, y, CLASSES[trial.argmax(axis=1)])
            assert other <= model.best_score_ + 1e-9


@given(st.integers(0, 10**6), st.integers(5, 50), st.sampled_from(list(EXACT)), st.booleans())
def test_offsets_never_lower_the_score(seed, n, name, once):
    P, y = make_rows(seed, n)
    scorer = EXACT[name]
    model = tuned(P, y, scoring=scorer, n_bootstraps=0 if once else 4)
    plain = score_of(scorer, y, CLASSES[P.argmax(axis=1)])
    scores = model.cv_results_["scores"]
    np.testing.assert_allclose(scores[0], plain)
    assert (np.diff(scores) > 0).all() if once else len(scores) == 6
    np.testing.assert_allclose(model.best_score_, score_of(scorer, y, model.predict(P)))
    assert model.best_score_ >= scores[0]


@given(
    arrays(np.int8, (12, 3), elements=st.integers(0, 3)),
    arrays(np.int8, 12, elements=st.integers(0, 2)),
)
def test_zeros_and_ties_do_no_harm(counts, y):
    assume(counts.any(axis=1).all())
    assume(len(set(y)) > 1)
    P = counts / counts.sum(axis=1, keepdims=True)
    model = tuned(P, y, classes=[0, 1, 2], n_bootstraps=4)
    assert np.isfinite(model.best_offsets_).all()
    assert (P[np.arange(12), model.predict(P)] > 0).all()  # probability 0 is never predicted
    np.testing.assert_allclose(
        model.best_score_, score_of(get_scorer("f1_macro"), y, model.predict(P))
    )
    assert model.best_score_ >= model.cv_results_["scores"][0]


@given(
    st.integers(0, 10**6),
    st.permutations(range(60)),
    st.permutations(range(4)),
    st.sampled_from([0, 3]),
)
def test_the_order_of_rows_and_classes_does_not_matter(seed, rows, names, n_bootstraps):
    P, y = make_rows(seed)
    expected = tuned(P, y, n_bootstraps=n_bootstraps)
    names = np.array(names)  # class k is called CLASSES[names[k]]
    renamed = CLASSES[names[np.searchsorted(CLASSES, y)]]
    shuffled = P[:, np.argsort(names)]
    model = tuned(shuffled[rows], renamed[rows], n_bootstraps=n_bootstraps)
    np.testing.assert_array_equal(model.best_offsets_[names], expected.best_offsets_)
    back = CLASSES[np.argsort(names)[np.searchsorted(CLASSES, model.predict(shuffled))]]
    np.testing.assert_array_equal(back, expected.predict(P))


def test_ties_go_to_the_rarer_class():
    P = np.full((3, 2), 0.5)
    for y in (["a", "a", "b"], ["a", "b", "b"]):
        model = tuned(P, y, l2=10)  # so that there are no offsets
        assert model.predict(P).tolist() == [min(y, key=y.count)] * 3


def test_offsets_stay_0_if_nothing_is_gained():
    y = make_rows(seed=0)[1]
    right = np.where(y[:, None] == CLASSES, 0.7, 0.1)
    for model in (tuned(right, y), tuned_once(right, y)):
        assert model.best_offsets_.tolist() == [0.0] * 4
    assert model.cv_results_["offsets"].shape == (1, 4)


def test_the_nearest_to_0_of_equally_good_offsets_is_chosen_but_not_at_its_edge():
    log_odds = np.array([-3.0, -1.0, 2.0])  # of b; right are all offsets from 1 to 3
    P = 1 / (1 + np.exp(np.column_stack([log_odds, -log_odds])))
    model = tuned_once(P, ["a", "b", "b"])
    a, b = model.best_offsets_
    np.testing.assert_allclose(b - a, 2)
    log_odds[0] = -30  # a plateau of 1 to 30: no further than a factor of e into it
    P = 1 / (1 + np.exp(np.column_stack([log_odds, -log_odds])))
    a, b = tuned_once(P, ["a", "b", "b"]).best_offsets_
    np.testing.assert_allclose(b - a, 2)


@given(st.integers(0, 10**6), st.floats(0.01, 10))
def test_every_step_gains_more_than_its_penalty(seed, l2):
    P, y = make_rows(seed)
    model = tuned_once(P, y, l2=l2)
    counts = np.unique(y, return_counts=True)[1]
    penalties = l2 * (model.cv_results_["offsets"] ** 2 / counts).sum(axis=1)
    assert (np.diff(model.cv_results_["scores"] - penalties) > 0).all()
    assert penalties[-1] < 1  # no score gains as much


def test_integer_weights_count_as_repeated_rows():
    P, y = make_rows(seed=1)
    weight = np.random.default_rng(0).integers(1, 4, len(y))
    model = Given().fit(None, y)
    weighted = TunedOffsetClassifierCV(model, cv="prefit", n_bootstraps=0).fit(
        P, y, sample_weight=weight
    )
    repeated = tuned_once(np.repeat(P, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.best_score_, repeated.best_score_)
    np.testing.assert_array_equal(weighted.predict(P), repeated.predict(P))


def test_other_scores_are_searched_on_a_grid():
    P, y = make_rows(seed=2)
    scorer = make_scorer(matthews_corrcoef)
    assert isinstance(search_score(scorer, P, y), AnyScore)
    model = tuned_once(P, y, scoring=scorer)
    plain = matthews_corrcoef(y, CLASSES[P.argmax(axis=1)])
    np.testing.assert_allclose(model.cv_results_["scores"][0], plain)
    np.testing.assert_allclose(model.best_score_, matthews_corrcoef(y, model.predict(P)))
    assert model.best_score_ > plain
    steps = model.best_offsets_ / 0.1
    np.testing.assert_allclose(steps, steps.round(), atol=1e-9)


def test_any_callable_can_be_the_score_and_receives_the_images():
    P, y = make_rows(seed=2)

    def first_half(estimator, X, y):
        assert X is P
        return np.mean(estimator.predict(X)[:30] == y[:30])

    model = tuned_once(P, y, scoring=first_half)
    assert model.best_score_ == np.mean(model.predict(P)[:30] == y[:30])
    assert model.best_score_ > np.mean(CLASSES[P.argmax(axis=1)][:30] == y[:30])


def test_the_grid_is_nearly_as_good_as_the_exact_search():
    P, y = make_rows(seed=7, n=80)
    codes = np.searchsorted(CLASSES, y)
    scorer, counts = get_scorer("f1_macro"), np.bincount(codes)
    exact = search_score(scorer, P, y)
    grid = AnyScore(scorer, P, y, CLASSES, {})
    best = [find_offsets(np.log(P), score, counts, 0.0).scores[-1] for score in (exact, grid)]
    assert best[0] >= best[1] > best[0] - 0.02
