"""The section on expressions: which are taken for which, and how well each is known."""

from __future__ import annotations

from finetune.labels import Floats
from finetune.reporting.cells import (
    CHART,
    NAME,
    NUMBER,
    chart,
    chart_title,
    number,
    scale,
    singles,
    table,
)
from finetune.reporting.colours import BLUES, DARK, ramp_colour
from finetune.reporting.markup import Html, sequence, tag
from finetune.scoring.scores import Scores

_SINGLES = (
    *("p_expr", "lsd_f1", "abaw_2020_expression", "macro_f1", "macro_f1_of_occurring"),
    *("weighted_f1", "accuracy", "mean_recall"),
)


def expression_section(scores: Scores) -> Html:
    """The confusion matrix, the numbers over all classes, and those of each.

    Args:
        scores: of a table that has expressions.
    """
    assert scores.counts is not None
    classes = scores.columns["class_f1"]
    return sequence(
        tag(
            "div",
            tag("div", confusion_table(scores.counts, classes)),
            tag("div", singles(scores, _SINGLES)),
            class_="beside",
        ),
        class_table(scores),
    )


def confusion_table(counts: Floats, classes: tuple[str, ...]) -> Html:
    """Rows by target and prediction, as counts and shares of the target's rows.

    Args:
        counts: [K, K], the target first.
        classes: K names.
    """
    totals = counts.sum(1)
    body = []
    for target, name in enumerate(classes):
        total = int(totals[target])
        cells = [tag("th", name, class_="name", scope="row")]
        for predicted, guess in enumerate(classes):
            count = int(counts[target, predicted])
            what = f"{name} taken for {guess}" if target != predicted else f"{name}, found"
            cells.append(_cell(count, total, f"{what}: {count:,} of {total:,} rows"))
        cells.append(tag("td", f"{total:,}", class_="number"))
        body.append(tag("tr", *cells))
    head = (tag("th", "target", class_="name", scope="col"),)
    names = (tag("th", name, class_="guess", scope="col") for name in classes)
    over = tag(
        "tr",
        tag("td", "", class_="name"),
        tag("th", "prediction", colspan=len(classes), class_="over", scope="colgroup"),
        tag("td", "", class_="number"),
    )
    caption = tag(
        "caption",
        "Rows by target and prediction; colour: share of the target's rows, ",
        tag("span", "0 %", scale(BLUES), "100 %", class_="together"),
    )
    rows = tag("th", "rows", class_="number", scope="col")
    return tag(
        "table",
        caption,
        tag("thead", over, tag("tr", *head, *names, rows)),
        tag("tbody", *body),
        class_="confusion",
    )


def class_table(scores: Scores) -> Html:
    """F1, precision and recall of each class, and how often it is labelled and predicted."""
    assert scores.counts is not None
    f1 = scores.found["class_f1"]
    rows = [
        (
            name,
            chart(f1, place, (0, 1)),
            number(f1, place),
            number(scores.found["class_precision"], place),
            number(scores.found["class_recall"], place),
            f"{int(scores.counts[place].sum()):,}",
            f"{int(scores.counts[:, place].sum()):,}",
        )
        for place, name in enumerate(scores.columns["class_f1"])
    ]
    columns = (
        *(("class", NAME), (chart_title("F1", (0, 1)), CHART), ("F1", NUMBER)),
        *(("precision", NUMBER), ("recall", NUMBER), ("target", NUMBER), ("predicted", NUMBER)),
    )
    return table(columns, rows, "By class; the last two columns are rows")


def _cell(count: int, total: int, title: str) -> Html:
    if not total:
        return tag("td", "\u2013", class_="cell empty", title=title)
    share = count / total
    return tag(
        "td",
        f"{count:,}",
        tag("span", f"{share:.0%}".replace("%", " %"), class_="share"),
        class_="cell dark" if share >= DARK else "cell" if count else "cell none",
        style=f"background:{ramp_colour(share, BLUES)}" if count else None,
        title=title,
    )
