"""Published files of EMMA, DAN and CoTEX: which is which, and what model it is of.

What no tensor shows is as published: ImageNet's normalisation, and the order of the classes, unless
the caller knows another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from finetune.labels import ActionUnitSpace, ExpressionSpace, action_unit_space, expression_space
from finetune.models.affect import ModelConfig
from finetune.models.cotex import CoTEXConfig
from finetune.models.dan import DANConfig
from finetune.models.emma import PRESETS
from finetune.models.names import from_dan, from_emma, from_views
from pretrain.errors import UserError
from pretrain.load import encoder_shape
from pretrain.models.names import without_prefix
from pretrain.models.vit import SIZES
from pretrain.weights import LoadError, Weights, tensors_of, unpickle_safely

#: Types in the scores that CoTEX checkpoints hold, and the function that makes NumPy's scalars:
#: under its name, and that in files of NumPy before 2.
_SCALAR = np.float64(0).__reduce__()[0]
_NUMPY_SCALARS = (
    *(_SCALAR, (_SCALAR, "numpy.core.multiarray.scalar"), np.dtype),
    *(type(np.dtype(name)) for name in ("float64", "float32", "int64")),
)


@dataclass(frozen=True)
class Released:
    """A published file, understood.

    Attributes:
        config: of the model that it holds.
        tensors: under our names.
    """

    config: ModelConfig
    tensors: dict[str, Tensor]


def open_released(
    file: Path,
    expressions: ExpressionSpace | None = None,
    action_units: ActionUnitSpace | None = None,
) -> Released:
    """Opens a published ``.pth``.

    Args:
        file: where it is.
        expressions: the order of its classes; None: as published.
        action_units: the order of its action units; None: as published.

    Raises:
        LoadError: a file that cannot be opened safely, another layout, or a number of outputs that
            the spaces do not have.
    """
    loaded = unpickle_safely(file, _NUMPY_SCALARS)
    try:
        return _understood(loaded, file, expressions, action_units)
    except UserError:
        raise
    except ValueError as error:  # sizes that no config takes
        raise LoadError(f"{file}: {error}") from None


def _understood(
    loaded: Any,
    file: Path,
    expressions: ExpressionSpace | None,
    action_units: ActionUnitSpace | None,
) -> Released:
    if isinstance(loaded, dict) and "state_dicts" in loaded:
        _refuse_units("CoTEX", action_units, file)
        views = [without_prefix(view, "module.") for view in _views(loaded["state_dicts"], file)]
        return _cotex(from_views(views), len(views), file, expressions)
    tensors = without_prefix(tensors_of(loaded, file), "module.")
    if any(name.startswith("cat_head") for name in tensors):
        _refuse_units("DAN", action_units, file)
        return _dan(from_dan(tensors), file, expressions)
    if any(name.startswith("va_head.") for name in tensors):
        return _emma(from_emma(tensors), file, expressions, action_units)
    raise LoadError(
        f"{file}: tensors {', '.join(list(tensors)[:3])}, ... of no layout that is known, expected"
        " a released EMMA, DAN or CoTEX file"
    )


def _dan(tensors: dict[str, Tensor], file: Path, expressions: ExpressionSpace | None) -> Released:
    space = expressions or expression_space("affectnet_8")
    _check_outputs(_rows(tensors, "classifier.weight", file), space, file)
    return Released(DANConfig(expressions=space.name), tensors)


def _emma(
    tensors: dict[str, Tensor],
    file: Path,
    expressions: ExpressionSpace | None,
    action_units: ActionUnitSpace | None,
) -> Released:
    classes = expressions or expression_space("aff_wild2_8")
    units = action_units or action_unit_space("aff_wild2_12")
    outputs = _rows(tensors, "head.2.weight", file)
    if outputs != len(classes) + len(units):
        raise LoadError(
            f"{file}: {outputs} outputs, expected {len(classes)} expressions ({classes.name}) and"
            f" {len(units)} action units ({units.name})"
        )
    cnn = DANConfig()
    _check_outputs(_rows(tensors, "cnn.classifier.weight", file), cnn.space, file)
    config = replace(
        PRESETS["paper"],
        **_encoder(tensors, "encoder.", file),
        expressions=classes.name,
        action_units=units.name,
        hidden=_rows(tensors, "head.0.weight", file),
        va_hidden=_rows(tensors, "va_head.0.weight", file),
        cnn=cnn,
    )
    return Released(config, tensors)


def _cotex(
    tensors: dict[str, Tensor], views: int, file: Path, expressions: ExpressionSpace | None
) -> Released:
    space = expressions or expression_space("lsd_6")
    _check_outputs(_rows(tensors, "views.0.head.weight", file), space, file)
    encoder = _encoder(tensors, "views.0.encoder.", file)
    config = CoTEXConfig(**encoder, expressions=space.name, views=views, combine="sum")
    return Released(config, tensors)


def _views(found: Any, file: Path) -> Sequence[Mapping[str, Tensor]]:
    views = list(found.values()) if isinstance(found, dict) else found
    if not isinstance(views, list | tuple) or not views:
        raise LoadError(f"{file}: state_dicts {type(found).__name__}, expected one of each view")
    return [tensors_of(view, file) for view in views]


def _encoder(tensors: Mapping[str, Tensor], prefix: str, file: Path) -> dict[str, Any]:
    """Options of the encoder whose tensors begin so."""
    inside = {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
    shape = encoder_shape(Weights(str(file), inside), inside)
    built = (shape.embed_dim, shape.depth, shape.num_heads)
    size = next(name for name, known in SIZES.items() if known == built)
    return {"size": size, "image_size": shape.image_size, "patch_size": shape.patch_size}


def _rows(tensors: Mapping[str, Tensor], name: str, file: Path) -> int:
    """Outputs of a linear layer."""
    if name not in tensors or tensors[name].ndim != 2:
        got = list(tensors[name].shape) if name in tensors else "nothing"
        raise LoadError(f"{file}: tensor '{name}' is {got}, expected a matrix")
    return tensors[name].shape[0]


def _check_outputs(outputs: int, space: ExpressionSpace, file: Path) -> None:
    if outputs != len(space):
        raise LoadError(
            f"{file}: {outputs} expressions, expected {len(space)} ({space.name}); say"
            " 'expressions' for another order"
        )


def _refuse_units(model: str, action_units: ActionUnitSpace | None, file: Path) -> None:
    if action_units is not None:
        raise LoadError(f"{file}: action units {action_units.name}, but {model} knows none")
