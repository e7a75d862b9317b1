"""Writes shards so that a kill at any instant costs the one being written, and no more."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import BinaryIO

from pretrain.data.packing.format import check_length, index_schema, read_index, shard_files
from pretrain.data.packing.stored import Stored
from pretrain.errors import UserError

#: Where the metadata of a shard's index says what of the source it covers.
_COVERS = b"faceprior"


class PackError(UserError):
    """A pack that cannot be made."""


@dataclass
class Tally:
    """How far packing got.

    Attributes:
        position: images of the source that committed shards cover.
        shards: images and bytes of each committed shard.
        refused: index in the source, and reason.
        duplicates: index in the source, and index of the first image with the same pixels.
        first: by its pixels' digest, the index of the first such image.
    """

    position: int = 0
    shards: list[tuple[int, int]] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    duplicates: list[tuple[int, int]] = field(default_factory=list)
    first: dict[bytes, int] = field(default_factory=dict)


def read_tally(folder: Path) -> Tally:
    """What an interrupted packing left: the shards whose index, written last, is there.

    Raises:
        SourceError: one of them is damaged.
    """
    tally = Tally()
    while (paths := shard_files(folder, len(tally.shards)))[1].exists():
        table = read_index(paths[1], ["source_index", "pixels"])
        covers = json.loads(table.schema.metadata[_COVERS])
        check_length(paths[0], covers["bytes"])
        tally.position = covers["stop"]
        tally.shards.append((table.num_rows, covers["bytes"]))
        tally.refused += [(index, reason) for index, reason in covers["refused"]]
        tally.duplicates += [(index, first) for index, first in covers["duplicates"]]
        indices = table["source_index"].to_pylist()
        for digest, index in zip(table["pixels"].to_pylist(), indices, strict=True):
            tally.first.setdefault(digest, index)
    return tally


class ShardWriter:
    """Adds shards to a folder; takes every image of the source in order.

    Args:
        folder: the pack.
        names: of the source's images.
        shard_images: pictures a shard.
        drop_duplicates: whether images with the pixels of an earlier one are left out.
        tally: what is committed; kept up to date.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        *,
        shard_images: int,
        drop_duplicates: bool,
        tally: Tally,
    ) -> None:
        self.folder, self.names = folder, names
        self.shard_images, self.drop_duplicates = shard_images, drop_duplicates
        self.tally = tally
        self._draft: BinaryIO | None = None
        self._begin()

    def _begin(self) -> None:
        self._rows, self._bytes = list[dict[str, object]](), 0
        self._refused_before = len(self.tally.refused)
        self._duplicates_before = len(self.tally.duplicates)

    def add(self, index: int, image: Stored | str) -> None:
        """Takes the next image of the source: the picture, or why it is refused."""
        if isinstance(image, str):
            self.tally.refused.append((index, image))
            return
        first = self.tally.first.setdefault(image.pixels, index)
        if first != index:
            self.tally.duplicates.append((index, first))
            if self.drop_duplicates:
                return
        if self._draft is None:
            self._draft = _draft_of(self._files()[0]).open("wb")
        self._draft.write(image.data)
        name = self.names[index].encode("utf-8", "surrogateescape")
        facts = {f.name: getattr(image, f.name) for f in fields(image) if f.name != "data"}
        lies = {"offset": self._bytes, "length": len(image.data)}
        self._rows.append({"name": name, **lies, **facts})
        self._bytes += len(image.data)
        if len(self._rows) == self.shard_images:
            self._commit(index + 1)

    def finish(self) -> None:
        """Commits the last shard; the source has come to its end."""
        if self._rows:
            self._commit(len(self.names))

    def discard(self) -> None:
        """Removes what is not committed: it may be in the way on a full disk."""
        if self._draft is not None:
            with suppress(OSError):  # closing writes what is buffered
                self._draft.close()
            with suppress(OSError):
                _draft_of(self._files()[0]).unlink(missing_ok=True)

    def _files(self) -> tuple[Path, Path]:
        return shard_files(self.folder, len(self.tally.shards))

    def _commit(self, stop: int) -> None:
        assert self._draft is not None
        data, index = self._files()
        _commit_file(self._draft, data)
        self._draft = None
        covers = {
            "stop": stop,
            "bytes": self._bytes,
            "refused": self.tally.refused[self._refused_before :],
            "duplicates": self.tally.duplicates[self._duplicates_before :],
        }
        write_whole(index, _index_file(self._rows, json.dumps(covers)))
        self.tally.shards.append((len(self._rows), self._bytes))
        self.tally.position = stop
        self._begin()


def _index_file(rows: list[dict[str, object]], covers: str) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = index_schema().with_metadata({_COVERS: covers})
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_pylist(rows, schema), sink, compression="zstd", write_page_checksum=True
    )
    return bytes(sink.getvalue())


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all, and onto the disk before it has its name."""
    draft = _draft_of(path)
    try:
        with draft.open("wb") as file:
            file.write(content)
            _commit_file(file, path)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}")


def _commit_file(file: BinaryIO, path: Path) -> None:
    """Gives a draft its name, in an order that a power cut cannot turn round."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
    _draft_of(path).replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path) -> Generator[None, None, None]:
    """Refuses a second packer; the lock goes with the process, however it ends.

    Raises:
        PackError: another process packs into this folder.
    """
    path = folder / ".lock"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            os.close(descriptor)
            raise PackError(f"{folder}: another process is packing into it") from None
        # Else a file system without locks: nothing to hold on to.
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)
