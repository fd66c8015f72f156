"""Augmentation beside torchvision v2 (looped), albumentations and kornia.

Run: pip install "imbemotion[bench]", then python benchmarks/bench_augmentation.py

All contestants do the same operations at the same strengths (flip, rotation, translation,
scale, shear, perspective, brightness, contrast, erasing) on the same images, in turn in one
process (A B C A B C ...); the medians of the ratios of each round are given. Every turn begins
with a run that is not timed, so that what is timed has the memory that it needs, as within an
epoch: memory that another contestant gave back comes slowly. Contestants whose package is not
installed are left out, and said to be. It ends with status 1 where one is less than PROMISED
times slower.
"""

import argparse
import importlib.util
from time import perf_counter

import numpy as np
import torch
from torchvision.transforms import v2

from imbemotion import Augmentation

SHAPES = {"48x48 grey": (48, 48), "64x64 RGB": (64, 64, 3), "224x224 RGB": (224, 224, 3)}
BATCH = 256
BILINEAR = v2.InterpolationMode.BILINEAR
PROMISED = {  # times slower than imbemotion
    "48x48 grey": {"torchvision": 45, "albumentations": 11, "kornia": 4.5},
    "64x64 RGB": {"torchvision": 30, "albumentations": 8, "kornia": 8},
    "224x224 RGB": {"torchvision": 12, "albumentations": 2, "kornia": 20},
}
OURS = Augmentation(
    flip=0.5, rotation=15, translation=0.1, scale=0.1, shear=10, perspective=0.2,
    brightness=0.2, contrast=0.2, erasing=0.3, border="constant",
)  # fmt: skip


def imbemotion(images):
    """Augment in batches."""
    seeds = np.arange(len(images))
    for start in range(0, len(images), BATCH):
        OURS(images[start : start + BATCH], seeds[start : start + BATCH])


def torchvision(images):
    """Augment image by image, as a Dataset does."""
    transform = v2.Compose(
        [
            v2.RandomHorizontalFlip(0.5),
            v2.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), (-10, 10, -10, 10), BILINEAR),
            v2.RandomPerspective(0.2, p=1.0),
            v2.ColorJitter(brightness=0.2, contrast=0.2),
            v2.RandomErasing(0.3),
        ]
    )
    for image in images:
        stacked = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
        transform(torch.from_numpy(np.ascontiguousarray(stacked)))


def albumentations(images):
    """Augment image by image."""
    import albumentations as A  # noqa: N812

    transform = A.Compose(
        [
            A.HorizontalFlip(p=0.5),
            A.Affine(
                scale=(0.9, 1.1), translate_percent=(-0.1, 0.1), rotate=(-15, 15),
                shear={"x": (-10, 10), "y": (-10, 10)}, p=1.0,
            ),
            A.Perspective(scale=(0.0, 0.1), p=1.0),
            A.RandomBrightnessContrast(0.2, 0.2, p=1.0),
            A.Erasing(p=0.3),
        ]
    )  # fmt: skip
    for image in images:
        transform(image=image if image.ndim == 3 else image[..., None])


def kornia(images):
    """Augment in batches, as float tensors."""
    import kornia.augmentation as K  # noqa: N812

    transform = K.AugmentationSequential(
        K.RandomHorizontalFlip(p=0.5),
        K.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), (-10.0, 10.0, -10.0, 10.0), p=1.0),
        K.RandomPerspective(0.2, p=1.0),
        K.RandomBrightness((0.8, 1.2), p=1.0),
        K.RandomContrast((0.8, 1.2), p=1.0),
        K.RandomErasing(p=0.3),
        data_keys=["input"],
    )
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        batch = batch[:, None] if batch.ndim == 3 else batch.transpose(0, 3, 1, 2)
        transform(torch.from_numpy(np.ascontiguousarray(batch)).float() / 255)


def seconds_of(contestant, images):
    """Time one run, after another one that warms up."""
    contestant(images)
    start = perf_counter()
    contestant(images)
    return perf_counter() - start


def main():
    """Print images per second and ratios for every shape."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=4096)
    args = parser.parse_args()
    contestants = [imbemotion, torchvision]
    for other in (albumentations, kornia):
        if importlib.util.find_spec(other.__name__):
            contestants.append(other)
        else:
            print(f"{other.__name__} is not installed")
    missed = []
    for name, shape in SHAPES.items():
        n_images = args.images if shape[0] < 100 else args.images // 8
        images = np.random.default_rng(0).integers(0, 256, (n_images, *shape), dtype=np.uint8)
        times = [[seconds_of(c, images) for c in contestants] for _ in range(args.rounds + 1)]
        times = np.array(times[1:])  # the first round warms up
        ratios = np.median(times / times[:, [0]], axis=0)
        print(name)
        for number, contestant in enumerate(contestants):
            speed = n_images / np.median(times[:, number])
            print(
                f"  {contestant.__name__:15}{speed:10,.0f} images/s {ratios[number]:8.1f}x slower"
            )
            if ratios[number] < PROMISED[name].get(contestant.__name__, 0):
                missed.append(f"{contestant.__name__} at {name}")
    raise SystemExit(f"less than promised: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
