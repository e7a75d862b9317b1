"""Scores of models on databases: Markdown to read, CSV to compute with, a page to show."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from finetune.reporting.markup import Html, tag
from finetune.reporting.style import STYLE
from finetune.scoring.scores import Scores
from finetune.scoring.text import shown

#: Metrics of the table, where labels and model know them, and the series that each is of.
_COLUMNS: Mapping[str, tuple[str, str | None]] = {
    "CCC valence": ("ccc", "valence"),
    "CCC arousal": ("ccc", "arousal"),
    "expression F1": ("macro_f1", None),
    "accuracy": ("accuracy", None),
    "AU F1": ("mean_unit_f1", None),
}

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Crossed:
    """A model on a database.

    Attributes:
        model: its name.
        database: its name.
        rows: images of the database.
        scores: None: they have no label in common.
        notes: what a reader has to know, a line each.
    """

    model: str
    database: str
    rows: int
    scores: Scores | None
    notes: tuple[str, ...]


def markdown(results: Sequence[Crossed], heading: str) -> str:
    """A table with a row for each model on each database, and all notes."""
    columns = _columns(results)
    lines = [
        heading,
        "",
        f"| database | model | images | {' | '.join(columns)} |",
        "|---" * (len(columns) + 3) + "|",
    ]
    for result in results:
        cells = [_cell(result, column) for column in columns]
        name, model = (text.replace("|", "\\|") for text in (result.database, result.model))
        lines.append(f"| {name} | {model} | {result.rows:,} | {' | '.join(cells)} |")
    notes = _notes(results)
    return "\n".join([*lines, *([""] if notes else []), *(f"* {note}" for note in notes)]) + "\n"


def comma_separated(results: Sequence[Crossed]) -> str:
    """Every metric of every result, a line a number: for other programs."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["database", "model", "images", "metric", "of", "value", "low", "high"])
    for result in results:
        if result.scores is None:
            continue
        for metric, interval in result.scores.found.items():
            names = result.scores.columns[metric] or ("",)
            parts = [part.reshape(-1) for part in (interval.value, interval.low, interval.high)]
            for place, name in enumerate(names):
                numbers = [f"{float(part[place]):.6g}" for part in parts]
                cells = ["" if number == "nan" else number for number in numbers]
                writer.writerow([result.database, result.model, result.rows, metric, name, *cells])
    return text.getvalue()


def page(results: Sequence[Crossed], heading: str, today: date) -> str:
    """One HTML page that needs nothing else."""
    columns = _columns(results)
    header = tag("tr", *(tag("th", name) for name in ("database", "model", "images", *columns)))
    rows = [
        tag(
            "tr",
            tag("td", result.database),
            tag("td", result.model),
            tag("td", f"{result.rows:,}"),
            *(tag("td", _cell(result, column)) for column in columns),
        )
        for result in results
    ]
    notes = [tag("li", note) for note in _notes(results)]
    body = tag(
        "main",
        tag("h1", "Models on databases"),
        tag("p", f"{heading} {today.isoformat()}"),
        tag("table", tag("thead", header), tag("tbody", *rows)),
        *([tag("h2", "Notes"), tag("ul", *notes)] if notes else []),
    )
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", **{"http-equiv": "Content-Security-Policy", "content": _POLICY}),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", "FacePrior: models on databases"),
        tag("style", Html(STYLE)),
    )
    return f"<!DOCTYPE html>\n{tag('html', tag('head', *head), tag('body', body), lang='en')}\n"


def _columns(results: Sequence[Crossed]) -> list[str]:
    """Those that some result knows."""
    return [name for name in _COLUMNS if any(_cell(result, name) for result in results)]


def _cell(result: Crossed, column: str) -> str:
    """A score with its interval; empty where there is none."""
    metric, series = _COLUMNS[column]
    scores = result.scores
    if scores is None or metric not in scores.found:
        return ""
    names = scores.columns[metric]
    if series is None:
        return shown(scores.found[metric])
    return shown(scores.found[metric], names.index(series)) if series in names else ""


def _notes(results: Sequence[Crossed]) -> list[str]:
    """Every note once, with all that it is of."""
    found: dict[str, list[str]] = {}
    for result in results:
        for note in result.notes:
            found.setdefault(note, []).append(f"{result.model} on {result.database}")
    return [
        f"{note} (all)" if len(whom) == len(results) > 1 else f"{', '.join(whom)}: {note}"
        for note, whom in found.items()
    ]
