"""What is worth knowing of a trained model beside its weights and its config."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from finetune.models.label_spaces import LabelSpaces
from finetune.table.about import texts

_TEXTS = ("trained_on", "training_groups", "selection_groups", "tasks")


@dataclass(frozen=True, kw_only=True)
class ModelNotes:
    """How a model was trained, and how its answers become decisions.

    Attributes:
        thresholds: by the name of the action unit, the probability in [0, 1] from which on it is
            there; None: 0.5.
        expression_weights: by the name of the expression, its weight in the loss; None: all equal.
        action_unit_weights: by the name of the action unit, the weight of the images that show it
            (``pos_weight``); None: 1.
        trained_on: the collections (``data.kind``) that the weights have seen, pretraining
            included; None: unknown.
        training_groups: the groups of rows (:mod:`finetune.data.groups`) whose labels it was
            trained on; None: unknown.
        selection_groups: the groups of rows on which its weights were chosen; None: nobody chose.
        tasks: those that it was trained for, of valence_arousal, expression and action_units; the
            other heads answer by chance. None: all that it answers.
        draws: whether its generator has learnt to draw; None: it has none, or nobody says.
    """

    thresholds: Mapping[str, float] | None = None
    expression_weights: Mapping[str, float] | None = None
    action_unit_weights: Mapping[str, float] | None = None
    trained_on: tuple[str, ...] | None = None
    training_groups: tuple[str, ...] | None = None
    selection_groups: tuple[str, ...] | None = None
    tasks: tuple[str, ...] | None = None
    draws: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ModelNotes:
        """From what :meth:`to_json` gave; :meth:`problem` says whether the values make sense.

        Raises:
            TypeError: keys or values of another kind.
        """
        known = dict(values)
        for name in _TEXTS:
            if known.get(name) is not None:
                known[name] = texts(known[name])
        return cls(**known)

    def problem(self, labels: LabelSpaces) -> str | None:
        """What of this cannot be of a model with these labels, in words; None: nothing."""
        if self.tasks is not None:
            answered = _answered(labels)
            known = not isinstance(self.tasks, str) and set(self.tasks) <= set(answered)
            if not (known and self.tasks and len(set(self.tasks)) == len(self.tasks)):
                return f"tasks {self.tasks!r}, expected some of {', '.join(answered)}"
        if not (self.draws is None or isinstance(self.draws, bool)):
            return f"draws {self.draws!r}, expected true, false or null"
        units = labels.action_units.names if labels.action_units else ()
        classes = labels.expressions.classes if labels.expressions else ()
        for key, names, highest in (
            ("thresholds", units, 1.0),
            ("expression_weights", classes, math.inf),
            ("action_unit_weights", units, math.inf),
        ):
            given = getattr(self, key)
            if given is None:
                continue
            if not isinstance(given, Mapping):
                return f"{key} {given!r}, expected numbers by name"
            if given.keys() != set(names):
                return f"{key} of {', '.join(given)}, expected of {', '.join(names) or 'nothing'}"
            for name, value in given.items():
                number = isinstance(value, int | float) and not isinstance(value, bool)
                if not (number and 0 <= value <= highest and math.isfinite(value)):
                    within = "in [0, 1]" if highest == 1 else "0 or more"
                    return f"{key} of {name} {value!r}, expected a number {within}"
        return None


def _answered(labels: LabelSpaces) -> list[str]:
    """The tasks that a model with these labels answers."""
    answers = {
        "valence_arousal": labels.valence_arousal,
        "expression": labels.expressions,
        "action_units": labels.action_units,
    }
    return [task for task, answer in answers.items() if answer]
