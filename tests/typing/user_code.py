"""What users write, checked by mypy in ``tests/test_typing.py`` and never run."""

from pathlib import Path

import numpy as np
from imblearn.pipeline import Pipeline
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

from imbemotion import (
    Augmentation,
    AugmentationSampler,
    ClassDistributionDisplay,
    CNNClassifier,
    DataConfig,
    DecoupledClassifier,
    ImageArray,
    ImageLoader,
    ImageSMOTE,
    RandomResampler,
    TunedOffsetClassifierCV,
    advise,
    analyze_distribution,
    balance_samples,
    compare_strategies,
    duplicate_groups,
    groups_from_filenames,
    leak_report,
    load_image_folder,
    load_split,
    make_faces,
    make_macro_f1_scorer,
    stratified_split,
    write_report,
)

X, y = make_faces({"happy": 40, "sad": 12}, size=24, random_state=0)
persons = groups_from_filenames(["Ann_0001.jpg", "Ann_0002.jpg"])
groups = duplicate_groups(X)

pipeline = Pipeline(
    [
        ("load", ImageLoader(size=48, cache_dir="cache")),
        ("balance", AugmentationSampler(augmentation=Augmentation(rotation=15), random_state=0)),
        ("cnn", CNNClassifier(loss="focal", loss_params={"gamma": 2.0}, random_state=0)),
    ]
)
search = GridSearchCV(
    pipeline,
    {"balance": ["passthrough", ImageSMOTE(random_state=0)], "cnn__loss__gamma": [1.0, 2.0]},
    scoring=make_macro_f1_scorer(["happy", "sad"]),
    cv=StratifiedGroupKFold(5),
).fit(X, y, groups=persons)

X_res, y_res = RandomResampler(sampling_strategy="hybrid", random_state=0).fit_resample(X, y)
images = ImageArray(np.zeros((3, 8, 8), dtype=np.uint8))
parents: np.ndarray = images.parents
pixels: np.ndarray = np.asarray(images[:2])

model = CNNClassifier(max_epochs=2).fit(X_res, y_res)
labels: np.ndarray = model.predict(X)
probabilities: np.ndarray = model.predict_proba(X)
model.save(Path("model.safetensors"))
restored: CNNClassifier = CNNClassifier.load("model.safetensors")
DecoupledClassifier(model, head="crt").fit(X, y)
TunedOffsetClassifierCV(model, cv=3).fit(X, y).predict(X)

for advice in advise(y):
    print(advice)
print(analyze_distribution(y))
ClassDistributionDisplay.from_labels(y)
split = stratified_split(y, groups=groups, random_state=0)
print(leak_report(X[split.train], X[split.test]))
bunch = load_image_folder("faces", load_content=False)
comparison = compare_strategies(pipeline, X, y, ["none", "focal"], groups=groups, cv=3)
print(comparison.summary())
write_report("runs")

samples = balance_samples([{"path": "a.png", "emotion": "joy"}], "oversample", random_state=0)
subset = load_split(DataConfig(dataset_path="faces"), "train")
print(len(subset), subset.y)
