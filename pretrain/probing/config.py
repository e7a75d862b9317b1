"""What is probed, and how often."""

from __future__ import annotations

from dataclasses import dataclass, field

from pretrain.data.synthetic import SyntheticConfig


def _development_faces() -> SyntheticConfig:
    return SyntheticConfig(split="development", count=1500)


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """Which labelled images are probed.

    Attributes:
        source: synthetic (embedded faces of the development split), or a .csv or .parquet list
            with the columns image and any of subject, expression, valence, arousal, AU1 ... AU45.
        root: folder that the list's images are relative to; null takes the list's own.
        subjects: share of the subjects that is probed, the same ones always, in (0, 1].
        images: at most so many images are probed, the same ones always.
        contrast: two expressions that are told apart as well, A/B; null tells none.
        synthetic: the embedded faces.
    """

    source: str | None = "synthetic"
    root: str | None = None
    subjects: float = 1.0
    images: int = 4000
    contrast: str | None = "happiness/neutral"
    synthetic: SyntheticConfig = field(default_factory=_development_faces)

    def __post_init__(self) -> None:
        """Refuses shares and numbers without a meaning."""
        if not 0 < self.subjects <= 1:
            raise ValueError(f"subjects {self.subjects}, expected in (0, 1]")
        if self.images < 50:
            raise ValueError(f"images {self.images}, expected at least 50")
        names = [name.strip().lower() for name in (self.contrast or "A/B").split("/")]
        if len(names) != 2 or not all(names) or names[0] == names[1]:
            raise ValueError(f"contrast '{self.contrast}', expected two expressions, as in A/B")


@dataclass(frozen=True, kw_only=True)
class RunProbeConfig(ProbeConfig):
    """Linear probes of the encoder while it is pretrained, and at the end.

    Attributes:
        source: null probes nothing; synthetic (embedded faces of the development split), or a
            .csv or .parquet list with the columns image and any of subject, expression, valence,
            arousal, AU1 ... AU45.
        exclude: leave images of the probed subjects out of pretraining, by name; else a probe on
            images that pretraining saw is marked transductive.
        every_epochs: epochs between two probes; null probes at the end only.
    """

    source: str | None = None
    exclude: bool = True
    every_epochs: float | None = None

    def __post_init__(self) -> None:
        """Refuses an interval below zero as well."""
        super().__post_init__()
        if self.every_epochs is not None and self.every_epochs <= 0:
            raise ValueError(f"every_epochs {self.every_epochs}, expected > 0")
