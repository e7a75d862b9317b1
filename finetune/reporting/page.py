"""The whole report as one HTML page that needs nothing else: no network, script or font."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from finetune.reporting.action_units import action_unit_section
from finetune.reporting.affect import affect_section
from finetune.reporting.definitions import definitions_section
from finetune.reporting.difference import difference_section
from finetune.reporting.expressions import expression_section
from finetune.reporting.gallery import worst_section
from finetune.reporting.heading import heading, tiles
from finetune.reporting.markup import Html, tag
from finetune.reporting.scored import Scored
from finetune.reporting.style import STYLE

#: The page is forbidden to load anything, whatever an image may be called.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(scored: Scored, images: int, command: str, stamp: str, today: date) -> str:
    """The report of a scored table.

    Args:
        scored: the table.
        images: worst images a task; 0 leaves them out.
        command: that makes the page.
        stamp: what drawn faces are marked with.
        today: the date that stands on it.
    """
    parts = _sections(scored, images, command)
    links = (tag("a", title, href=f"#{anchor}") for anchor, title, _ in parts)
    sections = [
        tag("section", tag("h2", title), content, id=anchor) for anchor, title, content in parts
    ]
    title = f"{Path(scored.origin.file).name} on {scored.collection.kind}"
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", **{"http-equiv": "Content-Security-Policy", "content": _POLICY}),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"FacePrior report: {title}"),
        tag("style", Html(STYLE)),
    )
    body = tag(
        "main",
        heading(scored, stamp, today),
        tiles(scored.scores, scored.difference),
        tag("nav", *links),
        *sections,
    )
    document = tag("html", tag("head", *head), tag("body", body), lang="en")
    return f"<!DOCTYPE html>\n{document}\n"


def _sections(scored: Scored, images: int, command: str) -> list[tuple[str, str, Html]]:
    """What the page holds: anchors, titles and contents."""
    joined, scores = scored.joined, scored.scores
    parts = []
    if joined.series:
        title = " and ".join(joined.series).capitalize()
        parts.append(("affect", title, affect_section(joined, scores)))
    if joined.classes:
        parts.append(("expressions", "Expressions", expression_section(scores)))
    if joined.units:
        parts.append(("units", "Action units", action_unit_section(joined, scores)))
    if scored.baseline is not None:
        assert scored.difference is not None
        content = difference_section(scored.baseline, scored.difference)
        parts.append(("baseline", "Against the baseline", content))
    if images:
        parts.append(("worst", "Worst images", worst_section(scored, images)))
    title = "How these numbers are defined"
    return [*parts, ("definitions", title, definitions_section(scored, command))]
