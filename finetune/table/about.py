"""What is known of a table as a whole: its model, what that was trained on, what came after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of post-processing that a table went through.

    Attributes:
        name: of the step: ensemble, join, fill, smooth or decide; before them choice of weights and
            training.
        settings: what it was done with, JSON values.
        fitted_on: the groups of rows (:mod:`finetune.data.groups`) whose labels its settings were
            fitted on; empty: nobody fitted them.
        remarks: what a reader of the scores has to know: "non-causal", "forced: ...".
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    fitted_on: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class About:
    """Where the predictions come from.

    Attributes:
        model: fingerprint of the weights; empty: unknown.
        trained_on: the collections (``data.kind``) that its weights have seen, pretraining
            included; None: unknown.
        training_groups: the groups of rows (:mod:`finetune.data.groups`) whose labels it was
            trained on; None: unknown.
        drawn: whether the images are drawn faces: every score made of them says so.
        steps: of post-processing, oldest first.
    """

    model: str = ""
    trained_on: tuple[str, ...] | None = None
    training_groups: tuple[str, ...] | None = None
    drawn: bool = False
    steps: tuple[Step, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> About:
        """From what :meth:`to_json` gave.

        Raises:
            TypeError: keys or values of another kind.
        """
        known = dict(values)
        steps = tuple(_step(step) for step in known.pop("steps", ()))
        for name in ("trained_on", "training_groups"):
            if known.get(name) is not None:
                known[name] = texts(known[name])
        about = cls(steps=steps, **known)
        if not isinstance(about.model, str) or not isinstance(about.drawn, bool):
            raise TypeError(f"model {about.model!r}, drawn {about.drawn!r}")
        return about


def _step(values: Mapping[str, Any]) -> Step:
    step = Step(**{**values, "fitted_on": texts(values.get("fitted_on", ()))})
    if not isinstance(step.name, str) or not isinstance(step.settings, Mapping):
        raise TypeError(f"step {step.name!r} with settings {step.settings!r}")
    return Step(
        name=step.name,
        settings=step.settings,
        fitted_on=step.fitted_on,
        remarks=texts(step.remarks),
    )


def texts(values: Iterable[Any]) -> tuple[str, ...]:
    """A list of texts from JSON.

    Raises:
        TypeError: it is none.
    """
    found = tuple(values)
    if isinstance(values, str) or not all(isinstance(value, str) for value in found):
        raise TypeError("a list of texts")
    return found
