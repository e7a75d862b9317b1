"""Fitted settings as a JSON file, and what becomes of a table by them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from finetune.postprocessing.columns import TASKS
from finetune.postprocessing.decisions import decide
from finetune.postprocessing.ensembling import ensemble
from finetune.postprocessing.smoothing import MAX_WIDTH, smooth
from finetune.table import PredictionTable
from pretrain.errors import UserError
from pretrain.files import write_text

#: What the file calls its form.
_FORM = "faceprior rules 1"

#: Beyond it a weight or bias is a mistake, infinity for one.
_MOST = 1e6


class RulesError(UserError):
    """Rules that cannot be read, or are not for this table."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What was fitted to the labels of some rows, for the predictions of one model or ensemble.

    Attributes:
        models: fingerprint of the model, or of each member of the ensemble in its order; empty
            texts: unknown.
        weights: by task, one a member; empty: no ensemble.
        widths: of smoothing by task, standard deviation in frames; empty: nothing is smoothed.
        thresholds: by the name of the action unit; None: they were not fitted.
        biases: by the name of the class; likewise.
        fitted_on: groups of the rows (:mod:`finetune.data.groups`) that all this was fitted on.
        remarks: what every score made with these rules has to say.
        record: how they came about and what they scored, JSON values, for people.
    """

    models: tuple[str, ...]
    weights: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    widths: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, float] | None = None
    biases: Mapping[str, float] | None = None
    fitted_on: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)


def write_rules(file: Path, rules: Rules) -> None:
    """Writes rules, whole or not at all.

    Raises:
        WriteError: it cannot be written.
    """
    write_text(file, json.dumps({"form": _FORM, **asdict(rules)}, indent=1) + "\n")


def read_rules(file: Path) -> Rules:
    """Reads rules.

    Raises:
        RulesError: no such file, or not what :func:`write_rules` writes.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RulesError(f"{file}: {error.strerror}, expected fitted rules (JSON)") from None
    except (ValueError, RecursionError) as error:
        raise RulesError(f"{file}: {' '.join(str(error).split())}, expected JSON") from None
    if not isinstance(found, dict) or found.pop("form", None) != _FORM:
        raise RulesError(f"{file}: no rules, expected the key form to be '{_FORM}'")
    if found.keys() != _FORMS.keys():
        odd = ", ".join(sorted(found.keys() ^ _FORMS.keys()))
        raise RulesError(f"{file}: {odd}, expected the keys {', '.join(_FORMS)}")
    for key, (fits, expected) in _FORMS.items():
        if not fits(found[key]):
            got = json.dumps(found[key])
            raise RulesError(f"{file}: {key} {got[:80]}, expected {expected}")
    for key in ("models", "fitted_on", "remarks"):
        found[key] = tuple(found[key])
    found["weights"] = {task: tuple(given) for task, given in found["weights"].items()}
    members = {len(given) for given in found["weights"].values()} or {1}
    if members != {len(found["models"])}:
        raise RulesError(f"{file}: models {len(found['models'])}, expected a weight for each")
    return Rules(**found)


def check_models(rules: Rules, tables: Sequence[PredictionTable], *, force: bool) -> list[str]:
    """Refuses rules that were fitted for other models.

    Args:
        rules: what is to be applied.
        tables: the table, or the members of the ensemble in their order.
        force: go on all the same.

    Returns:
        Remarks for the steps.

    Raises:
        RulesError: one table for an ensemble's rules or the reverse, or other models and nobody
            forces it.
    """
    if len(tables) != len(rules.models):
        raise RulesError(
            f"the rules are for {_counted(len(rules.models))}, got {_counted(len(tables))},"
            " expected as many in the same order"
        )
    remarks = []
    for place, (model, table) in enumerate(zip(rules.models, tables, strict=True), start=1):
        which = "" if len(tables) == 1 else f" of member {place}"
        own = table.about.model
        if not (model and own):
            remarks.append(f"whether the rules are for the model{which} is unknown")
        elif model != own:
            what = f"model{which} {own[:12]}, the rules were fitted for {model[:12]}"
            if not force:
                raise RulesError(
                    f"{what}, expected the same; --force true applies them all the same and marks"
                    " every score"
                )
            remarks.append(f"forced: {what}")
    return remarks


def apply_weights(
    rules: Rules, members: Mapping[str, PredictionTable], remarks: Sequence[str] = ()
) -> PredictionTable:
    """The ensemble by the rules' weights.

    Raises:
        TableError: see :func:`~.ensembling.ensemble`.
        RulesError: a task that the rules know nothing of.
    """
    for name, table in members.items():
        for task in TASKS:
            if getattr(table, task) is not None and task not in rules.weights:
                raise RulesError(f"{name}: predicts {task}, expected a task that the rules know")
    more = (*rules.remarks, *remarks)
    return ensemble(members, rules.weights, fitted_on=rules.fitted_on, remarks=more)


def apply_rules(
    rules: Rules, table: PredictionTable, remarks: Sequence[str] = ()
) -> PredictionTable:
    """A table smoothed and decided by rules.

    Args:
        rules: what was fitted.
        table: of one model, or the ensemble.
        remarks: for the steps, beside those of the rules.

    Raises:
        TableError: other tasks, classes or action units than the rules are for; smoothed or decided
            already.
    """
    more = (*rules.remarks, *remarks)
    table = smooth(table, rules.widths, fitted_on=rules.fitted_on, remarks=more)
    if rules.thresholds is None and rules.biases is None:
        return table
    return decide(
        table,
        thresholds=rules.thresholds,
        biases=rules.biases,
        fitted_on=rules.fitted_on,
        remarks=more,
    )


def _counted(members: int) -> str:
    return "one table" if members == 1 else f"an ensemble of {members}"


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _numbers(value: Any, low: float, high: float) -> bool:
    return isinstance(value, dict) and all(
        isinstance(number, int | float) and not isinstance(number, bool) and low <= number <= high
        for number in value.values()
    )


def _weights(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(given, list)
        and task in TASKS
        and _numbers(dict(enumerate(given)), 0, _MOST)
        and any(given)
        for task, given in value.items()
    )


def _widths(value: Any) -> bool:
    return _numbers(value, 0, MAX_WIDTH) and set(value) <= set(TASKS)


#: What each key of the file has to be: a check, and in words.
_FORMS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "models": (lambda v: _texts(v) and bool(v), "a list of fingerprints"),
    "weights": (_weights, "by task, a list of weights, 0 or more"),
    "widths": (_widths, f"by task, a width from 0 to {MAX_WIDTH} frames"),
    "thresholds": (lambda v: v is None or _numbers(v, 0, 1), "numbers in [0, 1] by unit, or null"),
    "biases": (lambda v: v is None or _numbers(v, -_MOST, _MOST), "numbers by class, or null"),
    "fitted_on": (_texts, "a list of groups"),
    "remarks": (_texts, "a list of texts"),
    "record": (lambda v: isinstance(v, dict), "an object"),
}
