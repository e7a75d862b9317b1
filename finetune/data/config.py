"""Which labelled images."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pretrain.data.synthetic import SyntheticConfig

#: The one kind that reads no files.
SYNTHETIC = "synthetic"


@dataclass(frozen=True, kw_only=True)
class LabelledConfig:
    """Where images with labels come from.

    Attributes:
        kind: synthetic, manifest, aff_wild2_mtl, aff_wild2_video, lsd, affectnet, rafdb, ferplus,
            fer2013, ckplus, disfa, afew_va, raf_au or emotionet.
        root: folder of the label files and images; none for synthetic.
        split: train, validation, test or all, as far as the kind has it; null takes validation,
            or else test, or all.
        track: VA, EXPR or AU, for aff_wild2_video alone.
        synthetic: the drawn faces of kind synthetic; their split is the one above.
    """

    kind: str = SYNTHETIC
    root: str | None = None
    split: str | None = None
    track: str | None = None
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)

    @property
    def folder(self) -> Path | None:
        """The root as a path; None where there is none."""
        return None if self.root is None else Path(os.path.expanduser(self.root))

    def __post_init__(self) -> None:
        """Refuses a root or a track where none belongs, and none where one does."""
        if (self.kind == SYNTHETIC) != (self.root is None):
            expected = "none" if self.kind == SYNTHETIC else "a folder"
            raise ValueError(f"root {self.root!r} with kind {self.kind!r}, expected {expected}")
