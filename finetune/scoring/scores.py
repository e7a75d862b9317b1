"""The scores of joined predictions: every metric that the labels allow, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from finetune.intervals import (
    MIN_CLUSTERS,
    Interval,
    Measure,
    Progress,
    clusters_of,
    differences,
    intervals,
)
from finetune.labels import (
    ACTION_UNIT_SPACES,
    EXPRESSION_SPACES,
    VALENCE_AROUSAL,
    ActionUnitSpace,
    ExpressionSpace,
)
from finetune.metrics import (
    abaw_2020_action_units,
    abaw_2020_expression,
    auc,
    every_metric,
    lsd_f1,
    p_au,
    p_expr,
    p_mtl,
    p_va,
)
from finetune.scoring.joined import Joined, both_present
from finetune.tallies import MetricError, Tallies
from finetune.tallies.rows import Floats


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Metrics of a table, or of the difference between two.

    Attributes:
        columns: what the numbers of a metric are by, for each metric: classes, units, series, or
            nothing for a single number.
        found: by metric; without intervals their ends are NaN.
        counts: rows by target and prediction [K, K]; None: no expressions.
        over: what was resampled: "50 recordings"; empty: there are no intervals.
        level: of the intervals.
        resamples: that they are from.
        notes: what a reader has to know, a line each.
    """

    columns: Mapping[str, tuple[str, ...]]
    found: Mapping[str, Interval]
    counts: Floats | None
    over: str
    level: float
    resamples: int
    notes: tuple[str, ...]

    def value(self, metric: str) -> Floats:
        """A metric of all rows, [] or by column."""
        return self.found[metric].value

    def to_json(self) -> dict[str, Any]:
        """As JSON values; what is not defined is null."""
        return {
            metric: _by_column(interval, self.columns[metric], bool(self.over))
            for metric, interval in self.found.items()
        }


def score(
    joined: Joined,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> Scores:
    """Scores predictions.

    Args:
        joined: with their labels.
        level: of the intervals.
        resamples: 0 leaves the intervals out.
        seed: of the resamples.
        progress: called with the resamples done and their number.
    """
    measure, notes = measure_of(joined), list(joined.notes)
    whole = joined.tallies()
    found = {name: _alone(value) for name, value in measure(whole).items()}
    over = ""
    if resamples:
        cluster, over, problem = _clusters(joined, seed)
        notes += problem
        if over:
            ends = intervals(
                joined.tallies(cluster),
                measure,
                level=level,
                resamples=resamples,
                seed=seed,
                progress=progress,
            )
            # Sums over clusters round otherwise: the value is that of the table as a whole.
            found = {name: replace(ends[name], value=it.value) for name, it in found.items()}
    if joined.units:
        found["unit_auc"] = _alone(_areas(joined))
    return Scores(
        columns={name: _columns(joined, name, found[name].value) for name in found},
        found=found,
        counts=whole.expression.counts if whole.expression else None,
        over=over,
        level=level,
        resamples=resamples if over else 0,
        notes=tuple(notes),
    )


def score_difference(
    baseline: Joined,
    candidate: Joined,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> Scores:
    """Scores candidate - baseline, paired, on the rows that both predict.

    Raises:
        MetricError: they know other tasks, or there are too few recordings to resample.
    """
    for one, other in (
        (baseline.series, candidate.series),
        (baseline.classes, candidate.classes),
        (baseline.units, candidate.units),
    ):
        if one != other:
            raise MetricError(
                f"difference: got tables that know {', '.join(one) or 'nothing'} and"
                f" {', '.join(other) or 'nothing'}, expected the same"
            )
    before, after = both_present(baseline, candidate)
    cluster, over, problem = _clusters(after, seed)
    if problem:
        raise MetricError(f"difference: {problem[0]}")
    found = differences(
        before.tallies(cluster),
        after.tallies(cluster),
        measure_of(after),
        level=level,
        resamples=resamples,
        seed=seed,
        progress=progress,
    )
    return Scores(
        columns={name: _columns(after, name, found[name].value) for name in found},
        found=found,
        counts=None,
        over=over,
        level=level,
        resamples=resamples,
        notes=after.notes,
    )


def measure_of(joined: Joined) -> Measure:
    """All metrics of the joined tasks, and the challenges' scores whose labels these are.

    A challenge's score is there only where every class and action unit of it is: the mean over the
    eleven action units that a model happens to know is no P_AU.
    """
    affect = joined.series == VALENCE_AROUSAL
    classes = _name_of(EXPRESSION_SPACES, joined.classes)
    units = _name_of(ACTION_UNIT_SPACES, joined.units)

    def measure(tallies: Tallies) -> dict[str, Floats]:
        found = dict[str, Floats]()
        if (moments := tallies.valence_arousal) and affect:
            found["p_va"] = p_va(moments)
        if confusion := tallies.expression:
            if classes == "aff_wild2_8":
                found["p_expr"] = p_expr(confusion)
            if classes == "aff_wild2_7":
                found["abaw_2020_expression"] = abaw_2020_expression(confusion)
            if classes == "lsd_6":
                found["lsd_f1"] = lsd_f1(confusion)
        if decisions := tallies.action_units:
            if units == "aff_wild2_12":
                found["p_au"] = p_au(decisions)
            if units in ("aff_wild2_12", "aff_wild_8"):
                found["abaw_2020_action_units"] = abaw_2020_action_units(decisions)
        if found.keys() >= {"p_va", "p_expr", "p_au"}:
            assert moments
            assert confusion
            assert decisions
            total = p_mtl(valence_arousal=moments, expression=confusion, action_units=decisions)
            found = {"p_mtl": total} | found
        return found | every_metric(tallies)

    return measure


def _name_of(
    spaces: Mapping[str, ExpressionSpace] | Mapping[str, ActionUnitSpace], names: tuple[str, ...]
) -> str:
    """Which named space has these columns in this order; empty: none."""
    columns = (
        (name, space.classes if isinstance(space, ExpressionSpace) else space.names)
        for name, space in spaces.items()
    )
    return next((name for name, found in columns if found == names), "")


def _clusters(joined: Joined, seed: int) -> tuple[Any, str, list[str]]:
    """The cluster of each row, what they are, and why there are none."""
    known, groups = joined.annotations, joined.annotations.groups
    what = known.grouped_by
    count = len(set(groups)) if what != "images" else len(groups)
    if count < MIN_CLUSTERS:
        return None, "", [f"no intervals: {count} {what}, at least {MIN_CLUSTERS} are needed"]
    named = None if what == "images" else groups  # an image that is listed twice is two rows
    return clusters_of(len(groups), named, seed=seed), f"{count} {what}", []


def _areas(joined: Joined) -> Floats:
    """AUC by action unit, NaN where only positives, or only negatives, are labelled."""
    known, probabilities, _ = joined.action_units()
    valid, areas = joined.units_valid(), []
    for column in range(len(joined.units)):
        rows = valid[:, column]
        labels = known[rows, column]
        both = 0 < labels.sum() < len(labels)
        area = auc(target=labels, prediction=probabilities[rows, column]) if both else np.nan
        areas.append(float(area))
    return np.array(areas)


def _columns(joined: Joined, metric: str, value: Floats) -> tuple[str, ...]:
    if value.ndim == 0:
        return ()
    if metric.startswith("class_"):
        return joined.classes
    return joined.units if metric.startswith("unit_") else joined.series


def _alone(value: Floats) -> Interval:
    """A metric without an interval."""
    unknown = np.full(value.shape, np.nan)
    return Interval(value, unknown, unknown, np.zeros(value.shape, np.int64))


def _by_column(interval: Interval, columns: Sequence[str], ends: bool) -> Any:
    numbers = {"value": interval.value}
    if ends:
        numbers |= {"low": interval.low, "high": interval.high}
    if interval.value.ndim == 0:
        return {name: _number(value) for name, value in numbers.items()}
    return {
        column: {name: _number(value[place]) for name, value in numbers.items()}
        for place, column in enumerate(columns)
    }


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
