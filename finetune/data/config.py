"""Which labelled images."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from finetune.data.sound.sounds import DRAWN, SoundConfig
from finetune.labels import expression_space
from pretrain.data.synthetic import SyntheticConfig

#: The one kind that reads no files.
SYNTHETIC = "synthetic"

#: The one kind whose images are those that a file of anywhere lists.
LIST = "list"


@dataclass(frozen=True, kw_only=True)
class LabelledConfig:
    """Where images with labels come from.

    Attributes:
        kind: synthetic, manifest, aff_wild2_mtl, aff_wild2_video, lsd, affectnet, rafdb, ferplus,
            fer2013, ckplus, disfa, afew_va, raf_au or emotionet; generated (by finetune.generate),
            to train on; without labels, to be predicted: folder (all images below the root) or list
            (those of data.list).
        root: folder of the label files and images; none for synthetic.
        split: train, validation, test or all, as far as the kind has it; null takes validation,
            or else test, or all.
        track: VA, EXPR or AU, for aff_wild2_video alone.
        expressions: space that the labels are taken into as soon as they are read (a name, or
            expressions with commas): what has no counterpart there is not labelled; null: as in the
            files.
        sound: the sounds of videos, for models that listen.
        list: a .txt file with a path a line, or a .csv or .parquet file with a column image and
            perhaps video and frame, for kind list alone; its paths are relative to the root.
        synthetic: the drawn faces of kind synthetic; their split is the one above.
    """

    kind: str = SYNTHETIC
    root: str | None = None
    split: str | None = None
    track: str | None = None
    expressions: str | None = None
    sound: SoundConfig = field(default_factory=SoundConfig)
    list: str | None = None
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)

    @property
    def folder(self) -> Path | None:
        """The root as a path; None where there is none."""
        return None if self.root is None else Path(os.path.expanduser(self.root))

    @property
    def listing(self) -> Path | None:
        """The list as a path; None where there is none."""
        return None if self.list is None else Path(os.path.expanduser(self.list))

    def __post_init__(self) -> None:
        """Refuses a root or a list where none belongs, and none where one does."""
        if (self.kind == SYNTHETIC) != (self.root is None):
            expected = "none" if self.kind == SYNTHETIC else "a folder"
            raise ValueError(f"root {self.root!r} with kind {self.kind!r}, expected {expected}")
        if self.expressions is not None:
            expression_space(self.expressions)
        if self.sound.folder == DRAWN and self.kind != SYNTHETIC:
            raise ValueError(f"sound.folder {DRAWN} with kind {self.kind!r}, expected a folder")
        if (self.kind == LIST) != (self.list is not None):
            expected = "a file" if self.kind == LIST else "none"
            raise ValueError(f"list {self.list!r} with kind {self.kind!r}, expected {expected}")
