"""The section on action units."""

from __future__ import annotations

import numpy as np

from finetune.labels import Floats
from finetune.reporting.cells import (
    CHART,
    NAME,
    NUMBER,
    chart,
    chart_title,
    number,
    singles,
    table,
)
from finetune.reporting.markup import Html, tag
from finetune.scoring.joined import Joined
from finetune.scoring.scores import Scores

_SINGLES = ("p_au", "abaw_2020_action_units", "mean_unit_f1", "unit_accuracy")


def action_unit_section(joined: Joined, scores: Scores) -> Html:
    """What is known of each action unit, and the numbers over all of them."""
    return tag(
        "div",
        tag("div", unit_table(joined, scores)),
        tag("div", singles(scores, _SINGLES)),
        class_="beside",
    )


def unit_table(joined: Joined, scores: Scores) -> Html:
    """F1 and AUC of each action unit, the threshold, and how often it is there and found."""
    present, found, labelled = unit_rates(joined)
    f1, limits = scores.found["unit_f1"], thresholds(joined)
    rows = [
        (
            name,
            chart(f1, place, (0, 1)),
            number(f1, place),
            number(scores.found["unit_auc"], place),
            f"{limits[place]:.2f}",
            f"{present[place]:.1%}".replace("%", " %"),
            f"{found[place]:.1%}".replace("%", " %"),
            f"{int(labelled[place]):,}",
        )
        for place, name in enumerate(joined.units)
    ]
    columns = (
        *(("", NAME), (chart_title("F1 of the positives", (0, 1)), CHART), ("F1", NUMBER)),
        *(("AUC", NUMBER), ("threshold", NUMBER), ("present", NUMBER)),
        *(("found", NUMBER), ("rows", NUMBER)),
    )
    return table(columns, rows, "By action unit; present and found are shares of the rows")


def unit_rates(joined: Joined) -> tuple[Floats, Floats, Floats]:
    """Of each action unit the share of rows that have it, the share where it is found, the rows.

    Returns:
        Three times [A].
    """
    present, _, decided = joined.action_units()
    valid = joined.units_valid()
    labelled = valid.sum(0).astype(np.float64)
    shares = ((values * valid).sum(0) / labelled for values in (present, decided))
    there, found = shares
    return there, found, labelled


def thresholds(joined: Joined) -> Floats:
    """The probability from which each action unit counts as found, [A]."""
    space, limits = joined.table.action_unit_space, joined.table.thresholds
    assert space is not None
    if limits is None:
        return np.full(len(joined.units), 0.5)
    return limits[[space.names.index(name) for name in joined.units]]
