"""Images in the rows of a table: Parquet and Arrow files, and datasets saved by or on the hub.

All of them are opened with Hugging Face datasets, which maps Arrow files into memory and makes an
Arrow copy of a Parquet file in its cache. Rows are taken from there undecoded.
"""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.data.generated import GeneratedNames
from pretrain.data.images import SUFFIXES, BadImage, Pixels, decode, read_file
from pretrain.data.sources import Source, SourceError

if TYPE_CHECKING:
    from datasets import Dataset

#: Endings of files that are tables of images.
FILES = frozenset({".parquet", ".arrow"})

#: The column with the images, unless only one can be it.
_COLUMN = "image"

_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")  # without an owner, a word may mean a kind of file
_HUB_FORM = "OWNER/NAME[@REVISION][:SPLIT]"

#: Words in a file's name that say which split it belongs to, as on the hub.
_SPLIT = re.compile(
    r"(?:^|[^a-z])(?:(train|training)|(validation|valid|val|dev)|(test|testing|eval))(?:[^a-z]|$)"
)
_SPLITS = ("train", "validation", "test")

#: An error's reason is cut off here; some of datasets' run over pages.
_LONGEST_REASON = 300


class DatasetSource(Source):
    """The images of a dataset in its row order.

    An image is named by the path stored beside its bytes where every row has one, otherwise by its
    row's number. (``save_to_disk`` keeps no more of a path than its last part.)

    Args:
        dataset: the rows.
        where: what errors call it.

    Raises:
        SourceError: there is no row, or no column that is clearly the images.
    """

    def __init__(self, dataset: Dataset, where: str) -> None:
        self.where = where
        column = _image_column(dataset, where)
        if not len(dataset):
            raise SourceError(f"{where}: no images, expected at least one row")
        self._rows = dataset.with_format("arrow", columns=[column])  # as they are stored
        stored = _stored_names(dataset, column)
        self.named = stored is not None
        self.names = stored or GeneratedNames(len(dataset), "{:09d}".format)

    def image(self, index: int) -> Pixels:
        """See :class:`Source`."""
        return decode(self.encoded(index), self._called(index))

    def encoded(self, index: int) -> bytes:
        """See :class:`Source`."""
        value = self._rows[int(index)].column(0)[0].as_py()
        if isinstance(value, dict):
            path = value.get("path")
            value = value["bytes"]
            if value is None and path is not None:
                return read_file(Path(path), path)
        if value is None:
            raise BadImage(self._called(index), "no image in this row")
        return bytes(value)

    def _called(self, index: int) -> str:
        return f"{self.where}/{self.names[index]}"


def _image_column(dataset: Dataset, where: str) -> str:
    from datasets import Image

    schema = dataset.data.schema
    if _COLUMN in schema.names and _holds_images(schema.field(_COLUMN).type):
        return _COLUMN
    declared = [name for name, feature in dataset.features.items() if isinstance(feature, Image)]
    if len(declared) == 1:
        return str(declared[0])
    columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
    raise SourceError(
        f"{where}: got the columns {columns}, expected images in '{_COLUMN}' (binary, or bytes and"
        " path) or in the only column declared as images"
    )


def _holds_images(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _stored_names(dataset: Dataset, column: str) -> list[str] | None:
    """The paths beside the bytes, without touching the bytes; None where one is missing."""
    import pyarrow as pa
    from datasets import Image

    stored = dataset.data.column(column)
    if not pa.types.is_struct(stored.type) or stored.type.get_field_index("path") < 0:
        return None
    for chunk in stored.chunks:
        if chunk.null_count or chunk.field("bytes").null_count or chunk.field("path").null_count:
            return None
    alone = dataset.select_columns([column])
    if isinstance(dataset.features[column], Image):
        alone = alone.cast_column(column, Image(decode=False))  # as two columns, not as pictures
    paths = alone.flatten().select_columns([f"{column}.path"]).with_format("arrow")[:]
    return [str(path) for path in paths.column(0).to_pylist()]


def is_dataset(folder: Path) -> bool:
    """Whether a folder is a saved dataset or holds tables, directly or in ``data``, and no images.

    A folder of images is known by the first one that is met, at any depth: tables beside it are
    about the images.
    """
    saved = ("dataset_dict.json",), ("dataset_info.json", "state.json")
    if any(all(os.path.isfile(folder / name) for name in names) for names in saved):
        return True
    return bool(_table_files(folder)) and not _has_image_files(folder)


def _has_image_files(folder: Path) -> bool:
    names = (name for _, _, files in os.walk(folder) for name in files)
    return any(os.path.splitext(name)[1].lower() in SUFFIXES for name in names)


def _table_files(folder: Path) -> list[Path]:
    """The folder's tables, or those in its ``data``, sorted; none where there are images."""
    for place in (folder, folder / "data"):
        found = []
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    suffix = os.path.splitext(entry.name)[1].lower()
                    if entry.name.startswith(".") or suffix not in SUFFIXES | FILES:
                        continue
                    if entry.is_file():
                        if suffix in SUFFIXES:
                            return []
                        found.append(Path(entry.path))
        except OSError:  # not there, or not to be read: no dataset that could be opened
            return []
        if found:
            return sorted(found)
    return []


def local_dataset(path: Path) -> DatasetSource:
    """Opens a Parquet or Arrow file, a folder of them, or a folder saved by datasets.

    Of several splits the one called train is taken.

    Raises:
        SourceError: it cannot be opened, or has several splits and none is called train.
    """
    with _opening(str(path), "a Parquet or Arrow file, or a folder of them or of a saved dataset"):
        if path.is_file():
            return DatasetSource(_from_files([path]), str(path))
        if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
            return _saved(path)
        return DatasetSource(_from_files(_one_split(path)), str(path))


def _saved(path: Path) -> DatasetSource:
    from datasets import DatasetDict, load_from_disk

    dataset = load_from_disk(str(path))
    if isinstance(dataset, DatasetDict):
        splits = list(dataset)
        if "train" not in splits and len(splits) != 1:
            choices = ", ".join(str(path / split) for split in splits) or "none"
            raise SourceError(f"{path}: got several splits, expected one of {choices}")
        dataset = dataset["train" if "train" in splits else splits[0]]
    return DatasetSource(dataset, str(path))


def _one_split(folder: Path) -> list[Path]:
    """The table files of a folder that belong together: of several splits, those of train."""
    splits: dict[str, list[Path]] = {}
    for file in _table_files(folder):
        word = _SPLIT.search(file.stem.lower())
        split = _SPLITS[(word.lastindex or 1) - 1] if word else "none"
        splits.setdefault(split, []).append(file)
    if "train" in splits:
        return splits["train"]
    if len(splits) != 1:
        choices = ", ".join(sorted(splits))
        raise SourceError(
            f"{folder}: got files of the splits {choices}, expected those of one, or the path of"
            f" one file, as {_table_files(folder)[0]}"
        )
    return next(iter(splits.values()))


def _from_files(files: Sequence[Path]) -> Dataset:
    """Rows of all the files. Arrow streams are mapped where they are, others are copied once."""
    from datasets import Dataset, concatenate_datasets, load_dataset

    if all(_is_arrow_stream(file) for file in files):
        return concatenate_datasets([Dataset.from_file(str(file)) for file in files])
    names = [glob.escape(str(file)) for file in files]  # else brackets would be a pattern
    kinds = sorted({file.suffix.lower() for file in files})
    if len(kinds) != 1:
        raise SourceError(f"{files[0].parent}: got {' and '.join(kinds)} files, expected one kind")
    return load_dataset(kinds[0].removeprefix("."), data_files=names, split="train")


def _is_arrow_stream(file: Path) -> bool:
    """Arrow has two layouts; datasets maps the one that it writes itself, which has no magic."""
    if file.suffix.lower() != ".arrow":
        return False
    with file.open("rb") as start:
        return start.read(6) != b"ARROW1"


def hub_dataset(name: str) -> DatasetSource:
    """Opens a dataset of the Hugging Face hub, downloading it if need be.

    Args:
        name: ``OWNER/NAME[@REVISION][:SPLIT]``; without a split, train.

    Raises:
        SourceError: no such name, revision or split, or no network.
    """
    from datasets import load_dataset

    rest, _, split = name.partition(":")
    dataset, _, revision = rest.partition("@")
    where = f"hf://{name}"
    if not _HUB_NAME.fullmatch(dataset):
        raise SourceError(f"{where}: got the name '{dataset}', expected {_HUB_FORM}")
    if Path(dataset).exists():  # load_dataset would silently prefer it
        raise SourceError(f"{where}: '{dataset}' exists here, expected a name on the hub")
    with _opening(where, f"{_HUB_FORM} of the Hugging Face hub, and a network"):
        rows = load_dataset(dataset, revision=revision or None, split=split or "train")
        return DatasetSource(rows, where)


@contextmanager
def _opening(where: str, expected: str) -> Iterator[None]:
    """Turns what goes wrong into one line; progress bars are for a person only."""
    import datasets

    silenced = not sys.stderr.isatty() and not datasets.are_progress_bars_disabled()
    if silenced:
        datasets.disable_progress_bars()
    try:
        yield
    except SourceError:
        raise
    except Exception as error:  # its many layers, down to the network's, raise types of their own
        raise SourceError(f"{where}: {_reason(error)}, expected {expected}") from None
    finally:
        if silenced:
            datasets.enable_progress_bars()


def _reason(error: BaseException) -> str:
    """What came first, in one line: datasets wraps it into notes of its own."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror:  # of the cache as often as of the table
        return f"{error.strerror} ({error.filename})" if error.filename else error.strerror
    text = " ".join(str(error).split()).rstrip(".")
    return text[:_LONGEST_REASON] or type(error).__name__
