"""What a person wants to know of a new pack: tables of what was left out, and a summary."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pretrain.data.packing.format import Manifest, read_index, shard_files
from pretrain.data.packing.near_duplicates import HASH_BYTES, near_pairs
from pretrain.data.packing.writer import Tally, write_whole

#: Bounds of the histogram of the originals' shorter sides, in pixels.
_SIDES = (64, 112, 160, 224, 256, 512, 1024)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What this run did; an interrupted one did the rest.

    Attributes:
        images: decoded.
        seconds: taken.
        workers: processes.
    """

    images: int
    seconds: float
    workers: int


def write_report(
    folder: Path, names: Sequence[str], manifest: Manifest, tally: Tally, work: Work
) -> str:
    """Writes ``refused.csv``, ``duplicates.csv``, ``near_duplicates.csv`` and ``summary.txt``.

    Returns:
        The summary.
    """
    near, indices, sides = _columns(folder, len(tally.shards))
    later, earlier, distance = near_pairs(near)
    _write_table(
        folder / "refused.csv",
        ("name", "reason"),
        ((names[index], reason) for index, reason in tally.refused),
    )
    _write_table(
        folder / "duplicates.csv",
        ("name", "same_as"),
        ((names[index], names[first]) for index, first in tally.duplicates),
    )
    _write_table(
        folder / "near_duplicates.csv",
        ("name", "like", "distance"),
        (
            (names[indices[a]], names[indices[b]], str(bits))
            for a, b, bits in zip(later, earlier, distance, strict=True)
        ),
    )
    summary = "\n".join(_summary(manifest, tally, work, len(later), sides)) + "\n"
    write_whole(folder / "summary.txt", summary.encode("utf-8", "surrogateescape"))
    return summary


def _columns(
    folder: Path, shards: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Hashes [n, 32], indices in the source [n] and shorter sides of the originals [n]."""
    hashes, indices, sides = list[bytes](), [], []
    for shard in range(shards):
        columns = ["near", "source_index", "source_height", "source_width"]
        table = read_index(shard_files(folder, shard)[1], columns)
        hashes.append(b"".join(table["near"].to_pylist()))
        indices.append(table["source_index"].to_numpy())
        height, width = (table[c].to_numpy() for c in ("source_height", "source_width"))
        sides.append(np.minimum(height, width))
    near = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, HASH_BYTES)
    return near, np.concatenate(indices), np.concatenate(sides)


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    write_whole(path, text.getvalue().encode("utf-8", "surrogateescape"))  # names as they were


def _summary(
    manifest: Manifest, tally: Tally, work: Work, near: int, sides: NDArray[np.int64]
) -> list[str]:
    contents, settings = manifest.contents, manifest.settings
    assert contents is not None
    quality = f", quality {settings.quality}" if settings.format == "jpeg" else ""
    rate = work.images / max(work.seconds, 1e-9)
    dropped = "dropped" if settings.duplicates == "drop" else "kept"
    lines = [
        f"{manifest.source}: {settings.format}, {settings.size} px, {settings.fit}{quality}",
        f"images in        {manifest.source_images:>12,}",
        f"packed           {contents.images:>12,}",
        f"refused          {contents.refused:>12,}   refused.csv",
    ]
    reasons = Counter(re.sub(r"\d+", "N", reason) for _, reason in tally.refused)
    lines += [f"  {count:,} x {reason}" for reason, count in reasons.most_common(10)]
    lines += [
        f"exact duplicates {contents.duplicates:>12,}   {dropped}; duplicates.csv",
        f"near duplicates  {near:>12,}   kept; near_duplicates.csv",
        f"bytes            {contents.bytes:>12,}   in {len(contents.shards)} shards",
        f"bytes an image   {contents.bytes / contents.images:>12,.0f}",
        f"images/s         {rate:>12,.0f}   {work.images:,} images in {work.seconds:.1f} s",
        f"images/s a core  {rate / work.workers:>12,.0f}   {work.workers} worker processes",
        "shorter side of the originals, px",
    ]
    counts = np.bincount(np.searchsorted(_SIDES, sides, side="right"), minlength=len(_SIDES) + 1)
    bounds = [0, *_SIDES]
    for low, high, count in zip(bounds, [*_SIDES, None], counts, strict=True):
        if count:
            what = f"{low} and more" if high is None else f"{low} to {high - 1}"
            lines.append(f"  {what:<14} {count:>12,}   {'#' * round(40 * count / len(sides))}")
    return lines
