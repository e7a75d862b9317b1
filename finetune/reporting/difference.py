"""The section on what changed against a baseline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finetune.intervals import Interval
from finetune.reporting.cells import (
    CHART,
    NAME,
    NUMBER,
    chart,
    chart_title,
    number,
    table,
)
from finetune.reporting.markup import Html, sequence, tag
from finetune.reporting.scored import Origin
from finetune.scoring.scores import Scores
from finetune.scoring.text import TITLES

#: Of these less is better.
_ERRORS = ("rmse", "mae")

#: Of metrics by column those that are drawn, and what their table is called.
_DRAWN = {"ccc": "By series", "class_f1": "By class", "unit_f1": "By action unit"}


def difference_section(baseline: Origin, difference: Scores) -> Html:
    """Every metric of the table minus that of the baseline.

    Args:
        baseline: the other table.
        difference: of the scores.
    """
    by_column = dict.fromkeys(columns for columns in difference.columns.values() if columns)
    reading = (
        f"This table minus {baseline.file}, on the rows that both predict. Paired: both see the"
        " same resamples. Coloured where the interval does not hold 0."
    )
    return sequence(
        tag("p", reading, class_="reading"),
        _singles(difference),
        *(_columns(difference, columns) for columns in by_column),
    )


def verdict(difference: Scores, metric: str, place: int | None = None) -> str:
    """Whether a metric became better or worse; empty where its interval holds 0, or there is none.

    Args:
        difference: of the scores.
        metric: its name.
        place: which of its numbers; None: it is a single one.
    """
    interval = difference.found[metric]
    low, high = (float(e if place is None else e[place]) for e in (interval.low, interval.high))
    if not (low > 0 or high < 0):
        return ""
    return "better" if (low > 0) != (metric in _ERRORS) else "worse"


def _singles(difference: Scores) -> Html:
    names = [name for name in TITLES if name in difference.found and not difference.columns[name]]
    span = _span([difference.found[name] for name in names])
    rows = [
        (
            TITLES[name],
            chart(difference.found[name], None, span),
            _marked(difference, name),
            verdict(difference, name) or "\u2013",
        )
        for name in names
    ]
    columns = (
        *(("", NAME), (chart_title("difference", span), CHART)),
        *(("difference", NUMBER), ("this table is", NUMBER)),
    )
    return table(columns, rows, "Over all rows")


def _columns(difference: Scores, columns: tuple[str, ...]) -> Html:
    """The metrics by these columns, the first of them drawn as well."""
    names = [name for name in TITLES if difference.columns.get(name) == columns]
    drawn = next(name for name in names if name in _DRAWN)
    span = _span([difference.found[drawn]])
    rows = [
        (
            column,
            chart(difference.found[drawn], place, span),
            *(_marked(difference, name, place) for name in names),
        )
        for place, column in enumerate(columns)
    ]
    head = (
        *(("", NAME), (chart_title(TITLES[drawn], span), CHART)),
        *((TITLES[name], NUMBER) for name in names),
    )
    return table(head, rows, _DRAWN[drawn])


def _marked(difference: Scores, metric: str, place: int | None = None) -> Html:
    text = number(difference.found[metric], place, signed=True)
    return tag("span", text, class_=verdict(difference, metric, place) or None)


def _span(found: Sequence[Interval]) -> tuple[float, float]:
    """As far to either side of 0 as the farthest end, in steps of a twentieth."""
    ends = np.concatenate([np.ravel([part.value, part.low, part.high]) for part in found])
    reach = float(np.ceil(np.nanmax(np.abs(ends)) * 20 - 1e-9) / 20)
    reach = max(reach, 0.05)
    return -reach, reach
