"""The section on valence and arousal: predictions against labels, errors over the circumplex."""

from __future__ import annotations

import numpy as np

from finetune.labels import VALENCE_AROUSAL, Floats
from finetune.reporting.cells import NAME, NUMBER, number, scale, table
from finetune.reporting.colours import BLUES, BROWNS
from finetune.reporting.maps import ERROR_BINS, SHIFT_BINS, density, error_map
from finetune.reporting.markup import Html, sequence, tag
from finetune.reporting.planes import (
    FEW,
    SOME,
    darkest_error,
    density_figure,
    error_figure,
    shift_figure,
)
from finetune.scoring.joined import Joined
from finetune.scoring.scores import Scores
from finetune.scoring.text import TITLES, shown

#: Rows in a cell of the density that have the darkest colour, where no cell holds more.
_DARKEST = 10


def affect_section(joined: Joined, scores: Scores) -> Html:
    """Figures of what there is of both, and every metric of them."""
    known, predicted = joined.affect()
    valid = joined.affect_valid()
    figures = [
        _density(scores, place, known[rows, place], predicted[rows, place])
        for place, rows in enumerate(valid.T)
    ]
    if joined.series == VALENCE_AROUSAL and (both := valid.all(1)).any():
        figures += [_errors(known[both], predicted[both]), _shifts(known[both], predicted[both])]
    return sequence(tag("div", *figures, class_="figures"), series_table(scores, valid.sum(0)))


def series_table(scores: Scores, rows: Floats) -> Html:
    """Every metric that is by series, a row each.

    Args:
        scores: of a table that has valence or arousal.
        rows: that are scored, by series.
    """
    series = scores.columns["ccc"]
    names = [name for name in TITLES if scores.columns.get(name) == series]
    columns = (("", NAME), *((TITLES[name], NUMBER) for name in names), ("rows", NUMBER))
    body = [
        (
            name,
            *(number(scores.found[metric], place) for metric in names),
            f"{int(rows[place]):,}",
        )
        for place, name in enumerate(series)
    ]
    return table(columns, body, "By series")


def _density(scores: Scores, place: int, known: Floats, predicted: Floats) -> Html:
    name = scores.columns["ccc"][place]
    edges, counts = density(known, predicted)
    most = max(int(counts.max()), _DARKEST)
    value = f"CCC {shown(scores.found['ccc'], place)}"
    summary = f"Predicted {name} against labelled {name} of {len(known):,} rows, {value}"
    return tag(
        "figure",
        tag("figcaption", tag("strong", name.capitalize()), f" {value}"),
        density_figure(edges, counts, most, name, summary),
        _legend("1", f"{most:,} rows a cell, logarithmic", BLUES[1:]),
    )


def _errors(known: Floats, predicted: Floats) -> Html:
    errors = error_map(known, predicted, ERROR_BINS)
    most = darkest_error(errors)
    mean = float(np.hypot(*(predicted - known).T).mean())
    summary = (
        f"Mean distance between prediction and label by the place of the label, from 0 to"
        f" {most:.2f}; over all {len(known):,} rows {mean:.3f}"
    )
    return tag(
        "figure",
        tag("figcaption", tag("strong", "Error"), f" mean distance {mean:.3f}"),
        error_figure(errors, most, summary),
        _legend("0", f"mean distance {most:.2f} or more", BROWNS),
        tag("p", f"Large: {SOME} rows or more. Small: fewer than {FEW}.", class_="legend"),
    )


def _shifts(known: Floats, predicted: Floats) -> Html:
    errors = error_map(known, predicted, SHIFT_BINS)
    mean = (predicted - known).mean(0)
    value = f"valence {mean[0]:+.3f}, arousal {mean[1]:+.3f}"
    summary = f"Mean of prediction minus label by the place of the label; over all rows {value}"
    return tag(
        "figure",
        tag("figcaption", tag("strong", "Shift"), f" {value}"),
        shift_figure(errors, summary),
        tag("p", f"From labels to their mean prediction, {FEW} rows or more.", class_="legend"),
    )


def _legend(first: str, last: str, ramp: tuple[str, ...]) -> Html:
    return tag(
        "p",
        tag("span", first),
        scale(ramp),
        tag("span", last),
        class_="legend",
    )
