"""The validation split of a fit: whole groups, by rows that entered, and frames of one video."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline, make_pipeline
from imblearn.under_sampling import RandomUnderSampler, TomekLinks
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.preprocessing import FunctionTransformer

from imbemotion import (
    AugmentationSampler,
    CNNClassifier,
    DecoupledClassifier,
    FlattenSampler,
    ImageADASYN,
    ImageArray,
    ImageLoader,
    ImageSMOTE,
    PriorCorrectedClassifier,
    RandomResampler,
    TunedOffsetClassifierCV,
    compare_strategies,
    duplicate_groups,
    make_faces,
)
from imbemotion.leaks import join_groups
from imbemotion.splitting.holdout import check_entered, split_originals

Y = np.repeat(["happy", "sad", "fear"], [30, 18, 12])
GROUPS = np.arange(60) % 11  # of several classes each
SAMPLERS = [
    RandomResampler(random_state=0),
    RandomResampler(sampling_strategy="undersample", random_state=0),
    RandomResampler(sampling_strategy="mean", random_state=0),  # as many rows as before
    AugmentationSampler(random_state=0),
    AugmentationSampler(sampling_strategy="mean", random_state=0),
    ImageSMOTE(random_state=0),
    ImageSMOTE(sampling_strategy="hybrid", random_state=0),
    ImageADASYN(random_state=0),
    FlattenSampler(TomekLinks()),
    FlattenSampler(RandomOverSampler(random_state=0)),
]


class Recorder(CNNClassifier):
    """A classifier that keeps what it was trained on."""

    def fit(self, X, y, sample_weight=None, groups=None):
        super().fit(X, y, sample_weight, groups)
        self.X_, self.groups_ = X, groups
        return self


def quick(**settings):
    model = Recorder(module="small_cnn", max_epochs=1, n_threads=1, random_state=0)
    return model.set_params(**{"validation_fraction": 0.25, **settings})


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)


def sides(X, groups, train, valid):
    """Return the groups of the parents of both sides; parents are rows that entered."""
    parents = X.parents[train]
    return set(groups[parents[parents >= 0]]), set(groups[X.parents[valid, 0]])


def check_sides(X, groups, fraction=0.25, seed=0, y=Y):
    state = np.random.RandomState(seed)
    train, valid = split_originals(X, y, fraction, state, check_entered(groups, X))
    trained, held = sides(X, np.asarray(groups), train, valid)
    assert held
    assert not trained & held
    assert not X.is_synthetic[valid].any()
    return train, valid


@pytest.mark.parametrize("sampler", [None, *SAMPLERS], ids=lambda s: type(s).__name__)
def test_no_group_is_on_both_sides_in_a_pipeline(images, sampler):
    pipe = Pipeline([("balance", sampler or "passthrough"), ("cnn", quick())])
    cnn = pipe.fit(images, Y, cnn__groups=GROUPS)["cnn"]
    X, valid = ImageArray(cnn.X_), cnn.validation_indices_
    held = set(GROUPS[X.parents[valid, 0]])
    n_free = sum(not held & set(GROUPS[row[row >= 0]]) for row in X.parents)
    assert held
    assert cnn.class_counts_.sum() == n_free < len(X) - len(valid) + 1


@pytest.mark.parametrize("sampler", SAMPLERS[1:5], ids=lambda s: type(s).__name__)
def test_routed_groups_split_as_named_ones_do(images, sampler):
    named = make_pipeline(sampler, quick()).fit(images, Y, recorder__groups=GROUPS)
    with config_context(enable_metadata_routing=True):
        routed = make_pipeline(sampler, quick().set_fit_request(groups=True))
        routed.fit(images, Y, groups=GROUPS)
    for pipe in (named, routed):
        np.testing.assert_array_equal(pipe[-1].groups_, GROUPS)
    np.testing.assert_array_equal(named[-1].validation_indices_, routed[-1].validation_indices_)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1000),
    n_groups=st.integers(1, 60),
    fraction=st.floats(0.05, 0.6),
    sampler=st.sampled_from(SAMPLERS),
)
def test_no_group_is_split_whatever_the_groups_and_the_sampler(seed, n_groups, fraction, sampler):
    rng = np.random.default_rng(seed)
    X, groups = rng.integers(0, 256, (60, 6, 6), dtype=np.uint8), rng.integers(0, n_groups, 60)
    X, y = clone(sampler).fit_resample(X, Y)
    taken = ~X.is_synthetic
    groups_of = [set(groups[X.parents[taken & (y == label), 0]]) for label in np.unique(Y)]
    alone = set().union(*(held for held in groups_of if len(held) == 1))
    assume(set().union(*groups_of) - alone)  # others hold all images of a class
    train, valid = split_originals(
        X, y, fraction, np.random.RandomState(seed), check_entered(groups, X)
    )
    trained, held = sides(X, groups, train, valid)
    assert not trained & held
    assert not X.is_synthetic[valid].any()
    assert set(y[train]) == set(Y)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.4])
def test_classes_give_about_their_share(fraction):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [600, 300, 100])
    X = ImageArray(rng.integers(0, 256, (1000, 4, 4), dtype=np.uint8))
    for groups in (rng.integers(0, 100, 1000), rng.permutation(1000) // 7, np.arange(1000)):
        _, valid = check_sides(X, groups, fraction, y=y)
        shares = np.bincount(y[valid]) / np.bincount(y)
        np.testing.assert_allclose(shares, fraction, atol=0.05)


def test_a_class_of_one_group_stays_in_training(images):
    groups = np.where(Y == "fear", 100, GROUPS)
    train, valid = check_sides(ImageArray(images), groups)
    assert set(Y[valid]) == {"happy", "sad"}
    assert (Y[train] == "fear").sum() == 12
    with pytest.raises(ValueError, match=r"not of one group .* got none among 3 classes"):
        check_sides(ImageArray(images), Y)


def test_two_large_groups_and_single_images_give_no_large_validation(images):
    groups = np.where(np.arange(60) % 4, np.arange(60) % 2, np.arange(60))
    _, valid = check_sides(ImageArray(images), groups, 0.1)
    assert np.unique(Y[valid], return_counts=True)[1].tolist() == [1, 3, 2]
    _, valid = check_sides(ImageArray(images), np.arange(60) % 2, 0.1)
    assert len(valid) == 30  # there is no smaller one


def test_duplicate_paths_keep_the_groups_of_their_rows(images, tmp_path):
    paths = ImageArray(images).save(tmp_path / "all")
    rows = np.concatenate([np.arange(59, -1, -1), [3, 3, 40]])
    groups = np.array([f"video {n}" for n in GROUPS])
    for sampler in SAMPLERS:
        pipe = make_pipeline(ImageLoader(), sampler, quick())
        cnn = pipe.fit(paths[rows].tolist(), Y[rows], recorder__groups=groups[rows].tolist())[-1]
        number_of = {images[row].tobytes(): GROUPS[row] for row in range(60)}
        held = {
            number_of[image.tobytes()] for image in np.asarray(cnn.X_[cnn.validation_indices_])
        }
        originals = np.asarray(cnn.X_[~cnn.X_.is_synthetic])
        n_free = sum(number_of[image.tobytes()] not in held for image in originals)
        assert cnn.class_counts_.sum() >= n_free  # with synthetic images
        assert n_free < len(originals)


@pytest.mark.parametrize("kind", [np.asarray, ImageArray])
def test_folds_of_a_search_split_their_own_groups(images, kind):
    for n_rows in (60, 45):
        X, y, groups = kind(images)[-n_rows:], Y[-n_rows:], GROUPS[-n_rows:]
        pipe = Pipeline([("balance", SAMPLERS[0]), ("cnn", quick())])
        grid = {"balance": [SAMPLERS[2], SAMPLERS[5]], "cnn__lr": [0.01]}
        search = GridSearchCV(pipe, grid, cv=GroupKFold(2), error_score="raise")
        search.fit(X, y, groups=groups, cnn__groups=groups)
        with config_context(enable_metadata_routing=True):
            pipe["cnn"].set_fit_request(groups=True)
            search.fit(X, y, groups=groups)
        cnn = search.best_estimator_["cnn"]
        rows = {image.tobytes(): group for image, group in zip(np.asarray(X), groups, strict=True)}
        held = {rows[image.tobytes()] for image in np.asarray(cnn.X_[cnn.validation_indices_])}
        assert 0 < len(held) < 11


def test_a_fold_of_resampled_images_takes_one_group_per_row(images):
    X, y = SAMPLERS[1].fit_resample(images, Y)
    groups = GROUPS[SAMPLERS[1].sample_indices_]
    rows = np.arange(len(X))[::2]
    assert X.sampled_from is not None
    assert X[rows].sampled_from is None
    quick().fit(X[rows], y[rows], groups=groups[rows])
    with pytest.raises(ValueError, match=r"that the first sampler received \(60\), got 36"):
        quick().fit(X, y, groups=groups)
    with pytest.raises(ValueError, match=r"each of the rows of X \(18\), got 36"):
        quick().fit(X[rows], y[rows], groups=groups)


def test_the_record_of_rows_survives_steps_and_pickles(images, tmp_path):
    again = RandomResampler(sampling_strategy=25, random_state=1)
    steps = [SAMPLERS[4], again, ImageLoader(size=10), SAMPLERS[2]]
    pipe = make_pipeline(*steps, quick(), memory=str(tmp_path))
    results = [
        clone(pipe).fit(images, Y, recorder__groups=GROUPS)[-1].validation_indices_
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*results)
    X, y = again.fit_resample(images, Y)
    X, y = SAMPLERS[5].fit_resample(X, y)
    assert ImageArray(X).sampled_from.shape == (60, 1)
    assert X.to_memmap(tmp_path / "X.npy").sampled_from is X.sampled_from
    assert np.concatenate([X, X]).sampled_from is None
    check_sides(X, GROUPS, y=y)


FLAT = FunctionTransformer(lambda X: X.reshape(len(X), -1).astype(np.float32))
UNDER = RandomUnderSampler(sampling_strategy={"happy": 20, "sad": 18, "fear": 12}, random_state=0)
OVER = RandomOverSampler(sampling_strategy={"fear": 22}, random_state=0)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([FLAT, RandomOverSampler()], r"each of the rows of X \(60\), got 90|\(90\), got 60"),
        ([FLAT, RandomResampler()], r"each of the rows of X \(90\), got 60"),
        ([FLAT, UNDER], r"each of the rows of X \(50\), got 60"),
        ([FLAT, UNDER, OVER], "same for identical images.*in rows"),  # 60 rows again
        ([AugmentationSampler(output="array")], r"\(90\), got 60.*output='array'"),
        ([RandomResampler(sampling_strategy="mean", output="array")], "same for identical images"),
        ([FlattenSampler(SMOTE(random_state=0))], "30 of 90 rows derive from unknown images"),
    ],
)
def test_rows_of_unknown_origin_are_refused(images, steps, message):
    pipe = Pipeline([*((f"step{n}", step) for n, step in enumerate(steps)), ("cnn", quick())])
    with pytest.raises(ValueError, match=message):
        pipe.fit(images, Y, cnn__groups=GROUPS)


def test_plain_rows_have_groups_one_by_one(images):
    for X in (images, list(images), images.reshape(60, -1).astype(float)):
        model = quick().fit(X, Y, groups=list(GROUPS))
        valid = model.validation_indices_
        assert not set(GROUPS[valid]) & set(np.delete(GROUPS, valid))
        assert model.class_counts_.sum() == 60 - len(valid)


def test_identical_images_of_two_groups_need_joined_groups(images):
    X = images.copy()
    X[7], y = X[0], Y
    with pytest.raises(ValueError, match=r"got 0, 7 in rows 0, 7\. .*join_groups"):
        quick().fit(X, y, groups=GROUPS)
    groups = join_groups(GROUPS, duplicate_groups(X, near=False))
    valid = quick().fit(X, y, groups=groups).validation_indices_
    assert not set(groups[valid]) & set(np.delete(groups, [*valid, 0, 7]))


def test_synthetic_images_must_come_from_a_sampler_of_the_pipeline(images):
    X = np.concatenate([ImageArray(images), ImageArray(images).augment([0], lambda i: i, [0])])
    with pytest.raises(ValueError, match="belong to originals, got 1 synthetic images among 61"):
        quick().fit(X, [*Y, "happy"], groups=[*GROUPS, 0])
    with pytest.raises(ValueError, match="got none for 1 of 60"):
        check_sides(ImageArray(images).as_sample_of(ImageArray(images)[1:]), GROUPS[1:])


def test_groups_without_validation_have_no_effect_but_their_length(images):
    plain = quick(validation_fraction=None).fit(images, Y)
    grouped = quick(validation_fraction=None).fit(images, Y, groups=GROUPS)
    np.testing.assert_array_equal(plain.predict_proba(images), grouped.predict_proba(images))
    with pytest.raises(ValueError, match=r"each of the rows of X \(60\), got 59"):
        quick(validation_fraction=None).fit(images, Y, groups=GROUPS[1:])
    with pytest.raises(ValueError, match=r"groups must hold one group .* got shape \(60, 1\)"):
        quick().fit(images, Y, groups=GROUPS[:, None])
    with pytest.raises(ValueError, match="no gaps"):
        quick().fit(images, Y, groups=[*GROUPS[1:], None])


def frames(n_frames, random_state):
    """Sequences: each face, shifted by a pixel and with new noise in every frame."""
    X, y = make_faces({"happy": 20, "sad": 12, "fear": 6}, size=32, random_state=1)
    rows = np.repeat(np.arange(len(X)), n_frames)
    moved = [np.roll(X[row], random_state.integers(0, 2, 2), axis=(0, 1)) for row in rows]
    noisy = np.array(moved) + random_state.normal(0, 2, (len(rows), 32, 32))
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8), y[rows], rows


@pytest.mark.parametrize("sampler", [None, *SAMPLERS[:6]], ids=lambda s: type(s).__name__)
def test_frames_of_one_video_do_not_validate_each_other(sampler):
    X, y, videos = frames(4, np.random.default_rng(0))
    order = np.random.default_rng(1).permutation(len(X))
    X, y, videos = X[order], y[order], videos[order]
    X, y = (ImageArray(X), y) if sampler is None else sampler.fit_resample(X, y)
    for seed in range(4):
        train, valid = split_originals(X, y, 0.25, np.random.RandomState(seed))
        trained, held = sides(X, videos, train, valid)
        assert len(held) > 2
        assert not trained & held
        assert set(y[valid]) == {"happy", "sad", "fear"}


def test_one_video_per_class_cannot_validate():
    X, y, videos = frames(5, np.random.default_rng(0))
    rows = np.isin(videos, videos[np.unique(y, return_index=True)[1]])
    with pytest.raises(ValueError, match="do not look nearly the same, got none among 3 classes"):
        quick().fit(X[rows], y[rows])
    quick().fit(X[rows], y[rows], groups=np.arange(15))  # whoever knows better


SEEN = []


class Witness(Recorder):
    """A classifier that tells which groups trained and validated."""

    def fit(self, X, y, sample_weight=None, groups=None):
        super().fit(X, y, sample_weight, groups)
        valid = self.validation_indices_
        if groups is None:
            SEEN.append(None)
        else:
            SEEN.append((set(groups[valid]), set(np.delete(groups, valid)), set(groups)))
        return self


def compared(images, strategies, network=None, groups=GROUPS, **settings):
    """Return what a comparison let its classifiers see, apart from what they scored."""
    SEEN.clear()
    pipe = Pipeline([("cnn", network or Witness(**quick().get_params(deep=False)))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch teaches nothing
        comparison = compare_strategies(
            pipe, images, Y, strategies, groups=groups, cv=2, random_state=0, **settings
        )
    assert not comparison.errors()
    return SEEN


@pytest.mark.parametrize(
    ("wrap", "n_fits"),
    [
        (PriorCorrectedClassifier, 0),  # which share the training of the first
        (lambda model: TunedOffsetClassifierCV(model, cv=2), 2),
        (DecoupledClassifier, 0),
        (lambda model: Pipeline([("inner", PriorCorrectedClassifier(model["cnn"]))]), 1),
        (lambda model: GridSearchCV(model, {"cnn__loss": ["focal"]}, cv=2), 3),
    ],
    ids=["prior", "offsets", "head", "pipeline", "search"],
)
def test_comparisons_split_groups_inside_other_estimators(images, wrap, n_fits):
    found = compared(images, {"none": {}, "wrapped": wrap})
    assert len(found) == 2 * (1 + n_fits)
    for held, trained, _ in found:
        assert held
        assert not held & trained


def test_offsets_of_a_comparison_are_tuned_on_other_groups(images):
    tuned = {"tuned": lambda model: TunedOffsetClassifierCV(model, cv=2)}
    *inner, (_, _, last) = compared(images, tuned)[:3]
    assert inner[0][2] | inner[1][2] == last
    assert not inner[0][2] & inner[1][2]


def test_comparisons_pass_groups_only_where_something_is_held_out(images):
    network = Witness(**quick(validation_fraction=None).get_params(deep=False))
    assert compared(images, {"none": {}}, network) == [None, None]
    assert None not in compared(images, {"none": {}}, network, budget="converged")


def test_comparisons_join_groups_that_share_an_image(images):
    X = images.copy()
    X[7] = X[0]
    found = compared(X, {"none": {}})
    assert all(not held & trained for held, trained, _ in found)


def test_comparisons_route_groups_where_they_are_requested(images):
    network = Witness(**quick().get_params(deep=False))
    with config_context(enable_metadata_routing=True):
        assert compared(images, {"none": {}}, network) == [None, None]
        assert None not in compared(images, {"none": {}}, network.set_fit_request(groups=True))
