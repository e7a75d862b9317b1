"""What a label means: named spaces, conversions by name, sentinels that become masks.

An integer in a file means nothing until a space says which names it counts (:mod:`.spaces`). Files
mark missing labels with numbers (-5, -2, -1, 9, 999); :mod:`.codes` alone knows them and turns them
into ``valid`` masks. :mod:`.targets` is what readers give and models answer with.
"""

from finetune.labels.codes import (
    AFF_WILD2,
    AFFECTNET,
    EMOTIONET,
    NO_EXPRESSION,
    Sentinels,
    action_units_from_codes,
    expression_from_codes,
    valence_arousal_from_codes,
)
from finetune.labels.conversion import (
    MAPPINGS,
    Floats,
    Integers,
    Mask,
    action_unit_columns,
    convert_votes,
    expression_indices,
)
from finetune.labels.spaces import (
    ACTION_UNIT_SPACES,
    EXPRESSION_SPACES,
    EXPRESSIONS,
    VALENCE_AROUSAL,
    ActionUnitSpace,
    ExpressionSpace,
    LabelError,
    action_unit_space,
    expression_space,
)
from finetune.labels.targets import (
    Predictions,
    Targets,
)

__all__ = [
    "ACTION_UNIT_SPACES",
    "AFFECTNET",
    "AFF_WILD2",
    "EMOTIONET",
    "EXPRESSIONS",
    "EXPRESSION_SPACES",
    "MAPPINGS",
    "NO_EXPRESSION",
    "VALENCE_AROUSAL",
    "ActionUnitSpace",
    "ExpressionSpace",
    "Floats",
    "Integers",
    "LabelError",
    "Mask",
    "Predictions",
    "Sentinels",
    "Targets",
    "action_unit_columns",
    "action_unit_space",
    "action_units_from_codes",
    "convert_votes",
    "expression_from_codes",
    "expression_indices",
    "expression_space",
    "valence_arousal_from_codes",
]
