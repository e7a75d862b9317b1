"""The format of packs: many images in few files, quick to open and to read.

A pack is a folder. ``pack.json`` says how it was made and what it holds; it is complete only when
everything else is written. ``shard-00000.bin`` holds pictures back to back and
``shard-00000.parquet`` one row for each: its name, where it lies, its shape and that of its
original, and checksums. Made by :mod:`pretrain.data.packing.pack`, read by
:mod:`pretrain.data.shards`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from pretrain.data.sources import SourceError

#: The file that makes a folder a pack.
PACK = "pack.json"

VERSION = 1

FORMATS = ("jpeg", "raw")
FITS = ("keep", "squash", "crop")


@dataclass(frozen=True, kw_only=True)
class PackSettings:
    """What decides the bytes of a pack, beside its source.

    Attributes:
        format: jpeg, or raw (squares of uint8 RGB, which need no decoding).
        size: pixels of the shorter side (of the square); jpeg never enlarges.
        fit: keep (the aspect; jpeg only), squash (the whole picture into the square) or crop (the
            central square).
        quality: of a JPEG, 1 to 100.
        min_side: smaller originals are refused.
        duplicates: drop or keep what has the same pixels as an earlier image.
        shard_images: pictures a shard.
    """

    format: str = "jpeg"
    size: int = 256
    fit: str = "keep"
    quality: int = 95
    min_side: int = 32
    duplicates: str = "drop"
    shard_images: int = 8192

    def __post_init__(self) -> None:
        """Refuses unknown choices and numbers out of range."""
        choices = (("format", FORMATS), ("fit", FITS), ("duplicates", ("drop", "keep")))
        for name, allowed in choices:
            if getattr(self, name) not in allowed:
                got = getattr(self, name)
                raise ValueError(f"{name} {got!r}, expected {' or '.join(allowed)}")
        ranges = {"size": (8, 4096), "quality": (1, 100), "min_side": (1, 4096)}
        for name, (low, high) in {**ranges, "shard_images": (1, 10**6)}.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} {getattr(self, name)}, expected in {low}..{high}")
        if self.format == "raw" and self.fit == "keep":
            raise ValueError("fit 'keep' with format raw, expected squash or crop: raw is square")


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a complete pack holds.

    Attributes:
        images: pictures.
        duplicates: images with the pixels of an earlier one, dropped or kept.
        refused: images of the source that could not be packed.
        bytes: of all .bin files.
        shards: images and bytes of each shard.
    """

    images: int
    duplicates: int
    refused: int
    bytes: int
    shards: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        """Refuses what nobody writes: other things than numbers, and a shard without pictures."""
        for count in (self.images, self.duplicates, self.refused, self.bytes):
            if not isinstance(count, int):
                raise ValueError(f"{count!r}, expected a number")
        if not self.shards or min(images for images, _ in self.shards) < 1:
            raise ValueError(f"shards {list(self.shards)}, expected pictures in each")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """``pack.json``.

    Attributes:
        settings: how it is packed.
        source: the source as it was named.
        source_images: how many images it had.
        fingerprint: of their names in their order.
        contents: None while the pack is being made.
    """

    settings: PackSettings
    source: str
    source_images: int
    fingerprint: str
    contents: Contents | None = None

    def to_json(self) -> str:
        """The file's text."""
        made = {"version": VERSION, "complete": self.contents is not None}
        return json.dumps({**made, **asdict(self)}, indent=1) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Reads ``pack.json``, complete or not.

    Raises:
        SourceError: it is missing, damaged, or of another version of the format.
    """
    path = folder / PACK
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}, expected the index of a pack") from None
    except UnicodeDecodeError:
        raise SourceError(f"{path}: damaged, expected JSON text") from None
    try:
        values: dict[str, Any] = json.loads(text)
        if values["version"] != VERSION:
            raise SourceError(f"{path}: format version {values['version']}, expected {VERSION}")
        contents = values["contents"] if values["complete"] else None
        if contents is not None:
            shards = tuple((int(images), int(size)) for images, size in contents["shards"])
            contents = Contents(**{**contents, "shards": shards})
        return Manifest(
            settings=PackSettings(**values["settings"]),
            source=str(values["source"]),
            source_images=int(values["source_images"]),
            fingerprint=str(values["fingerprint"]),
            contents=contents,
        )
    except SourceError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise SourceError(f"{path}: damaged ({reason}), expected the index of a pack") from None


def read_contents(folder: Path) -> Contents:
    """What a complete pack holds.

    Raises:
        SourceError: see :func:`read_manifest`; or the pack is unfinished.
    """
    contents = read_manifest(folder).contents
    if contents is None:
        raise SourceError(
            f"{folder}: an unfinished pack, expected a complete one: the command that began it goes"
            " on with it"
        )
    return contents


def shard_files(folder: Path, shard: int) -> tuple[Path, Path]:
    """The pictures and the index of a shard."""
    return folder / f"shard-{shard:05d}.bin", folder / f"shard-{shard:05d}.parquet"


def index_schema() -> Any:
    """Columns of a shard's index (a pyarrow schema); names are bytes, for not all are UTF-8."""
    import pyarrow as pa

    numbers = {"source_index": pa.int64(), "offset": pa.int64(), "length": pa.int64()}
    sides = ("height", "width", "source_height", "source_width")
    aspect = {"aspect": pa.float64()}  # of the original's original, where the source is a pack
    sums = {"pixels": pa.binary(16), "crc32": pa.uint32(), "near": pa.binary(32)}
    return pa.schema(
        {
            "name": pa.binary(),
            **numbers,
            **dict.fromkeys(sides, pa.int32()),
            **aspect,
            **sums,
        }.items()
    )


def read_index(path: Path, columns: list[str] | None = None) -> Any:
    """Rows of a shard's index as a pyarrow table; its metadata stays with it.

    Raises:
        SourceError: missing, or damaged (its pages have checksums).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(
            path,
            page_checksum_verification=True,
            thrift_string_size_limit=2**31 - 1,  # the list of refused images can be long
        ) as file:
            if not file.schema_arrow.remove_metadata().equals(index_schema()):
                refuse_index(path, "other columns")
            return file.read(columns, use_threads=False)
    except FileNotFoundError:
        raise SourceError(f"{path}: No such file, expected the index of a shard") from None
    except (pa.ArrowException, OSError) as error:
        refuse_index(path, " ".join(str(error).split()))


def refuse_index(path: Path, reason: str) -> NoReturn:
    """Raises the SourceError of a damaged index."""
    raise SourceError(f"{path}: damaged ({reason}), expected the index of a shard")


def check_length(path: Path, expected: int) -> None:
    """Refuses a file of pictures that is missing or not as long as its index says."""
    try:
        length = path.stat().st_size
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}, expected {expected} bytes") from None
    if length != expected:
        raise SourceError(f"{path}: {length} bytes, expected {expected}")
