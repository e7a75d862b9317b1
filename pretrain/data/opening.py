"""From what a config says to a source: the one place that tells kinds of sources apart."""

from __future__ import annotations

import os
from pathlib import Path

from pretrain.data.archives import TarSource, ZipSource
from pretrain.data.config import HUB, SourceConfig
from pretrain.data.lists import ListSource
from pretrain.data.mixture import Mixture
from pretrain.data.non_faces import NonFaces
from pretrain.data.shards import FIRST_SHARD, PACK, ShardSource
from pretrain.data.sources import FolderSource, Source, SourceError
from pretrain.data.synthetic import SyntheticFaces
from pretrain.data.tables import FILES, hub_dataset, is_dataset, local_dataset


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
    path = Path(os.path.expanduser(name))
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
        return ListSource(path, Path(os.path.expanduser(root)) if root else path.parent)
    raise SourceError(
        f"{path}: a file of unknown kind, expected a folder, .zip, .tar, .parquet, .arrow, .txt or"
        " .csv"
    )


def _open_folder(path: Path) -> Source:
    if os.path.isfile(path / PACK) or os.path.isfile(path / FIRST_SHARD):
        return ShardSource(path)
    if is_dataset(path):
        return local_dataset(path)
    return FolderSource(path)
