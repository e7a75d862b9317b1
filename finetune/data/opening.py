"""From what a config says to annotations and images: the one place that tells kinds apart."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType

from finetune.data import (
    afew_va,
    aff_wild2_mtl,
    aff_wild2_video,
    affectnet,
    ckplus,
    disfa,
    emotionet,
    fer2013,
    ferplus,
    folder,
    generated,
    lsd,
    manifest,
    raf_au,
    rafdb,
    synthetic,
)
from finetune.data import list as listed
from finetune.data.annotations import AnnotationError, Annotations
from finetune.data.columns import WHOLE
from finetune.data.config import SYNTHETIC, LabelledConfig
from finetune.data.images import FoundImages, LabelledImages, find_images
from finetune.data.sound.sounds import DRAWN, DrawnVoices, FileSounds, Sounds
from finetune.labels import expression_space
from pretrain.errors import UserError

#: Which split is meant where none is named.
_USUAL = ("validation", "test", WHOLE)

_MODULES: Sequence[ModuleType] = (
    *(
        synthetic,
        manifest,
        generated,
        aff_wild2_mtl,
        aff_wild2_video,
        lsd,
        affectnet,
        rafdb,
        ferplus,
    ),
    *(fer2013, ckplus, disfa, afew_va, raf_au, emotionet, folder, listed),
)

#: Readers by the name that ``data.kind`` has for them.
KINDS: Mapping[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module for module in _MODULES
}


class KindError(UserError):
    """A kind or track that is none."""


@dataclass(frozen=True)
class Collection:
    """One split of a collection.

    Attributes:
        kind: as ``data.kind`` calls it.
        split: the one that was read.
        annotations: its images and labels.
        open_images: looks for the images; seconds for a large collection.
        open_sounds: looks for the sounds of its videos; None: the config names none.
        origin: what drew its images; None: nothing that learned from others.
    """

    kind: str
    split: str
    annotations: Annotations
    open_images: Callable[[], LabelledImages]
    open_sounds: Callable[[], Sounds] | None = None
    origin: generated.Origin | None = None

    @property
    def drawn(self) -> bool:
        """Whether the faces are drawn: every score of them has to say so."""
        return self.kind == SYNTHETIC

    def check_scored(self, where: str) -> None:
        """Refuses to score what a generator drew.

        Args:
            where: the option that names the kind.

        Raises:
            KindError: a generator drew it.
        """
        if self.origin is not None:
            raise KindError(
                f"{where} {self.kind}: a score of faces that a generator drew would be one of the"
                " generator, expected real ones"
            )


def splits_of(config: LabelledConfig) -> tuple[str, ...]:
    """The splits that a kind has.

    Raises:
        KindError: no such kind.
    """
    if config.kind not in KINDS:
        raise KindError(f"kind {config.kind!r}, expected one of {', '.join(KINDS)}")
    splits: tuple[str, ...] = KINDS[config.kind].SPLITS
    return splits


def read_collection(config: LabelledConfig) -> Collection:
    """Reads the labels that a config names; looks at no image.

    Raises:
        KindError: no such kind, or a track that does not belong to it.
        AnnotationError: a file that is missing or is not as its format says.
        SourceError: a folder without images, of kind folder.
    """
    splits = splits_of(config)
    split = config.split or next((name for name in _USUAL if name in splits), None)
    if split is None:
        raise KindError(
            f"split null with kind {config.kind!r}, expected one of {', '.join(splits)}"
        )
    if (config.kind == "aff_wild2_video") != (config.track is not None):
        tracks = ", ".join(aff_wild2_video.TRACKS)
        expected = f"one of {tracks}" if config.track is None else f"none with kind {config.kind}"
        raise KindError(f"track {config.track!r}, expected {expected}")
    if config.kind == SYNTHETIC:
        if split not in splits:
            raise KindError(f"split {split!r}, expected one of {', '.join(splits)}")
        source = synthetic.faces(config.synthetic, split)
        known = _in_space(synthetic.annotate(source), config.expressions)
        voices = None
        if config.sound.folder is not None:
            _refuse_stills(known)
            if config.sound.folder != DRAWN:
                raise KindError(
                    f"sound.folder {config.sound.folder!r} with drawn faces, expected {DRAWN}"
                )
            voices = partial(DrawnVoices, source, config.sound)
        return Collection(config.kind, split, known, lambda: LabelledImages(source, known), voices)
    reader, root = KINDS[config.kind], config.folder
    assert root is not None
    if not root.is_dir():
        got = "a file" if root.exists() else "no such folder"
        raise AnnotationError(root, None, got, f"the folder of a collection of kind {config.kind}")
    more = [each for each in (config.track, config.listing) if each is not None]
    found: Annotations = _in_space(reader.read(root, split, *more), config.expressions)

    def open_images() -> LabelledImages:
        paths, absent = find_images(root, reader.IMAGE_ROOTS, found.images)
        return LabelledImages(FoundImages(found.images, paths), found, absent)

    sounds = None
    if config.sound.folder is not None:
        folder = Path(os.path.expanduser(config.sound.folder))
        sounds = partial(FileSounds, folder, _refuse_stills(found), config.sound)
    origin = generated.origin(root) if reader is generated else None
    return Collection(config.kind, split, found, open_images, sounds, origin)


def _in_space(known: Annotations, expressions: str | None) -> Annotations:
    """The labels in another space of expressions."""
    if expressions is None:
        return known
    targets = known.targets.to(expression_space(expressions), known.targets.action_unit_space)
    return replace(known, targets=targets)


def _refuse_stills(known: Annotations) -> Sequence[str]:
    """The videos of a list.

    Raises:
        KindError: it is one of stills.
    """
    if known.videos is None or known.frames is None:
        raise KindError("sound.folder with a list of stills, expected one of videos")
    return known.videos
