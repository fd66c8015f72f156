"""The same images are the same, whatever holds them: lists, columns, arrays or tables."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from imbemotion import AugmentationSampler, ImageArray, ImageFlattener
from imbemotion.loading import as_images

Y = ["a"] * 8 + ["b"] * 4


def column(items):
    return pd.Series(list(items), dtype=object, index=range(7, 7 + len(items)))


CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "series": column,
    "objects": lambda items: column(items).to_numpy(),
    "frame": lambda items: column(items).to_frame("image"),
    "table": lambda items: column(items).to_numpy()[:, None],
}
in_any_container = pytest.mark.parametrize("hold", CONTAINERS.values(), ids=CONTAINERS)


@pytest.fixture
def paths(pictures, tmp_path):
    return ImageArray(pictures).save(tmp_path / "faces").tolist()


@in_any_container
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_a_container_of_arrays_is_the_batch_of_them(pictures, hold, dtype):
    batch = pictures.astype(dtype)
    images = as_images(hold(batch))
    assert images.dtype == ImageArray(batch).dtype
    np.testing.assert_array_equal(images, batch)


@in_any_container
def test_paths_and_pil_images_are_read_in_colour_from_any_container(pictures, paths, hold):
    for items in (paths, [Image.fromarray(picture) for picture in pictures]):
        images = as_images(hold(items))
        np.testing.assert_array_equal(images, np.stack([pictures] * 3, axis=-1))


@pytest.mark.parametrize("hold", [list, column], ids=["list", "series"])
def test_flattening_gives_as_many_features_from_any_container(pictures, hold):
    flat = ImageFlattener().fit_transform(hold(pictures))
    np.testing.assert_array_equal(flat, ImageFlattener().fit_transform(pictures))


@in_any_container
@pytest.mark.parametrize("output", ["images", "array"])
def test_paths_are_augmented_from_any_container(paths, hold, output):
    sampler = AugmentationSampler(output=output, random_state=0)
    X_res, y_res = sampler.fit_resample(hold(paths), Y)
    expected, _ = sampler.fit_resample(paths, Y)
    assert type(X_res) is type(expected)
    np.testing.assert_array_equal(X_res, expected)
    assert len(y_res) == 16
    np.testing.assert_array_equal(sampler.preview(hold(paths), Y)[0], sampler.preview(paths, Y)[0])


def test_what_holds_no_images_is_refused_with_what_came():
    frame = pd.DataFrame({"file": ["a.png"], "label": ["joy"]})
    for X, error in [
        (frame, r"got shape \(1, 2\)"),
        (frame[["file"]], r"a\.png does not exist"),
        (column([None, "a.png"]), "neither a path, a PIL image nor an array"),
        ([None, "a.png"], "neither a path, a PIL image nor an array"),
        ([], "at least one image"),
        (np.zeros((3, 1)), r"got shape \(3, 1\)"),
    ]:
        with pytest.raises(ValueError, match=error):
            as_images(X)
