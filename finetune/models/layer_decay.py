"""Learning rates that differ by layer or part: parameter groups for an optimiser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timm.models import group_parameters
from timm.optim import param_groups_layer_decay
from torch import nn

#: Names under an encoder: its stem, and its blocks by number. All others are above the blocks.
_STEM, _BLOCK = r"(?:cls_token|patch_embed)", r"blocks\.(\d+)"


def layers_of_encoder(prefix: str) -> dict[str, str]:
    """What timm groups parameters by, for a model whose ViT is called ``prefix``.

    Everything beside the stem and the blocks (the final norm, heads) is the last layer, whatever
    it is called.
    """
    return {"stem": rf"^{prefix}\.{_STEM}", "blocks": rf"^{prefix}\.{_BLOCK}"}


def layer_ids(model: nn.Module) -> dict[str, int]:
    """The layer of each trainable parameter by name: 0 the stem, then the blocks, then the rest.

    Args:
        model: has a ``group_matcher``, as timm's models do.
    """
    found = group_parameters(model, model.group_matcher(), reverse=True)  # type: ignore[operator]
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    return {name: layer for name, layer in found.items() if name in trainable}


def scaled_groups(
    model: nn.Module, scales: Mapping[str, float], *, weight_decay: float
) -> list[dict[str, Any]]:
    """Groups of trainable parameters with ``lr_scale`` and ``weight_decay``, part by part.

    Args:
        model: whose parts learn at rates of their own.
        scales: factors on the learning rate, by the beginnings of parameters' names.
        weight_decay: of weight matrices; one-dimensional parameters have none.
    """
    return [
        {
            "params": [
                p
                for name, p in model.named_parameters()
                if name.startswith(prefix) and p.requires_grad and (p.ndim > 1) == matrices
            ],
            "weight_decay": weight_decay if matrices else 0.0,
            "lr_scale": scale,
        }
        for prefix, scale in scales.items()
        for matrices in (True, False)
    ]


def layer_decay_groups(
    model: nn.Module, *, layer_decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Groups of trainable parameters with ``lr_scale`` and ``weight_decay``.

    ``lr_scale`` is layer_decay to the power of the number of layers above: 1 for heads and the
    final norm. One-dimensional parameters have no weight decay. Frozen ones are in no group.
    Source: Clark et al. 2020, section 3; Bao et al. 2022, appendix.

    Args:
        model: has a ``group_matcher``, as timm's models do.
        layer_decay: factor a layer, in (0, 1].
        weight_decay: of weight matrices.
    """
    groups = param_groups_layer_decay(model, weight_decay=weight_decay, layer_decay=layer_decay)
    return list(groups)
