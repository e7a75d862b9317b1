"""Tables of numbers with their intervals, and the small charts that stand in their rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finetune.intervals import Interval
from finetune.reporting.colours import ramp_colour
from finetune.reporting.markup import Html, sequence, tag
from finetune.scoring.scores import Scores
from finetune.scoring.text import TITLES, shown

#: What a column of a table is: a name, a number, or a chart.
Column = tuple[str, str]
NAME, NUMBER, CHART = "name", "number", "chart"

_MIDDLE = "50%"

#: Columns up to which a table is not spread over the whole page.
_NARROW = 4


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], caption: str) -> Html:
    """A table whose first column names the rows.

    Args:
        columns: title and kind of each.
        rows: a cell a column.
        caption: what stands above it.
    """
    head = [tag("th", title, class_=kind, scope="col") for title, kind in columns]
    body = []
    for first, *others in rows:
        cells = [tag("th", first, class_=columns[0][1], scope="row")]
        cells += [
            tag("td", cell, class_=kind)
            for cell, (_, kind) in zip(others, columns[1:], strict=True)
        ]
        body.append(tag("tr", *cells))
    narrow = len(columns) <= _NARROW
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *head)),
        tag("tbody", *body),
        class_="narrow" if narrow else None,
    )


def number(interval: Interval, place: int | None = None, *, signed: bool = False) -> Html:
    """A metric as :func:`~finetune.scoring.text.shown` writes it, its interval in grey.

    Args:
        interval: the metric.
        place: which of its numbers; None: it is a single one.
        signed: write a plus in front of a positive number, as of a difference.
    """
    text = shown(interval, place)
    value, _, ends = text.partition(" ")
    plus = "+" if signed and float(_part(interval.value, place)) > 0 else ""
    if not ends:
        return sequence(plus + value)
    return sequence(plus + value, " ", tag("span", ends, class_="interval"))


def singles(scores: Scores, names: Sequence[str]) -> Html:
    """A table of those metrics that are single numbers and that there are, in the usual order."""
    rows = [
        (TITLES[name], number(scores.found[name]))
        for name in TITLES
        if name in names and name in scores.found
    ]
    return table((("", NAME), ("value", NUMBER)), rows, "Over all rows")


def chart(interval: Interval, place: int | None, span: tuple[float, float]) -> Html:
    """A metric as a dot and its interval as a bar, on a line from the least to the most.

    It stands beside the number that it shows.

    Args:
        interval: the metric.
        place: which of its numbers; None: it is a single one.
        span: least and most of the line.
    """
    least, most = span
    parts = (interval.value, interval.low, interval.high)
    value, low, high = (float(_part(part, place)) for part in parts)

    def at(x: float) -> str:
        return f"{100 * min(max((x - least) / (most - least), 0), 1):.2f}%"

    lines = [
        tag("line", x1=at(x), x2=at(x), y1="0", y2="100%", class_="zero" if x == 0 else "grid")
        for x in ticks(span)
    ]
    if not np.isnan(low):
        ends = {"x1": at(low), "x2": at(high), "y1": _MIDDLE, "y2": _MIDDLE}
        lines.append(tag("line", class_="range", **ends))
    if not np.isnan(value):
        lines.append(tag("circle", cx=at(value), cy=_MIDDLE, r="4.5", class_="value"))
    return tag("svg", *lines, class_="row-chart", aria_hidden="true")


def chart_title(title: str, span: tuple[float, float]) -> Html:
    """The head of a column of charts: what they show, and the numbers on their line."""
    marks = (
        tag("span", f"{tick:g}".replace("0.", ".", 1).replace("-", "\u2212"))
        for tick in ticks(span)
    )
    return sequence(title, tag("span", *marks, class_="ticks"))


def scale(ramp: tuple[str, ...]) -> Html:
    """A ramp of colours from its first to its last."""
    colours = ", ".join(ramp_colour(place, ramp) for place in np.linspace(0, 1, 5).tolist())
    return tag("span", class_="scale", style=f"background:linear-gradient(to right, {colours})")


def ticks(span: tuple[float, float]) -> tuple[float, float, float]:
    """Both ends of a line, and its middle."""
    return span[0], (span[0] + span[1]) / 2, span[1]


def _part(values: np.ndarray, place: int | None) -> float:
    return float(values if place is None else values[place])
