"""The section of the worst images."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from finetune.reporting.markup import Html, sequence, tag
from finetune.reporting.scored import Scored
from finetune.reporting.thumbnails import Thumbnails
from finetune.reporting.worst import (
    Mistake,
    worst_action_units,
    worst_affect,
    worst_expressions,
)
from finetune.scoring.joined import Joined

Choice = Callable[[Joined, int], list[Mistake]]


def worst_section(scored: Scored, count: int) -> Html:
    """The worst images of each task that there is.

    Args:
        scored: what the page is of.
        count: images a task at most.
    """
    joined, thumbnails = scored.joined, Thumbnails(scored.collection)
    tasks: list[tuple[bool, str, str, Choice]] = [
        (
            bool(joined.classes),
            "Expressions: the mistakes that the table is surest of",
            "probability",
            worst_expressions,
        ),
        (
            bool(joined.units),
            "Action units: the wrong decisions whose probability is farthest from the label",
            "off by",
            worst_action_units,
        ),
        (
            bool(joined.series),
            f"{' and '.join(joined.series).capitalize()}: the largest errors",
            "off by",
            worst_affect,
        ),
    ]
    parts = [
        _gallery(joined, thumbnails, title, measure, choose(joined, count))
        for there, title, measure, choose in tasks
        if there
    ]
    return sequence(
        tag("p", thumbnails.problem, class_="problem") if thumbnails.problem else "",
        tag("p", _rule(joined), class_="reading"),
        *parts,
    )


def _gallery(
    joined: Joined,
    thumbnails: Thumbnails,
    title: str,
    measure: str,
    mistakes: Sequence[Mistake],
) -> Html:
    cards = [_card(joined, thumbnails, measure, mistake) for mistake in mistakes]
    inside = tag("ol", *cards, class_="gallery") if cards else tag("p", "No mistakes.")
    return tag("div", tag("h3", title), inside)


def _card(joined: Joined, thumbnails: Thumbnails, measure: str, mistake: Mistake) -> Html:
    name = joined.annotations.images[mistake.row]
    alt = f"{name}: {mistake.target} predicted as {mistake.prediction}"
    return tag(
        "li",
        thumbnails.of(mistake.row, alt),
        tag(
            "p",
            tag("span", mistake.target, class_="target"),
            tag("span", " \u2192 ", class_="to"),
            tag("strong", mistake.prediction),
            class_="said",
        ),
        tag("p", f"{measure} {mistake.size:.2f}", class_="size"),
        tag("p", *_breakable(name), class_="image-name"),
    )


def _breakable(name: str) -> list[str]:
    """A name with places where a line may end, so that its last letters do not stand alone."""
    parts = re.split(r"(?<=[/_-])", name)
    return [part for place in parts for part in (place, tag("wbr"))][:-1]


def _rule(joined: Joined) -> str:
    if joined.annotations.videos is not None:
        kin = "recording"
    else:
        kin = "image" if joined.annotations.subjects is None else "subject"
    return (
        "Label \u2192 prediction, the worst first; of one"
        f" {kin} a second mistake only where there are too few others."
    )
