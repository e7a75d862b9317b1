"""What a model has seen of the images that it is tested on."""

from __future__ import annotations

from pathlib import Path

from finetune.data.config import SYNTHETIC
from finetune.data.images import LabelledImages
from finetune.data.look_alikes import Looks, likenesses, look_at
from finetune.data.opening import Collection, read_collection
from finetune.table import About
from finetune.train import FinetuneConfig
from pretrain.engine.config import parse_config
from pretrain.errors import UserError

#: Images of a database that are compared, evenly spaced; of training images ten times as many.
_MOST = 2000


def looks_of_training(run: Path) -> tuple[Looks | None, str]:
    """What the images look like that a run was trained on with labels.

    Args:
        run: a folder of stage two, with its config, or its ``model/``.

    Returns:
        Their looks, and why there are none ("" where there are).
    """
    file = next(
        (folder / "config.yaml" for folder in (run, run.parent) if (folder / "run.json").is_file()),
        None,
    )
    if file is None:
        return None, "its training images are not known"
    try:
        config = parse_config(FinetuneConfig, ["--config", str(file)], "")
        if config.data.kind == SYNTHETIC:
            return None, "it was trained on drawn faces"
        collection = read_collection(config.data)
        images = collection.open_images()
    except UserError as error:
        return None, f"its training images are not there ({error})"
    return look_at(images, 10 * _MOST), ""


def looks_of(collection: Collection, images: LabelledImages) -> Looks | None:
    """What the images of a database look like; drawn ones are not compared."""
    return None if collection.drawn else look_at(images, _MOST)


def seen_images(training: Looks | None, why: str, database: Looks | None) -> tuple[str, ...]:
    """Lines on images of a database that a model was trained on, under whatever name."""
    if database is None:
        return ()
    if training is None:
        return (f"equal images were not looked for: {why}",)
    (found,) = likenesses({"the training images": training, "the database": database})
    lines = (found.line(same_file=same_file) for same_file in (True, False))
    return tuple(line for line in lines if line)


def known_groups(about: About, kind: str) -> tuple[str, ...] | None:
    """The groups of a database that a model may have been trained on; None: unknown.

    Equal names in two collections mean different people.
    """
    if about.trained_on is not None and kind not in about.trained_on:
        return ()
    return about.training_groups
