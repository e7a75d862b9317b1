"""The last section: what the numbers mean and how they came to be."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version

from finetune.intervals import MAX_CLUSTERS
from finetune.reporting.markup import Html, sequence, tag
from finetune.reporting.scored import Origin, Scored

_VERSIONS = ("faceprior", "numpy", "pyarrow", "pillow")

#: What a metric is, for each that may be there.
_METRICS = {
    "p_mtl": "P_MTL = P_VA + P_EXPR + P_AU, from \u22121 to 3.",
    "p_va": "P_VA is the mean of the CCC of valence and that of arousal.",
    "ccc": "CCC is 2 s_xy / (s_x\u00b2 + s_y\u00b2 + (m_x \u2212 m_y)\u00b2) with the moments of"
    " the population (over n) of all labelled rows pooled: not per video, not per batch. A constant"
    " prediction has CCC 0.",
    "sign_agreement": "Sign agreement is the share of rows whose label and prediction have the same"
    " sign; zero is a sign of its own.",
    "p_expr": "P_EXPR is the macro-F1 over the 8 classes of Aff-Wild2.",
    "lsd_f1": "LSD macro-F1 is over its 6 classes.",
    "abaw_2020_expression": "ABAW 2020 expressions: 0.67 macro-F1 + 0.33 accuracy, over 7 classes.",
    "macro_f1": "Macro-F1 is the mean F1 over all classes of the labels; a class that neither"
    " occurs nor is predicted counts 0. Precision and recall without a row are 0.",
    "p_au": "P_AU is the mean F1 over the 12 action units of Aff-Wild2.",
    "abaw_2020_action_units": "ABAW 2020 action units: 0.5 mean F1 + 0.5 accuracy.",
    "unit_f1": "F1 of an action unit is that of the positives, 0 where nothing is present and"
    " nothing found; its accuracy pools all labelled entries of all action units. AUC needs no"
    " threshold, and has no interval here.",
}


def definitions_section(scored: Scored, command: str) -> Html:
    """Definitions of the metrics and intervals, the table's own history, command and versions.

    Args:
        scored: what the page is of.
        command: that made the page.
    """
    metrics = [tag("li", text) for name, text in _METRICS.items() if name in scored.scores.found]
    origins = [("Table", scored.origin)]
    if scored.baseline is not None:
        origins.append(("Baseline", scored.baseline))
    return sequence(
        tag("ul", *metrics, tag("li", _intervals(scored)), class_="definitions"),
        tag("h3", "Where they come from"),
        tag(
            "dl",
            *(_entry(name, text) for name, text in _history(scored)),
            *(_entry(name, _identity(origin)) for name, origin in origins),
            _entry("Labels", scored.root or "drawn from a seed, no files"),
            _entry("Command", command),
            _entry("Versions", _versions()),
            class_="origins",
        ),
    )


def _intervals(scored: Scored) -> str:
    scores = scored.scores
    if not scores.over:
        return "No intervals were made."
    count, what = scores.over.split()
    joined = int(count) > MAX_CLUSTERS
    groups = f", joined at random into {MAX_CLUSTERS} groups," if joined else ""
    return (
        f"[low, high] are {scores.level * 100:g} % intervals: bootstrap-t with the standard errors"
        f" of the jackknife, {scores.resamples:,} resamples (seed {scored.seed}) of"
        f" {scores.over}{groups} each drawn with all of its rows. They say how far the score could"
        f" be with other {what} of the same kind; nothing of another training run or other raters."
    )


def _history(scored: Scored) -> list[tuple[str, str]]:
    about = scored.joined.table.about
    known = "unknown" if about.trained_on is None else ", ".join(about.trained_on) or "nothing"
    steps = [
        (f"Step {place}", f"{step.name} {json.dumps(dict(step.settings))}")
        for place, step in enumerate(about.steps, start=1)
    ]
    return [("Trained on", known), *steps]


def _identity(origin: Origin) -> str:
    model = origin.model or "unknown"
    return f"{origin.file}, SHA-256 {origin.digest}, model {model}"


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in _VERSIONS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _entry(name: str, text: str) -> Html:
    return tag("div", tag("dt", name), tag("dd", text))
