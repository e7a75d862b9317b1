"""Which images, and what is done to them."""

from __future__ import annotations

from dataclasses import dataclass, field

from pretrain.data.non_faces import NonFacesConfig
from pretrain.data.synthetic import SyntheticConfig
from pretrain.data.transforms import AugmentationConfig

#: A source that starts with it is a data set of the Hugging Face hub.
HUB = "hf://"


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """Where images come from.

    Attributes:
        source: synthetic (embedded faces), non_faces (their control), mixture, a folder of images,
            a .zip or .tar, a .parquet or .arrow file or a folder of them, a dataset saved by
            Hugging Face datasets, a packed folder, a list (.txt, .csv), or hf://OWNER/NAME
            (downloads).
        root: folder that the paths of a list are relative to; null takes the list's own.
        mixture: for source mixture, source to passes over it in an epoch (0.5: a random half of
            it, 2: twice).
        synthetic: the embedded faces.
        non_faces: the embedded images without a face.
    """

    source: str = field(default="synthetic", metadata={"operational": True})
    root: str | None = field(default=None, metadata={"operational": True})
    mixture: dict[str, float] = field(default_factory=dict, metadata={"operational": True})
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    non_faces: NonFacesConfig = field(default_factory=NonFacesConfig)

    def __post_init__(self) -> None:
        """Refuses a mixture of nothing, and one that would not be used."""
        if (self.source == "mixture") != bool(self.mixture):
            raise ValueError(
                f"mixture {self.mixture} with source {self.source!r}, expected source 'mixture' and"
                " at least one source in it, or neither"
            )
        names = list(self.mixture) or [self.source]
        if "" in names:
            raise ValueError("source '', expected a folder, a file or a name")
        lists = (".txt", ".csv")
        if self.root is not None and not any(name.lower().endswith(lists) for name in names):
            raise ValueError(f"root '{self.root}' without a list, expected a .txt or .csv source")
        for name, weight in self.mixture.items():
            if not 0 < weight <= 1000:
                raise ValueError(f"mixture '{name}': weight {weight}, expected in (0, 1000]")
            if name == "mixture":
                raise ValueError("mixture 'mixture', expected the sources themselves")

    def uses_hub(self) -> bool:
        """Whether opening it may download."""
        return any(name.startswith(HUB) for name in self.mixture or (self.source,))

    def uses(self, name: str) -> bool:
        """Whether images come from this source."""
        return name in (self.mixture or (self.source,))


@dataclass(frozen=True, kw_only=True)
class AugmentedConfig:
    """How images are loaded for training.

    Attributes:
        augmentation: random crop and flip.
        workers: loader processes a trainer process; null takes the cores that are left, at most 8.
        worker_timeout_seconds: how long a step may wait for the loader processes before they count
            as hung; their stacks are printed and the run ends.
        max_bad_share: share of the images that may be unreadable, 0 to 1; the run stops above it.
    """

    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    workers: int | None = field(default=None, metadata={"operational": True})
    worker_timeout_seconds: float = field(default=600.0, metadata={"operational": True})
    max_bad_share: float = field(default=0.01, metadata={"operational": True})

    def __post_init__(self) -> None:
        """Refuses a negative number of workers and what is no share."""
        if self.workers is not None and self.workers < 0:
            raise ValueError(f"workers {self.workers}, expected 0 or more")
        if self.worker_timeout_seconds <= 0:
            raise ValueError(f"worker_timeout_seconds {self.worker_timeout_seconds}, expected > 0")
        if not 0 <= self.max_bad_share <= 1:
            raise ValueError(f"max_bad_share {self.max_bad_share}, expected in [0, 1]")


@dataclass(frozen=True, kw_only=True)
class DataConfig(AugmentedConfig, SourceConfig):
    """The images to pretrain on and what is done to them."""

    def __post_init__(self) -> None:
        """Refuses what either part refuses."""
        SourceConfig.__post_init__(self)
        AugmentedConfig.__post_init__(self)
