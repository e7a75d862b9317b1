"""What a model has seen of the images that it is tested on.

A run's config names its labelled images, and the models that it started from; of those the same is
asked. What no config tells, a released file, an encoder's unlabelled images, is said to be unknown.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from finetune.data.config import SYNTHETIC
from finetune.data.groups import share_names
from finetune.data.images import LabelledImages
from finetune.data.look_alikes import Looks, likenesses, look_at
from finetune.data.opening import Collection
from finetune.table import About
from finetune.train import FinetuneConfig
from finetune.training.rows import trained_images
from pretrain.engine.config import parse_config
from pretrain.errors import UserError

#: Images of a database that are compared, evenly spaced; of training images ten times as many.
_MOST = 2000

#: Fields of methods that name a trained model to start from.
_BEGINNINGS = ("init_from", "cnn")


@dataclass(frozen=True)
class Seen:
    """What is known of a model's training.

    Attributes:
        looks: of the labelled images that it, or a model that it started from, was trained on, by
            what they are called.
        unknown: lines on what cannot be compared.
        roots: folders of the collections, by kind.
    """

    looks: tuple[tuple[str, Looks], ...] = ()
    unknown: tuple[str, ...] = ()
    roots: tuple[tuple[str, str], ...] = ()


def seen_in_training(model: str, looking: bool) -> Seen:
    """What a model was trained on.

    Args:
        model: as it is loaded.
        looking: whether images are looked at, which takes a while.
    """
    looks, unknown = list[tuple[str, Looks]](), list[str]()
    roots = list[tuple[str, str]]()
    for run, config in _runs(Path(os.path.expanduser(model)), unknown, set()):
        if config.data.kind == SYNTHETIC:
            continue
        roots.append((config.data.kind, os.path.realpath(str(config.data.folder))))
        if not looking:
            continue
        try:
            parts = trained_images(
                config.data,
                config.validation,
                config.selection,
                seed=config.seed,
                refit=config.refit,
            )
        except UserError as error:
            unknown.append(f"the training images of {run.name} are not there ({error})")
            continue
        looks += [(f"the training images of {run.name}", look_at(p, 10 * _MOST)) for p in parts]
    return Seen(tuple(looks), tuple(dict.fromkeys(unknown)), tuple(roots))


def _runs(
    place: Path, unknown: list[str], known: set[Path]
) -> Iterator[tuple[Path, FinetuneConfig]]:
    """The run that a model is of, and those that it started from."""
    run = _run_of(place)
    if run is None:
        unknown.append(f"what {place.name} was trained on is not known")
        return
    if run in known:
        return
    known.add(run)
    try:
        config = parse_config(FinetuneConfig, ["--config", str(run / "config.yaml")], "")
    except UserError as error:
        unknown.append(f"the config of {run.name} cannot be read ({error})")
        return
    yield run, config
    for name in _BEGINNINGS:
        if (path := getattr(config.method, name, None)) is not None:
            yield from _runs(Path(os.path.expanduser(path)), unknown, known)


def _run_of(place: Path) -> Path | None:
    """The run's folder of a run, its ``model/`` or the weights in it; a file beside is no run's."""
    candidates = [place]
    if place.name == "model":
        candidates.append(place.parent)
    if place.parts[-2:] == ("model", "model.safetensors"):
        candidates.append(place.parent.parent)
    for folder in candidates:
        if (folder / "run.json").is_file() and (folder / "config.yaml").is_file():
            return folder.resolve()
    return None


def looks_of(collection: Collection, images: LabelledImages) -> Looks | None:
    """What the images of a database look like; drawn ones are not compared."""
    return None if collection.drawn else look_at(images, _MOST)


def seen_images(seen: Seen, database: Looks | None) -> tuple[str, ...]:
    """Lines on images of a database that a model was trained on, under whatever name."""
    if database is None:
        return ()
    lines = [f"equal images were not looked for among all: {line}" for line in seen.unknown]
    for name, looks in seen.looks:
        (found,) = likenesses({name: looks, "the database": database})
        pairs = [found.line(same_file=same_file) for same_file in (True, False)]
        none = f"no image of the database is, or looks like, one of {name}{found.counted}"
        lines += [line for line in pairs if line] or [none]
    return tuple(lines)


def known_groups(
    about: About, collection: Collection, root: str | None, seen: Seen
) -> tuple[str, ...] | None:
    """The groups of a database that a model may have been trained on; None: unknown.

    Equal names in two collections mean different people.

    Args:
        about: of a table of the model.
        collection: the database.
        root: its folder.
        seen: in the model's training.
    """
    kinds = about.trained_on
    if kinds is None:
        return about.training_groups
    if not any(share_names(kind, collection.kind) for kind in kinds):
        return ()
    others = {place for kind, place in seen.roots if kind == collection.kind}
    alone = collection.kind == "manifest" and not seen.unknown and root is not None
    if alone and os.path.realpath(os.path.expanduser(str(root))) not in others:
        return ()  # a manifest is of anything: another folder holds other people
    return about.training_groups
