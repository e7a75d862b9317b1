"""Packs a source: every image decoded once, checked, fitted and written into shards.

The pack is a function of the source and the settings: the number of workers, and being interrupted
and started again, change no byte of it. The format is in :mod:`pretrain.data.packing.format`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pretrain.data.order import sample_ids
from pretrain.data.packing.format import (
    PACK,
    Contents,
    Manifest,
    PackSettings,
    check_length,
    read_index,
    read_manifest,
    shard_files,
)
from pretrain.data.packing.report import Work, write_report
from pretrain.data.packing.stored import Stored, store
from pretrain.data.packing.workers import WorkerError, in_order
from pretrain.data.packing.writer import (
    PackError,
    ShardWriter,
    Tally,
    locked,
    read_tally,
    write_whole,
)
from pretrain.data.sources import Source

#: Images a task of a worker: enough to hide what a task costs, few enough to hold several of.
_CHUNK = 16


@dataclass(frozen=True)
class Packed:
    """What :func:`pack` did.

    Attributes:
        contents: of the pack.
        summary: a readable table; None: the pack was finished before, and nothing was done.
    """

    contents: Contents
    summary: str | None


def pack(
    source: Source,
    folder: Path,
    settings: PackSettings,
    *,
    origin: str,
    workers: int,
    progress: Callable[[int], None],
) -> Packed:
    """Makes a pack, or goes on with it where an earlier call was interrupted.

    Args:
        source: the images.
        folder: a new or empty folder, or one that holds the same pack, finished or not.
        settings: how.
        origin: what the source is called in ``pack.json``.
        workers: processes.
        progress: told how many images of the source are dealt with.

    Raises:
        PackError: the folder holds something else or cannot be written; no image can be packed; a
            worker was killed. Except for the first two, the same call goes on.
        UserError: the source's.
    """
    manifest = Manifest(
        settings=settings,
        source=origin,
        source_images=len(source.names),
        fingerprint=_fingerprint(source),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            return _pack(source, folder, _claim(folder, manifest), workers, progress)
    except WorkerError as error:
        raise PackError(
            f"{error}; run the same command to go on, perhaps with fewer --workers"
        ) from None
    except OSError as error:
        raise PackError(
            f"{error.filename or folder}: {error.strerror}; with that mended, the same command"
            " goes on"
        ) from None


def _pack(
    source: Source,
    folder: Path,
    manifest: Manifest,
    workers: int,
    progress: Callable[[int], None],
) -> Packed:
    if manifest.contents is not None:
        _check_files(folder, manifest.contents)
        return Packed(manifest.contents, summary=None)
    started, tally = time.monotonic(), read_tally(folder)
    before = tally.position
    _fill(source, folder, manifest.settings, tally, workers, progress)
    if not tally.shards:
        index, reason = tally.refused[0]
        raise PackError(
            f"{manifest.source}: none of {len(source.names)} images can be packed"
            f" ({source.names[index]!r}: {reason}), expected at least one"
        )
    contents = Contents(
        images=sum(images for images, _ in tally.shards),
        duplicates=len(tally.duplicates),
        refused=len(tally.refused),
        bytes=sum(size for _, size in tally.shards),
        shards=tuple(tally.shards),
    )
    work = Work(
        images=len(source.names) - before, seconds=time.monotonic() - started, workers=workers
    )
    manifest = replace(manifest, contents=contents)
    summary = write_report(folder, source.names, manifest, tally, work)
    write_whole(folder / PACK, manifest.to_json().encode())
    return Packed(contents, summary)


def _check_files(folder: Path, contents: Contents) -> None:
    """Refuses to call a pack finished that has lost files since."""
    for shard, (_, size) in enumerate(contents.shards):
        data, index = shard_files(folder, shard)
        check_length(data, size)
        read_index(index, ["name"])


def _fill(
    source: Source,
    folder: Path,
    settings: PackSettings,
    tally: Tally,
    workers: int,
    progress: Callable[[int], None],
) -> None:
    """Packs what is left of the source."""
    writer = ShardWriter(
        folder,
        source.names,
        shard_images=settings.shard_images,
        drop_duplicates=settings.duplicates == "drop",
        tally=tally,
    )
    position = tally.position
    progress(position)
    images = range(position, len(source.names))
    chunks = (images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK))
    try:
        with closing(in_order(_Store(source, settings), chunks, workers)) as stored:
            for chunk in stored:
                for image in chunk:
                    writer.add(position, image)
                    position += 1
                progress(position)
        writer.finish()
    finally:
        writer.discard()


@dataclass(frozen=True)
class _Store:
    """The work of a worker process."""

    source: Source
    settings: PackSettings

    def __call__(self, images: range) -> list[Stored | str]:
        return [store(self.source, index, self.settings) for index in images]


def _fingerprint(source: Source) -> str:
    """Names the source's images in their order: goings-on count on it."""
    ids = sample_ids(source.names).astype("<u8")
    return f"{len(ids)}-{hashlib.blake2b(ids.tobytes(), digest_size=8).hexdigest()}"


def _claim(folder: Path, wanted: Manifest) -> Manifest:
    """The manifest that the folder has or gets; refuses a folder that holds something else."""
    if not (folder / PACK).exists():
        others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        if others:
            raise PackError(f"{folder}: holds {others[0]!r}, expected a new or an empty folder")
        write_whole(folder / PACK, wanted.to_json().encode())
        return wanted
    found = read_manifest(folder)
    differences = _differences(found, wanted)
    if not differences:
        return found
    if found.contents is None and not read_tally(folder).shards:  # nothing to lose
        write_whole(folder / PACK, wanted.to_json().encode())
        return wanted
    raise PackError(
        f"{folder}: holds a pack made with {', '.join(differences)}; expected the same, or another"
        " folder"
    )


def _differences(found: Manifest, wanted: Manifest) -> list[str]:
    old, new = ({**asdict(m.settings), "source": m.fingerprint} for m in (found, wanted))
    return [f"{key} {old[key]!r} (now {new[key]!r})" for key in old if old[key] != new[key]]
