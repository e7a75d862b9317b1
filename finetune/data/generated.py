"""Faces that a generator drew, as ``python -m finetune.generate`` writes them.

::

    train.csv         a manifest: the images, with what the generator was told of each
    generator.json    the label spaces of its model, and what that was trained on

They are for training alone: a score on them would be one of the generator. What the generator has
seen, a recogniser that is trained on its faces has seen as well.

Source: our own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.data import manifest
from finetune.data.annotations import AnnotationError, Annotations, unreadable
from finetune.data.columns import check_split
from finetune.labels import ActionUnitSpace, ExpressionSpace, LabelError

SPLITS = ("train",)

#: The folder that the images are relative to.
IMAGE_ROOTS = (".",)

#: What is known of the generator.
FILE = manifest.GENERATOR

_EXPECTED = "what finetune.generate writes"


@dataclass(frozen=True)
class Origin:
    """What images were made from.

    Attributes:
        kinds: the collections that their maker has seen; None: unknown.
        groups: the groups of rows whose labels it has seen; None: unknown.
    """

    kinds: tuple[str, ...] | None
    groups: tuple[str, ...] | None

    def joined(self, other: Origin) -> Origin:
        """What one of both was made from."""
        return Origin(_both(self.kinds, other.kinds), _both(self.groups, other.groups))


def _both(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if one is None or other is None else tuple(sorted({*one, *other}))


def describe(
    origin: Origin, expressions: ExpressionSpace, action_units: ActionUnitSpace
) -> dict[str, Any]:
    """The content of :data:`FILE`."""
    return {
        "expressions": {"name": expressions.name, "classes": expressions.classes},
        "action_units": {"name": action_units.name, "units": action_units.units},
        "trained_on": origin.kinds,
        "training_groups": origin.groups,
    }


def read(root: Path, split: str) -> Annotations:
    """The faces, labelled in the spaces of the generator's model.

    Args:
        root: folder of a ``finetune.generate``.
        split: train.

    Raises:
        AnnotationError: a file that is missing or is not as it was written.
    """
    check_split(root, split, SPLITS)
    said = _description(root)
    try:
        space, units = said["expressions"], said["action_units"]
        expressions = ExpressionSpace(space["name"], tuple(space["classes"]))
        action_units = ActionUnitSpace(units["name"], tuple(units["units"]))
    except (KeyError, TypeError, LabelError) as error:
        raise AnnotationError(root / FILE, None, f"label spaces: {error}", _EXPECTED) from None
    return manifest.read_table(root / "train.csv", expressions, action_units)


def origin(root: Path) -> Origin:
    """What the generator has seen.

    Args:
        root: as for :func:`read`.

    Raises:
        AnnotationError: likewise.
    """
    said = _description(root)
    return Origin(_texts(root, said, "trained_on"), _texts(root, said, "training_groups"))


def _description(root: Path) -> dict[str, Any]:
    file = root / FILE
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(file, error, _EXPECTED) from None
    except ValueError:
        raise AnnotationError(file, None, "no JSON", _EXPECTED) from None
    if not isinstance(said, dict):
        raise AnnotationError(file, None, f"a {type(said).__name__}", _EXPECTED)
    return said


def _texts(root: Path, said: dict[str, Any], key: str) -> tuple[str, ...] | None:
    values: Sequence[Any] | None = said.get(key)
    if values is None:
        return None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise AnnotationError(root / FILE, None, f"{key} {values!r:.40}", "names, or null")
    return tuple(values)
