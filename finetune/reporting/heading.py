"""The top of the page: what was scored, what has to be known of it, the numbers to recall."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import numpy as np

from finetune.labels import Mask
from finetune.reporting.cells import number
from finetune.reporting.markup import Html, tag
from finetune.reporting.scored import Scored
from finetune.scoring.joined import Joined
from finetune.scoring.scores import Scores
from finetune.scoring.text import TITLES, shown

#: What a note says if its scores are no fair ones.
_WARNING = re.compile(r"\bforced: |^(baseline: )?the model was trained on ")

#: Letters of a fingerprint that tell models apart.
_SHORT = 12

#: What stands for a task in the tiles: the first of these metrics that there is.
_HEADLINES = (
    ("p_mtl",),
    ("p_va", "ccc"),
    ("p_expr", "lsd_f1", "abaw_2020_expression", "macro_f1"),
    ("p_au", "abaw_2020_action_units", "mean_unit_f1"),
)


def heading(scored: Scored, stamp: str, today: date) -> Html:
    """Title, stamp, notes and facts.

    Args:
        scored: what the page is of.
        stamp: what drawn faces are marked with.
        today: the date of the page.
    """
    notes = [note for note in scored.scores.notes if note != stamp]
    return tag(
        "header",
        tag("p", "FacePrior report", class_="eyebrow"),
        tag("h1", Path(scored.origin.file).name),
        tag("p", stamp, class_="stamp") if scored.drawn else "",
        tag("ul", *(_note(note) for note in sorted(notes, key=_calm)), class_="notes")
        if notes
        else "",
        tag("dl", *(_fact(name, text) for name, text in _facts(scored, today)), class_="facts"),
    )


def tiles(scores: Scores, difference: Scores | None = None) -> Html:
    """One number a task, and the challenge's where the labels are a challenge's.

    Args:
        scores: of the table.
        difference: from a baseline; None: there is none.
    """
    found = []
    for name, place in headlines(scores):
        title = TITLES[name] if place is None else f"{TITLES[name]} {scores.columns[name][place]}"
        value, _, ends = shown(scores.found[name], place).partition(" ")
        parts = [
            tag("p", title, class_="tile-title"),
            tag("p", value, class_="tile-value"),
            tag("p", ends or "no interval", class_="tile-interval"),
        ]
        if difference is not None:
            change = number(difference.found[name], place, signed=True)
            parts.append(tag("p", change, " to the baseline", class_="tile-change"))
        found.append(tag("div", *parts, class_="tile"))
    return tag("div", *found, class_="tiles")


def headlines(scores: Scores) -> list[tuple[str, int | None]]:
    """The metrics of the tiles, and which of their numbers."""
    found: list[tuple[str, int | None]] = []
    for names in _HEADLINES:
        name = next((name for name in names if name in scores.found), None)
        if name is not None and scores.columns[name]:
            found += [(name, place) for place in range(len(scores.columns[name]))]
        elif name is not None:
            found.append((name, None))
    return found


def is_warning(note: str) -> bool:
    """Whether a note says that the scores are no fair ones."""
    return _WARNING.search(note) is not None


def rows_by_task(joined: Joined) -> dict[str, Mask]:
    """Which rows are scored, [n] for each task that there is."""
    found = {}
    if joined.series:
        found[" and ".join(joined.series)] = np.asarray(joined.affect_valid().any(1))
    if joined.classes:
        found["expressions"] = joined.expression_valid()
    if joined.units:
        found["action units"] = np.asarray(joined.units_valid().any(1))
    return found


def _facts(scored: Scored, today: date) -> list[tuple[str, str]]:
    collection, scores = scored.collection, scored.scores
    rows = [f"{task} {int(valid.sum()):,}" for task, valid in rows_by_task(scored.joined).items()]
    steps = " \u2192 ".join(step.name for step in scored.joined.table.about.steps)
    facts = [
        ("Table", scored.origin.file),
        ("Model", scored.origin.model[:_SHORT] or "unknown"),
        ("Labels", f"{collection.kind}, {collection.split}"),
        ("Rows listed", f"{len(collection.annotations):,}"),
        ("Rows scored", "; ".join(rows)),
        ("Post-processing", steps or "none"),
        ("Intervals", f"{scores.level * 100:g} % over {scores.over}" if scores.over else "none"),
        ("Date", today.isoformat()),
    ]
    if scored.baseline is not None:
        model = scored.baseline.model[:_SHORT] or "unknown"
        facts.insert(2, ("Baseline", f"{scored.baseline.file}, model {model}"))
    return facts


def _fact(name: str, text: str) -> Html:
    return tag("div", tag("dt", name), tag("dd", text))


def _note(note: str) -> Html:
    return tag("li", note, class_="warning" if is_warning(note) else None)


def _calm(note: str) -> bool:
    return not is_warning(note)
