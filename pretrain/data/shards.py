"""Packs as a source: pictures by index, from files that are mapped into memory."""

from __future__ import annotations

import mmap
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrain.data.images import Pixels, decode
from pretrain.data.packing.format import (
    PACK as PACK,  # also imported from here: the name of the file that makes a folder a pack
)
from pretrain.data.packing.format import (
    check_length,
    read_contents,
    read_index,
    read_manifest,
    refuse_index,
    shard_files,
)
from pretrain.data.sources import Source, SourceError

#: Where it lies without the manifest, somebody has lost that.
FIRST_SHARD = shard_files(Path(), 0)[0].name

#: Shard files that a process maps at a time; each takes a file descriptor.
_OPEN_SHARDS = 256

_COLUMNS = ["name", "offset", "length", "aspect"]


class ShardSource(Source):
    """The pictures of a pack, under the names they had in its source.

    Args:
        folder: the pack.

    Raises:
        SourceError: not a pack, an unfinished one, or files that are missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = read_manifest(folder).settings
        self.cut = self.settings.fit == "crop"
        self._shards = read_contents(folder).shards
        names = list[str]()
        offsets, lengths, aspects = [], [], []
        for shard, (images, size) in enumerate(self._shards):
            data, index = shard_files(folder, shard)
            check_length(data, size)
            table = read_index(index, _COLUMNS)
            if table.num_rows != images:
                raise SourceError(f"{index}: {table.num_rows} rows, expected {images}")
            # Not os.fsdecode, which depends on the machine: names decide the sample ids.
            names += [name.decode("utf-8", "surrogateescape") for name in table["name"].to_pylist()]
            offset, length, aspect = (table[column].to_numpy() for column in _COLUMNS[1:])
            if images and (offset.min() < 0 or length.min() < 1 or (offset + length).max() > size):
                refuse_index(index, "pictures outside of their file")
            offsets.append(offset)
            lengths.append(length)
            aspects.append(aspect)
        self.names = names
        self._first = np.cumsum([0, *(images for images, _ in self._shards)])
        self._offsets: NDArray[np.int64] = np.concatenate(offsets)
        self._lengths: NDArray[np.int64] = np.concatenate(lengths)
        self._aspects: NDArray[np.float64] = np.concatenate(aspects)
        if self.settings.format == "raw" and (self._lengths != 3 * self.settings.size**2).any():
            raise SourceError(
                f"{folder}: pictures of other sizes, expected {self.settings.size} px"
            )
        self._maps: OrderedDict[int, mmap.mmap] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """Another process maps the files itself."""
        return {**self.__dict__, "_maps": OrderedDict()}

    def image(self, index: int) -> Pixels:
        """See :class:`pretrain.data.sources.Source`; raw pictures are a view into the file."""
        if self.settings.format == "raw":
            side = self.settings.size
            shard, offset, _ = self._place(index)
            flat = np.frombuffer(self._map(shard), np.uint8, 3 * side * side, offset)
            return flat.reshape(side, side, 3)
        encoded = self.encoded(index)
        assert encoded is not None
        return decode(encoded, f"{self.folder}: {self.names[index]}")

    def encoded(self, index: int) -> bytes | None:
        """See :class:`pretrain.data.sources.Source`."""
        if self.settings.format == "raw":
            return None
        shard, offset, length = self._place(index)
        return self._map(shard)[offset : offset + length]

    def aspect(self, index: int) -> float | None:
        """Width / height of the original; None where the picture is a cut-out of it."""
        self.names[index]  # an index out of range is refused as the list does
        return None if self.settings.fit == "crop" else float(self._aspects[index])

    def _place(self, index: int) -> tuple[int, int, int]:
        self.names[index]  # as above
        index %= len(self.names)
        shard = int(np.searchsorted(self._first, index, side="right")) - 1
        return shard, int(self._offsets[index]), int(self._lengths[index])

    def _map(self, shard: int) -> mmap.mmap:
        """Read-only, so it is safe in every process; never a shared seek position."""
        if shard in self._maps:
            self._maps.move_to_end(shard)
            return self._maps[shard]
        path, _ = shard_files(self.folder, shard)
        check_length(path, self._shards[shard][1])
        descriptor = os.open(path, os.O_RDONLY)
        try:
            mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
        self._maps[shard] = mapped
        if len(self._maps) > _OPEN_SHARDS:
            self._maps.popitem(last=False)  # closed when the last view of it is gone
        return mapped
