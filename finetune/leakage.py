"""What was fitted on what: no score of rows whose labels a setting, or the model, has seen.

A setting (a threshold, a bias, a width of smoothing, an ensemble's weight) that was chosen on some
labels says nothing true of the same labels, nor of those that the model was trained on: there it is
surer than it will be anywhere else. Rows are compared by their groups
(:mod:`finetune.data.groups`): two persons of one video are one.
"""

from __future__ import annotations

from collections.abc import Iterable

from finetune.data.groups import recording
from finetune.table import About
from pretrain.errors import UserError

#: Groups that a message names.
_NAMED = 3


class LeakError(UserError):
    """Something would be fitted, or scored, on labels that it has seen."""


def check_fit(
    about: About, groups: Iterable[str], *, kind: str = "recordings", force: bool
) -> tuple[str, ...]:
    """Refuses a fit on rows that the table's own model, or a step of it, has seen the labels of.

    Args:
        about: of the table whose predictions are fitted to labels.
        groups: of the labelled rows.
        kind: what groups are: recordings, subjects or images.
        force: go on all the same.

    Returns:
        Remarks for the steps that use the fit.

    Raises:
        LeakError: some rows are of the model's training groups, or of those that a step was fitted
            on, and nobody forces it.
    """
    there, remarks = _canonical(groups), list[str]()
    known = [(f"the step {step.name} was fitted on", step.fitted_on) for step in about.steps]
    if about.training_groups is None:
        remarks.append(f"fitted on a table whose training {kind} are unknown")
    else:
        known.insert(0, ("the model was trained on", about.training_groups))
    for saw, groups_seen in known:
        if seen := there & _canonical(groups_seen):
            what = f"{saw} {len(seen)} of the {len(there)} {kind} of the fit ({_first(seen)})"
            if not force:
                raise LeakError(
                    f"{what}, expected a table of held-out {kind}; --force true fits all the"
                    " same and marks every score"
                )
            remarks.append(f"forced: {what}")
    return tuple(remarks)


def check_scored(
    about: About,
    groups: Iterable[str],
    *,
    kind: str = "recordings",
    other_names: Iterable[str] = (),
    force: bool,
) -> list[str]:
    """Refuses scores of rows that a step of the table was fitted on.

    Args:
        about: of the table.
        groups: of the labelled rows.
        kind: what groups are: recordings, subjects or images.
        other_names: by which the same rows may have been known to whoever saw them.
        force: go on all the same.

    Returns:
        Lines that belong to the scores: what was forced, remarks of the steps, whether the model
        was trained on these rows.

    Raises:
        LeakError: some rows are of a step's fit, and nobody forces it.
    """
    there, others, notes = _canonical(groups), _canonical(other_names), list[str]()
    for step in about.steps:
        seen, among = _shared(_canonical(step.fitted_on), there, others)
        if seen:
            what = f"{len(seen)} of the {among} {kind} scored here ({_first(seen)})"
            if not force:
                raise LeakError(
                    f"the step {step.name} was fitted on {what}, expected other ones; --force"
                    " true scores all the same and marks the scores"
                )
            notes.append(f"forced: the step {step.name} was fitted on {what}")
        notes += [f"{step.name}: {remark}" for remark in step.remarks]
    if about.training_groups is None:
        notes.append(f"whether the model was trained on these {kind} is unknown")
        return notes
    seen, among = _shared(_canonical(about.training_groups), there, others)
    if seen:
        notes.append(f"the model was trained on {len(seen)} of these {among} {kind}")
    return notes


def _shared(names: set[str], *known: set[str]) -> tuple[set[str], int]:
    """Those of the names that the first of some sets has, and how many that set holds."""
    for there in known:
        if seen := there & names:
            return seen, len(there)
    return set(), 0


def _canonical(names: Iterable[str]) -> set[str]:
    """Groups, of which some may still have the name of a person or a part of a recording."""
    return set(map(recording, names))


def _first(groups: set[str]) -> str:
    return ", ".join(sorted(groups)[:_NAMED]) + (", ..." if len(groups) > _NAMED else "")
