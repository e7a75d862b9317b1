"""Prediction tables as Parquet files."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.labels import (
    ACTION_UNIT_SPACES,
    EXPRESSION_SPACES,
    EXPRESSIONS,
    VALENCE_AROUSAL,
    ActionUnitSpace,
    ExpressionSpace,
    Floats,
    Integers,
    LabelError,
)
from finetune.table.about import About
from finetune.table.rows import EXPRESSION_PREFIX, PredictionTable, TableError
from pretrain.files import write_bytes

if TYPE_CHECKING:
    import pyarrow

_METADATA = b"faceprior"
#: No video has more frames.
_MOST_FRAMES = 2**31
_UNITS = tuple(f"AU{unit}" for unit in range(1, 100))
_SCORES = tuple(f"{EXPRESSION_PREFIX}{name}" for name in EXPRESSIONS)
_KNOWN = ("image", "video", "frame", *VALENCE_AROUSAL, *_SCORES, *_UNITS, "filled")


def read_table(file: Path) -> PredictionTable:
    """Reads a table, anybody's; columns that are none of ours are left alone.

    Raises:
        TableError: no such file, no Parquet, a column that is missing, misspelt or of another
            type, a value outside of its range.
    """
    import pyarrow.parquet

    try:
        with open(file, "rb") as stream:  # its own errors say where in Arrow they come from
            content = pyarrow.parquet.ParquetFile(stream)
            names = _known(file, content.schema_arrow.names)
            table = content.read(names)
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())
        raise TableError(f"{file}: {reason}, expected a prediction table (Parquet)") from None
    about = _metadata(file, (content.schema_arrow.metadata or {}).get(_METADATA))
    try:
        return _from_arrow(table, about)
    except (TableError, LabelError) as error:
        raise TableError(f"{file}: {error}") from None


def write_table(file: Path, table: PredictionTable) -> None:
    """Writes a table, whole or not at all.

    Raises:
        WriteError: it cannot be written.
    """
    import pyarrow
    import pyarrow.parquet

    columns: dict[str, Any] = {"image": pyarrow.array(table.images, pyarrow.string())}
    for name, texts in (("video", table.videos), ("filled", table.filled)):
        if texts is not None:
            columns[name] = pyarrow.array(texts, pyarrow.string()).dictionary_encode()
    if table.frames is not None:
        columns["frame"] = pyarrow.array(table.frames, pyarrow.int64())
    for name, values in table.columns.items():
        columns[name] = pyarrow.array(values, pyarrow.float64(), mask=~table.present)
    ordered = {name: columns[name] for name in sorted(columns, key=_place(table))}
    about: dict[str, Any] = {"about": table.about.to_json()}
    if table.expression_space is not None:
        space = table.expression_space
        about["expression_space"] = {"name": space.name, "classes": list(space.classes)}
        about["biases"] = None if table.biases is None else table.biases.tolist()
    if table.action_unit_space is not None:
        units = table.action_unit_space
        about["action_unit_space"] = {"name": units.name, "units": list(units.units)}
        about["thresholds"] = None if table.thresholds is None else table.thresholds.tolist()
    content = pyarrow.table(ordered).replace_schema_metadata({_METADATA: json.dumps(about)})
    stream = io.BytesIO()
    pyarrow.parquet.write_table(content, stream, compression="zstd")
    write_bytes(file, stream.getvalue())


def _place(table: PredictionTable) -> Any:
    order = ["image", "video", "frame", *table.columns, "filled"]
    return order.index


def _known(file: Path, header: Sequence[str]) -> list[str]:
    """The columns that mean something; one that nearly does is refused."""
    plain = {name.lower(): name for name in _KNOWN}
    for name in header:
        if name in _KNOWN:
            if header.count(name) > 1:
                raise TableError(f"{file}: column {name} twice, expected it once")
            continue
        low = name.strip().lower()
        if low == EXPRESSION_PREFIX.rstrip("_"):
            expected = f"a probability for each class, {EXPRESSION_PREFIX}<Name>"
            raise TableError(f"{file}: column {name!r}, expected {expected}")
        if low in plain:
            raise TableError(f"{file}: column {name!r}, expected it called {plain[low]}")
        if low.startswith(EXPRESSION_PREFIX) or (low[:2] == "au" and low[2:].isdigit()):
            expected = f"{EXPRESSION_PREFIX} and one of {', '.join(EXPRESSIONS)}, or AU1 to AU99"
            raise TableError(f"{file}: column {name!r}, expected {expected}")
    if "image" not in header:
        got = ", ".join(header[:20]) or "none"
        raise TableError(f"{file}: the columns {got}, expected one called image")
    return [name for name in header if name in _KNOWN]


def _metadata(file: Path, content: bytes | None) -> dict[str, Any]:
    if content is None:
        return {}
    try:
        found = json.loads(content)
        for key, columns in (("expression_space", "classes"), ("action_unit_space", "units")):
            if key in found and not isinstance(found[key][columns], list):
                raise TypeError(f"{key} without a list of {columns}")
        return {**found, "about": About.from_json(found.get("about", {}))}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise TableError(f"{file}: metadata: {reason}, expected what write_table gives") from None


def _from_arrow(table: pyarrow.Table, about: Mapping[str, Any]) -> PredictionTable:
    names = table.column_names
    affect = [name for name in VALENCE_AROUSAL if name in names]
    scores = [name for name in names if name in _SCORES]
    units = [name for name in names if name in _UNITS]
    if affect and len(affect) < 2:
        raise TableError(f"column {affect[0]} alone, expected {' and '.join(VALENCE_AROUSAL)}")
    classes = tuple(name.removeprefix(EXPRESSION_PREFIX) for name in scores)
    numbers = tuple(int(name.removeprefix("AU")) for name in units)
    expressions, action_units = _spaces(classes, numbers, about)
    return PredictionTable(
        images=_texts(table, "image"),
        videos=_texts(table, "video") if "video" in names else None,
        frames=_frames(table) if "frame" in names else None,
        valence_arousal=_numbers(table, affect),
        expression=_numbers(table, scores),
        expression_space=expressions,
        biases=_settings("biases", about, expressions, None),
        action_units=_numbers(table, units),
        action_unit_space=action_units,
        thresholds=_settings("thresholds", about, action_units, (0, 1)),
        filled=_texts(table, "filled") if "filled" in names else None,
        about=about.get("about", About()),
    )


def _spaces(
    classes: tuple[str, ...], numbers: tuple[int, ...], about: Mapping[str, Any]
) -> tuple[ExpressionSpace | None, ActionUnitSpace | None]:
    """The spaces of the columns, under the names that they are known by."""
    expressions = ExpressionSpace(",".join(classes), classes) if classes else None
    units = ActionUnitSpace(",".join(f"AU{n}" for n in numbers), numbers) if numbers else None
    for space in EXPRESSION_SPACES.values():
        expressions = space if space.classes == classes else expressions
    for known in ACTION_UNIT_SPACES.values():
        units = known if known.units == numbers else units
    for key, columns, got in (
        ("expression_space", "classes", classes),
        ("action_unit_space", "units", numbers),
    ):
        said = about.get(key)
        if said is not None and tuple(said.get(columns, ())) != got:
            raise TableError(
                f"columns {', '.join(map(str, got)) or 'none'}, expected those of the metadata:"
                f" {', '.join(map(str, said.get(columns, ())))}"
            )
    return expressions, units


def _settings(
    key: str,
    about: Mapping[str, Any],
    space: ExpressionSpace | ActionUnitSpace | None,
    limits: tuple[float, float] | None,
) -> Floats | None:
    values = about.get(key)
    if values is None or space is None:
        return None
    try:
        found = np.array(values, np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    low, high = limits or (-np.inf, np.inf)
    if found.shape != (len(space),) or not ((found >= low) & (found <= high)).all():
        within = f" in [{low:g}, {high:g}]" if limits else ""
        raise TableError(f"metadata: {key} {values}, expected {len(space)} numbers{within}")
    return found


def _texts(table: pyarrow.Table, name: str) -> list[str]:
    found: list[str] = table.column(name).to_pylist()
    for row, text in enumerate(found, start=1):
        if not isinstance(text, str):
            raise TableError(f"row {row}: {name} {text!r}, expected text")
    return found


def _frames(table: pyarrow.Table) -> Integers:
    column = table.column("frame")
    if column.null_count or not str(column.type).lstrip("u").startswith("int"):
        raise TableError(
            f"column frame: {column.type} with {column.null_count} nulls, expected whole numbers"
        )
    values = column.to_numpy()
    if len(values) and not 0 <= values.min() <= values.max() < _MOST_FRAMES:
        row = int(np.flatnonzero((values < 0) | (values >= _MOST_FRAMES))[0])
        raise TableError(f"row {row + 1}: frame {values[row]}, expected 0 to {_MOST_FRAMES - 1}")
    return np.asarray(values, np.int64)


def _numbers(table: pyarrow.Table, names: Sequence[str]) -> Floats | None:
    """Columns beside each other, [n, columns], NaN where they are null; None: there are none."""
    if not names:
        return None
    columns = []
    for name in names:
        column = table.column(name)
        kind = str(column.type)
        if not kind.lstrip("u").startswith(("int", "float", "double", "halffloat")):
            raise TableError(f"column {name}: {kind}, expected numbers")
        values = np.asarray(column.to_numpy(), np.float64)
        wrong = ~np.isfinite(values) & ~np.asarray(column.is_null().to_numpy(), np.bool_)
        if wrong.any():
            row = int(wrong.argmax())
            raise TableError(f"row {row + 1}: {name} {values[row]}, expected a number or null")
        columns.append(values)
    return np.column_stack(columns)
