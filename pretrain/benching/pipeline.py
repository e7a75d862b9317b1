"""The input pipeline stage by stage, on one core, beside the usual one on the same images."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision import transforms

from pretrain.benching.timing import Work
from pretrain.data.config import SourceConfig
from pretrain.data.images import decode
from pretrain.data.loader import MaskedImages
from pretrain.data.opening import open_source
from pretrain.data.packing.format import PackSettings
from pretrain.data.packing.pack import pack
from pretrain.data.sources import Source
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.data.transforms import CROP_DRAWS, AugmentationConfig, apply_crop, random_crop
from pretrain.models.mae import MAEConfig

#: Pixels a side and quality of the JPEGs, as collections of cropped faces are often kept.
_SIDE, _QUALITY = 256, 90

#: Images a call of a work, so that the clock is read seldom.
BATCH = 64

#: The row that the others are compared with.
USUAL = "usual: PIL decode, random crop, flip, float"


def write_forms(folder: Path, count: int, image_size: int) -> dict[str, Path]:
    """Drawn faces as JPEGs in a folder, and packed in both formats.

    Args:
        folder: for all of them.
        count: of the images.
        image_size: that raw shards hold, as a run of this size would pack them.

    Returns:
        Where each form lies.
    """
    jpegs = folder / "files"
    jpegs.mkdir(parents=True)
    faces = SyntheticFaces(SyntheticConfig(count=count, size=_SIDE, subjects=min(count, 400)))
    for index in range(count):
        with Image.fromarray(faces.image(index)) as image:
            image.save(jpegs / f"{index:06}.jpg", "JPEG", quality=_QUALITY)
    places = {"JPEG folder": jpegs}
    kept = PackSettings(format="jpeg", size=_SIDE, duplicates="keep")
    raw = replace(kept, format="raw", fit="squash", size=image_size)
    for form, settings in (("JPEG shards", kept), ("raw shards", raw)):
        places[form] = folder / settings.format
        options = {"origin": "drawn faces", "workers": 1, "progress": lambda done: None}
        pack(_open(jpegs), places[form], settings, **options)  # type: ignore[arg-type]
    return places


def stages(places: Mapping[str, Path], model: MAEConfig, seed: int) -> dict[str, Work]:
    """What a core does to :data:`BATCH` images, by name; :data:`USUAL` is what others do.

    Args:
        places: of :func:`write_forms`.
        model: its image size and its patches.
        seed: of the crops.
    """
    size = model.image_size
    files = sorted(places["JPEG folder"].iterdir())
    count, contents = len(files), [file.read_bytes() for file in files]
    pixels = [decode(data, "x") for data in contents]
    draws = np.random.default_rng(seed).random((count, CROP_DRAWS))
    crops = [random_crop(numbers, 1.0, AugmentationConfig()) for numbers in draws]
    raw = _open(places["raw shards"])
    into = np.empty((BATCH, size, size, 3), np.uint8)
    usual = transforms.Compose(
        [
            transforms.RandomResizedCrop(
                size, (0.2, 1.0), interpolation=transforms.InterpolationMode.BICUBIC
            ),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(model.mean, model.std),
        ]
    )

    def by_pillow(data: bytes) -> Image.Image:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")

    def copy(slot: int, index: int) -> None:
        into[slot] = raw.image(index)

    found = {
        USUAL: _each(count, lambda _, at: usual(by_pillow(files[at].read_bytes()))),
        "decode, PIL": _each(count, lambda _, at: by_pillow(contents[at]).load()),
        "decode, ours": _each(count, lambda _, at: decode(contents[at], "x")),
        "crop and resize, ours": _each(
            count, lambda _, at: apply_crop(pixels[at], crops[at], size)
        ),
        "raw shards into a batch, no crop, ours": _each(count, copy),
    }
    for form, place in places.items():
        found[f"ours from {form}"] = _batches(_open(place), model, seed)
    return found


def _open(place: Path) -> Source:
    return open_source(SourceConfig(source=str(place)))


def _each(count: int, work: Callable[[int, int], object]) -> Work:
    """A batch of calls, each with its place in the batch and that of an image."""
    places = cycle(range(count))

    def batch() -> None:
        for slot in range(BATCH):
            work(slot, next(places))

    return batch


def _batches(source: Source, model: MAEConfig, seed: int) -> Work:
    """Whole micro-batches, as a loader process makes them."""
    dataset = MaskedImages(
        source,
        seed=seed,
        image_size=model.image_size,
        num_patches=model.encoder_shape.num_patches,
        augmentation=AugmentationConfig(),
    )

    def requests() -> Iterator[tuple[int, np.ndarray]]:
        epoch = 0
        while True:
            for first in range(0, len(dataset), BATCH):
                yield epoch, np.arange(first, first + BATCH) % len(dataset)
            epoch += 1

    wanted = requests()
    return lambda: dataset[next(wanted)]
