"""Program: ``python -m finetune.compare RUNS``: scores of many runs as one table, over seeds."""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.score import DRAWN
from pretrain.engine.config import parse_config
from pretrain.errors import UserError, exit_code
from pretrain.files import check_out, write_text

PROGRAM = "python -m finetune.compare"

#: What a column is called, and where it stands in ``scores.json``.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "CCC valence": ("ccc", "valence"),
    "CCC arousal": ("ccc", "arousal"),
    "expression F1": ("macro_f1",),
    "expression accuracy": ("accuracy",),
    "AU F1": ("mean_unit_f1",),
    "P_MTL": ("p_mtl",),
}


_KEYS = {"labels", "rows", "drawn", "scores"}


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Puts the scores of runs side by side: a row a system, mean and spread over its seeds.

    Attributes:
        runs: a folder of runs of stage two that were scored (or of folders with a scores.json),
            or, with several seeds of each, of folders ROW/SEED. Rows come in the order of their
            names.
        rows: names of rows, in this order; null takes all.
        out: Markdown file; null only prints.
    """

    runs: str = ""
    rows: tuple[str, ...] | None = None
    out: str | None = None

    def __post_init__(self) -> None:
        """Refuses no folder."""
        if not self.runs:
            raise ValueError("runs '', expected a folder of runs")


def compare(config: CompareConfig) -> str:
    """The table in Markdown.

    The spread is the standard deviation of a sample (n - 1); one seed has none.

    Raises:
        UserError: no such rows, no scores, or scores of other rows of labels.
    """
    root = Path(os.path.expanduser(config.runs))
    rows = config.rows or _rows(root)
    found = {row: _records(root / row) for row in rows}
    if len({record["rows"]["listed"] for records in found.values() for record in records}) > 1:
        raise UserError(
            f"{root}: scores of other numbers of images, expected the same for all rows"
        )
    columns = [
        name
        for name, place in _COLUMNS.items()
        if any(_value(record, place) is not None for rs in found.values() for record in rs)
    ]
    lines = [
        f"| system | seeds | {' | '.join(columns)} |",
        "|---|---|" + "---|" * len(columns),
    ]
    for row, records in found.items():
        cells = [_cell([_value(record, _COLUMNS[name]) for record in records]) for name in columns]
        lines.append(f"| {row.replace('_', ' ')} | {len(records)} | {' | '.join(cells)} |")
    if any(record["drawn"] for records in found.values() for record in records):
        lines += ["", f"({DRAWN})"]
    return "\n".join(lines) + "\n"


def _rows(root: Path) -> Sequence[str]:
    try:
        found = sorted(entry.name for entry in root.iterdir() if _files(entry))
    except OSError as error:
        raise UserError(f"{root}: {error.strerror}, expected a folder of runs") from None
    if not found:
        raise UserError(
            f"{root}: no */scores.json or */*/scores.json, expected runs that were scored"
        )
    return found


def _files(row: Path) -> Sequence[Path]:
    """The scores of a row: of a run of each seed, or of the one run that it is."""
    return sorted(row.glob("*/scores.json")) or sorted(row.glob("scores.json"))


def _records(row: Path) -> list[dict[str, Any]]:
    files = _files(row)
    if not files:
        raise UserError(f"{row}: no scores.json, expected runs that were scored")
    try:
        found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    except (OSError, ValueError) as error:
        raise UserError(f"{row}: {error}, expected scores of finetune.score") from None
    for file, record in zip(files, found, strict=True):
        if not isinstance(record, dict) or not record.keys() >= _KEYS:
            raise UserError(f"{file}: other keys, expected scores of finetune.score")
    return found


def _value(record: Mapping[str, Any], place: Sequence[str]) -> float | None:
    """One number of a record; None: its labels, or its model, know none."""
    found: Any = record["scores"]
    for key in place:
        found = found.get(key) or {}
    value = found.get("value")
    return None if value is None else float(value)


def _cell(values: Sequence[float | None]) -> str:
    """``.512 ± .013``, with as few digits as are worth reading."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    if not known:
        return ""
    mean = _short(statistics.mean(known))
    return mean if len(known) < 2 else f"{mean} ± {_short(statistics.stdev(known))}"


def _short(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"


def _work() -> None:
    config = parse_config(CompareConfig, None, PROGRAM, ("runs",))
    out = None if config.out is None else Path(os.path.expanduser(config.out))
    if out is not None:
        check_out(out, [])
    table = compare(config)
    if out is not None:
        write_text(out, table)
    print(table, end="")


def main() -> int:
    """Compares and prints, or says in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
