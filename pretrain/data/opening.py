"""From what a config says to a source: the one place that tells kinds of sources apart."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pretrain.data.archives import TarSource, ZipSource
from pretrain.data.lists import ListSource
from pretrain.data.mixture import Mixture
from pretrain.data.non_faces import NonFaces, NonFacesConfig
from pretrain.data.shards import PACK, ShardSource
from pretrain.data.sources import FolderSource, Source, SourceError
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.data.tables import FILES, hub_dataset, is_dataset, local_dataset

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
        for name, weight in self.mixture.items():
            if not 0 < weight <= 1000:
                raise ValueError(f"mixture '{name}': weight {weight}, expected in (0, 1000]")
            if name == "mixture":
                raise ValueError("mixture 'mixture', expected the sources themselves")

    def uses(self, name: str) -> bool:
        """Whether images come from this source."""
        return name in (self.mixture or (self.source,))


def open_source(config: SourceConfig) -> Source:
    """Opens what ``source`` names.

    Raises:
        SourceError: it cannot be opened, or holds no images.
    """
    if config.source == "mixture":
        return Mixture([(_open(name, config), w) for name, w in config.mixture.items()])
    return _open(config.source, config)


def _open(name: str, config: SourceConfig) -> Source:
    if name == "synthetic":
        return SyntheticFaces(config.synthetic)
    if name == "non_faces":
        return NonFaces(config.non_faces)
    if name.startswith(HUB):
        return hub_dataset(name.removeprefix(HUB))
    path = Path(name).expanduser()
    # os.path: Path.is_file raises where it may not look, and for names that are too long.
    return _open_file(path, config.root) if os.path.isfile(path) else _open_folder(path)


def _open_file(path: Path, root: str | None) -> Source:
    kind = path.suffix.lower()
    if kind == ".zip":
        return ZipSource(path)
    if ".tar" in [suffix.lower() for suffix in path.suffixes] or kind == ".tgz":
        return TarSource(path)
    if kind in FILES:
        return local_dataset(path)
    if kind in (".txt", ".csv"):
        return ListSource(path, Path(root).expanduser() if root else path.parent)
    raise SourceError(
        f"{path}: a file of unknown kind, expected a folder, .zip, .tar, .parquet, .arrow, .txt or"
        " .csv"
    )


def _open_folder(path: Path) -> Source:
    if os.path.isfile(path / PACK):
        return ShardSource(path)
    if is_dataset(path):
        return local_dataset(path)
    return FolderSource(path)
