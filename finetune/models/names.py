"""Tensor names of released checkpoints, turned into those of our models. Pure renaming."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

Tensors = dict[str, Tensor]

#: DAN, from its position in a Sequential, or its name, to ours.
_DAN = [
    (r"^features\.0\.", "trunk.conv1."),
    (r"^features\.1\.", "trunk.bn1."),
    *((rf"^features\.{4 + stage}\.", f"trunk.layer{1 + stage}.") for stage in range(4)),
    (r"^cat_head(\d+)\.", r"heads.\1."),
    (r"^(heads\.\d+)\.sa\.conv1x1\.", r"\1.spatial.reduce."),
    (r"^(heads\.\d+)\.sa\.conv_3x3\.", r"\1.spatial.square."),
    (r"^(heads\.\d+)\.sa\.conv_1x3\.", r"\1.spatial.row."),
    (r"^(heads\.\d+)\.sa\.conv_3x1\.", r"\1.spatial.column."),
    (r"^(heads\.\d+)\.ca\.attention\.", r"\1.channel.gate."),
    (r"^fc\.", "classifier."),
    (r"^bn\.", "norm."),
]
_VIT = [(r"^vit\.head\.", "head."), (r"^vit\.", "encoder.")]


def from_dan(tensors: Mapping[str, Tensor]) -> Tensors:
    """Names of a released DAN to those of :class:`~finetune.models.dan.DAN`."""
    return {_renamed(name, _DAN): value for name, value in tensors.items()}


def from_emma(tensors: Mapping[str, Tensor]) -> Tensors:
    """Names of a released EMMA to those of :class:`~finetune.models.emma.EMMA`."""
    cnn = {name: value for name, value in tensors.items() if name.startswith("cnn.")}
    others = {_renamed(name, _VIT): value for name, value in tensors.items() if name not in cnn}
    inside = from_dan({name.removeprefix("cnn."): value for name, value in cnn.items()})
    return others | {f"cnn.{name}": value for name, value in inside.items()}


def from_views(views: Sequence[Mapping[str, Tensor]]) -> Tensors:
    """The state dicts of a released CoTEX to the names of :class:`~finetune.models.cotex.CoTEX`."""
    return {
        f"views.{place}.{_renamed(name, _VIT)}": value
        for place, tensors in enumerate(views)
        for name, value in tensors.items()
    }


def _renamed(name: str, patterns: Sequence[tuple[str, str]]) -> str:
    for pattern, replacement in patterns:
        name = re.sub(pattern, replacement, name)
    return name
