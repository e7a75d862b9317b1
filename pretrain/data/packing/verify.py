"""Checks a pack from its index to the last picture."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pretrain.data.images import BadImage, decode
from pretrain.data.order import sample_ids
from pretrain.data.packing.format import (
    PackSettings,
    check_length,
    read_contents,
    read_index,
    read_manifest,
    shard_files,
)
from pretrain.data.packing.workers import in_order
from pretrain.data.sources import SourceError

#: Pictures a task of a worker.
_CHUNK = 512


def verify(folder: Path, *, workers: int, progress: Callable[[int], None]) -> list[str]:
    """Reads everything: lengths, checksums, pixels and shapes, names and counts.

    Args:
        folder: the pack.
        workers: processes.
        progress: told how many pictures are checked.

    Returns:
        A line for each damaged picture or file.

    Raises:
        SourceError: no pack, or an unfinished one.
    """
    settings, contents = read_manifest(folder).settings, read_contents(folder)
    damaged, tasks, last = list[str](), list[tuple[int, int, int]](), -1
    names = list[str]()
    for shard, (images, size) in enumerate(contents.shards):
        try:
            table = _check_shard(folder, shard, images, size, last)
        except SourceError as error:
            damaged.append(str(error))
            continue
        last = table["source_index"][-1].as_py()
        names += [name.decode("utf-8", "surrogateescape") for name in table["name"].to_pylist()]
        tasks += [(shard, at, min(at + _CHUNK, images)) for at in range(0, images, _CHUNK)]
    if len(np.unique(sample_ids(names))) != len(names):
        damaged.append(f"{folder}: two pictures of one name and occurrence, expected one")
    sums = {
        "images": sum(n for n, _ in contents.shards),
        "bytes": sum(b for _, b in contents.shards),
    }
    for key, total in sums.items():
        if getattr(contents, key) != total:
            damaged.append(f"{folder}: {key} {getattr(contents, key)}, expected {total}")
    done = 0
    progress(done)
    with closing(in_order(_Check(folder, settings), iter(tasks), workers)) as checked:
        for (_, start, stop), found in zip(tasks, checked, strict=True):
            damaged += found
            done += stop - start
            progress(done)
    return damaged


def _check_shard(folder: Path, shard: int, images: int, size: int, last: int) -> Any:
    """The index of a shard whose files fit together."""
    data, index = shard_files(folder, shard)
    check_length(data, size)
    table = read_index(index)
    if table.num_rows != images:
        raise SourceError(f"{index}: {table.num_rows} rows, expected {images}")
    lengths = table["length"].to_numpy()
    ends = np.cumsum(lengths)
    if (table["offset"].to_numpy() != ends - lengths).any() or ends[-1] != size:
        raise SourceError(f"{index}: pictures that overlap or leave gaps, expected them in a row")
    order = np.diff(table["source_index"].to_numpy(), prepend=last)
    if (order < 1).any():
        raise SourceError(f"{index}: pictures in another order than in their source")
    return table


@dataclass(frozen=True)
class _Check:
    """The work of a worker process: some pictures of a shard."""

    folder: Path
    settings: PackSettings

    def __call__(self, task: tuple[int, int, int]) -> list[str]:
        shard, start, stop = task
        data, index = shard_files(self.folder, shard)
        found = list[str]()
        with data.open("rb") as file:
            for row in read_index(index).slice(start, stop - start).to_pylist():
                name = row["name"].decode("utf-8", "surrogateescape")
                file.seek(row["offset"])
                try:
                    self._check(file.read(row["length"]), row, name)
                except BadImage as error:
                    found.append(f"{data}: {error}")
        return found

    def _check(self, stored: bytes, row: dict[str, Any], name: str) -> None:
        if zlib.crc32(stored) != row["crc32"]:
            raise BadImage(name, "other bytes than were packed")
        if self.settings.format == "raw":
            side = self.settings.size
            expected, shape = 3 * side * side, (side, side)
            if len(stored) != expected:
                raise BadImage(name, f"{len(stored)} bytes, expected {expected}")
        else:
            shape = decode(stored, name).shape[:2]
        if shape != (row["height"], row["width"]):
            got, wanted = (f"{w} x {h} px" for h, w in (shape, (row["height"], row["width"])))
            raise BadImage(name, f"{got}, expected {wanted}")
